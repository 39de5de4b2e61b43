"""The rules made of the vendors' shapes: tokens that stand bare, and addresses that are secrets."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from .secret_values import Rule, Span, pattern_rule
from .vendor_tokens import APPRISE_SCHEMES, SECRET_ADDRESSES, VENDOR_TOKENS

# A token holds a long piece with a digit or many capitals; other words are not searched.
_GATE = r"[A-Za-z0-9_~+-]{16,}+"
_RICH = re.compile(r"\d|[A-Z]{12}")
_WORD = r"\S++"
_STARTS = r"(?<![A-Za-z0-9])"


@functools.cache
def _gate() -> re.Pattern[str]:
    return re.compile(_GATE)


@functools.cache
def _shapes() -> re.Pattern[str]:
    return re.compile(_STARTS + "(?:" + "|".join(t.pattern for t in VENDOR_TOKENS) + ")")


def _tokens(raw: str, _: str) -> Iterator[Span]:
    if not any(_RICH.search(word) for word in _gate().findall(raw)):
        return
    for word in _words().finditer(raw):
        if word.end() - word.start() >= 16 and _RICH.search(raw, *word.span()):
            yield from (match.span() for match in _shapes().finditer(raw, *word.span()))


@functools.cache
def _words() -> re.Pattern[str]:
    return re.compile(_WORD)


_HINTS = ("://", "url: /", ".com/", ".io/", "hook")
_ADDRESS = r"://([^\s\"'<>]{8,}+)"
_SCHEME = re.compile(r"[a-z0-9]{2,16}\Z")


def _addresses(raw: str, low: str) -> Iterator[Span]:
    for rule in _address_rules():
        if any(hint in low for hint in rule.hints):
            yield from rule.find(raw, low)
    for match in _apprise().finditer(low):
        scheme = _SCHEME.search(low[max(0, match.start() - 16) : match.start()])
        if scheme and scheme[0] in _apprise_schemes():
            yield match.span(1)


@functools.cache
def _apprise_schemes() -> frozenset[str]:
    return frozenset(APPRISE_SCHEMES.split())


@functools.cache
def _apprise() -> re.Pattern[str]:
    return re.compile(_ADDRESS)


@functools.cache
def _address_rules() -> tuple[Rule, ...]:
    return tuple(pattern_rule(a.name, a.hints, a.pattern) for a in SECRET_ADDRESSES)


def token_rule() -> Rule:
    """Make the rule for bare tokens of known shapes."""
    patterns = (_GATE, _WORD, *(token.pattern for token in VENDOR_TOKENS))
    return Rule("token of a known shape", (), _tokens, patterns)


def address_rule() -> Rule:
    """Make the rule for addresses whose path is the secret."""
    patterns = (_ADDRESS, *(address.pattern for address in SECRET_ADDRESSES))
    return Rule("address that is a secret", _HINTS, _addresses, patterns)
