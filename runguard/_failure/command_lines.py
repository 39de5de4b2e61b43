"""Secrets on command lines: which option of which tool takes one, as data, and how to find it.

A command line is read as words, be it typed (`redis-cli -a x`), the list that `CalledProcessError`
shows (`['redis-cli', '-a', 'x']`), or JSON. Only what follows a known tool counts: elsewhere `-p`
is a port.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from .secret_names import prose
from .secret_values import Rule, Span, is_placeholder


class Tool(NamedTuple):
    """How one family of tools takes secrets.

    Attributes:
        names: the commands, without a path and `.exe`.
        value: options whose next word (or the rest of the same word) is a secret.
        attached: options that take a secret in the same word only: `mysql -psecret`.
        split: options whose value is a user and a secret, and what stands between them.
        after: words after which the nth word that is no option is a secret.
        needs: a word without which the options above mean something else: `docker login -p`.
        login: the tool takes `user/password@database`.
    """

    names: str
    value: str = ""
    attached: str = ""
    split: str = ""
    after: str = ""
    needs: str = ""
    login: bool = False


TOOLS: tuple[Tool, ...] = (
    # --- Databases -------------------------------------------------------------------------------
    Tool("redis-cli redis-benchmark valkey-cli keydb-cli iredis", "-a --pass --askpass-value"),
    Tool(
        "mysql mysqldump mysqladmin mysqlimport mysqlshow mysqlcheck mysqlbinlog mysqlpump mysqlslap"
        " mysql_upgrade mysqlsh mariadb mariadb-dump mariadb-admin mariadb-check mariadb-import"
        " mariabackup xtrabackup innobackupex mycli pt-table-sync pt-archiver",
        attached="-p",
        after="password:1",
    ),
    Tool("mydumper myloader pt-query-digest", "-p"),
    Tool(
        "mongo mongosh mongodump mongorestore mongoexport mongoimport mongostat mongotop mongofiles",
        "-p",
    ),
    Tool("sqlcmd osql isql bcp tsql fisql go-sqlcmd mssql-cli", "-P"),
    Tool("cqlsh nodetool dsetool", "-p -pw"),
    Tool("vsql", "-w"),
    Tool("nzsql nzload", "-pw"),
    Tool("hdbsql", "-p"),
    Tool("beeline sqlline impala-shell", "-p"),
    Tool("influx influxd", "-t -password"),
    Tool("taos clickhouse clickhouse-client", attached="-p"),
    Tool("arangosh arangodump", "--server.password"),
    Tool("neo4j-admin cypher-shell", "-p", after="set-initial-password:1"),
    Tool("rethinkdb couchbase-cli cbbackup cbq", "-p"),
    Tool("bteq fastload mload", after=".logon:1"),
    Tool("db2", after="using:1"),
    Tool("snowsql", "-p"),
    Tool("sqlplus sqlldr exp imp expdp impdp rman tkprof wrap odisql clpplus sqlcl", login=True),
    Tool("isql-fb gbak gfix nbackup", "-pas -password -p"),
    # --- Fetching and copying --------------------------------------------------------------------
    Tool(
        "curl",
        "--oauth2-bearer --pass --proxy-pass --tlspassword --proxy-tlspassword -b --cookie --delegation-key",
        split="-u: --user: -U: --proxy-user:",
    ),
    Tool("wget wget2 aria2c axel lftpget", "--http-passwd --ftp-passwd --http-password"),
    Tool("http https xh xhs httpie", split="-a: --auth:"),
    Tool("lftp", split="-u, --user,", after="user:2"),
    Tool("ncftpput ncftpget ncftpls ncftp ncftpbatch", "-p"),
    Tool(
        "smbclient rpcclient net smbtree smbcacls smbcquotas smbmount winexe wmic-linux",
        split="-U% --user%",
    ),
    Tool("smbget", "-p", split="-U% --user%"),
    Tool("sshpass", "-p"),
    Tool("plink pscp psftp putty kitty winscp", "-pw"),
    Tool("rclone", after="obscure:1"),
    Tool("s3cmd", "--secret_key"),
    Tool("mc", after="alias:4"),
    Tool("cadaver davfs2", "-p"),
    Tool("rsync-ssl aspera ascp", "-W"),
    Tool(
        "wget-auth skopeo buildah crane podman-login",
        "--creds",
        split="--creds: --src-creds: --dest-creds:",
    ),
    Tool("evil-winrm crackmapexec netexec nxc", "-p"),
    # --- Archives, documents, keys ---------------------------------------------------------------
    Tool("7z 7za 7zr 7zz p7zip", attached="-p"),
    Tool("zip unzip zipcloak zipnote funzip", "-P --password"),
    Tool("rar unrar", attached="-p -hp"),
    Tool("arj", attached="-g"),
    Tool("pdftk qpdf", after="user_pw:1 owner_pw:1 input_pw:1"),
    Tool("pdftotext pdfinfo pdftoppm pdfimages pdftops", "-upw -opw"),
    Tool("openssl libressl", "-k -K -passin -passout -pass -password -passwd"),
    Tool("gpg gpg2 gpgv", "--passphrase"),
    Tool(
        "keytool jarsigner apksigner",
        "-storepass -keypass -srcstorepass -deststorepass -destkeypass -srckeypass -new --ks-pass --key-pass",
    ),
    Tool("signtool osslsigncode azuresigntool", "/p -pass -kvs"),
    Tool("certutil-nss pk12util", "-W -K"),
    Tool("certutil", "-p"),
    Tool("ccrypt ccencrypt ccdecrypt ccat mcrypt", "-K -k --key"),
    Tool("steghide john", "-p"),
    Tool("security", "-p -w"),
    Tool("hdiutil", "-passphrase"),
    Tool(
        "htpasswd htdigest",
        after="-b:3 -nb:2 -bn:2 -cb:3 -bc:3 -bB:3 -Bb:3 -nbB:2 -bnB:2 -Bbn:2 -cbB:3 -bcB:3 -mb:3 -bm:3",
    ),
    Tool("wpa_passphrase", after="wpa_passphrase:2"),
    Tool("useradd usermod", "-p"),
    # --- Directories, mail, queues ---------------------------------------------------------------
    Tool(
        "ldapsearch ldapadd ldapmodify ldapdelete ldappasswd ldapwhoami ldapcompare ldapmodrdn"
        " ldapexop ldapurl",
        "-w -s -a",
    ),
    Tool("ldapsearch ldapadd ldapmodify ldapdelete ldapwhoami ldapcompare ldapmodrdn", "-w"),
    Tool("swaks", "-ap --auth-password"),
    Tool("sendemail", "-xp"),
    Tool("mosquitto_pub mosquitto_sub mosquitto_rr", "-P --pw"),
    Tool("mosquitto_passwd", after="-b:3"),
    Tool("mqtt", "-pw"),
    Tool("rabbitmqctl", after="add_user:2 change_password:2 authenticate_user:2"),
    Tool("rabbitmqadmin", "-p"),
    Tool("stomp amqp-publish amqp-consume", "-p"),
    Tool("kinit", "--password"),
    Tool("snmpwalk snmpget snmpset snmpbulkwalk snmptrap snmpbulkget snmptable", "-A -X -c"),
    Tool("ipmitool ipmi-sensors ipmipower bmc-config", "-P -p"),
    # --- Windows ---------------------------------------------------------------------------------
    Tool("xfreerdp xfreerdp3 wfreerdp sdl-freerdp rdesktop mstsc", "/p -p /gp"),
    Tool("psexec psexec64 pskill pslist psservice paexec", "-p"),
    Tool("schtasks", "/rp /p"),
    Tool("wmic", "/password"),
    Tool("cmdkey", "/pass"),
    Tool("winrs", "-p /p /password"),
    Tool("sc", after="password=:1"),
    Tool("dtexec", "/de /decrypt"),
    Tool("osk netdom", "/passwordd /passwordo /pd /po"),
    # --- Containers and clouds -------------------------------------------------------------------
    Tool("docker podman nerdctl buildah skopeo crane oras regctl helm finch", "-p", needs="login"),
    Tool("az", "-p --account-key --sas-token --admin-password"),
    Tool("aws-vault saml2aws", "-p"),
    Tool("oc", "-p", needs="login"),
    Tool("cf", "-p", needs="login"),
    Tool("cf", after="auth:2"),
    Tool("vault", after="login:1 unseal:1 unwrap:1"),
    Tool("rancher argocd harbor portainer", "--password"),
    Tool("doctl", "-t", needs="auth"),
    Tool("heroku", after="auth:token:1"),
    Tool("ngrok", after="authtoken:1 add-authtoken:1"),
    Tool("cloudflared", "--token", after="install:1"),
    Tool("tailscale", "--authkey --auth-key"),
    # --- Developers' tools -----------------------------------------------------------------------
    Tool("nuget", "-ApiKey", after="setapikey:1"),
    Tool("dotnet", "-k", needs="push"),
    Tool("twine flit", "-p"),
    Tool("uv", "-t --token -p", needs="publish"),
    Tool("poetry", "-p", needs="publish"),
    Tool("poetry", after="pypi-token.pypi:1 http-basic.pypi:2"),
    Tool(
        "composer",
        after="github-oauth.github.com:1 gitlab-token.gitlab.com:1 http-basic.repo.packagist.com:2",
    ),
    Tool("cargo", after="login:1"),
    Tool("gem", "-k --key", needs="push"),
    Tool("snyk", after="auth:1"),
    Tool("wandb", after="login:1"),
    Tool("huggingface-cli hf", "--token", after="login:1"),
    Tool("gh glab", "-b --body -t", needs="set"),
    Tool("p4", "-P"),
    Tool("svn", "--password"),
    Tool("jf jfrog", "--apikey --access-token"),
    Tool("sentry-cli", "--auth-token"),
    Tool("travis codecov", "-t"),
    Tool("vncviewer x11vnc vncpasswd", "-passwd -passwdfile-value"),
    Tool("nmcli", after="password:1 psk:1"),
    Tool("bw", after="unlock:1"),
    Tool("asadmin wsadmin wsadmin.sh jboss-cli.sh jboss-cli", "--password -password"),
    Tool("transmission-remote", split="-n: --auth:"),
    Tool("etcdctl", split="--user:"),
)

_WORD = re.compile(
    r"(?:[\"'](?=\[[\"'])|[\"'](?<=\][\"'])|'(?:[^'\\\n]|\\[^\n]|''){0,1024}+'|\"(?:[^\"\\\n]|\\[^\n]){0,1024}+\""
    r"|[\"']|(?:\\[^\n]|,(?![\"'])|[^\s\"',\\|;&])++|\\)++"
)
_GAP = re.compile(r"(?:[ \t,]|\\\n[ \t]*+)*+")
_TOOL_WORD = re.compile(r"[a-z0-9_.+\-]++(?=[\s\"',])")
_OPENED = re.compile(r"[\"']?[\[(`]++")
_CLOSED = re.compile(r"(?:[\])]{1,4}[\"']?)?[,`]{0,2}\Z")
_MOST_WORDS = 200


class _Options(NamedTuple):
    """The options of one command, from all its entries."""

    value: dict[str, str]
    attached: tuple[tuple[str, str], ...]
    split: dict[str, tuple[str, str]]
    after: dict[str, int]
    login: bool


@functools.cache
def _tools() -> dict[str, _Options]:
    """Index the table by command."""
    tools: dict[str, _Options] = {}
    for tool in TOOLS:
        for name in tool.names.split():
            known = tools.get(name, _Options({}, (), {}, {}, False))
            value = {**known.value, **dict.fromkeys(tool.value.split(), tool.needs)}
            attached = known.attached + tuple((o, tool.needs) for o in tool.attached.split())
            split = {**known.split, **{o[:-1]: (o[-1], tool.needs) for o in tool.split.split()}}
            after = dict(known.after)
            for entry in tool.after.split():
                word, _, count = entry.rpartition(":")
                after[word] = int(count)
            tools[name] = _Options(value, attached, split, after, known.login or tool.login)
    return tools


class _Word(NamedTuple):
    """A word of a command line: its text without quotes, and where that text stands."""

    text: str
    start: int


def _commands(raw: str, low: str) -> Iterator[Span]:
    tools = _tools()
    if tools.keys().isdisjoint(
        _TOOL_WORD.findall(low.replace(".exe", "") if ".exe" in low else low)
    ):
        return
    line: _Line | None = None
    at = 0
    while at < len(raw):
        at = _GAP.match(raw, at).end()  # type: ignore[union-attr]
        match = _WORD.match(raw, at)
        if match is None:
            at += 1
            line = None  # a newline, `|`, `;` or `&`: another command begins
            continue
        for word in _plain(match[0], at):
            base = re.split(r"[/\\]", word.text.lower())[-1].removesuffix(".exe")
            if base in tools and not (line is not None and line.expects_value()):
                line = _Line(tools[base], base)
            elif line is not None:
                yield from line.take(word)
                if line.seen > _MOST_WORDS:
                    line = None
        at = match.end()


def _plain(text: str, at: int) -> Iterator[_Word]:
    """Take brackets and quotes off a word; look into a quoted command line."""
    opened = _OPENED.match(text)
    skip = opened.end() if opened else 0
    at += skip
    stripped = _CLOSED.sub("", text[skip:])
    if len(stripped) > 1 and stripped[0] in "'\"" and stripped[-1] == stripped[0]:
        yield _Word(stripped[1:-1], at + 1)
    elif stripped[:1] in ("'", '"') and len(stripped) > 1:
        yield _Word(stripped[1:], at + 1)
    elif stripped:
        yield _Word(stripped, at)


class _Line:
    """One command as its words come by."""

    def __init__(self, options: _Options, name: str) -> None:
        self._options = options
        self._words = {name}
        slashes = any(option.startswith("/") for option in options.value)
        self._signs = ("-", "/") if slashes else ("-",)
        self._pending: tuple[str, str | None] | None = None
        self._positions: list[int] = []
        if name in options.after:
            self._positions.append(options.after[name])
        self.seen = 0

    def expects_value(self) -> bool:
        """Say whether the next word belongs to an option."""
        return self._pending is not None

    def take(self, word: _Word) -> Iterator[Span]:
        """Take the next word; give the span of the secret in it, if it holds one."""
        self.seen += 1
        pending, self._pending = self._pending, None
        if pending is not None:
            yield from self._value(word, *pending)
            return
        text = word.text
        if self._options.login and (found := _login(word)):
            yield found
        elif len(text) > 1 and text.startswith(self._signs):
            yield from self._option(word)
            self._words.add(text)
            self._follow(text)
        else:
            self._words.add(text.lower())
            yield from self._positional(word)
            self._follow(text.lower())

    def _follow(self, text: str) -> None:
        if (count := self._options.after.get(text)) is not None:
            self._positions.append(count)

    def _positional(self, word: _Word) -> Iterator[Span]:
        if not self._positions:
            return
        left = [count - 1 for count in self._positions]
        self._positions = [count for count in left if count > 0]
        if 0 in left and not _is_prose(word.text):
            yield from _whole(word, 0)

    def _option(self, word: _Word) -> Iterator[Span]:
        options, text = self._options, word.text
        name, sign, _ = text.partition("=")
        if sign and len(name) > 2:
            yield from self._named(name, _Word(text[len(name) + 1 :], word.start + len(name) + 1))
            return
        colon = text.partition(":")[0].lower()
        if text.startswith("/") and (colon in options.value) and len(colon) < len(text):
            yield from self._value(
                _Word(text[len(colon) + 1 :], word.start + len(colon) + 1), "", None
            )
            return
        if self._applies(options.value.get(text)):
            self._pending = ("", None)
        elif text in options.split and self._applies(options.split[text][1]):
            self._pending = ("", options.split[text][0])
        else:
            yield from self._in_one_word(word)

    def _named(self, name: str, value: _Word) -> Iterator[Span]:
        if self._applies(self._options.value.get(name)):
            yield from self._value(value, "", None)
        elif name in self._options.split:
            yield from self._value(value, "", self._options.split[name][0])

    def _in_one_word(self, word: _Word) -> Iterator[Span]:
        """Read `-psecret`, `-ujob:secret`."""
        text = word.text
        for option, needs in self._options.attached:
            if text.startswith(option) and len(text) > len(option) and self._applies(needs):
                yield from self._value(
                    _Word(text[len(option) :], word.start + len(option)), "", None
                )
                return
        short = text[:2]
        if text.startswith("--") or len(text) < 4:
            return
        rest = _Word(
            text[2:].removeprefix(":"), word.start + len(text) - len(text[2:].removeprefix(":"))
        )
        if short in self._options.split and self._options.split[short][0] in text:
            yield from self._value(rest, "", self._options.split[short][0])
        elif self._applies(self._options.value.get(short)) and text not in self._options.value:
            if any(character.isdigit() or not character.islower() for character in rest.text):
                yield from self._value(rest, "", None)

    def _applies(self, needs: str | None) -> bool:
        return needs is not None and (not needs or needs in self._words)

    def _value(self, word: _Word, _: str, separator: str | None) -> Iterator[Span]:
        text = word.text
        quote = text[:1] if text[:1] in ("'", '"') else ""
        if separator is not None:
            at = text.find(separator)
            if at >= 0 and not text.startswith(("http:", "https:")):
                yield from _whole(word, at + 1)
        elif text.startswith(("pass:", "file:", "env:", "fd:", "stdin", "prompt")):
            if text.startswith("pass:"):
                yield from _whole(word, 5)
        elif not text.startswith("-") or len(text) > 2:
            if not _is_prose(text):
                yield from _whole(word, len(quote))


def _whole(word: _Word, skip: int) -> Iterator[Span]:
    end = (
        len(word.text.rstrip("'\"")) if word.text[skip - 1 : skip] in ("'", '"') else len(word.text)
    )
    if skip < end and not is_placeholder(word.text[skip:end]):
        yield word.start + skip, word.start + end


@functools.cache
def _prose_words() -> frozenset[str]:
    return frozenset(re.split(r"[|?]", prose()))


def _is_prose(text: str) -> bool:
    return text.lower().rstrip(".,;:!?") in _prose_words() or text in ("/nolog", "/", "-")


def _login(word: _Word) -> Span | None:
    """Find the password in `user/password@database`, with `userid=` before it or not."""
    match = _LOGIN.match(word.text)
    return (word.start + match.start(1), word.start + match.end(1)) if match else None


_LOGIN = re.compile(
    r"(?:userid=)?[\"']?(?![./~-])[\w$#.\[\]\"\\-]{1,64}?/(?!nolog|/)((?:\\?\"[^\"]{1,128}\"|[^\s@/][^\s@]{0,127}))"
    r"(?:@|[\"']?\Z)"
)


def command_rule() -> Rule:
    """Make the rule that finds secrets on command lines."""
    patterns = (_WORD.pattern, _GAP.pattern, _TOOL_WORD.pattern, _LOGIN.pattern)
    return Rule("option of a command", (), _commands, patterns)
