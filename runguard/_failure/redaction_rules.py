"""What a secret looks like: the rules of the redaction, as one table.

A rule says where in a text its secrets lie. Every capturing group of a built-in rule is a secret.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

HIDDEN = "[redacted]"
"""What stands where a secret was."""

LONGEST_USERINFO = 4 * 1024
"""Characters of a URL that are looked through for its `@`."""

Span = tuple[int, int]


class Rule(NamedTuple):
    """One kind of secret: a rule is tried only where a hint occurs in the lower-cased text."""

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    spans: Callable[[re.Match[str]], Iterable[Span]]
    lowered: bool = True


def _groups(match: re.Match[str]) -> Iterable[Span]:
    """Every capturing group of a built-in pattern is a secret; without one, the whole match is."""
    return match.regs[1:] or match.regs


def named_or_whole(match: re.Match[str]) -> Iterable[Span]:
    """A user's pattern hides its group `secret`, or all that it matches."""
    return [match.span("secret" if "secret" in match.re.groupindex else 0)]


# --- The vocabulary. All but the token shapes run on lower-cased text. ---------------------------

_SENSITIVE = (
    r"(?:pass(?:word|wd|phrase|code|key)(?:[_-]?(?:hash|digest))?|(?<=[_.\-])pass"
    r"|pwd(?!=/(?:app|data|home|mnt|opt|root|srv|tmp|usr|var|work)\b)"
    r"|secret(?:[_\-. ]?access)?(?:[_\-. ]?key)?(?:_base)?|token|credentials?|jwt"
    r"|shared[_\-]?access[_\-]?signature"
    r"|(?:api|access|private|account|signing|encryption|master|auth)[_\-. ]?key)\d{0,2}"
)
_NAME_HINTS = ("pass", "pwd", "secret", "token", "credential", "jwt", "key", "signature")
_HEADER = r"(?:authorization|(?:set-)?cookie2?)"
_QUERY_NAME = (
    r"(?:code|key|sig|signature|hmac|auth|session|session_?id|sid|assertion|awsaccesskeyid"
    r"|googleaccessid|x-(?:amz|goog)-(?:signature|credential|security-token)|otp|pass|pin)"
)
# What follows a secret's name in prose or as a placeholder: `token: expired`, `password=%s`.
_NO_VALUE = (
    r"(?!(?:none|null|nil|true|false|undefined|\*{3,}+|%s|%\(\w++\)s|\?|\$\d{1,2}|:\w++(?=[\s,)]|\Z)"
    r"|\[(?:secure|filtered)\]|<\w++>)(?!\w))"
)
_NO_PROSE = (
    r"(?!(?:a|an|and|any|are|at|authentication|be|been|but|by|can|cannot|contains?|could|denied"
    r"|did|do|does|empty|error|exceeded|exists|expected|expired|expires|failed|failure|field|for"
    r"|format|found|from|got|has|have|if|in|incorrect|invalid|is|it|length|line|malformed|may"
    r"|mismatch|missing|must|name|no|not|of|on|only|option|or|permission|please|provided|refused"
    r"|rejected|required|revoked|session|should|signature|str|string|that|the|this|to|too|type|unable|unauthorized"
    r"|unexpected|unknown|unset|unsupported|use|user|value|was|were|when|which|will|with|wrong"
    r"|you|your)(?![\w@#$%^&*+/=-]))"
)
# A quoted value ends at its quote, also some lines on; unclosed, at the end of its line. `\"` is
# the quote of JSON inside JSON.
_QUOTED = (
    r"(?:[bru]{0,2}'(?:((?:[^'\\]|\\(?s:.)|''){0,2048}+)'|([^\n]*+))"
    r'|[bru]{0,2}"(?:((?:[^"\\]|\\(?s:.)){0,2048}+)"|([^\n]*+))'
    r"|\\{1,4}[\"']((?:[^\"'\\\n]|\\{3,}+[\"']|\\++[^\"'\\\n])*+))"
)
# A separator or closer ends a bare value only where what follows shows it: passwords hold them too.
_END = (
    r"[,;&'\"<>)\]}]{0,8}+(?:\s|\Z|\\[nrt]|(?<=<)/|[\[{(]"
    r"|[\w.\-\[\]]{1,64}+(?:[\"']?[ \t]?=|[\"'][ \t]?:))"
)
_BARE = r"((?:[^\s,;&'\"<>)\]}]|(?!" + _END + r")[,;&'\"<>)\]}])++)"
_AFTER_NAME = r"\\{0,4}[\"']?\]?[ \t]{0,8}"
_TOKENS = "|".join(
    [
        r"gh[pousr]_[A-Za-z0-9]{16,}+|github_pat_\w{16,}+|gl(?:pat|dt|rt|sa|cbt|ptt)[-_][\w-]{16,}+",
        r"xox[a-z]-[\w-]{10,}+|xapp-[\w-]{10,}+|(?:sk|rk|pk)_(?:live|test)_\w{8,}+|whsec_[\w+/=]{8,}+",
        r"sk-(?=[\w-]{0,64}\d)[\w-]{16,}+|npm_[A-Za-z0-9]{20,}+|pypi-[\w-]{16,}+|hf_[A-Za-z0-9]{16,}+",
        r"SG\.[\w-]{12,128}+\.[\w-]{12,}+|(?:SK|AC)[0-9a-f]{32}(?![0-9a-f])|do[opr]_v1_[0-9a-f]{16,}+",
        r"AIza[\w-]{30,}+|ya29\.[\w-]{16,}+|(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}+|shp(?:at|ca|pa|ss)_\w{16,}+",
        r"hv[sb]\.[\w-]{16,}+|dckr_pat_[\w-]{16,}+|sntry[su]_[\w+/=]{16,}+|dapi[0-9a-f]{32}|MII[A-Za-z0-9+/=]{120,}+",
        r"[MNO][\w-]{22,27}+\.[\w-]{6}\.[\w-]{27,}+",  # Discord
    ]
)


def _userinfo(match: re.Match[str]) -> Iterable[Span]:
    """Find what is secret between `//` and the last `@` of a URL's authority.

    A raw `@`, `/` or `:` in the password makes the URL ambiguous: the last `@` decides, so that no
    part of a password passes for a host.
    """
    web, user, start, zone = match["web"], match["user"], match.start("zone"), match["zone"]
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
    return [match.span(2)] if secret_names()[1].search(match[1]) else []


@functools.cache
def secret_names() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Compile: a key whose value is secret, a column that is, an option that takes a secret."""
    key = rf"(?:{_SENSITIVE}|{_HEADER}|(?<![a-z])auth|signature)[\"'\]]*\Z"
    option = rf"--?[\w-]{{0,64}}?{_SENSITIVE}\Z"
    return re.compile(key), re.compile(rf"{_SENSITIVE}(?![a-z])"), re.compile(option)


@functools.cache
def built_in_rules() -> tuple[Rule, ...]:
    """Compile the built-in rules, once, when the first text is cleaned."""

    def rule(
        name: str,
        hints: str,
        pattern: str,
        spans: Callable[[re.Match[str]], Iterable[Span]] = _groups,
        *,
        lowered: bool = True,
    ) -> Rule:
        return Rule(name, tuple(hints.split()), re.compile(pattern), spans, lowered)

    pair = _SENSITIVE + r"(?: (?:provided|used|given))?" + _AFTER_NAME
    scheme = r"(?:bearer|basic|token|bot|apikey|api-key|negotiate|ntlm|key)"
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
        # The zone ends where another URL or a closing quote begins.
        rule(
            "URL userinfo",
            "//",
            r"(?P<web>(?:https?|wss?):)?//(?P<user>[^\s:/@?#\[\]]{0,4096}+)"
            r"(?:@|:(?!\d{1,5}(?:[/?#,;)\]}>\"'\s]|\Z))"
            r"(?P<zone>(?:[^\s,;|\"']|[,;|](?![a-z][\w+.\-]{0,32}+://)|[\"'](?![\s,;:)\]}>]|\Z))*+))",
            _userinfo,
        ),
        rule(
            "query parameter",
            "= %3d",
            rf"(?:[?&;#]|%3f|%26|%23|\\u0026)(?:{_QUERY_NAME}|[\w.-]{{0,32}}?{_SENSITIVE})(?:=|%3d)"
            r"(?!\d{1,3}(?!\w))"
            r"((?:(?!%26|\\u0026)[^\s&#;'\"<>)\]}])++)",
        ),
        rule(
            "header, quoted as a whole",
            "authorization cookie",
            rf"'[\w-]{{0,32}}{_HEADER}[ \t]*+:[ \t]*+(?:{scheme}[ ]++)?([^'\n]++)"
            rf"|\"[\w-]{{0,32}}{_HEADER}[ \t]*+:[ \t]*+(?:{scheme}[ ]++)?([^\"\n]++)",
        ),
        rule(
            "header, name and value quoted",
            "authorization cookie",
            rf"{_HEADER}\\{{0,4}}[\"']\]?[ \t]{{0,8}}(?:=>|[:=,])[ \t]{{0,8}}\[?{_QUOTED}",
        ),
        rule(
            "header",
            "authorization cookie",
            rf"{_HEADER}[ \t]{{0,8}}[:=][ \t]{{0,8}}+(?![\"'\\])"
            + _NO_PROSE
            + rf"(?:{scheme}[ ]++([^\s,'\"]++)|((?:(?!\\[rn])[^\n])++))",
        ),
        rule(
            "header in a tuple",
            "token key",
            rf"\(b?[\"'](?:x-[\w-]{{0,32}}?|api-?){_SENSITIVE}?(?:key)?[\"'],[ ]b?{_QUOTED}",
        ),
        rule(
            "bearer",
            "bearer",
            r"(?<![\w-])(?i:bearer)[ \t]++(?!(?i:tokens?|auth\w*+|realm|error\w*+|scopes?"
            r"|schemes?|creden\w*+|header\w*+|format|prefix|challenge|required|missing|invalid|expected|method)(?![\w.~+/-]))"
            r"([\w.~+/=:%-]{6,}+)",
            lowered=False,
        ),
        # `Basic authentication failed` is prose: base64 has a digit, a `=`, or a capital inside.
        rule(
            "basic",
            "basic",
            r"(?<![\w-])(?i:basic)[ \t]++"
            r"(?=[a-zA-Z+/]{1,64}+(?:\d|=(?![\w\"']))|[A-Za-z]{1,64}?[a-z+/][A-Z]|\d)"
            r"([\w+/=-]{6,}+)",
            lowered=False,
        ),
        rule("token", "token", r"(?<![\w-])token[ \t]++(?=[a-z_-]{0,64}\d)([\w-]{20,}+)(?!=)"),
        rule("digest", "digest", r"(?<![\w-])digest[ \t]++(username=[^\n]++)"),
        rule(
            "JSON web token",
            "eyj",
            r"eyJ(?<![A-Za-z0-9]eyJ)[\w-]{6,2048}+\.[\w-]{4,}+(?:\.[\w-]*+){0,3}",
            lowered=False,
        ),
        rule("token of a known shape", "", rf"(?<![A-Za-z0-9])(?:{_TOKENS})", lowered=False),
        rule("Telegram bot", ":", r"(?<!\d)\d{8,10}:[\w-]{35}(?![\w-])"),
        rule(
            "webhook",
            "hook",
            r"hooks\.slack\.com/\w{1,16}/([\w/-]++)|/api/webhooks/\d{1,32}/([\w-]++)",
        ),
        rule(
            "pair",
            " ".join(_NAME_HINTS),
            rf"(?<!nexpected )(?<!//)(?<!//x-access-){pair}"
            rf"(?:=>|[:!]?={{1,3}}|:(?!:)[ \t]{{0,8}}+{_NO_PROSE})"
            rf"[ \t]{{0,8}}+(?:\[[ \t]?+(?=[\"'][^\s\"']{{1,1024}}+[\"']))?{_NO_VALUE}"
            rf"(?:{_QUOTED}|(?![\[{{(](?:[\s\"'\[{{\]}})]|\Z)){_BARE})",
        ),
        rule(
            "pass",
            "pass",
            rf"(?<![a-z0-9_.\-])pass[\"']?=(?!\d{{1,4}}(?!\w)){_NO_VALUE}(?:{_QUOTED}|{_BARE})",
        ),
        rule(
            "element",
            "</",
            rf"{_SENSITIVE}>([^<]++)</|awsaccesskeyid>([^<]++)</|signatureprovided>([^<]++)</",
        ),
        rule("signature", "signature", r"signature=([\w%+/=-]{16,}+)"),
        rule(
            "quoted password",
            "pass identified",
            rf"(?:pass(?:word|phrase)|identified by)[ \t]++{_QUOTED}",
        ),
        rule("auth tuple", "auth", r"(?<![a-z])auth[ \t]?=[ \t]?(?:\w{1,64}auth)?\(([^()\n]++)\)"),
        rule("cookie jar", "<cookie", r"<cookie [^\s=]{1,128}+=(\S++)"),
        rule(
            "command-line option",
            "-",
            rf"(?<![\w-])--?[\w-]{{0,40}}?{_SENSITIVE}"
            rf"(?:[\"'],[ ]?{_QUOTED}|[ \t]++(?!-){_NO_PROSE}(?:{_QUOTED}|{_BARE}))",
        ),
        rule(
            "user and password of a command",
            "-u --user --proxy-user",
            r"(?<![\w-])(?:-u|--user|--proxy-user)(?:[\"'],)?[ =]?[\"']?"
            r"[^\s:'\"]{1,128}+:([^\s'\"]++)",
        ),
        # `-p` means a password only here; for docker, ssh and many more it is a port.
        rule(
            "mysql -p",
            "mysql mariadb sshpass",
            r"(?:mysql|mariadb|sshpass)[^\n]{0,256}?"
            r"(?:'-p([^'\n]++)|\"-p([^\"\n]++)|[ ]-p(?:'([^'\n]++)|([^\s'\"]++)))"
            rf"|sshpass[\"']?,?[ ][\"']?-p(?:[\"'],)?[ ](?:{_QUOTED}|(\S++))",
            lowered=False,
        ),
        rule("mysql address", "@tcp( @unix(", r":([^\s:/]{1,256}?)@(?:tcp|unix)\("),
        # libpq and URL parsers quote the piece that they stumbled over: often half a password.
        rule(
            "malformed DSN",
            "connection port host percent-encoded dsn url",
            r"missing \"=\" after \"((?:(?!\" in connection)[^\n])*+)"
            r"|percent-encoded (?:token|value): \"((?:(?!\"(?:\n|\Z))[^\n])*+)"
            r"|invalid integer value \"([^\"\n]*+)\" for connection option \"port\""
            r"|port(?: could not be cast to integer value as| number)?:? "
            r"[\"'](?!\d*+[\"'])([^\"'\n]++)"
            r"|host(?: ?name)? [\"']([^\"'\n@]{0,512}+)@",
        ),
        rule(
            "SQLAlchemy parameters",
            "[parameters: ",
            r"\[parameters: ((?:(?!\](?:\n|\Z|\\n\(background))(?s:.))*+)",
        ),
        rule(
            "unique violation",
            ")=(",
            r"key \(((?:[^()\n]|\([^()\n]{0,128}+\)){1,256}+)\)=\("
            r"((?:(?!\) (?:already exists|is not present|is still|conflicts))[^\n])*+)",
            _detail_key,
        ),
        rule(
            "failing row", "failing row", r"failing row contains \(((?:(?!\)\.?(?:\n|\Z))[^\n])*+)"
        ),
        rule("earlier redaction", HIDDEN, re.escape(HIDDEN), lowered=False),
    )
