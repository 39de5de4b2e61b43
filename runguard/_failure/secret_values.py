"""What a rule of the redaction is, and what the value of a secret looks like.

A rule says where in a text its secrets lie. Every capturing group of a rule's pattern is a secret.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .lazy_pattern import lazy
from .scanned_text import ScannedText
from .secret_names import prose

Span = tuple[int, int]
Finder = Callable[[ScannedText], Iterable[Span]]


class Rule(NamedTuple):
    """One kind of secret.

    Attributes:
        name: for whoever reads a failing test.
        hints: the rule is tried only where one of these occurs in the lower-cased text.
        find: gives the spans of the secrets.
        patterns: every regular expression that `find` uses.
        replaces: the name of a rule that has no more to say where this one may apply.
        needs: pieces that stand in the lower-cased text wherever the rule finds something.
    """

    name: str
    hints: tuple[str, ...]
    find: Finder
    patterns: tuple[str, ...]
    replaces: str = ""
    needs: tuple[str, ...] = ()


def pattern_rule(
    name: str,
    hints: str | tuple[str, ...],
    pattern: str | re.Pattern[str],
    spans: Callable[[re.Match[str]], Iterable[Span]] | None = None,
    *,
    needs: tuple[str, ...] = (),
    lowered: bool = True,
) -> Rule:
    """Make a rule of one regular expression, which is compiled when it is first needed."""
    source = pattern if isinstance(pattern, str) else pattern.pattern

    @functools.cache
    def compiled() -> re.Pattern[str]:
        return re.compile(pattern)

    def find(text: ScannedText) -> Iterator[Span]:
        if all(piece in text.low for piece in needs):
            for match in compiled().finditer(text.low if lowered else text.raw):
                yield from (spans or groups_of)(match)

    hinted = tuple(hints.split()) if isinstance(hints, str) else hints
    return Rule(name, hinted, find, (source,), needs=needs)


def groups_of(match: re.Match[str]) -> Iterable[Span]:
    """Every capturing group of a built-in pattern is a secret; without one, the whole match is."""
    return match.regs[1:] or match.regs


def named_or_whole(match: re.Match[str]) -> Iterable[Span]:
    """A user's pattern hides its group `secret`, or all that it matches."""
    return [match.span("secret" if "secret" in match.re.groupindex else 0)]


# --- Values: where they end, and what is none. ---------------------------------------------------

# A quoted value ends at its quote, also some lines on; unclosed, at the end of its line. `\"` is
# the quote of JSON inside JSON. In a text that was escaped once more, `\\\"` before a letter ends
# nothing.
QUOTED = (
    r"(?:[bru]{0,2}'(?:((?:[^'\\]|\\{2,8}+'(?=\w)|\\(?s:.)|''){0,2048}+)'|([^\n]*+))"
    r'|[bru]{0,2}"(?:((?:[^"\\]|\\{2,8}+"(?=\w)|\\(?s:.)){0,2048}+)"|([^\n]*+))'
    r"|\\{1,4}[\"']((?:[^\"'\\\n]|\\{3,}+[\"']|\\++[^\"'\\\n])*+))"
)
# A separator or closer ends a bare value only where what follows shows it: passwords hold them too.
_END = (
    r"[,;&'\"<>)\]}]{0,8}+(?:\s|\Z|\\[nrt]|(?<=<)/|[\[{(]"
    r"|[\w.\-\[\]]{1,64}+(?:[\"']?[ \t]?=|[\"'][ \t]?:))"
)
BARE = r"((?:\\ |[^\s,;&'\"<>)\]}，。；、）】」』》]|(?!" + _END + r")[,;&'\"<>)\]}])++)"
# An ODBC value in braces: `}}` stands for one brace.
BRACED = r"(?<==)\{((?:[^{}\n]|\}\}){1,512}+)\}(?=[;\"')\s]|\Z)"
# What follows a secret's name in prose or as a placeholder: `token: expired`, `password=%s`.
NO_VALUE = (
    r"(?!(?:none|null|nil|true|false|undefined|\*{3,}+|%s|%\(\w++\)s|\?|\$\d{1,2}|:\w++(?=[\s,)]|\Z)"
    r"|\[(?:secure|filtered)\]|<\w++>)(?!\w))"
)
_PLACEHOLDER = lazy(
    r"(?:secret(?:str|bytes|string)\([\"'])?(?:\*{3,}+|x{4,}+|\.{3}|•{3,}+|…)(?:[\"']\))?"
    r"|(?:none|null|nil|true|false|undefined|yes|no|masked|hidden|redacted|omitted|n/a)"
    r"|<[\w \-]{1,64}>?|[\[(](?:secure|filtered|hidden|masked|redacted|protected|sensitive"
    r"|sensitive value|removed|omitted|secret|private|none|empty)[\])]"
    r"|\$\{[a-z_][\w.:\-]{0,63}\}?|\{\{[^{}]{1,64}\}{0,2}|\$\([^()]{1,64}\)?|%\w{1,64}%|%s|%\(\w{1,64}\)s"
    r"|\$\d{1,2}|:[a-z_]{1,40}|\?|!vault|!secret \w{1,64}"
    r"|(?:process\.env|os\.environ|env|var|local|data|secrets|vault|self|args|config|settings)"
    r"[.\[][\w.\[\]\"']{1,64}"
    # A file that holds a key is named, not shown.
    r"|(?:[a-z]:[\\/]|~?\.{0,2}/)[\w./\\~\-]{1,200}\.(?:pem|key|crt|cer|p12|pfx|jks|json|txt|env"
    r"|ya?ml|asc|gpg|kdbx|ini|conf|cfg|log|py|sh|csv|pub)"
)
_VARIABLE = lazy(
    r"\$[A-Z_][A-Z0-9_]{2,}|TEXT|TOKEN|STRING|PASSWORD|SECRET|KEY|VALUE|INTEGER|PATH|FILE|NAME"
)


def no_prose() -> str:
    """What may not follow a name in prose; built once all languages are known."""
    return rf"(?!(?:{prose()})(?![\w@#$%^&*+/=-]))"


def is_placeholder(value: str) -> bool:
    """Say whether the text stands for a value and is none: `None`, `***`, `${DB_PASSWORD}`."""
    return len(value) <= 256 and bool(
        _PLACEHOLDER.fullmatch(value.lower()) or _VARIABLE.fullmatch(value)
    )


def looks_random(value: str, least: int = 8) -> bool:
    """Say whether a text may be a key: long enough, in one piece, of letters and digits."""
    return len(value) >= least and bool(_RANDOM.fullmatch(value))


_RANDOM = lazy(
    r"(?=[^\d]{0,80}\d|[a-zA-Z+/]{12,}+=)(?=[^a-zA-Z]{0,80}[a-zA-Z])[\w+/=.~%$!@*|:\-]{4,}+"
)


def is_ordinary(value: str) -> bool:
    """Say whether a value reads as a path, a date, a file or a dotted name."""
    return len(value) <= 128 and bool(_ORDINARY_VALUE.fullmatch(value))


_UUID = lazy(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ORDINARY_VALUE = lazy(
    r"[~./][\w./~\-]*|[a-z]+://.*|\d{4}-\d\d-\d\d.*"
    r"|[\w\-/]+\.(?:py|js|ts|go|java|json|csv|ya?ml|txt|pem|key)"
    r"|[a-z]+(?:[/:.][a-z_\-]*)+\d{0,4}(?:[/:.][\w\-]*)*",
)


def is_weak_value(word: str, value: str) -> bool:
    """Say whether the value of a weak name gives it away."""
    if word.startswith(("sess", "sid")):
        return looks_random(value, 16) and not _UUID.fullmatch(value)
    if word.startswith("sign"):
        return looks_random(value, 16) or bool(re.fullmatch(r"[\w%+/=-]{16,}", value))
    if word == "key":
        return looks_random(value, 16) and not is_ordinary(value)
    if word == "appid":
        return looks_random(value, 16)
    if word == "auth":
        return looks_random(value) and not is_ordinary(value)
    return looks_random(value, 4) and not is_ordinary(value)


def spans_of(match: re.Match[str]) -> Iterator[Span]:
    """Yield the spans of the groups that took part in a match."""
    return (span for span in match.regs[1:] if span[0] >= 0)
