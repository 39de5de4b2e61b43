"""What stands where a secret was, and how much of a text is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .secret_values import Span

HIDDEN = "[redacted]"
"""What stands where a secret was."""

DEFAULT_LIMIT = 16 * 1024
"""Bytes of UTF-8 that a stored text may have."""

# A secret that starts this near to the end of a bounded text may lack the context that betrays it,
# so this much is dropped. Longer than the longest look ahead of any rule (a URL's userinfo).
GUARD = 8 * 1024
MARK_ROOM = 64


def without(text: str, spans: list[Span], end: int) -> str:
    """Put the placeholder where the spans are that begin before `end`; drop what is behind it."""
    pieces, at = [], 0
    for start, stop in _merged(spans):
        if start >= end:
            break
        pieces += [text[at:start], HIDDEN]
        at = stop
    return "".join([*pieces, text[at:end]])


def _merged(spans: list[Span]) -> Iterator[Span]:
    """Join spans that overlap or touch."""
    if not spans:
        return
    spans.sort()
    start, stop = spans[0]
    for left, right in spans[1:]:
        if left <= stop:
            stop = max(stop, right)
        else:
            yield start, stop
            start, stop = left, right
    yield start, stop
