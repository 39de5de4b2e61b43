r"""A second look at a text: what its escapes stand for, and where each character comes from.

Secrets travel percent-encoded in URLs, escaped in JSON inside JSON, and as entities in XML. No rule
needs to know: each is tried on the text as it stands, and once more on what it decodes to.
"""

from __future__ import annotations

import functools
import re

Span = tuple[int, int]


ESCAPES = (
    r"(?:%[0-9A-Fa-f]{2})++|(?<!\\)\\++(?:[\"'/nrt&=:]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})"
    r"|&(?:quot|amp|lt|gt|apos|#\d{2,4}|#[xX][0-9a-fA-F]{2,4});"
)
"""Percent-encoding, backslashes (a run of them counts as one), and entities."""


_SOME = {
    "%": r"%[0-9A-Fa-f]{2}",
    "\\": r"\\(?:[\"'/nrt&=:]|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2})",
    "&": r"&(?:quot|amp|lt|gt|apos|#\d{2,4}|#[xX][0-9a-fA-F]{2,4});",
}
"""What stands in each kind of escape, by its first character: one search for plain text each."""


@functools.cache
def _escape() -> re.Pattern[str]:
    return re.compile(ESCAPES)


@functools.cache
def _some(sign: str) -> re.Pattern[str]:
    return re.compile(_SOME[sign])


class DecodedText:
    """A text without its escapes, which knows where in the original each character stood."""

    def __init__(self, original: str) -> None:
        pieces: list[str] = []
        starts: list[int] = []
        at = 0
        for match in _escape().finditer(original):
            pieces.append(original[at : match.start()])
            starts += range(at, match.start())
            for character, start in _decode(match[0], match.start()):
                pieces.append(character)
                starts.append(start)
            at = match.end()
        pieces.append(original[at:])
        starts += range(at, len(original) + 1)
        self.text = "".join(pieces)
        self._starts = starts

    def original_span(self, span: Span) -> Span:
        """Return where a piece of the decoded text stands in the original."""
        return self._starts[span[0]], self._starts[span[1]]


def has_escapes(text: str) -> bool:
    """Say whether the text decodes to another one."""
    return any(sign in text and _some(sign).search(text) is not None for sign in _SOME)


def _decode(escape: str, at: int) -> list[tuple[str, int]]:
    """Return the characters of one escape, each with where its part begins."""
    if escape.startswith("%"):
        return _decode_percent(escape, at)
    if escape.startswith("&"):
        import html  # its table of entities is large

        return [(html.unescape(escape)[:1], at)]
    kind = escape.lstrip("\\")
    if kind[0] in "ux":
        return [(chr(int(kind[1:], 16)), at)]
    return [({"n": "\n", "r": "\n", "t": "\t"}.get(kind, kind), at)]


def _decode_percent(escape: str, at: int) -> list[tuple[str, int]]:
    octets = bytes.fromhex(escape.replace("%", ""))
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return [(character, at + 3 * n) for n, character in enumerate(octets.decode("latin-1"))]
    found = []
    for character in text:
        found.append((character, at))
        at += 3 * len(character.encode())
    return found
