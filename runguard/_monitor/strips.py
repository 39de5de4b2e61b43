"""A job's last runs as a strip, and what they say together, worked out once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from operator import gt, ne, sub
from typing import Any, Final, NamedTuple

from .._frozen import field_names, frozen
from .._models import RunStatus

FEWEST_STARTS: Final = 4  # below which nothing is usual

_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)
_INSTANT: Final = datetime.fromtimestamp
_FINISHED: Final = frozenset({RunStatus.SUCCESS, RunStatus.FAILED})


@frozen
class RunCell:
    """A run as small as a strip of many shows it. Times are aware, in UTC."""

    id: int
    status: str
    error_group: str | None
    started_at: datetime | None
    finished_at: datetime | None
    error_reason: str | None = None
    version: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs, and where a time is missing."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(0.0, (self.finished_at - self.started_at).total_seconds())


_NEW: Final = object.__new__
_SET_ID, _SET_STATUS, _SET_GROUP, _SET_START, _SET_END, _SET_REASON, _SET_VERSION = (
    getattr(RunCell, name).__set__ for name in field_names(RunCell)
)


def strips_of(rows: Iterable[Sequence[Any]]) -> dict[str, list[RunCell]]:
    """Make the strips of jobs of rows: a job's name, then what a cell has, or None without a run.

    Times are microseconds since the epoch. For strips of thousands of jobs: in one loop, and with
    the slots set one by one, it takes a third of what `RunCell(…)` does, which is frozen.
    """
    strips: dict[str, list[RunCell]] = {}
    for name, run_id, status, error_group, started_at, finished_at, error_reason, version in rows:
        cells = strips.get(name)
        if cells is None:
            cells = strips[name] = []
        if run_id is None:
            continue
        cell = _NEW(RunCell)
        _SET_ID(cell, run_id)
        _SET_STATUS(cell, status)
        _SET_GROUP(cell, error_group)
        _SET_START(cell, None if started_at is None else _INSTANT(started_at / 1e6, UTC))
        _SET_END(cell, None if finished_at is None else _INSTANT(finished_at / 1e6, UTC))
        _SET_REASON(cell, error_reason)
        _SET_VERSION(cell, version)
        cells.append(cell)
    return strips


class StripFacts(NamedTuple):
    """What a strip says.

    Attributes:
        outcomes: The runs that have finished, the one that ended last first. Not what began last:
            runs of one job may overlap.
        changes: How often two of them that follow each other differ.
        newest_start: When the newest run began.
        longest_gap: The longest time between two starts; None of fewer than four.
    """

    outcomes: Sequence[RunCell]
    changes: int
    newest_start: datetime | None
    longest_gap: timedelta | None


def facts_of(strip: Sequence[RunCell]) -> StripFacts:
    """Work out what a strip says, which has the newest run first."""
    outcomes = _outcomes(strip)
    statuses = [cell.status for cell in outcomes]
    changes = sum(map(ne, statuses, statuses[1:]))
    starts = [cell.started_at for cell in strip if cell.started_at is not None]
    gaps = map(sub, starts, starts[1:])
    longest = max(gaps) if len(starts) >= FEWEST_STARTS else None
    return StripFacts(outcomes, changes, starts[0] if starts else None, longest)


def ended_at(cell: RunCell) -> datetime | None:
    """Return when a run ended, or began where its end was never noted."""
    return cell.finished_at or cell.started_at


def _outcomes(strip: Sequence[RunCell]) -> Sequence[RunCell]:
    finished = [cell for cell in strip if cell.status in _FINISHED]
    ends = [cell.finished_at or cell.started_at or _LONG_AGO for cell in finished]
    if all(map(gt, ends, ends[1:])):  # as of a job whose runs do not overlap
        return finished
    return sorted(finished, key=lambda cell: (ended_at(cell) or _LONG_AGO, cell.id), reverse=True)
