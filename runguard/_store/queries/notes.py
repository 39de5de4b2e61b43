"""What is kept beside runs, and what changed between a success and the failure after it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy import ColumnElement, case, func, literal_column, or_, select

from ..._frozen import field_names
from ..._monitor.changes import Changed, RanAs
from ..._monitor.records import NoteRecord
from ..schema.expressions import finite
from ..schema.tables import run_log, run_note
from .reports import Reports
from .terms import FAILED_RUN, LARGEST_ID, RUN_PLACE, beyond

MOST_SUCCESSES: Final = 1_000  # in a row that are counted

_NOTE: Final = tuple(run_note.c[name] for name in field_names(NoteRecord))
_PROGRESS: Final = (run_note.c.done, run_note.c.total, run_note.c.progress_at)
_SUCCEEDED: Final = run_log.c.status == literal_column("'SUCCESS'")


class Started(Protocol):
    """A run that has a place among others."""

    @property
    def id(self) -> int: ...
    @property
    def started_at(self) -> datetime | None: ...


class NoteQueries(Reports):
    """The answers about what is kept beside runs."""

    def run_notes(self, run_ids: Iterable[int]) -> Mapping[int, NoteRecord]:
        """Return what is kept beside some runs, by their ids; nothing of those without a note.

        It is one statement, or none where no run is asked for. A role that may not read the notes
        gets none.
        """
        asked = sorted({one for one in run_ids if 0 < one <= LARGEST_ID})
        if not asked:
            return {}
        rows = self._readable(
            select(run_log.c.id, *_NOTE)
            .join_from(run_log, run_note, run_note.c.run_key == run_log.c.run_key)
            .where(run_log.c.id.in_(asked))
        )
        return {run_id: note_from(note) for run_id, *note in rows or ()}

    def _progress_of(self, run_ids: Iterable[int]) -> Mapping[int, NoteRecord]:
        """Return the progress of runs that told any; their texts are not read."""
        asked = list(run_ids)
        if not asked:
            return {}
        rows = self._readable(
            select(run_log.c.id, *_PROGRESS)
            .join_from(run_log, run_note, run_note.c.run_key == run_log.c.run_key)
            .where(run_log.c.id.in_(asked), run_note.c.done.is_not(None))
        )
        return {
            run_id: NoteRecord(done=done, total=total, progress_at=at)
            for run_id, done, total, at in rows or ()
        }

    def _what_changed(
        self, its_job: ColumnElement[bool], first_failure: int, success: Started | None
    ) -> Changed | None:
        """Compare the first failure of a row with the success before it, in one statement.

        `its_job` are the runs of their job; None where the failure is not there any more.
        """
        count: ColumnElement[int] = literal_column("0")
        ids = [first_failure]
        if success is not None and success.started_at is not None:
            ids.append(success.id)
            count = _successes_until(its_job, success).scalar_subquery()
        columns = (
            run_log.c.id,
            finite(run_log.c.started_at),
            finite(run_log.c.finished_at),
            run_log.c.version,
            run_log.c.host,
        )
        rows = self._rows(select(*columns, count).where(run_log.c.id.in_(ids)))
        ran = {run_id: (RanAs(run_id, *row), successes) for run_id, *row, successes in rows}
        if first_failure not in ran:
            return None
        first, successes = ran[first_failure]
        before = ran[ids[-1]][0] if len(ids) > 1 and ids[-1] in ran else None
        successes = successes if before is not None else 0
        return Changed(first, before, successes, is_all=successes < MOST_SUCCESSES)


def note_from(row: Sequence[Any]) -> NoteRecord:
    """Read a row of `run_note`; what another program has written there may be anything."""
    traceback, log_tail, context, links, *progress = row
    pairs = (
        (one["name"], one["url"])
        for one in (links if isinstance(links, list) else ())
        if isinstance(one, dict) and {"name", "url"} <= one.keys()
    )
    return NoteRecord(
        traceback,
        log_tail,
        context if isinstance(context, Mapping) and context else None,
        tuple(pair for pair in pairs if all(isinstance(text, str) for text in pair)),
        *progress,
    )


def _successes_until(its_job: ColumnElement[bool], success: Started) -> Any:
    """Count the successes in a row that end with one; no more than so many rows are read."""
    finished = or_(_SUCCEEDED, FAILED_RUN)
    newest = (
        select(*RUN_PLACE, case((_SUCCEEDED, 0), else_=1).label("failed"))
        .where(
            its_job, finished, ~beyond(RUN_PLACE, success.started_at, success.id, ascending=True)
        )
        .order_by(*(column.desc() for column in RUN_PLACE))
        .limit(MOST_SUCCESSES)
        .subquery("newest")
    )
    place = [newest.c[column.name].desc() for column in RUN_PLACE]
    broken = func.sum(newest.c.failed).over(order_by=place).label("broken")
    row = select(broken).subquery("row")
    return select(func.count()).where(row.c.broken == 0)
