"""The one door that every stored text passes: bounded, made harmless, redacted, then cut.

Linear on any input: the text is bounded before a pattern sees it, and every pattern either consumes
what it scans or scans a bounded piece. Secrets are found as spans of the unchanged text, so that no
rule hides another's context. The price of certainty: where a rule must guess, it hides too much.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, time
from enum import Enum
from typing import NamedTuple, cast

from ._errors import ConfigurationError

DEFAULT_LIMIT = 16 * 1024
"""Bytes of UTF-8 that a stored text may have."""

HIDDEN = "[redacted]"

# A secret that starts this near to the end of a bounded text may lack the context that betrays it,
# so this much is dropped. Longer than the longest look ahead of any rule (a URL's userinfo).
_GUARD = 8 * 1024
_LONGEST_USERINFO = 4 * 1024
_ROUNDS = 6
_MARK_ROOM = 64

Span = tuple[int, int]
Extra = str | re.Pattern[str] | Callable[[str], str]


class _Rule(NamedTuple):
    """One kind of secret: a rule is tried only where a hint occurs in the lower-cased text."""

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    spans: Callable[[re.Match[str]], Iterable[Span]]
    lowered: bool = True


def _groups(match: re.Match[str]) -> Iterable[Span]:
    """Every capturing group of a built-in pattern is a secret; without one, the whole match is."""
    return match.regs[1:] or match.regs


def _named_or_whole(match: re.Match[str]) -> Iterable[Span]:
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
    if at < 0 and len(zone) <= _LONGEST_USERINFO:
        return
    if web and (len(user) >= 20 or at == 0):  # `https://KEY:@`, `https://KEY:x-oauth-basic@`
        yield match.span("user")
    if set(zone[:at]) != {"*"}:
        yield start, start + (at if at >= 0 else len(zone))


def _detail_key(match: re.Match[str]) -> Iterable[Span]:
    """Hide the values of a PostgreSQL DETAIL where one of its columns has a secret's name."""
    return [match.span(2)] if _name_patterns()[1].search(match[1]) else []


@functools.cache
def _name_patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Compile: a key whose value is secret, a column that is, an option that takes a secret."""
    key = rf"(?:{_SENSITIVE}|{_HEADER}|(?<![a-z])auth|signature)[\"'\]]*\Z"
    option = rf"--?[\w-]{{0,64}}?{_SENSITIVE}\Z"
    return re.compile(key), re.compile(rf"{_SENSITIVE}(?![a-z])"), re.compile(option)


@functools.cache
def _rules() -> tuple[_Rule, ...]:
    """Compile the built-in rules, once, when the first text is cleaned."""

    def rule(
        name: str,
        hints: str,
        pattern: str,
        spans: Callable[[re.Match[str]], Iterable[Span]] = _groups,
        *,
        lowered: bool = True,
    ) -> _Rule:
        return _Rule(name, tuple(hints.split()), re.compile(pattern), spans, lowered)

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


# --- Characters that break a terminal, a log line, or PostgreSQL. --------------------------------

_ODD = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


@functools.cache
def _odd_patterns() -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """Compile: any odd character, escape sequences, line breaks, and what is left then."""
    strings = (
        r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*+(?:\x07|\x1b\\|\x9c)"
    )
    sequences = rf"{strings}|(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]|\x1b[ -/]*+[0-~]"
    return (
        re.compile(f"[{_ODD}]"),
        re.compile(sequences),
        re.compile("\r\n|[\r\v\f\x85\u2028\u2029]"),
        re.compile(f"[{_ODD}]"),
    )


def _harmless(text: str) -> str:
    """Drop escape sequences, keep line breaks as LF, show other odd characters as U+FFFD.

    A mark, not nothing: a NUL between two words must not join them into one.
    """
    odd, sequences, breaks, rest = _odd_patterns()
    if not odd.search(text):
        return text
    return rest.sub("\ufffd", breaks.sub("\n", sequences.sub("", text)))


@functools.cache
def _own_words() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile: the mark of an earlier cut, and the placeholder of an earlier failure."""
    mark = re.compile(r" … \[cut: (\d{1,3}(?:,\d{3}){0,4}) more characters\]\Z")
    return mark, re.compile(
        r"\[runguard could not redact this text; [\d,]{1,32} characters withheld\]"
    )


def _split_mark(text: str) -> tuple[str, int]:
    """Take off the mark of an earlier cut, so that cleaning twice counts once."""
    found = _own_words()[0].search(text, max(0, len(text) - _MARK_ROOM))
    return (text[: found.start()], int(found[1].replace(",", ""))) if found else (text, 0)


def _mark(dropped: int, limit: int) -> str:
    """Say how much was cut, where the limit has room for it."""
    if not dropped or limit < _MARK_ROOM:
        return ""
    return f" … [cut: {min(dropped, 10**15 - 1):,} more characters]"


def _cut(text: str, limit: int) -> str:
    """Cut at `limit` bytes of UTF-8, never inside a character or a `[redacted]`."""
    kept = text.encode()[: max(0, limit)].decode(errors="ignore")
    start = text.rfind(HIDDEN, max(0, len(kept) - len(HIDDEN)), len(kept) + len(HIDDEN) - 1)
    return kept[:start] if 0 <= start < len(kept) < start + len(HIDDEN) else kept


def _withheld(text: object, limit: int) -> str:
    try:
        size = f"{str.__len__(cast('str', text)):,}"
    except Exception:
        size = "all"
    return f"[runguard could not redact this text; {size} characters withheld]"[: max(0, limit)]


@dataclasses.dataclass(frozen=True, slots=True)
class Redactor:
    """Cleans every text that runguard stores; immutable, safe to share between threads.

    Args:
        extra: The user's own secrets. A regular expression hides its group `secret`, or all that it
            matches; a function gets the bounded text and returns it redacted.

    Raises:
        ConfigurationError: An entry is none of these, or does not compile.

    >>> Redactor().clean("cannot reach postgresql://app:hunter2@db/sales")
    'cannot reach postgresql://app:[redacted]@db/sales'
    """

    extra: Sequence[Extra] = dataclasses.field(default=(), repr=False)
    _own: tuple[_Rule, ...] = dataclasses.field(init=False, repr=False, compare=False)
    _functions: tuple[Callable[[str], str], ...] = dataclasses.field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        """Compile the user's patterns."""
        if isinstance(self.extra, str | bytes) or not isinstance(self.extra, Iterable):
            raise ConfigurationError(
                "redaction patterns: expected a list of regular expressions or functions, "
                f"found one {type(self.extra).__name__}: put it in a list"
            )
        rules: list[_Rule] = []
        functions: list[Callable[[str], str]] = []
        object.__setattr__(self, "extra", tuple(self.extra))
        for index, entry in enumerate(self.extra):
            if callable(entry):
                functions.append(entry)
            else:
                pattern = _compile(entry, index)
                rules.append(_Rule(f"pattern {index}", (), pattern, _named_or_whole, lowered=False))
        object.__setattr__(self, "_own", tuple(rules))
        object.__setattr__(self, "_functions", tuple(functions))

    def clean(self, text: str, *, limit: int = DEFAULT_LIMIT) -> str:
        """Return the text bounded, harmless, redacted, and at most `limit` bytes of UTF-8 long.

        Never raises: where a text cannot be redacted, the result says so and shows none of it.
        """
        try:
            if _own_words()[1].fullmatch(text):
                return text[: max(0, limit)]
            return self._clean(text, limit)
        except Exception:
            return _withheld(text, limit)

    def clean_json(self, value: object) -> object:
        """Return the value as cleaned, bounded JSON; what JSON has no type for becomes text.

        Values under secret names (`password`, `api_key`, `authorization`, …) are replaced. Never
        raises.
        """
        return _JsonWalk(self).walk(value, 0)

    def _clean(self, text: str, limit: int) -> str:
        body, dropped = _split_mark(text)
        room = limit + _GUARD
        window = _harmless(body[: 4 * room])  # escape sequences may shrink it
        for function in self._functions:
            window = _harmless(str.__str__(function(window)))
        safe = len(window)
        if len(body) > 4 * room or len(window) > room:
            safe = max(0, min(room, len(window)) - _GUARD)
            dropped += max(0, len(body) - 4 * room) + len(window) - safe
            window = window[:room]
        shown = self._hide(window, safe)
        # Hiding and cutting change what stands beside what: done when nothing more happens.
        for _ in range(_ROUNDS):
            kept, dropped = self._fit(shown, dropped, limit)
            if kept == window and safe == len(window):
                return kept + _mark(dropped, limit)
            shown = self._hide(kept, len(kept))
            if shown == kept:
                return kept + _mark(dropped, limit)
        raise RuntimeError("the text does not settle")

    @staticmethod
    def _fit(text: str, dropped: int, limit: int) -> tuple[str, int]:
        """Cut the text so that it and its mark fit; count what was cut."""
        if len(text.encode()) + len(_mark(dropped, limit).encode()) <= limit:
            return text, dropped
        kept = _cut(text, limit - _MARK_ROOM if limit >= _MARK_ROOM else limit)
        return kept, dropped + len(text) - len(kept)

    def _hide(self, text: str, end: int) -> str:
        """Replace every secret of `text` that begins before `end`; return the text up to there."""
        lowered = text.translate(_LOWER)
        spans: list[Span] = []
        for rule in itertools.chain(self._own, _rules()):
            if rule.hints and not any(hint in lowered for hint in rule.hints):
                continue
            for match in rule.pattern.finditer(lowered if rule.lowered else text):
                spans += (span for span in rule.spans(match) if 0 <= span[0] < span[1])
        if not spans:
            return text[:end]
        pieces, at = [], 0
        for start, stop in _merged(spans):
            if start >= end:
                break
            pieces += [text[at:start], HIDDEN]
            at = stop
        return "".join([*pieces, text[at:end]])


def _merged(spans: list[Span]) -> Iterator[Span]:
    """Join spans that overlap or touch."""
    spans.sort()
    start, stop = spans[0]
    for left, right in spans[1:]:
        if left <= stop:
            stop = max(stop, right)
        else:
            yield start, stop
            start, stop = left, right
    yield start, stop


def _compile(entry: object, index: int) -> re.Pattern[str]:
    """Compile one entry. The message never shows the pattern: it may hold the secret itself."""
    expected = f"redaction pattern {index}: expected a regular expression for text, or a function"
    pattern = entry.pattern if isinstance(entry, re.Pattern) else entry
    if not isinstance(pattern, str):
        raise ConfigurationError(f"{expected}, found one of type {type(pattern).__name__}")
    try:
        return re.compile(entry) if isinstance(entry, str) else cast("re.Pattern[str]", entry)
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigurationError(
            f"{expected}, found one that does not compile: {error} "
            "(use re.escape() for a literal text)"
        ) from None


class _JsonWalk:
    """One walk through a value, with what is left of its bounds."""

    DEPTH = 12
    LONGEST_KEY = 256

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.items = 1000
        self.characters = 4 * DEFAULT_LIMIT
        self.path: set[int] = set()

    def walk(self, value: object, depth: int) -> object:
        """Return the value as JSON, or a text that says why not."""
        try:
            if value is None or isinstance(value, bool):
                return value
            if isinstance(value, Enum):
                return self.walk(value.value, depth)
            if isinstance(value, int):
                return _integer(value)
            if isinstance(value, float):
                return (
                    float.__float__(value) if math.isfinite(value) else str(float.__float__(value))
                )
            if isinstance(value, str | bytes | bytearray | memoryview):
                return self.text(_as_text(value))
            if isinstance(value, Mapping | Sequence | set | frozenset) or _is_record(value):
                return self._container(value, depth)
            return self.text(_as_text(value))
        except Exception:
            return f"[runguard could not show a value of type {type(value).__name__[:64]}]"

    def text(self, text: str, *, limit: int = DEFAULT_LIMIT) -> str:
        """Clean a text, as far as the bound on all texts together allows."""
        limit = min(limit, max(self.characters, _MARK_ROOM))
        self.characters -= min(len(text), limit + _GUARD)  # what it costs, not what it shows
        return self.redactor.clean(text, limit=limit)

    def _container(self, value: object, depth: int) -> object:
        if id(value) in self.path:
            return "[runguard cut this: it contains itself]"
        if depth >= self.DEPTH:
            return "[runguard cut this: nested too deep]"
        self.path.add(id(value))
        try:
            if isinstance(value, Mapping):
                return self._mapping(value.items(), len(value), depth)
            if _is_record(value):
                fields = dataclasses.fields(cast("type", value))
                pairs = [(field.name, getattr(value, field.name)) for field in fields]
                return self._mapping(pairs, len(pairs), depth)
            if isinstance(value, set | frozenset):  # an order that does not depend on the process
                some = itertools.islice(value, self.items)
                return self._list(sorted(some, key=str), len(value), depth)
            sequence = cast("Sequence[object]", value)
            return self._list(sequence, len(sequence), depth)
        finally:
            self.path.discard(id(value))

    def _mapping(
        self, pairs: Iterable[tuple[object, object]], size: int, depth: int
    ) -> dict[str, object]:
        cleaned: dict[str, object] = {}
        for shown, (key, value) in enumerate(pairs):
            if self.items <= 0 or self.characters <= 0:
                cleaned["…"] = f"[cut: {size - shown:,} more items]"
                break
            self.items -= 1
            raw = key if isinstance(key, str) else str(self.walk(key, self.DEPTH))
            name = self.text(raw, limit=self.LONGEST_KEY)
            while name in cleaned:
                name += "'"
            secret = _name_patterns()[0].search(raw[-self.LONGEST_KEY :].translate(_LOWER))
            hide = secret and value is not None and not isinstance(value, bool)
            cleaned[name] = HIDDEN if hide else self.walk(value, depth + 1)
        return cleaned

    def _list(self, values: Iterable[object], size: int, depth: int) -> list[object]:
        cleaned: list[object] = []
        hide = False
        for shown, value in enumerate(values):
            if self.items <= 0 or self.characters <= 0:
                cleaned.append(f"[cut: {size - shown:,} more items]")
                break
            self.items -= 1
            cleaned.append(HIDDEN if hide else self.walk(value, depth + 1))
            # An argv: ["mysql", "--password", "hunter2"].
            option = isinstance(value, str) and len(value) < self.LONGEST_KEY
            hide = option and bool(_name_patterns()[2].fullmatch(str(value).translate(_LOWER)))
        return cleaned


def _is_record(value: object) -> bool:
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _integer(value: int) -> int | str:
    """Keep what a bigint holds; show larger numbers as text."""
    plain = int.__index__(value)
    if plain.bit_length() < 64:
        return plain
    return str(plain) if plain.bit_length() < 4096 else f"[a number of {plain.bit_length():,} bits]"


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[: 4 * DEFAULT_LIMIT]).decode(errors="backslashreplace")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    return str(value)
