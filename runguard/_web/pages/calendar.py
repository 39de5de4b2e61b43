"""The calendar of a job: its days, month by month."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from itertools import groupby
from math import sqrt
from typing import Any, Final

from starlette.requests import Request

from ..._frozen import frozen
from ..._monitor import wording
from ..._monitor.records import JobOverview
from ..._monitor.timeline import DayRuns
from ..._store.operator import OperatorStore
from ..state import zone_of
from ..who_ran import read_days

LEVELS: Final = 4  # of colour, by the number of runs
_MANY: Final = 1000


@frozen
class Cell:
    """A day as it is shown; `level` is 0 where nothing ran."""

    day: DayRuns
    date: date
    level: int

    @property
    def tone(self) -> str:
        """The class that colours it."""
        day = self.day
        if day.failures:
            return "bad worse" if day.failures * 2 > day.runs else "bad"
        return f"l{self.level}"

    @property
    def said(self) -> str:
        """All of it in words."""
        day = self.day
        said = [f"{self.date.day} {self.date:%b}: {wording.counted(day.runs, 'run')}"]
        if not day.is_all:
            said[0] += " or more"
        if day.failures:
            said.append(f"{day.failures:,} failed")
        if day.missed:
            said.append(f"{wording.counted(day.missed, 'start')} missed")
        return ", ".join(said)

    @property
    def runs(self) -> str:
        """How many ran, in up to four characters."""
        return brief(self.day.runs, is_all=self.day.is_all)

    @property
    def failed(self) -> str:
        """How many of them failed, in up to four characters."""
        return brief(self.day.failures)

    @property
    def asked(self) -> dict[str, str]:
        """What asks for its runs, on the page of the job."""
        return {"since": wording.iso(self.day.starts_at), "until": wording.iso(self.day.ends_at)}


@frozen
class Month:
    """A month with a place for each of 31 days; None where there is no day, or none yet."""

    words: str
    cells: tuple[Cell | None, ...]


def brief(count: int, *, is_all: bool = True) -> str:
    """Say a number in few characters.

    >>> brief(7), brief(500, is_all=False), brief(1440), brief(86_400)
    ('7', '500+', '1.4k', '86k')
    """
    if count < _MANY:
        return f"{count}{'' if is_all else '+'}"
    return f"{count / _MANY:.1f}k" if count < 10 * _MANY else f"{count // _MANY}k"


def calendar_of(
    request: Request, store: OperatorStore, job: JobOverview, now: datetime, *, is_shared: bool
) -> dict[str, Any]:
    """Return the calendar of a job, for a template; `is_shared` is as in `read_days`."""
    zone = zone_of(request)
    days = read_days(store, job, now, zone, is_shared=is_shared)
    return {
        "calendar": {
            "months": months_of(days, zone),
            "zone": str(zone),
            "has_missed": any(day.missed for day in days),
            "total": sum(day.runs for day in days),
        }
    }


def months_of(days: Sequence[DayRuns], zone: tzinfo) -> list[Month]:
    """Put days into months, the newest first."""
    most = max((day.runs for day in days), default=0)
    cells = [
        Cell(day, day.starts_at.astimezone(zone).date(), _level(day.runs, most)) for day in days
    ]
    months = []
    for (year, month), of_month in groupby(cells, lambda cell: (cell.date.year, cell.date.month)):
        places: list[Cell | None] = [None] * 31
        for cell in of_month:
            places[cell.date.day - 1] = cell
        months.append(Month(f"{date(year, month, 1):%b %Y}", tuple(places)))
    return months[::-1]


def _level(runs: int, most: int) -> int:
    """Return a level of colour; by the root: one run on a day is seen beside hundreds."""
    return 0 if not runs else max(1, round(LEVELS * sqrt(runs / most)))
