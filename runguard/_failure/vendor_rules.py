"""The rules made of the vendors' shapes: tokens that stand bare, and addresses that are secrets."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from .lazy_pattern import lazy
from .scanned_text import HintIndex, ScannedText
from .secret_values import Rule, Span, pattern_rule

# A token holds a long piece with a digit or many capitals; other words are not searched.
_GATE = r"[A-Za-z0-9_~+-]{16,}+"
_RICH = lazy(r"\d|[A-Z]{12}")
_WORD = r"\S++"
_SHORTEST = 16
_DIGITS = frozenset("0123456789")
_STARTS = r"(?<![A-Za-z0-9])"


@functools.cache
def _gate() -> re.Pattern[str]:
    return re.compile(_GATE)


@functools.cache
def _shapes() -> re.Pattern[str]:
    from .vendor_tokens import VENDOR_TOKENS  # which only a text with long words needs

    return re.compile(_STARTS + "(?:" + "|".join(t.pattern for t in VENDOR_TOKENS) + ")")


def _tokens(text: ScannedText) -> Iterator[Span]:
    raw = text.raw
    if not has_rich_words(raw, text.words) or not any(
        _RICH.search(word) for word in _gate().findall(raw)
    ):
        return
    for word in _words().finditer(raw):
        if word.end() - word.start() >= 16 and _RICH.search(raw, *word.span()):
            yield from (match.span() for match in _shapes().finditer(raw, *word.span()))


def has_rich_words(text: str, words: Iterable[str]) -> bool:
    """Say whether a word of a text may be as the gate wants it, which takes none with dots."""
    pieces = [
        piece
        for word in words
        if len(word) >= _SHORTEST
        for piece in word.split(".")
        if len(piece) >= _SHORTEST
    ]
    return any(not _DIGITS.isdisjoint(piece) for piece in pieces) or (
        bool(pieces) and bool(_capitals().search(text))
    )


@functools.cache
def _capitals() -> re.Pattern[str]:
    return re.compile("[A-Z][A-Z]{11}")  # the first alone, so that it can be searched for


@functools.cache
def _words() -> re.Pattern[str]:
    return re.compile(_WORD)


_HINTS = ("://", "url: /", ".com/", ".io/", "hook")
_ADDRESS = r"://([^\s\"'<>]{8,}+)"
_SCHEME = lazy(r"[a-z0-9]{2,16}\Z")


def _addresses(text: ScannedText) -> Iterator[Span]:
    low, rules = text.low, _address_rules()
    for number in sorted(_address_index().found_in(text)):
        yield from rules[number].find(text)
    for match in _apprise().finditer(low):
        if low.endswith("http", 0, match.start()) or low.endswith("https", 0, match.start()):
            continue  # as most are; no scheme of Apprise's ends so
        scheme = _SCHEME.search(low[max(0, match.start() - 16) : match.start()])
        if scheme and scheme[0] in _apprise_schemes():
            yield match.span(1)


@functools.cache
def _apprise_schemes() -> frozenset[str]:
    from .vendor_tokens import APPRISE_SCHEMES

    return frozenset(APPRISE_SCHEMES.split())


@functools.cache
def _apprise() -> re.Pattern[str]:
    return re.compile(_ADDRESS)


@functools.cache
def _address_rules() -> tuple[Rule, ...]:
    from .vendor_tokens import SECRET_ADDRESSES

    return tuple(pattern_rule(a.name, a.hints, a.pattern) for a in SECRET_ADDRESSES)


@functools.cache
def _address_index() -> HintIndex:
    return HintIndex(rule.hints for rule in _address_rules())


def token_rule() -> Rule:
    """Make the rule for bare tokens of known shapes."""
    return Rule("token of a known shape", (), _tokens, (_GATE, _WORD))


def address_rule() -> Rule:
    """Make the rule for addresses whose path is the secret."""
    return Rule("address that is a secret", _HINTS, _addresses, (_ADDRESS,))
