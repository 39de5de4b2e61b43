"""What a secret looks like: the rules of the redaction, as one table.

Names of secrets, vendors' tokens and command lines have modules of their own.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import Final

from .command_lines import command_rule, names_a_tool
from .decoded_text import DecodedText, has_escapes
from .lazy_pattern import lazy
from .named_secrets import HEADER, is_harmless, is_secret_key, name_rules, names_secret_column
from .pieces import PieceIndex
from .scanned_text import HintIndex, ScannedText, words_of
from .secret_names import is_ordinary_key
from .secret_values import (
    QUOTED,
    Rule,
    Span,
    is_ordinary,
    looks_random,
    no_prose,
    pattern_rule,
    spans_of,
)
from .vendor_rules import address_rule, has_rich_words, token_rule

__all__ = ["built_in_rules", "find_secrets", "is_harmless", "is_inert", "is_secret_key"]

_WEB_SCHEMES = ("http:", "https:", "ws:", "wss:")
LONGEST_USERINFO = 4 * 1024
"""Characters of a URL that are looked through for its `@`."""

_QUERY_NAME = (
    r"(?:code|key|sig|sign|signature|hmac|auth|session|session_?id|sid|assertion|awsaccesskeyid"
    r"|googleaccessid|x-(?:amz|goog)-(?:signature|credential|security-token)|otp|pass|pin|pw|appid"
    r"|ticket|samlresponse|samlrequest|oobcode|code_verifier|device_code|client_assertion"
    r"|id_token_hint|login_token|access_code|auth_code|verification_code|policy|licen[sc]e)"
)
_SENSITIVE_QUERY = (
    r"(?:pass(?:word|wd|phrase|code|key)|[\-_.]pass|pwd|secret|token|credentials?|jwt"
    r"|(?:api|access|private|account|signing|encryption|master|auth|service|confm|crtfc|cert|app"
    r"|application|subscription|consumer|client|user|license|deploy|ttb|svc|h?api)"
    r"[_\-. ]?key)\d{0,2}"
)


_GAP = r"(?:[ ]|[\"'],[ ]?[\"'])"
"""Between the words of a command line, be it typed or a list."""


def _userinfo(match: re.Match[str]) -> Iterable[Span]:
    """Find what is secret between `//` and the last `@` of a URL's authority.

    A raw `@`, `/` or `:` in the password makes the URL ambiguous: the last `@` decides, so that no
    part of a password passes for a host.
    """
    user, start, zone = match["user"], match.start("zone"), match["zone"]
    # No match ends within a scheme, so that what stands before this one belongs to it.
    web = match.string.endswith(_WEB_SCHEMES, 0, match.start())
    if zone is None:  # `//user@`
        if web or len(user) >= 24:
            yield match.span("user")
        return
    at = zone.rfind("@")
    for query in re.finditer(r"@([^\s@?]*+)\?[\w.\-]{1,64}+=", zone):
        if set(query[1]) & set("./:"):  # `@host.example/path?mail=`: a later `@` is the query's
            at = query.start()
            break
    if at < 0 and len(zone) <= LONGEST_USERINFO:
        return
    if web and (len(user) >= 20 or at == 0):  # `https://KEY:@`, `https://KEY:x-oauth-basic@`
        yield match.span("user")
    if set(zone[:at]) != {"*"}:
        yield start, start + (at if at >= 0 else len(zone))


def _detail_key(match: re.Match[str]) -> Iterable[Span]:
    """Hide the values of a PostgreSQL DETAIL where one of its columns has a secret's name."""
    return [match.span(2)] if names_secret_column(match[1]) else []


def _random_query(match: re.Match[str]) -> Iterable[Span]:
    """Hide a query parameter `…key` unless it is a key of an ordinary kind."""
    ordinary = is_ordinary_key(match[1]) or not looks_random(match[2], 12)
    return [] if ordinary else [match.span(2)]


def _pgpass(match: re.Match[str]) -> Iterable[Span]:
    """Find the password in `host:port:database:user:password`; `file.c:1234:…` is no such line."""
    before = match.string[max(0, match.start() - 64) : match.start()]
    host = re.search(r"(?:\A|[\s\"'=])([\w.*\-]+)\Z", before)
    is_host = host and not re.search(r"\.(?:c|h|cc|cpp|py|go|rs|js|ts|java|rb|cs|kt)$", host[1])
    return [match.span(1)] if is_host else []


def _password_map(match: re.Match[str]) -> Iterable[Span]:
    """Find the password in `[host]:port user:password`; `db:5432 error:57P01` is no such line."""
    before = match.string[max(0, match.start() - 128) : match.start()]
    alone = re.search(r"(?:\A|\n)(?:relay )?\[?[\w.\-]+\]?\Z", before)
    certain = alone or before.endswith("]") or "@" in match[0]
    return [match.span(1)] if certain and looks_random(match[1], 4) else []


def _password_like(match: re.Match[str]) -> Iterable[Span]:
    """Hide what may be a password, but not a file that a test runner says has passed."""
    value = match[1]
    return [match.span(1)] if looks_random(value, 4) and not is_ordinary(value) else []


def _value_of_secret_name(match: re.Match[str]) -> Iterable[Span]:
    return [match.span(1)] if is_secret_key(match[2]) else []


_SQL_VALUE = lazy(r"'((?:[^'\\]|''|\\.)*+)'|\"([^\"\n]*+)\"|[(),;]")
_LONGEST_INSERT = 4 * 1024


def _inserted(match: re.Match[str]) -> Iterator[Span]:
    """Find the values that an INSERT writes into columns with a secret's name."""
    columns = [column.strip(' "`[]\n\t') for column in match[1].split(",")]
    secret = [is_secret_key(column) for column in columns]
    if not any(secret):
        return
    depth = column = 0
    end = match.end() + _LONGEST_INSERT
    for token in _SQL_VALUE.finditer(match.string, match.end(), end):
        sign = token[0]
        if sign == ";" and depth == 0:
            return
        if sign == "(":
            depth, column = depth + 1, column if depth else 0
        elif sign == ")":
            depth -= 1
        elif sign == "," and depth == 1:
            column += 1
        elif depth == 1 and column < len(secret) and secret[column]:
            yield from spans_of(token)


def _duplicate(match: re.Match[str]) -> Iterable[Span]:
    """Hide MySQL's duplicate entry where the index has a secret's name."""
    return [match.span(1)] if names_secret_column(match[2]) else []


def _auth_arguments(match: re.Match[str]) -> Iterable[Span]:
    """Hide what `auth=(…)` holds, but not `oauth=(…)` or `author=(…)`."""
    before = match.string[max(0, match.start() - 8) : match.start()]
    is_whole = re.search(r"(?:\A|[^a-z]|basic|http|proxy|digest)\Z", before)
    return spans_of(match) if is_whole else []


def _random_group(match: re.Match[str]) -> Iterable[Span]:
    """Hide those groups that look random."""
    return [s for s in spans_of(match) if looks_random(match.string[s[0] : s[1]], 4)]


@functools.cache
def built_in_rules() -> tuple[Rule, ...]:
    """Return the built-in rules. Each compiles its patterns when a text first needs it."""
    rule = pattern_rule
    prose = no_prose()
    scheme = (
        r"(?:bearer|basic|token|bot|apikey|api-key|negotiate|ntlm|key|oauth|splunk|kakaoak|ssws)"
    )
    return (
        # To the END line; a key without one takes all the rest of the text with it.
        rule(
            "private key",
            "-----begin",
            r"-----begin [a-z0-9 ]{0,32}private key(?: block)?-----((?:(?!-----end)(?s:.))*+)",
        ),
        rule(
            "private key without its head",
            "-----end",
            r"(?<![a-z0-9+/=])((?:[a-z0-9+/=]{16,128}+(?:\\[nr]|\s){1,4}+){1,100}+)"
            r"-----end [a-z0-9 ]{0,32}private key",
        ),
        rule(
            "PuTTY key",
            "private-lines:",
            r"private-lines:[ \t]*+\d{1,4}\s++((?:[a-z0-9+/=]{16,80}+\s++){1,100}+)",
        ),
        # The zone ends where another URL or a closing quote begins.
        rule(
            "URL userinfo",
            "//",
            r"//(?P<user>[^\s:/@?#\[\]]{0,4096}+)"
            r"(?:@|:(?!\d{1,5}(?:[/?#,;)\]}>\"'\s]|\Z))"
            r"(?P<zone>(?:[^\s,;|\"']|[,;|](?![a-z][\w+.\-]{0,32}+://)|[\"'](?![\s,;:)\]}>]"
            r"|\Z))*+))",
            _userinfo,
        ),
        rule(
            "query parameter",
            "= %3d",
            rf"[?&;#%\\](?:(?<=[?&;#])|(?<=%)(?:3f|26|23)|(?<=\\)u0026)(?:{_QUERY_NAME}"
            rf"|[\w.-]{{0,32}}?{_SENSITIVE_QUERY})(?:=|%3d)"
            r"(?!\d{1,3}(?!\w))"
            r"((?:(?!%26|\\u0026)[^\s&#;'\"<>)\]}])++)",
        ),
        rule(
            "query parameter that is some key",
            "key=",
            r"(?:[?&;]|\A|[\s\"'({])([\w.-]{1,32}?)key=([^\s&#;'\"<>)\]}]++)",
            _random_query,
        ),
        rule(
            "key in a form",
            "key=",
            r"(?:\A|[\s\"'])key=([\w%+/=.\-]{12,}+)&",
            _random_group,
            needs=("&",),
        ),
        rule(
            "KEY",
            "key= key: key, key\" key'",
            r"KEY(?<![A-Za-z0-9_]KEY)[\"']?(?:=|:[ ]?|, ?)[\"']?([\w%+/=-]{16,}+)",
            _random_group,
            lowered=False,
        ),
        rule(
            "header, quoted as a whole",
            "authorization cookie",
            rf"'[\w-]{{0,32}}{HEADER}[ \t]*+:[ \t]*+(?:{scheme}[ ]++)?([^'\n]++)"
            rf"|\"[\w-]{{0,32}}{HEADER}[ \t]*+:[ \t]*+(?:{scheme}[ ]++)?([^\"\n]++)",
        ),
        rule(
            "header, name and value quoted",
            "authorization cookie",
            rf"{HEADER}\\{{0,4}}[\"']\]?[ \t]{{0,8}}(?:=>|[:=,])[ \t]{{0,8}}"
            rf"(?![\"']value[\"'])\[?{QUOTED}",
        ),
        rule(
            "header",
            "authorization cookie",
            rf"{HEADER}[ \t]{{0,8}}[:=][ \t]{{0,8}}+(?![\"'\\])"
            + prose
            # Some wrap the line behind the scheme.
            + rf"(?:{scheme}(?:[ ]++([^\s,'\"]++)|[ \t]*+\r?\n[ \t]*+([\w.~+/=-]{{16,}}+)(?=\s|\Z))"
            + r"|((?:(?!\\[rn])[^\n])++))",
        ),
        rule(
            "header in a list of names and values",
            "authorization cookie",
            rf"{HEADER}[\"']\s{{0,4}},\s{{0,4}}[\"']?value[\"']?\s{{0,4}}[:=]\s{{0,4}}{QUOTED}",
        ),
        rule(
            "header in a tuple",
            "\"x- 'x- \"api 'api",
            rf"\(b?[\"'](?:x-[\w-]{{0,32}}?|api-?)(?:key|token|secret|auth)[\"'],[ ]b?{QUOTED}",
        ),
        rule(
            "bearer",
            "bearer",
            r"[Bb](?<![\w-][Bb])(?i:earer)[ \t]++(?!(?i:tokens?|auth\w*+|realm|error\w*+|scopes?"
            r"|schemes?|creden\w*+|header\w*+|format|prefix|challenge|required|missing|invalid"
            r"|expected|method)(?![\w.~+/-]))"
            r"(?![a-z_]{1,24}=\w)([\w.~+/=:%-]{6,}+)",
            lowered=False,
        ),
        # `Basic authentication failed` is prose: base64 has a digit, a `=`, or a capital inside.
        rule(
            "basic",
            "basic",
            r"[Bb](?<![\w-][Bb])(?i:asic)[ \t]++"
            r"(?=[a-zA-Z+/]{1,64}+(?:\d|=(?![\w\"']))|[A-Za-z]{1,64}?[a-z+/][A-Z]|\d)"
            r"([\w+/=-]{6,}+)",
            lowered=False,
        ),
        rule(
            "other schemes",
            "kakaoak ssws geniekey splunk deepl-auth-key sharedkey pveapitoken googlelogin oauth",
            r"(?<![\w-])(?:(?:kakaoak|ssws|geniekey|zoho-oauthtoken|splunk|deepl-auth-key|oauth"
            r"|sharedkey(?:lite)?)[ ]|pveapitoken[= ]|googlelogin auth=)"
            r"((?=[^\s\d]{0,64}\d)[\w.!@:+/=-]{16,}+)",
        ),
        rule("token", "token", r"token(?<![\w-]token)[ \t]++(?=[a-z_-]{0,64}\d)([\w-]{20,}+)(?!=)"),
        rule(
            "digest",
            "digest",
            r"digest(?<![\w-]digest)[ \t]++(username=[^\n]++)",
            needs=("username=",),
        ),
        rule(
            "JSON web token",
            "eyj",
            r"eyJ(?<![A-Za-z0-9]eyJ)[\w-]{6,2048}+\.[\w-]{4,}+(?:\.[\w-]*+){0,3}",
            lowered=False,
        ),
        token_rule(),
        address_rule(),
        *name_rules(),
        rule(
            "element",
            "awsaccesskeyid> signatureprovided>",
            r"awsaccesskeyid>([^<]++)</|signatureprovided>([^<]++)</",
        ),
        rule(
            "field of a form that signs in",
            "samlre assertion=",
            r"(?<![\w-])(?:samlresponse|samlrequest|(?:client_)?assertion)=([\w%+/=.-]{16,}+)",
        ),
        rule("signature", "signature=", r"signature=([\w%+/=-]{16,}+)"),
        rule(
            "arguments of an authentication",
            "auth",
            r"auth(?:[ \t]?=[ \t]?(?:\w{1,64}auth)?[(\[]([^()\[\]\n]++)[)\]]"
            r"|[\"']:[ ]?[(\[]([\"'][^()\[\]\n\"']{0,128}[\"'],[ ]?[\"'][^()\[\]\n]{1,256})[)\]])",
            _auth_arguments,
        ),
        rule(
            "user and password as arguments",
            "login( logonuser authenticate( pw_set( auth( authentication( credential( credentials(",
            r"(?:login|logonuser\w?|authenticate|pw_set|auth|authentication|credentials?)\([ ]?"
            rf"(?:[bru]{{0,2}}[\"'][^\"'\n]{{0,128}}[\"'],[ ]?){{1,3}}{QUOTED}[ ]?[,)]",
        ),
        rule(
            "arguments of a connection",
            "connect(",
            r"connect\([ ]?[\"'][^\"'\n]{0,128}[\"'],[ ]?[\"']([^\"'\n]{1,128})[\"'],[ ]?"
            r"[\"']([^\"'\n]{1,128})[\"']",
        ),
        rule(
            "arguments of a credential",
            "auth( credential( credentials(",
            r"(?:http(?:basic|digest|proxy)auth|basicauth|networkcredential|plainauth"
            r"|usernamepasswordcredentials?)\(([^()\n]*+)\)",
        ),
        rule(
            "secure string",
            "securestring",
            rf"convertto-securestring[ ]++(?:-string[ ]++)?{QUOTED}",
        ),
        rule(
            "SQL that sets a password",
            ("set password",),
            rf"set password(?: for [^=\n]{{1,128}}?)? = (?:password\()?{QUOTED}",
        ),
        rule("cookie jar", "<cookie", r"<cookie [^\s=]{1,128}+=(\S++)"),
        rule(
            "one-time code",
            "otp pin verification one-time security mfa 2fa login sms",
            r"(?<![a-z])(?:otp|totp|pin"
            r"|(?:verification|one-time|security|mfa|2fa|login|sms)[ _-]?code)"
            r"[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?(\d{4,8})(?!\d)",
        ),
        rule("JSON web key", '"kty"', r"\"(?:d|p|q|dp|dq|qi|k)\"[ ]?:[ ]?\"([\w-]{16,}+)\""),
        rule("mysql address", "@tcp( @unix(", r":([^\s:/]{1,256}?)@(?:tcp|unix)\("),
        rule(
            "address with a password and no scheme",
            "@",
            r"(?<![\w/:@.%+\-])(?!(?:mailto|sips?|xmpp|user|acct|from|to|cc|bcc|e?mail|git|ssh"
            r"|urn)[:])"
            r"[\w.%+\-]{1,64}:([^\s:@/\"'<>]{3,128})@[\w.\-]{1,128}:\d{2,5}(?!\w)",
        ),
        rule(
            "Oracle login",
            "jdbc:oracle",
            r"jdbc:oracle:\w{1,8}:[^\s/@]{1,64}/([^\s@\"]{1,128}|\\?\"[^\"\n]{1,128}\")@",
        ),
        rule(
            "CONNECT of SQL*Plus",
            "conn",
            r"conn(?<![\w-]conn)(?:ect)? [\w$#.]{1,64}/"
            r"([^\s/@\"]{1,128}|\\?\"[^\"\n]{1,128}\")@[\w/]",
            needs=("@",),
        ),
        rule(
            "line of a password file",
            ":",
            r":(?:\d{4,5}|\*):[\w.*\-]{1,64}:[\w.*\-]{1,64}:((?:\\.|[^\s:\"'\\])++)(?=[\s\"'\\]"
            r"|\Z)",
            _pgpass,
        ),
        rule(
            "typed by expect",
            "send",
            r"send(?<![\w-]send)(?:line)?(?:[ ]--)?[ (]{1,2}[\"']"
            r"(?!(?:yes|no|y|n|exit|quit|logout)?[\\\n])"
            r"((?:[^\"'\\\n]|\\[^rn\n]){4,128}+)(?:\\[rn]|\n)",
        ),
        rule(
            "piped into a command",
            "echo printf",
            r"(?<![\w-])(?:echo"
            r"|printf)(?:[ ]-[a-z]{1,3})?(?:[ ][\"']%s(?:\\n)?[\"'])?[ ](?![\"']?\$)"
            rf"(?:{QUOTED}|([^\s|\"']++))[ ]?\|[ ]?(?:[\w./\-]{{1,32}} ){{0,4}}"
            r"(?:sudo|passwd|chpasswd|kinit|cryptsetup|smbpasswd|gpg|docker|podman|helm|su|openssl"
            r"|ssh-add|vault|bw|op"
            r"|ldap\w{1,8})\b",
            needs=("|",),
        ),
        rule(
            "given to a command as a line",
            "<<<",
            r"(?<![\w-])(?:sudo|passwd|chpasswd|kinit|cryptsetup|smbpasswd|gpg|docker|podman|helm"
            r"|su"
            r"|openssl|ssh-add|vault|bw|op|ldap\w{1,8})(?:[ ][^\s<"
            r"|]{1,64}){0,12}[ ]?<<<[ ]?(?![\"']?\$)"
            rf"(?:{QUOTED}|([^\s|\"']++))",
        ),
        rule(
            "value before its name",
            "\"value 'value",
            r"[\"']value[\"'][ ]?:[ ]?[\"']([^\"'\n]{1,1024})[\"'],\s{0,40}"
            r"[\"'](?:name|key)[\"'][ ]?:[ ]?[\"']([^\"'\n]{1,128})[\"']",
            _value_of_secret_name,
        ),
        rule(
            "line of a password map",
            ":",
            r":\d{2,5}[ \t]{1,8}[\w.@%+\-]{1,128}:([^\s\"']{4,128}+)(?=[\s\"']|\Z)",
            _password_map,
        ),
        rule(
            "user of .curlrc",
            ('user="', 'user ="', 'user= "', 'user = "'),
            r"(?<![\w-])(?:proxy-)?user[ ]?=[ ]?\"(?!system:)[^\":\n]{1,128}:([^\":\n]{1,256})\"",
        ),
        rule(
            "Redis access list",
            ("user ",),
            r"user (?<![\w-]user )\S{1,64} (?:on|off)(?: [^\s>]{1,64}){0,8} >(\S++)",
            needs=(" o", " >"),
        ),
        rule(
            "haproxy",
            ("stats auth ", "insecure-password"),
            r"stats auth [^\s:]{1,64}:(\S++)|insecure-password[ \t]{1,8}(\S++)",
        ),
        rule(
            "password of a router",
            (" password ", " secret "),
            r"(?<![\w-])(?:username \S{1,64}|enable)(?: privilege \d{1,2})?"
            r" (?:password|secret) (?:\d )?([^\s\"']{4,256}+)",
            _random_group,
        ),
        rule(
            "network share",
            r"\\",
            r"net use [^\n]{0,128}?\\\\[^\s]{1,200}[\"']?(?: /user:\S{1,64})? (?!/|\*)(\S++)",
        ),
        rule(
            "account of Windows",
            ("net user", "net1 user", ".exe user", "'user", '"user'),
            rf"net(?<![\w-]net)1?(?:\.exe)?{_GAP}user{_GAP}[\w.\-]{{1,64}}{_GAP}"
            rf"(?!/|\*)([^\s\"']{{4,128}}+){_GAP}/(?:add|domain|active|expires|y)\b",
            needs=("net",),
        ),
        rule(
            "user and password of any tool",
            "-u --user -l --login",
            rf"-(?<![\w-]-)(?:[ul]|-(?:user(?:name)?|login))(?:=|{_GAP})[\w.@\\\-]{{1,64}}"
            rf"{_GAP}-pw?(?:=|{_GAP})([^\s\"',]{{6,128}}+)",
            _password_like,
            needs=("-p",),
        ),
        rule(
            "login of a mail protocol",
            ("auth ", "login "),
            r"AUTH (?<![\w-]AUTH )(?:PLAIN|LOGIN|CRAM-MD5|XOAUTH2) ([A-Za-z0-9+/=]{8,}+)"
            r"|LOGIN (?<![\w-]LOGIN )\S{1,128} \"([^\"\n]{1,256})\"",
            lowered=False,
        ),
        rule(
            "PASS of FTP and POP3",
            ("pass ",),
            r"PASS (?<![\w-]PASS )([^\s\"':]{4,128}+)(?=[\s\"'\\]|\Z)",
            _password_like,
            lowered=False,
        ),
        rule(
            "key of an Azure account in Hadoop",
            "account.key",
            r"account\.key\.[\w.\-]{1,128}(?:=|:[ ]?| )([\w+/=]{16,}+)",
        ),
        rule(
            "key that rings PagerDuty",
            "routingkey routing_key integrationkey integration_key",
            r"(?:routing|integration)_?key[\"']?[ ]?[:=][ ]?[\"']?([0-9a-z]{32})(?![0-9a-z])",
        ),
        # libpq and URL parsers quote the piece that they stumbled over: often half a password.
        rule(
            "malformed DSN",
            (
                *('missing "=" after "', "percent-encoded ", 'invalid integer value "'),
                *(
                    'port "',
                    "port '",
                    'port: "',
                    "port: '",
                    "port could not be cast",
                    "port number",
                ),
                *('host "', "host '", 'hostname "', "hostname '", "host name "),
            ),
            r"missing \"=\" after \"((?:(?!\" in connection)[^\n])*+)"
            r"|percent-encoded (?:token|value): \"((?:(?!\"(?:\n|\Z))[^\n])*+)"
            r"|invalid integer value \"([^\"\n]*+)\" for connection option \"port\""
            r"|port(?<![a-z]port)(?: could not be cast to integer value as| number)?:? "
            r"[\"'](?!\d*+[\"'])([^\"'\n]++)"
            r"|host(?: ?name)? [\"']([^\"'\n@]{0,512}+)@",
        ),
        rule(
            "SQLAlchemy parameters",
            "[parameters:",
            r"\[parameters: ((?:(?!\](?:\n|\Z|\\n\(background))(?s:.))*+)",
        ),
        rule(
            "unique violation",
            ("key (",),
            r"key \(((?:[^()\n]|\([^()\n]{0,128}+\)){1,256}+)\)=\("
            r"((?:(?!\) (?:already exists|is not present|is still|conflicts))[^\n])*+)",
            _detail_key,
            needs=(")=(",),
        ),
        rule(
            "values of an INSERT",
            ("insert into ", "insert ignore into "),
            r"insert (?:ignore )?into [\w.\"`\[\]]{1,128}\s?\(([^()]{1,1024}+)\)\s{0,8}"
            r"values\s?(?=\()",
            _inserted,
        ),
        rule(
            "duplicate entry",
            ("duplicate entry '",),
            r"duplicate entry '([^'\n]{1,1024}+)' for key '([^'\n]{1,256}+)'",
            _duplicate,
        ),
        rule(
            "failing row",
            ("failing row contains (",),
            r"failing row contains \(((?:(?!\)\.?(?:\n|\Z))[^\n])*+)",
        ),
        rule(
            "identified by",
            "identified",
            r"(?:create|alter)\s{1,4}(?:user"
            r"|role)\s{1,4}\S{1,128}\s{1,4}identified\s{1,4}by\s{1,4}(?:values\s)?([^\s'\";]++)",
        ),
        command_rule(),
        rule("earlier redaction", "[redacted]", r"\[redacted\]", lowered=False),
    )


# --- All rules over one text. --------------------------------------------------------------------

_MOST_LAYERS = 3  # JSON in a query of a URL in JSON


def find_secrets(text: str, own: tuple[Rule, ...] = ()) -> list[Span]:
    """Find every secret in a text, by the rules given and by the built-in ones.

    The text is read again where it holds escapes: as it stands, and as what it decodes to.
    """
    spans = list(_found_in(text, own))
    layers: list[DecodedText] = []
    while len(layers) < _MOST_LAYERS and has_escapes(text):
        layers.append(DecodedText(text))
        text = layers[-1].text
        spans += (_in_original(span, layers) for span in _found_in(text, own))
    return spans


_SHORT: Final = 200  # characters of a text that is looked at for what it does not hold
_SIGNS: Final = frozenset("%&=~\\")
_AFTER_COLON: Final = lazy(r":[\d*]")


def is_bare(text: str) -> bool:
    """Whether a short text holds nothing by which any rule would apply, as most messages do."""
    if len(text) > _SHORT or not text.isascii() or not _SIGNS.isdisjoint(text):
        return False
    low = text.lower()
    return (
        not has_rich_words(text, words := words_of(low))
        and not _AFTER_COLON.search(low)
        and not names_a_tool(low, words)
        and not _other_hints().found_in(low)
    )


@functools.cache
def _other_hints() -> PieceIndex:
    return PieceIndex([rule.hints for rule in built_in_rules() if rule.name not in WITHIN_A_LINE])


# Rules that many texts are read by, and whose matches stay within a line.
WITHIN_A_LINE: Final = frozenset(
    {
        *("line of a password file", "line of a password map", "option of a command"),
        *("query parameter", "token of a known shape"),
    }
)


def is_inert(text: str) -> bool:
    """Whether nothing is to be hidden in a text, nor in several such texts one below the other.

    No rule applies but such that read a line for itself, and these find nothing.
    """
    if is_bare(text):
        return True
    scanned = ScannedText(text)
    return (
        scanned.low == text.lower()
        and not text.endswith("\\")  # which would join its last line with the next one
        and not has_escapes(text)
        and all(
            rule.name in WITHIN_A_LINE and not any(rule.find(scanned))
            for rule in _rules_for(scanned)
        )
    )


def _in_original(span: Span, layers: list[DecodedText]) -> Span:
    for layer in reversed(layers):
        span = layer.original_span(span)
    return span


def _found_in(text: str, own: tuple[Rule, ...]) -> Iterator[Span]:
    scanned = ScannedText(text)
    for rule in (*own, *_rules_for(scanned)):
        yield from (span for span in rule.find(scanned) if 0 <= span[0] < span[1])


def _rules_for(text: ScannedText) -> Iterable[Rule]:
    """Return the rules that may apply: those without hints, and those with one in the text."""
    rules = [built_in_rules()[number] for number in sorted(_index().found_in(text))]
    replaced = {rule.replaces for rule in rules}
    return [rule for rule in rules if rule.name not in replaced]


@functools.cache
def _index() -> HintIndex:
    return HintIndex(rule.hints for rule in built_in_rules())
