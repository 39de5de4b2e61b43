"""What a monitor reads and writes: the facts of jobs, verdicts, its rounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Text,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    literal_column,
    or_,
    select,
)

from ..._frozen import field_names
from ..._monitor.expectations import (
    WATCHED_RUNS,
    FindingType,
    Gap,
    JobFacts,
    JobRecord,
    MonitorRecord,
    OpenFinding,
    Verdict,
    WatchedRun,
    source_id_of,
)
from ..._monitor.incidents import Settled
from ..schema.clock import db_now
from ..schema.moments import db_now_plus
from ..schema.tables import run_log
from ..schema.types import UtcDateTime
from ..schema.watch_tables import alert_cooldown, job, monitor, monitor_gap
from . import verdicts as writing
from .documents import document_of, time_reader
from .expectations import (
    IS_OF_JOB,
    JOB_COLUMNS,
    SOURCE_ID,
    WRITE_TIMEOUT_SECONDS,
    finding_from,
    job_from,
    newest_of_open,
)
from .findings import FindingQueries
from .given import given
from .terms import OPEN_RUN, has_place

LOOKS_AT: Final = 5  # of a job's newest runs, for one that has ended
MOST_NEW: Final = 1000  # runs of one job since it was judged
KEPT: Final = timedelta(days=35)  # rounds and gaps
ONCE_KEPT: Final = timedelta(hours=1)  # a cron line is another process each minute
PRUNES_EACH: Final = 240  # rounds

_GUARD: Final = alert_cooldown.c
_ONE: Final[ColumnElement[int]] = literal_column("1")
_RUN: Final = run_log.c
_IN_RUN: Final = ("id", "status", "started_at", "finished_at", "total_records", "refused")
_MONITOR_COLUMNS: Final = tuple(monitor.c[name] for name in field_names(MonitorRecord))
# A round may make hundreds of thousands: without `__new__` of Python it takes two thirds.
_NEW_RUN: Final[Callable[[Iterable[Any]], WatchedRun]] = partial(tuple.__new__, WatchedRun)
_STARTED_AT_AND_ID: Final = attrgetter("started_at", "id")
# A clock that was wrong once leaves times of the future behind, which say nothing of today.
_SOON: Final = db_now_plus(writing.IN_THE_FUTURE.total_seconds())
_LAST_ROUND: Final = (
    select(func.max(monitor.c.last_round_at, type_=UtcDateTime()))
    .where(monitor.c.last_round_at <= _SOON)
    .scalar_subquery()
)


class WatchQueries(FindingQueries):
    """What watching asks of a store, for both databases."""

    def jobs_to_judge(self, *, limit: int, now: datetime | None = None) -> Sequence[JobFacts]:
        """Return what the judge must know of the jobs that are to be judged, in three statements.

        These are jobs whose time has come, with a finding that is open, or with a run that began
        or ended since they were judged; those that were judged longest ago come first. One that
        was judged at `now` is not among them for a finding alone.

        Args:
            limit: How many jobs, at most.
            now: The moment that decides; the database's clock where None.
        """
        jobs = [job_from(row) for row in self._rows(_to_judge(now).limit(limit))]
        if not jobs:
            return ()
        runs = self._read(lambda attempt: self._runs_of_jobs(attempt.connection, jobs))
        findings: dict[str, dict[FindingType, OpenFinding]] = {}
        for row in self._rows(newest_of_open()):
            if (finding := finding_from(row)) is not None:
                findings.setdefault(row.source_id, {})[finding.type] = finding
        return [
            JobFacts(
                job=one,
                runs=its_runs,
                open=findings.get(source_id_of(one.job_name, one.environment), {}),
            )
            for one, its_runs in zip(jobs, runs, strict=True)
        ]

    def write_verdicts(
        self, verdicts: Sequence[Verdict], *, cooldown: timedelta, auto_resolve: bool = True
    ) -> Sequence[Settled]:
        """Write what was judged, in one transaction; return the alerts that tell of it.

        Args:
            verdicts: One of each job.
            cooldown: How long a finding is not told again.
            auto_resolve: Whether the alerts of a finding that is over are marked resolved.
        """
        if not verdicts:
            return ()

        def work(connection: Connection) -> Sequence[Settled]:
            return writing.write_verdicts(
                connection, verdicts, cooldown=cooldown, auto_resolve=auto_resolve
            )

        settled = self._transact(work, timeout=WRITE_TIMEOUT_SECONDS)
        jobs = {source_id_of(one.job.job_name, one.job.environment): one.job for one in verdicts}
        self._end_silences_of_jobs(jobs, settled)
        return settled

    def begin_round(self, gap_after: timedelta) -> tuple[datetime, tuple[Gap, ...]]:
        """Note for how long nobody has looked, where that was longer than `gap_after`.

        Returns:
            The database's clock, and all gaps of the last 35 days, the oldest first.
        """

        def work(connection: Connection) -> tuple[datetime, tuple[Gap, ...]]:
            now, _ = _note_gap(connection, gap_after)
            return now, _gaps(connection)

        return self._transact(work, timeout=WRITE_TIMEOUT_SECONDS)

    def note_round(self, record: MonitorRecord, *, gap_after: timedelta) -> Gap | None:
        """Note that a round has ended, by the database's clock; return the gap that it ended."""

        def work(connection: Connection) -> Gap | None:
            _, gap = _note_gap(connection, gap_after)
            connection.execute(_round(connection, record))
            if record.rounds % PRUNES_EACH == 1:
                _prune(connection)
            return gap

        return self._transact(work, timeout=WRITE_TIMEOUT_SECONDS)

    def last_round_at(self) -> datetime | None:
        """Return when a monitor last looked; None where none ever has."""
        [(last,)] = self._rows(select(_LAST_ROUND))
        instant: datetime | None = last
        return instant

    def monitors(self, *, limit: int = 100) -> Sequence[MonitorRecord]:
        """Return the processes that look or have looked, the last one first."""
        wanted = select(*_MONITOR_COLUMNS).order_by(monitor.c.last_round_at.desc()).limit(limit)
        rows = [dict(row._mapping) for row in self._rows(wanted)]
        return [MonitorRecord(**{**row, "report": row["report"] or {}}) for row in rows]

    def _runs_of_jobs(
        self, connection: Connection, jobs: Sequence[JobRecord]
    ) -> list[tuple[WatchedRun, ...]]:
        """Read the newest runs of each, those that go on, and all that began since it was judged.

        One statement. Behind a run that hangs, many starts may have been refused.
        """
        asked = given(
            connection,
            "asked",
            {
                job.c.job_name: [one.job_name for one in jobs],
                job.c.environment: [one.environment or "" for one in jobs],
                job.c.judged_at: [_since(one) for one in jobs],
            },
        )
        read = partial(document_of, engine=self.engine)
        has_none = asked.c.environment == literal_column("''")
        nowhere = _newest(asked, "newest", _RUN.environment.is_(None))
        there = _newest(asked, "newest_there", _RUN.environment == asked.c.environment)
        newest = case((has_none, read(nowhere)), else_=read(there))
        others = (read(_new(asked)), read(_running(asked)))
        query = select(asked.c.job_name, asked.c.environment, newest, *others)
        found: dict[tuple[str, str], tuple[WatchedRun, ...]] = {}
        for name, environment, *documents in connection.execute(query):
            rows = {row[0]: row for text in documents for row in json.loads(text or "[]")}
            found[name, environment] = _runs_from(rows.values(), time_reader(self.engine))
        return [found.get((one.job_name, one.environment or ""), ()) for one in jobs]


def _to_judge(now: datetime | None) -> Select[Any]:
    moment = db_now() if now is None else literal(now, UtcDateTime())
    has_open = exists(
        select(_ONE)
        .where(IS_OF_JOB, _GUARD.source_id == SOURCE_ID, _GUARD.open_alert_id.is_not(None))
        .correlate(job)
    )
    since = func.coalesce(job.c.judged_at, job.c.declared_at, type_=UtcDateTime())
    has_begun = exists(
        select(_ONE)
        .where(_RUN.job_name == job.c.job_name, _is_of(job), _RUN.started_at > since)
        .correlate(job)
    )
    newest = (
        select(_RUN.finished_at, _environment_of_run().label("environment"))
        .where(_RUN.job_name == job.c.job_name, has_place(_RUN.started_at))
        .order_by(_RUN.started_at.desc())
        .limit(literal_column(str(LOOKS_AT)))
        .correlate(job)
        .subquery("newest")
    )
    has_ended = exists(
        select(_ONE)
        .select_from(newest)
        .where(newest.c.finished_at > since, newest.c.environment == job.c.environment)
        .correlate(job)
    )
    soon = _SOON if now is None else literal(now + writing.IN_THE_FUTURE, UtcDateTime())
    was_never = or_(job.c.judged_at.is_(None), job.c.judged_at > soon)
    is_due = or_(was_never, job.c.look_at <= moment)
    to_follow = and_(has_open, or_(was_never, job.c.judged_at < moment))
    is_watched = and_(job.c.retired_at.is_(None), or_(is_due, has_begun, has_ended))
    never_first = case((job.c.judged_at.is_(None), literal_column("0")), else_=literal_column("1"))
    order = (never_first, job.c.judged_at, job.c.job_name, job.c.environment)
    return select(*JOB_COLUMNS).where(or_(is_watched, to_follow)).order_by(*order)


def _environment_of_run() -> ColumnElement[str]:
    return func.coalesce(_RUN.environment, literal_column("''"), type_=Text())


def _is_of(its: FromClause) -> ColumnElement[bool]:
    return _environment_of_run() == its.c.environment


def _since(its: JobRecord) -> datetime | None:
    since = its.judged_at or its.declared_at
    try:
        return since and since - timedelta(seconds=its.grace_seconds or 0.0)
    except (TypeError, ValueError, OverflowError):  # somebody has written it by hand
        return since


def _columns_of_runs() -> tuple[ColumnElement[Any], ...]:
    came_late = _RUN.clock.is_not(None).label("came_late")
    return (*(_RUN[name] for name in _IN_RUN), came_late, _RUN.trigger_type, _RUN.host)


def _newest(asked: FromClause, name: str, place: ColumnElement[bool]) -> FromClause:
    """The newest runs of a job there, each place in the words of an index."""
    return (
        select(*_columns_of_runs())
        .where(_RUN.job_name == asked.c.job_name, has_place(_RUN.started_at), place)
        .order_by(_RUN.started_at.desc())
        .limit(literal_column(str(WATCHED_RUNS)))
        .correlate(asked)
        .subquery(name)
    )


def _new(asked: FromClause) -> FromClause:
    """All runs of a job that began since it was judged."""
    return (
        select(*_columns_of_runs())
        .where(
            _RUN.job_name == asked.c.job_name,
            _RUN.started_at >= asked.c.judged_at,
            has_place(_RUN.started_at),
            _is_of(asked),
        )
        .order_by(_RUN.started_at.desc())
        .limit(literal_column(str(MOST_NEW)))
        .correlate(asked)
        .subquery("new")
    )


def _running(asked: FromClause) -> FromClause:
    """The runs of a job that go on, however many began since."""
    return (
        select(*_columns_of_runs())
        .where(
            OPEN_RUN,
            _RUN.job_name == asked.c.job_name,
            has_place(_RUN.started_at),
            _is_of(asked),
        )
        .order_by(_RUN.started_at.desc())
        .limit(literal_column(str(MOST_NEW)))
        .correlate(asked)
        .subquery("running")
    )


def _runs_from(
    rows: Iterable[Sequence[Any]], time_of: Callable[[Any], datetime | None]
) -> tuple[WatchedRun, ...]:
    """Return runs, the newest first; one whose times nobody can read is passed over."""
    runs = []
    for run_id, status, started, finished, records, refused, late, trigger, host in rows:
        try:
            started_at, finished_at = time_of(started), time_of(finished)
        except (ValueError, OverflowError, TypeError):
            continue
        if started_at is None:
            continue
        number = records if isinstance(records, int) else None
        times = (started_at, finished_at)
        facts = (run_id, status, *times, number, bool(refused), bool(late), trigger, host)
        runs.append(_NEW_RUN(facts))
    runs.sort(key=_STARTED_AT_AND_ID, reverse=True)
    return tuple(runs)


def _note_gap(connection: Connection, gap_after: timedelta) -> tuple[datetime, Gap | None]:
    """Write the gap that ends now, if it is long enough and nobody has written it."""
    now, last = connection.execute(select(db_now(), _LAST_ROUND)).one()
    if last is None:  # since anything is expected
        said = select(func.min(job.c.declared_at, type_=UtcDateTime()))
        last = connection.execute(said.where(job.c.retired_at.is_(None))).scalar()
    if last is None or now - last <= gap_after:
        return now, None
    is_known = exists(select(_ONE).where(monitor_gap.c.began_at == last))
    values = (literal(last, UtcDateTime()), literal(now, UtcDateTime()))
    new = (
        insert(monitor_gap)
        .from_select(
            ["began_at", "ended_at"], select(*values).where(~is_known), include_defaults=False
        )
        .returning(monitor_gap.c.id)
    )
    if connection.execute(new).first() is None:
        return now, None
    return now, Gap(began_at=last, ended_at=now)


def _gaps(connection: Connection) -> tuple[Gap, ...]:
    kept = monitor_gap.c.ended_at > db_now_plus(-KEPT.total_seconds())
    is_past = monitor_gap.c.ended_at <= _SOON
    wanted = select(monitor_gap.c.began_at, monitor_gap.c.ended_at).where(kept, is_past)
    rows = connection.execute(wanted.order_by(monitor_gap.c.began_at))
    return tuple(Gap(began_at=began_at, ended_at=ended_at) for began_at, ended_at in rows)


def _round(connection: Connection, record: MonitorRecord) -> Any:
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as upsert
    else:
        from sqlalchemy.dialects.postgresql import insert as upsert  # type: ignore[assignment]
    values = {
        "kind": record.kind,
        "last_round_at": db_now(),
        "rounds": record.rounds,
        "seconds": record.seconds,
        "version": record.version,
        "report": dict(record.report),
    }
    new = upsert(monitor).values(who=record.who, started_at=record.started_at, **values)
    return new.on_conflict_do_update(
        index_elements=["who"], set_={"started_at": record.started_at, **values}
    )


def _prune(connection: Connection) -> None:
    """Forget rounds and gaps that nobody asks for any more."""
    is_old = monitor.c.last_round_at < db_now_plus(-KEPT.total_seconds())
    is_gone = and_(
        monitor.c.kind == "once", monitor.c.last_round_at < db_now_plus(-ONCE_KEPT.total_seconds())
    )
    connection.execute(delete(monitor).where(or_(is_old, is_gone)))
    old = monitor_gap.c.ended_at < db_now_plus(-KEPT.total_seconds())
    connection.execute(delete(monitor_gap).where(old))
