"""Which of many pieces stand in a short text: looked up by how they begin, not one by one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

LONGEST: Final = 256  # characters of a text that is short
_SIZE: Final = 3  # characters by which a piece is looked up

Numbered = tuple[str, tuple[int, ...]]  # a piece, and whose it is


class PieceIndex:
    """The numbers of those to whom pieces of text belong.

    Args:
        pieces: those of each, in order.
    """

    def __init__(self, pieces: Iterable[Sequence[str]]) -> None:
        """Sort the pieces by how they begin."""
        numbers: dict[str, tuple[int, ...]] = {}
        for number, of_one in enumerate(pieces):
            for piece in of_one:
                numbers[piece] = (*numbers.get(piece, ()), number)
        self._by_start: dict[str, list[Numbered]] = {}
        self._short: list[Numbered] = []
        self._short_ascii: list[Numbered] = []
        for piece, its in numbers.items():
            if len(piece) >= _SIZE:
                self._by_start.setdefault(piece[:_SIZE], []).append((piece, its))
            else:
                self._short.append((piece, its))
                if piece.isascii():
                    self._short_ascii.append((piece, its))

    def found_in(self, text: str) -> set[int]:
        """Return the numbers of those of whose pieces one stands in the text."""
        found: set[int] = set()
        by_start = self._by_start
        starts = {text[at : at + _SIZE] for at in range(len(text) - _SIZE + 1)}
        for start in starts & by_start.keys():
            for piece, numbers in by_start[start]:
                if piece in text:
                    found.update(numbers)
        for piece, numbers in self._short_ascii if text.isascii() else self._short:
            if piece in text:
                found.update(numbers)
        return found
