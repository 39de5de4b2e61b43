"""Everything about one run or one alert, and how the cooldowns of a job stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    func,
    literal,
    select,
    true,
    union_all,
)

from ..._failure.alert import FAILURE_ALERT_TYPE, FAILURE_SOURCE_TYPE
from ..._models import ErrorGroup, RunStatus
from ..._monitor.health import percentile
from ..._monitor.records import (
    AlertDetails,
    AlertRecord,
    CooldownState,
    RunCell,
    RunDetails,
    RunRecord,
    named_owner,
)
from ..schema.clock import db_now
from ..schema.expressions import finite, names_run
from ..schema.tables import alert, alert_cooldown, run_log
from ..schema.types import BIG_ID
from .notes import NoteQueries
from .terms import (
    ALERT_COLUMNS,
    ALERT_PLACE,
    CELL_COLUMNS,
    FAILED_RUN,
    FAILURE_ALERT,
    LARGEST_ID,
    RUN_COLUMNS,
    RUN_PLACE,
    alert_of,
    beyond,
    first_success,
    has_place,
    in_order,
    key_parts,
    keys_of,
    of_job_in,
    readable,
    storable,
)

LOOKS_BACK: Final = 10_000  # runs of a job that are searched for a success
USUAL_RUNS: Final = 30  # the last runs of a job, which show how long they usually take
AROUND: Final = 5  # runs on either side
AROUND_WITHIN: Final = timedelta(hours=1)
# A run that an alert covers began at most so long before it, and so long after it or its window.
COVERED_WITHIN: Final = timedelta(days=7)

_LIFE_NAMES: Final = (
    *("updated_at", "heartbeat_at", "lost_at", "clock"),
    *("lock_holder", "lock_held_until", "lost_after_seconds"),
)
_LIFE: Final = readable(run_log.c[name] for name in _LIFE_NAMES)


class DetailQueries(NoteQueries):
    """The answers about one run and one alert."""

    def run_details(self, run_id: int) -> RunDetails | None:
        """Tell everything about one run; None where there is no such run."""
        if not 0 < run_id <= LARGEST_ID:
            return None
        found = self._rows(
            select(*RUN_COLUMNS, *_LIFE, *ALERT_COLUMNS)
            .outerjoin_from(run_log, alert, alert.c.id == alert_of(run_log))
            .where(run_log.c.id == run_id)
        )
        if not found:
            return None
        run = RunRecord(*found[0][: len(RUN_COLUMNS)])
        life = dict(zip(_LIFE_NAMES, found[0][len(RUN_COLUMNS) :], strict=False))
        its_alert = found[0][len(RUN_COLUMNS) + len(_LIFE) :]
        beside = self._beside(run)
        failures_in_row, failing_since = self._streak(run, beside.get("previous_success"))
        changed = None
        if failing_since is not None:
            success = beside.get("previous_success")
            changed = self._what_changed(of_run(run), failing_since.id, success)
        cooldowns: Sequence[CooldownState] = []
        if run.error_group is not None:
            groups = [ErrorGroup(run.error_group)]
            cooldowns = self._cooldowns(run.job_name, groups, run.environment)
        return RunDetails(
            run=run,
            **life,
            holder_run_id=self._holder(life["lock_holder"]),
            alert=None if its_alert[0] is None else AlertRecord(*its_alert),
            cooldown=cooldowns[0] if cooldowns else None,
            previous_success=beside.get("previous_success"),
            recovered=beside.get("recovered"),
            before=beside.get("before"),
            after=beside.get("after"),
            around=self._around(run),
            failures_in_row=failures_in_row,
            failing_since=failing_since,
            usual_seconds=self._usual_seconds(run),
            note=self.run_notes([run.id]).get(run.id),
            changed=changed,
        )

    def run_id_of(self, run_key: UUID) -> int | None:
        """Find a run by the key that its client made; None where there is no such run."""
        rows = self._rows(select(run_log.c.id).where(run_log.c.run_key == run_key))
        return int(rows[0][0]) if rows else None

    def statuses_of(self, run_keys: Sequence[UUID]) -> Mapping[UUID, str]:
        """Return the status of each of these runs that has a row, in one statement."""
        if not run_keys:
            return {}
        asked = select(run_log.c.run_key, run_log.c.status).where(run_log.c.run_key.in_(run_keys))
        return dict(map(tuple, self._rows(asked)))

    def alert_details(self, alert_id: int, *, limit: int = 20) -> AlertDetails | None:
        """Tell everything about one alert; None where there is no such alert."""
        if not 0 < alert_id <= LARGEST_ID:
            return None
        found = self._rows(select(*ALERT_COLUMNS).where(alert.c.id == alert_id))
        if not found:
            return None
        record = AlertRecord(*found[0])
        raised_by = self._raiser(record)
        is_failure = (record.source_type, record.alert_type) == (
            FAILURE_SOURCE_TYPE,
            FAILURE_ALERT_TYPE,
        )
        key = key_parts(record.source_id) if is_failure else None
        if key is None or record.created_at is None:
            return AlertDetails(record, raised_by, 0, ())
        run_id = None if raised_by is None else raised_by.id
        seconds = None if raised_by is None else raised_by.cooldown_seconds
        raised = _Raised(*key[:2], record.id, record.created_at, run_id, seconds)
        covered = _covered_by(raised)
        [(count,)] = self._rows(select(func.count()).select_from(run_log).where(covered))
        newest = in_order(select(*RUN_COLUMNS).where(covered), RUN_PLACE, ascending=False)
        runs = self._rows(newest.limit(limit)) if count else []
        return AlertDetails(record, raised_by, count, tuple(RunRecord(*run) for run in runs))

    def cooldowns(self, job_name: str, environment: str | None = None) -> Sequence[CooldownState]:
        """Tell for each group of a job that ever alerted how its cooldown stands."""
        return self._cooldowns(job_name, ErrorGroup, environment)

    def _beside(self, run: RunRecord) -> Mapping[str, RunCell]:
        """Find the runs of the same job that matter to one run, by what they are to it."""
        if run.started_at is None or run.job_name is None:
            return {}
        earlier, later = (
            and_(of_run(run), beyond(RUN_PLACE, run.started_at, run.id, ascending=up))
            for up in (False, True)
        )
        cells = select(*CELL_COLUMNS)
        wanted = {
            "previous_success": first_success(earlier, ascending=False, within=LOOKS_BACK),
            "recovered": first_success(later, ascending=True, within=LOOKS_BACK),
            "before": in_order(cells.where(earlier), RUN_PLACE, ascending=False).limit(1),
            "after": in_order(cells.where(later), RUN_PLACE, ascending=True).limit(1),
        }
        parts = [
            select(literal(what, Text()), *query.subquery(what).c) for what, query in wanted.items()
        ]
        return {what: RunCell(*cell) for what, *cell in self._rows(union_all(*parts))}

    def _streak(self, run: RunRecord, success: RunCell | None) -> tuple[int, RunCell | None]:
        """Count the failures since the last success up to a failed run, and find the first."""
        if run.status != RunStatus.FAILED or run.refused or run.started_at is None:
            return 0, None
        failures = select(*CELL_COLUMNS).where(
            FAILED_RUN,
            of_run(run),
            ~beyond(RUN_PLACE, run.started_at, run.id, ascending=True),
        )
        if success is not None:
            failures = failures.where(
                beyond(RUN_PLACE, success.started_at, success.id, ascending=True)
            )
        newest = in_order(failures, RUN_PLACE, ascending=False).limit(LOOKS_BACK).subquery()
        place = [newest.c[column.name] for column in RUN_PLACE]
        first = in_order(select(func.count().over(), *newest.c), place, ascending=True).limit(1)
        rows = self._rows(first)
        return (rows[0][0], RunCell(*rows[0][1:])) if rows else (0, None)

    def _usual_seconds(self, run: RunRecord) -> float | None:
        """Return the 95th percentile of the last runs of a job, of which one is open."""
        if run.status != RunStatus.RUNNING or run.job_name is None:
            return None
        last = select(*CELL_COLUMNS).where(of_run(run))
        rows = self._rows(in_order(last, RUN_PLACE, ascending=False).limit(USUAL_RUNS))
        took = (RunCell(*row).seconds for row in rows)
        return percentile(sorted(one for one in took if one is not None), 95)

    def _around(self, run: RunRecord) -> tuple[RunRecord, ...]:
        """List what else began at about the time of a run, the newest first."""
        if run.started_at is None:
            return ()
        later, earlier = (
            select(*RUN_COLUMNS).where(
                beyond(RUN_PLACE, run.started_at, run.id, ascending=ascending),
                run_log.c.started_at >= run.started_at - AROUND_WITHIN,
                run_log.c.started_at <= run.started_at + AROUND_WITHIN,
            )
            for ascending in (True, False)
        )
        either = union_all(
            select(in_order(later, RUN_PLACE, ascending=True).limit(AROUND).subquery()),
            select(in_order(earlier, RUN_PLACE, ascending=False).limit(AROUND).subquery()),
        ).subquery()
        place = [either.c[column.name] for column in RUN_PLACE]
        rows = self._rows(in_order(select(either), place, ascending=False))
        return tuple(RunRecord(*row) for row in rows)

    def _holder(self, lock_holder: str | None) -> int | None:
        """Find the run that held the lock of a refused start."""
        owner = named_owner(lock_holder)
        return None if owner is None else self.run_id_of(owner.key)

    def _raiser(self, record: AlertRecord) -> RunRecord | None:
        """Find the run that raised an alert: its detail names it."""
        detail = record.detail if isinstance(record.detail, dict) else {}
        run_id = detail.get("run_id")
        if not isinstance(run_id, int) or not 0 < run_id <= LARGEST_ID:
            return None
        rows = self._rows(select(*RUN_COLUMNS).where(run_log.c.id == run_id))
        return RunRecord(*rows[0]) if rows else None

    def _cooldowns(
        self, job_name: str, groups: Iterable[ErrorGroup], environment: str | None
    ) -> list[CooldownState]:
        newest = [
            (_Raised(job_name, ErrorGroup(group), *raised), detail, guarded_at, now)
            for group, *raised, detail, guarded_at, now in self._newest_alerts(
                job_name, frozenset(groups), environment
            )
        ]
        if not newest:
            return []
        counts = union_all(
            *(
                select(literal(raised.alert_id, BIG_ID), func.count())
                .select_from(run_log)
                .where(_covered_by(raised))
                for raised, *_ in newest
            )
        )
        covered = dict(tuple(row) for row in self._rows(counts))
        states = []
        for raised, detail, guarded_at, now in newest:
            # Deleting an alert by hand does not reopen its window: the guard remembers.
            ends_at = max(raised.alerted_at, guarded_at or raised.alerted_at) + raised.window
            states.append(
                CooldownState(
                    error_group=raised.error_group,
                    alert_id=raised.alert_id,
                    alerted_at=raised.alerted_at,
                    quiet_until=ends_at if ends_at > now else None,
                    covered=covered[raised.alert_id],
                    raised_by=raised.run_id,
                    by_reason=_is_by_reason(detail),
                )
            )
        return sorted(states, key=lambda state: (state.alerted_at, state.alert_id), reverse=True)

    def _newest_alerts(
        self, job_name: str, groups: frozenset[ErrorGroup], environment: str | None
    ) -> Sequence[Any]:
        """Read the newest alert of each key, with what its guard and its run remember."""
        newest = union_all(
            *(
                select(
                    in_order(
                        select(
                            literal(group.value, Text()).label("error_group"),
                            alert.c.id,
                            alert.c.created_at,
                            alert.c.detail,
                            alert.c.source_id,
                        ).where(
                            FAILURE_ALERT,
                            alert.c.source_id == key,
                            has_place(alert.c.created_at),
                        ),
                        ALERT_PLACE,
                        ascending=False,
                    )
                    .limit(1)
                    .subquery()
                )
                for key, group in keys_of(job_name, environment).items()
                if group in groups
            )
        ).subquery("newest")
        guard = alert_cooldown.c
        its_guard = and_(
            guard.source_type == FAILURE_SOURCE_TYPE,
            guard.source_id == newest.c.source_id,
            guard.alert_type == FAILURE_ALERT_TYPE,
        )
        its_run = names_run(newest.c.detail, run_log.c.id)
        return self._rows(
            select(
                newest.c.error_group,
                newest.c.id,
                newest.c.created_at,
                run_log.c.id,
                run_log.c.cooldown_seconds,
                newest.c.detail,
                finite(guard.last_alert_at),
                db_now(),
            ).select_from(newest.outerjoin(run_log, its_run).outerjoin(alert_cooldown, its_guard))
        )


def of_run(run: RunRecord) -> ColumnElement[bool]:
    """The runs of the same job in the same environment."""
    return of_job_in(run.job_name, run.environment)


def _is_by_reason(detail: object) -> bool:
    return isinstance(detail, dict) and detail.get("cooldown_by") == "reason"


class _Raised(NamedTuple):
    """A failure alert; the run that raised it, and that run's cooldown, if known."""

    job_name: str
    error_group: ErrorGroup
    alert_id: int
    alerted_at: datetime
    run_id: int | None
    cooldown_seconds: int | None

    @property
    def window(self) -> timedelta:
        return timedelta(seconds=self.cooldown_seconds or 0)


def _covered_by(raised: _Raised) -> ColumnElement[bool]:
    """The failures that an alert covers.

    They are found by job, group and time rather than by an index of their own, which each
    suppressed failure would have to write.
    """
    return and_(
        FAILED_RUN,
        run_log.c.job_name == storable(raised.job_name),
        run_log.c.error_group == raised.error_group.value,
        run_log.c.started_at >= raised.alerted_at - COVERED_WITHIN,
        run_log.c.started_at <= raised.alerted_at + max(raised.window, COVERED_WITHIN),
        run_log.c.covered_by == raised.alert_id,
        # A run that seemed lost, and came back, may be covered by the alert that it raised itself.
        true() if raised.run_id is None else run_log.c.id != raised.run_id,
    )
