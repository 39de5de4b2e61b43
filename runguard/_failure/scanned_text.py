"""A text as the rules of the redaction read it, and the cheap look that spares most of them.

A rule names hints: pieces of plain text, one of which stands in whatever the rule matches. Most
texts hold none, and their words repeat, so hints are looked for in each word once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from .pieces import PieceIndex

WORD: Final = "abcdefghijklmnopqrstuvwxyz0123456789_+.-~"
"""The characters of a word; all others stand between words."""

_SHORT: Final = 80  # characters of a text whose words hardly repeat
_BETWEEN: Final = {code: " " for code in range(128) if chr(code) not in WORD}
_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class ScannedText:
    """A text, and what is asked of it again and again.

    Attributes:
        raw: as it is.
        low: lower-cased, with every character where it stands in `raw`.
        words: all that `low` holds of `WORD`'s characters in one piece.
        gist: the words once each. What has characters of words only stands in it where it stands in
            `low`, and nowhere else.
    """

    __slots__ = ("gist", "low", "raw", "words")

    def __init__(self, raw: str) -> None:
        self.raw = raw
        self.low = low = lowered(raw)
        # What is not ASCII becomes `?`, one for one, which stands between words.
        plain = low if low.isascii() else low.encode("ascii", "replace").decode("ascii")
        self.words = set(words_of(plain))
        self.gist = " ".join(self.words)


def words_of(text: str) -> list[str]:
    """Return the words of a lower-cased text of ASCII."""
    return text.translate(_BETWEEN).split()


def lowered(text: str) -> str:
    """Lower-case a text without changing where its characters stand."""
    low = text.lower()
    return low if len(low) == len(text) else text.translate(_LOWER)


def places_of(piece: str, text: str) -> Iterator[int]:
    """Yield where a piece stands in a text."""
    at = text.find(piece)
    while at >= 0:
        yield at
        at = text.find(piece, at + 1)


class _Gate(NamedTuple):
    """A piece of several hints, which are looked for only where it is found."""

    piece: str
    is_of_words: bool
    hints: list[tuple[str, bool, list[int]]]


class HintIndex:
    """The numbers of rules, by what must stand in a text for each to apply.

    Args:
        hints: those of each rule, in the order of the rules; none for a rule that always applies.
    """

    def __init__(self, hints: Iterable[Sequence[str]]) -> None:
        """Sort the hints: those that hold another one's piece are looked for after it."""
        self._always: list[int] = []
        self._hints = list(hints)
        self._pieces: PieceIndex | None = None
        numbers: dict[str, list[int]] = {}
        for number, of_rule in enumerate(self._hints):
            if not of_rule:
                self._always.append(number)
            for hint in of_rule:
                numbers.setdefault(hint, []).append(number)
        self._ascii: list[_Gate] = []
        self._others: list[_Gate] = []
        for size, hint, piece in sorted((len(p := _piece_of(hint)), hint, p) for hint in numbers):
            held = (hint, size == len(hint) and _is_of_words(hint), numbers[hint])
            if not hint.isascii():
                self._others.append(_Gate(piece, False, [held]))  # noqa: FBT003 - a field
                continue
            for gate in self._ascii:
                if gate.piece in piece:
                    gate.hints.append(held)
                    break
            else:
                self._ascii.append(_Gate(piece, _is_of_words(piece), [held]))

    def found_in(self, text: ScannedText) -> set[int]:
        """Return the numbers of the rules that may apply to a text."""
        found = set(self._always)
        low, gist = text.low, text.gist
        if len(low) <= _SHORT:
            pieces = self._pieces = self._pieces or PieceIndex(self._hints)
            return found | pieces.found_in(low)
        for gates in (self._ascii,) if low.isascii() else (self._ascii, self._others):
            for piece, is_of_words, hints in gates:
                if piece in (gist if is_of_words else low):
                    for hint, is_word, rules in hints:
                        if hint == piece or hint in (gist if is_word else low):
                            found.update(rules)
        return found


def _is_of_words(piece: str) -> bool:
    return set(piece) <= set(WORD)


def _piece_of(hint: str) -> str:
    """Return the longest piece of a hint that is one of a word; the hint where it has none."""
    if not hint.isascii():
        return hint
    return max(hint.translate(_BETWEEN).split(), key=len, default=hint)
