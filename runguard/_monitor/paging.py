"""Reading a list page by page, to its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from .records import Cursor

Row = TypeVar("Row")


def followed(
    read: Callable[[Cursor | None, int], tuple[Sequence[Row], Cursor | None]], limit: int
) -> tuple[Sequence[Row], bool]:
    """Read page after page; return up to `limit` rows, and whether there are more.

    A page may be short, even empty, and say where it goes on: looking for what is rare has an end.

    Args:
        read: given a place and a number of rows, returns a page and where the next one begins.
        limit: how many rows are wanted.
    """
    rows: list[Row] = []
    cursor: Cursor | None = None
    while True:
        found, cursor = read(cursor, limit + 1 - len(rows))
        rows += found
        if cursor is None or len(rows) > limit:
            return rows[:limit], len(rows) > limit
