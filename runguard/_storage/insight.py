"""What a page, or `show` and `explain`, reads: bounded answers, each from an index.

Plain SELECTs in autocommit, so that a read-only role on a replica will do. A row without a start
(other programs may have written one) has no place in time: it is found by its id alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Select,
    and_,
    cast,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    tuple_,
    union_all,
)

from .._alerting import FAILURE_ALERT_TYPE, FAILURE_SOURCE_TYPE, failure_key
from .._errors import ConfigurationError
from .._models import ErrorGroup
from .._overview import describe, ended_at
from .._records import (
    AlertDetails,
    AlertFilter,
    AlertOrder,
    AlertPage,
    AlertRecord,
    CooldownState,
    Cursor,
    FailureBucket,
    JobOverview,
    LockState,
    RunCell,
    RunDetails,
    RunFilter,
    RunPage,
    RunRecord,
)
from .tables import alert, alert_cooldown, job_lock, run_log
from .types import db_now
from .views import (
    ALERT_COLUMNS,
    FAILED_RUN,
    LARGEST_ID,
    OPEN_RUN,
    RUN_COLUMNS,
    Views,
    storable,
)

LOOKS_BACK: Final = 10_000  # runs of a job that are searched for a success
AROUND: Final = 5  # runs on either side
AROUND_WITHIN: Final = timedelta(hours=1)
# A run that an alert covers began at most so long before it, and so long after it or its window.
COVERED_WITHIN: Final = timedelta(days=7)

_CELL_COLUMNS: Final = tuple(run_log.c[name] for name in RunCell.__slots__)
_ONE: Final[ColumnElement[int]] = literal_column("1")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Insight(Views):
    """The answers to `OperatorInsight`, for both databases."""

    def now(self) -> datetime:
        """Return the database's clock."""
        [(now,)] = self._rows(select(db_now()))
        instant: datetime = now
        return instant

    def overview(self, *, strip: int, job_name: str | None = None) -> Sequence[JobOverview]:
        """Describe every job, or one, by its last `strip` runs."""
        strips = self._strips(strip, job_name)
        alerts = self._open_alerts(job_name)
        running = self._running(job_name)
        successless = [
            name
            for name, cells in strips.items()
            if len(cells) == strip and all(cell.status != "SUCCESS" for cell in cells)
        ]
        successes = {name: self._last_success(name) for name in successless}
        return [
            describe(
                name,
                cells,
                last_success_at=successes.get(name),
                open_alerts=alerts.get(name),
                running=running.get(name, (0, None))[0],
                running_since=running.get(name, (0, None))[1],
            )
            for name, cells in strips.items()
        ]

    def failure_buckets(
        self, *, since: datetime, bucket: timedelta, job_name: str | None = None
    ) -> Sequence[FailureBucket]:
        """Count failures by group in stretches of time; only stretches with failures appear."""
        seconds = round(bucket.total_seconds())
        if seconds < 1 or timedelta(seconds=seconds) != bucket:
            raise ConfigurationError(f"bucket: expected whole seconds, found {bucket}")
        stretch = (
            self._epoch_of(run_log.c.started_at) // literal_column(str(seconds), BigInteger())
        ).label("n")
        query = (
            select(stretch, run_log.c.error_group, func.count())
            .where(FAILED_RUN, run_log.c.started_at >= since)
            .group_by(literal_column("1"), run_log.c.error_group)
            .order_by(literal_column("1"), run_log.c.error_group)
        )
        if job_name is not None:
            query = query.where(run_log.c.job_name == storable(job_name))
        return [
            FailureBucket(_EPOCH + timedelta(seconds=number * seconds), group, failures)
            for number, group, failures in self._rows(query)
        ]

    def run_page(
        self,
        wanted: RunFilter,
        *,
        limit: int,
        older_than: Cursor | None = None,
        newer_than: Cursor | None = None,
    ) -> RunPage:
        """List one page of runs."""
        query = select(*RUN_COLUMNS).where(*_run_conditions(wanted))
        place = (run_log.c.started_at, run_log.c.id)
        rows, older, newer = self._page(
            query, place, limit=limit, ascending=False, onward=older_than, back=newer_than
        )
        runs = tuple(RunRecord(*row) for row in rows)
        return RunPage(runs, older=older, newer=newer)

    def alert_page(
        self,
        wanted: AlertFilter,
        *,
        limit: int,
        order: AlertOrder = AlertOrder.NEWEST,
        following: Cursor | None = None,
        preceding: Cursor | None = None,
    ) -> AlertPage:
        """List one page of alerts."""
        query = select(*ALERT_COLUMNS).where(*self._alert_conditions(wanted))
        place = (alert.c.created_at, alert.c.id)
        rows, onward, back = self._page(
            query,
            place,
            limit=limit,
            ascending=order is AlertOrder.OLDEST,
            onward=following,
            back=preceding,
        )
        alerts = tuple(AlertRecord(*row) for row in rows)
        return AlertPage(alerts, following=onward, preceding=back)

    def run_details(self, run_id: int) -> RunDetails | None:
        """Tell everything about one run."""
        if not 0 < run_id <= LARGEST_ID:
            return None
        life = (run_log.c.updated_at, run_log.c.heartbeat_at, run_log.c.lost_at, run_log.c.clock)
        its_alert = or_(
            alert.c.id == run_log.c.covered_by,
            and_(run_log.c.run_key.is_not(None), alert.c.alert_key == run_log.c.run_key),
        )
        found = self._rows(
            select(*RUN_COLUMNS, *life, *ALERT_COLUMNS)
            .select_from(run_log.outerjoin(alert, its_alert))
            .where(run_log.c.id == run_id)
            # What it raised itself comes first, should another cover it too.
            .order_by((alert.c.alert_key == run_log.c.run_key).desc().nulls_last())
            .limit(1)
        )
        if not found:
            return None
        [row] = found
        width = len(RUN_COLUMNS)
        run = RunRecord(*row[:width])
        updated_at, heartbeat_at, lost_at, clock, *alert_row = row[width:]
        beside = self._beside(run)
        cooldown = None
        if run.error_group is not None:
            states = self._cooldowns(run.job_name, [ErrorGroup(run.error_group)])
            cooldown = states[0] if states else None
        return RunDetails(
            run=run,
            updated_at=updated_at,
            heartbeat_at=heartbeat_at,
            lost_at=lost_at,
            clock=clock,
            alert=None if alert_row[0] is None else AlertRecord(*alert_row),
            cooldown=cooldown,
            previous_success=beside.get("previous_success"),
            recovered=beside.get("recovered"),
            before=beside.get("before"),
            after=beside.get("after"),
            around=self._around(run),
        )

    def alert_details(self, alert_id: int, *, limit: int = 20) -> AlertDetails | None:
        """Tell everything about one alert."""
        if not 0 < alert_id <= LARGEST_ID:
            return None
        query = select(*ALERT_COLUMNS, alert.c.alert_key).where(alert.c.id == alert_id)
        found = self._rows(query)
        if not found:
            return None
        [(*row, alert_key)] = found
        record = AlertRecord(*row)
        raised_by = self._raiser(record, alert_key)
        key = _job_and_group(record.source_type, record.source_id, record.alert_type)
        if key is None:
            return AlertDetails(record, raised_by, 0, ())
        window = timedelta(seconds=(raised_by and raised_by.cooldown_seconds) or 0)
        covered = _covered_by(
            key[0], record.id, alert_key, alerted_at=record.created_at, window=window
        )
        [(count,)] = self._rows(select(func.count()).select_from(run_log).where(covered))
        newest = (
            select(*RUN_COLUMNS)
            .where(covered)
            .order_by(run_log.c.started_at.desc(), run_log.c.id.desc())
            .limit(limit)
        )
        return AlertDetails(
            record, raised_by, count, tuple(RunRecord(*run) for run in self._rows(newest))
        )

    def last_runs(self, job_name: str, *, limit: int) -> Sequence[RunCell]:
        """List a job's last runs for a chart."""
        query = (
            select(*_CELL_COLUMNS)
            .where(run_log.c.job_name == storable(job_name), run_log.c.started_at.is_not(None))
            .order_by(run_log.c.started_at.desc(), run_log.c.id.desc())
            .limit(limit)
        )
        return [RunCell(*row) for row in self._rows(query)]

    def cooldowns(self, job_name: str) -> Sequence[CooldownState]:
        """Tell for each group of a job that ever alerted how its cooldown stands."""
        return self._cooldowns(job_name, list(ErrorGroup))

    def lock_state(self, job_name: str) -> LockState | None:
        """Tell who holds, or last held, the job's lock."""
        held = job_lock.c.lock_expires_at > db_now()
        columns = (job_lock.c[name] for name in LockState.__slots__ if name != "held")
        query = select(*columns, held).where(job_lock.c.job_name == storable(job_name))
        rows = self._rows(query)
        return LockState(*rows[0]) if rows else None

    @property
    def _is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def _epoch_of(self, column: Column[Any]) -> ColumnElement[int]:
        if self._is_sqlite:
            return cast(func.strftime("%s", column), BigInteger)
        return cast(func.floor(func.date_part("epoch", column)), BigInteger)

    def _strips(self, strip: int, job_name: str | None) -> dict[str, list[RunCell]]:
        strips: dict[str, list[RunCell]] = {}
        names = [job_name] if job_name is not None else self.job_names()
        for name in names:
            cells = list(self.last_runs(name, limit=strip))
            if cells or job_name is None:
                strips[name] = cells
        return strips

    def _open_alerts(self, job_name: str | None) -> dict[str, dict[str, int]]:
        """Count unresolved failure alerts by job and severity."""
        query = (
            select(alert.c.source_id, alert.c.severity, func.count())
            .where(_FAILURE_ALERT, alert.c.resolved.is_not(True))
            .group_by(alert.c.source_id, alert.c.severity)
        )
        if job_name is not None:
            query = query.where(alert.c.source_id.in_(_keys_of(job_name)))
        counts: dict[str, dict[str, int]] = {}
        for source_id, severity, count in self._rows(query):
            name, _, group = source_id.rpartition(":")
            if group in ErrorGroup.__members__:
                by_severity = counts.setdefault(name, {})
                by_severity[severity] = by_severity.get(severity, 0) + count
        return counts

    def _running(self, job_name: str | None) -> dict[str, tuple[int, datetime | None]]:
        started_at = run_log.c.started_at
        query = (
            select(run_log.c.job_name, func.count(), func.min(started_at, type_=started_at.type))
            .where(OPEN_RUN)
            .group_by(run_log.c.job_name)
        )
        if job_name is not None:
            query = query.where(run_log.c.job_name == storable(job_name))
        return {name: (count, since) for name, count, since in self._rows(query)}

    def _last_success(self, job_name: str) -> datetime | None:
        query = _first_success(_of_job(job_name), newest=True)
        cells = [RunCell(*row) for row in self._rows(query)]
        return ended_at(cells[0]) if cells else None

    def _page(
        self,
        query: Select[Any],
        place: tuple[Column[Any], Column[Any]],
        *,
        limit: int,
        ascending: bool,
        onward: Cursor | None,
        back: Cursor | None,
    ) -> tuple[list[Any], Cursor | None, Cursor | None]:
        """Read a page, and say where the next and the previous one go on."""
        if onward is not None and back is not None:
            raise ConfigurationError("cursor: expected one direction, found both")
        cursor = onward or back
        upwards = ascending is (back is None)
        if cursor is not None:
            there = tuple_(cursor.instant, cursor.id, types=[column.type for column in place])
            here = tuple_(*place)
            query = query.where(here > there if upwards else here < there)
        order = [column.asc() if upwards else column.desc() for column in place]
        query = query.where(place[0].is_not(None)).order_by(*order)
        # One more than asked for tells whether there is another page.
        rows = list(self._rows(query.add_columns(*place).limit(limit + 1)))
        more = len(rows) > limit
        rows = rows[:limit]
        if back is not None:
            rows.reverse()
        first, last = (Cursor(*rows[0][-2:]), Cursor(*rows[-1][-2:])) if rows else (cursor, cursor)
        shown = [row[:-2] for row in rows]
        if back is not None:
            return shown, last, first if more else None
        return shown, last if more else None, first if onward is not None else None

    def _alert_conditions(self, wanted: AlertFilter) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = []
        groups = list(ErrorGroup) if wanted.error_group is None else [wanted.error_group]
        if wanted.job_name is not None:
            keys = [f"{storable(wanted.job_name)}:{storable(group)}" for group in groups]
            conditions += [_FAILURE_ALERT, alert.c.source_id.in_(keys)]
        elif wanted.error_group is not None:
            conditions += [_FAILURE_ALERT, self._is_of_group(storable(wanted.error_group))]
        for column, value in (
            (alert.c.alert_type, wanted.alert_type),
            (alert.c.severity, wanted.severity),
            (alert.c.review_status, wanted.review_status),
        ):
            if value is not None:
                conditions.append(column == storable(value))
        if wanted.resolved is not None:
            is_resolved = alert.c.resolved.is_(True)
            conditions.append(is_resolved if wanted.resolved else alert.c.resolved.is_not(True))
        return conditions + _between(alert.c.created_at, wanted.since, wanted.until)

    def _is_of_group(self, group: str) -> ColumnElement[bool]:
        if self._is_sqlite:
            return alert.c.source_id.endswith(f":{group}", autoescape=True)
        # In the words of its index.
        in_detail: ColumnElement[str] = literal_column("(alert.detail ->> 'error_group')")
        return in_detail == group

    def _beside(self, run: RunRecord) -> Mapping[str, RunCell]:
        """Find the runs of the same job that matter for one run, by what they are to it."""
        if run.started_at is None:
            return {}
        place = tuple_(run_log.c.started_at, run_log.c.id)
        own = tuple_(run.started_at, run.id, types=[run_log.c.started_at.type, run_log.c.id.type])
        earlier = and_(_of_job(run.job_name), place < own)
        later = and_(_of_job(run.job_name), place > own)
        wanted = {
            "previous_success": _first_success(earlier, newest=True),
            "recovered": _first_success(later, newest=False),
            "before": _runs_in_order(earlier, newest=True).limit(1),
            "after": _runs_in_order(later, newest=False).limit(1),
        }
        parts = [select(literal(what), *query.subquery(what).c) for what, query in wanted.items()]
        return {what: RunCell(*cell) for what, *cell in self._rows(union_all(*parts))}

    def _around(self, run: RunRecord) -> tuple[RunRecord, ...]:
        """List what else began at about the time of a run."""
        if run.started_at is None:
            return ()
        place = tuple_(run_log.c.started_at, run_log.c.id)
        types = [run_log.c.started_at.type, run_log.c.id.type]
        own = tuple_(run.started_at, run.id, types=types)
        before = (
            select(*RUN_COLUMNS)
            .where(place < own, run_log.c.started_at >= run.started_at - AROUND_WITHIN)
            .order_by(run_log.c.started_at.desc(), run_log.c.id.desc())
            .limit(AROUND)
        )
        after = (
            select(*RUN_COLUMNS)
            .where(place > own, run_log.c.started_at <= run.started_at + AROUND_WITHIN)
            .order_by(run_log.c.started_at, run_log.c.id)
            .limit(AROUND)
        )
        later = [RunRecord(*row) for row in self._rows(after)]
        earlier = [RunRecord(*row) for row in self._rows(before)]
        return (*reversed(later), *earlier)

    def _raiser(self, record: AlertRecord, alert_key: Any) -> RunRecord | None:
        """Find the run that raised an alert; other programs name it in the detail, if at all."""
        if alert_key is not None:
            condition: ColumnElement[bool] = run_log.c.run_key == alert_key
        else:
            detail = record.detail if isinstance(record.detail, dict) else {}
            run_id = detail.get("run_id")
            if not isinstance(run_id, int) or not 0 < run_id <= LARGEST_ID:
                return None
            condition = run_log.c.id == run_id
        rows = self._rows(select(*RUN_COLUMNS).where(condition).limit(1))
        return RunRecord(*rows[0]) if rows else None

    def _cooldowns(self, job_name: str, groups: Iterable[ErrorGroup]) -> list[CooldownState]:
        keys = {failure_key(storable(job_name), group): group for group in groups}
        newest = union_all(
            *(
                select(
                    select(
                        literal(str(group)).label("error_group"),
                        alert.c.id,
                        alert.c.created_at,
                        alert.c.alert_key,
                        alert.c.source_id,
                    )
                    .where(_FAILURE_ALERT, alert.c.source_id == key.source_id)
                    .where(alert.c.created_at.is_not(None))
                    .order_by(alert.c.created_at.desc(), alert.c.id.desc())
                    .limit(1)
                    .subquery()
                )
                for key, group in keys.items()
            )
        ).subquery("newest")
        guard = alert_cooldown
        is_guard = and_(
            guard.c.source_type == FAILURE_SOURCE_TYPE,
            guard.c.source_id == newest.c.source_id,
            guard.c.alert_type == FAILURE_ALERT_TYPE,
        )
        query = select(
            newest.c.error_group,
            newest.c.id,
            newest.c.created_at,
            newest.c.alert_key,
            guard.c.last_alert_at,
            run_log.c.cooldown_seconds,
            db_now(),
        ).select_from(
            newest.outerjoin(run_log, run_log.c.run_key == newest.c.alert_key).outerjoin(
                guard, is_guard
            )
        )
        states = []
        for group, alert_id, created_at, alert_key, guarded_at, seconds, now in self._rows(query):
            # Deleting an alert by hand does not reopen its window: the guard remembers.
            last = max(created_at, guarded_at or created_at)
            window = timedelta(seconds=seconds or 0)
            covered = _covered_by(
                job_name, alert_id, alert_key, alerted_at=created_at, window=window
            )
            [(count,)] = self._rows(select(func.count()).select_from(run_log).where(covered))
            quiet_until = last + window
            states.append(
                CooldownState(
                    error_group=group,
                    alert_id=alert_id,
                    alerted_at=created_at,
                    quiet_until=quiet_until if quiet_until > now else None,
                    covered=count,
                )
            )
        return sorted(states, key=lambda state: (state.alerted_at, state.alert_id), reverse=True)


# Literals, not parameters: only so does the planner see that a partial index fits.
_FAILURE_ALERT: Final = and_(
    alert.c.source_type == literal_column(f"'{FAILURE_SOURCE_TYPE}'"),
    alert.c.alert_type == literal_column(f"'{FAILURE_ALERT_TYPE}'"),
)


def _keys_of(job_name: str) -> list[str]:
    return [failure_key(storable(job_name), group).source_id for group in ErrorGroup]


def _job_and_group(source_type: str, source_id: str, alert_type: str) -> tuple[str, str] | None:
    """Tell the job and the group of a failure alert; None for any other alert."""
    name, _, group = (source_id or "").rpartition(":")
    if (source_type, alert_type) != (FAILURE_SOURCE_TYPE, FAILURE_ALERT_TYPE) or not name:
        return None
    return (name, group) if group in ErrorGroup.__members__ else None


def _of_job(job_name: str) -> ColumnElement[bool]:
    return and_(run_log.c.job_name == storable(job_name), run_log.c.started_at.is_not(None))


def _runs_in_order(condition: ColumnElement[bool], *, newest: bool) -> Select[Any]:
    place = (run_log.c.started_at, run_log.c.id)
    order = [column.desc() if newest else column.asc() for column in place]
    return select(*_CELL_COLUMNS).where(condition).order_by(*order)


def _first_success(condition: ColumnElement[bool], *, newest: bool) -> Select[Any]:
    """The first success in that order among so many runs: the search has an end."""
    searched = _runs_in_order(condition, newest=newest).limit(LOOKS_BACK).subquery()
    place = (searched.c.started_at, searched.c.id)
    order = [column.desc() if newest else column.asc() for column in place]
    return select(searched).where(searched.c.status == "SUCCESS").order_by(*order).limit(1)


def _run_conditions(wanted: RunFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.error_group is not None or wanted.status == "FAILED":
        conditions.append(FAILED_RUN)
    if wanted.status == "RUNNING":
        conditions.append(OPEN_RUN)
    for column, value in (
        (run_log.c.job_name, wanted.job_name),
        (run_log.c.status, wanted.status),
        (run_log.c.error_group, wanted.error_group),
        (run_log.c.trigger_type, wanted.trigger_type),
    ):
        if value is not None:
            conditions.append(column == storable(value))
    return conditions + _between(run_log.c.started_at, wanted.since, wanted.until)


def _between(
    column: Column[Any], since: datetime | None, until: datetime | None
) -> list[ColumnElement[bool]]:
    conditions = []
    if since is not None:
        conditions.append(column >= since)
    if until is not None:
        conditions.append(column < until)
    return conditions


def _covered_by(
    job_name: str, alert_id: int, alert_key: Any, *, alerted_at: datetime, window: timedelta
) -> ColumnElement[bool]:
    """The failures that an alert covers.

    They are found by job and time rather than by an index of their own, which each suppressed
    failure would have to write.
    """
    own = true() if alert_key is None else run_log.c.run_key != alert_key
    return and_(
        FAILED_RUN,
        run_log.c.job_name == storable(job_name),
        run_log.c.started_at >= alerted_at - COVERED_WITHIN,
        run_log.c.started_at <= alerted_at + max(window, COVERED_WITHIN),
        run_log.c.covered_by == alert_id,
        own,
    )
