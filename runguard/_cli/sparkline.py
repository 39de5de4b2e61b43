"""A job's last runs in as many characters, the newest on the right.

A letter says how a run failed, so that nobody needs to tell colours apart. With colours a bar shows
how long a success took beside the longest run; without colours, or letters beyond ASCII, it is a
point.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from rich.text import Text

from .._models import RunStatus
from .._monitor.records import RunCell

BARS: Final = "▁▂▃▄▅▆▇█"
LEGEND: Final = (
    "Runs, the newest on the right; in colour, a bar is how long a success took:",
    "  . success   > running   ? a status of another program   F of no group",
    "  5 HTTP_5XX  4 HTTP_4XX  C HTTP_409  T TIMEOUT  L LOCK_CONFLICT  U UNKNOWN",
)

_MARKS: Final[Mapping[str, str]] = {"SUCCESS": ".", "RUNNING": ">"}
_LETTERS: Final = {
    "HTTP_5XX": "5",
    "HTTP_4XX": "4",
    "HTTP_409": "C",
    "TIMEOUT": "T",
    "LOCK_CONFLICT": "L",
    "UNKNOWN": "U",
}
_COLOURS: Final = {
    "HTTP_5XX": "red",
    "HTTP_4XX": "yellow",
    "HTTP_409": "yellow",
    "TIMEOUT": "magenta",
    "LOCK_CONFLICT": "blue",
    "UNKNOWN": "bright_red",
}


def letters(strip: Sequence[RunCell]) -> str:
    """Return a strip without colours; `strip` has the newest first.

    >>> letters([RunCell(2, "FAILED", "TIMEOUT", None, None)])
    'T'
    """
    marks = _MARKS
    return "".join([marks.get(cell.status) or _letter(cell) for cell in reversed(strip)])


def coloured(strip: Sequence[RunCell], *, bars: bool) -> Text:
    """Return a strip in colours, as bars or as letters."""
    longest = max((cell.seconds or 0.0 for cell in strip), default=0.0)
    shown = Text()
    for cell in reversed(strip):
        has_bar = bars and cell.status == RunStatus.SUCCESS
        mark = _bar(cell, longest) if has_bar else _letter(cell)
        shown.append(mark, _colour(cell))
    return shown


def _letter(cell: RunCell) -> str:
    if cell.status == RunStatus.FAILED:
        return _LETTERS.get(cell.error_group or "", "F")
    return _MARKS.get(cell.status, "?")


def _bar(cell: RunCell, longest: float) -> str:
    if cell.seconds is None or longest <= 0:
        return BARS[0]
    return BARS[min(len(BARS) - 1, int(cell.seconds / longest * len(BARS)))]


def _colour(cell: RunCell) -> str:
    match cell.status:
        case RunStatus.SUCCESS:
            return "green"
        case RunStatus.RUNNING:
            return "cyan"
        case RunStatus.FAILED:
            return _COLOURS.get(cell.error_group or "", "red")
    return "dim"
