"""Incidents: their state in the guard rows, and what moves it on.

Each change of a state is one compare-and-set on the guard row of the cause, so any number of
processes may settle at once. No run does any of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4, uuid5

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Select,
    Text,
    Update,
    case,
    cast,
    exists,
    func,
    insert,
    literal,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)

from ..._failure.alert import (
    FAILURE_ALERT_TYPE,
    FAILURE_SOURCE_TYPE,
    SEVERITY_OF,
)
from ..._frozen import field_names
from ..._models import ErrorGroup, Severity, named_in
from ..._monitor import incidents as deciding
from ..._monitor import wording
from ..._monitor.incidents import (
    RECOVERED,
    REOPENED,
    SILENCE_ENDED,
    IncidentRun,
    Recovery,
    Settled,
)
from ..._monitor.notices import IncidentRecord, Silence
from ..._monitor.silences import left_failing, matches
from ..retry import Attempt
from ..schema.clock import db_now
from ..schema.expressions import finite
from ..schema.moments import db_now_plus
from ..schema.notice_tables import alert, alert_cooldown
from ..schema.notice_tables import silence as silences
from ..schema.tables import run_log
from ..schema.watch_tables import job
from ..sqlite.transaction import immediate
from .documents import document_of, time_reader
from .foreign import json_object
from .given import given
from .silences import SilenceQueries
from .terms import (
    FAILURE_ALERT,
    LARGEST_ID,
    has_place,
    inserting_into,
    is_in,
    key_parts,
    keys_of,
    speaks_sqlite,
    storable,
)

AT_ONCE: Final = 100  # incidents whose runs are read in one statement
LOOKS_AT: Final = 200  # of a job's newest runs
LOOKS_BACK: Final = timedelta(days=7)  # for a failure that a closing has not seen
BY: Final = "runguard"

_GUARD: Final = alert_cooldown.c
_KEY: Final = (_GUARD.source_type, _GUARD.source_id, _GUARD.alert_type)
_STATE: Final = (
    *(_GUARD.open_alert_id, _GUARD.closed_alert_id, _GUARD.opened_at, _GUARD.closed_at),
    *(_GUARD.reopened, _GUARD.acked_until, _GUARD.acked_by, _GUARD.ack_reason),
)
_NO_ACK: Final = {"acked_until": null(), "acked_by": null(), "ack_reason": null()}
_OF_FAILURES: Final = (
    _GUARD.source_type == literal_column(f"'{FAILURE_SOURCE_TYPE}'"),
    _GUARD.alert_type == literal_column(f"'{FAILURE_ALERT_TYPE}'"),
)
_IN_AN_INCIDENT: Final = frozenset({RECOVERED, REOPENED, SILENCE_ENDED})
_ONE: Final[ColumnElement[int]] = literal_column("1")
_RUN_COLUMNS: Final = tuple(
    finite(run_log.c[name]).label(name) if name.endswith("_at") else run_log.c[name]
    for name in field_names(IncidentRun)
)
_TIMES: Final = tuple(name for name in field_names(IncidentRun) if name.endswith("_at"))
_NAMES: Final = UUID("5a3c2f0e-6f0b-4a6e-9d5c-0b8f2f4d7a11")  # of alerts that come once


class IncidentQueries(SilenceQueries):
    """What operators read and do about incidents, and what settles them."""

    def open_incidents(self) -> Sequence[IncidentRecord]:
        """Return the incidents that are open, the oldest first."""
        wanted = _guards(_GUARD.open_alert_id.is_not(None)).order_by(_GUARD.open_alert_id)
        return [_record(row) for row in self._rows(wanted)]

    def incident_of(self, alert_id: int) -> IncidentRecord | None:
        """Return the incident of an alert, open or closed; None where it has none."""
        if not 0 < alert_id <= LARGEST_ID:
            return None
        first = (
            select(func.coalesce(alert.c.incident, alert.c.id))
            .where(alert.c.id == alert_id)
            .scalar_subquery()
        )
        its = or_(_GUARD.open_alert_id == first, _GUARD.closed_alert_id == first)
        return next((_record(row) for row in self._rows(_guards(its))), None)

    def acknowledge(
        self, alert_id: int, *, until: datetime, by: str, reason: str
    ) -> IncidentRecord | None:
        """Keep the reminders of an alert's incident back, which is open or about to be.

        Returns None where there is none: it has recovered, or nobody is reminded of such an alert.
        """
        values = {"acked_until": until, "acked_by": storable(by), "ack_reason": storable(reason)}
        return self._acked(alert_id, values)

    def unacknowledge(self, alert_id: int, *, by: str) -> IncidentRecord | None:  # noqa: ARG002
        """Let the reminders of an alert's open incident go out again."""
        return self._acked(alert_id, _NO_ACK)

    def _acked(self, alert_id: int, values: Mapping[str, Any]) -> IncidentRecord | None:
        found = self.incident_of(alert_id)
        is_open = found is not None and found.closed_at is None
        if not is_open:
            found = self.incident_about_to_open(alert_id)
        if found is None:
            return None
        state = _GUARD.open_alert_id == found.id if is_open else _GUARD.open_alert_id.is_(None)
        change = update(alert_cooldown).where(*_is_key(found), state).values(**values)
        rows = self._rows(change.returning(_GUARD.acked_until, _GUARD.acked_by, _GUARD.ack_reason))
        return next((replace(found, **row._mapping) for row in rows), None)

    def incident_about_to_open(self, alert_id: int) -> IncidentRecord | None:
        """Return the incident that a failure alert opens when it is dispatched."""
        if not 0 < alert_id <= LARGEST_ID:
            return None
        acks = (_GUARD.acked_until, _GUARD.acked_by, _GUARD.ack_reason)
        its_key = (alert.c[column.name] == column for column in _KEY)
        waiting = select(alert.c.id, alert.c.created_at.label("opened_at"), *_KEY, *acks).where(
            alert.c.id == alert_id,
            alert.c.dispatch == literal_column("'pending'"),
            FAILURE_ALERT,
            _GUARD.open_alert_id.is_(None),
            *its_key,
        )
        return next((IncidentRecord(**row._mapping) for row in self._rows(waiting)), None)

    def settle_incidents(
        self,
        job_names: Sequence[str] | None = None,
        *,
        environment: str | None = None,
        auto_resolve: bool = True,
    ) -> Sequence[Settled]:
        """Close incidents that are over, reopen those that fail again, tell of ended silences.

        Args:
            job_names: The jobs to look at; all where None.
            environment: That of these jobs.
            auto_resolve: Whether the alerts of an incident that is over are marked resolved.

        Returns:
            What was told, as alerts that wait for their dispatch.
        """
        causes = self._causes(job_names, environment)
        moved = self._have_moved() if causes else frozenset()
        moving = [cause for cause in causes if cause.incident.id in moved]
        settled: list[Settled] = []
        over: set[int] = set()
        for begin in range(0, len(moving), AT_ONCE):
            reopened, recovered = self._decided(moving[begin : begin + AT_ONCE])
            for cause, relapse in reopened:
                settled += self._reopened(cause, relapse)
            closed = []
            for cause, recovery, failures in recovered:
                if told := self._closed(cause, recovery, failures, auto_resolve=auto_resolve):
                    settled += told
                    closed.append(cause)
            self._end_silences_of(closed)
            over.update(cause.incident.id for cause in closed)
        still_open = [
            cause
            for cause in causes
            if cause.incident.closed_at is None
            and cause.incident.id not in over
            and not _is_acked(cause)
        ]
        return [*settled, *self._still_failing(still_open)]

    def _decided(
        self, causes: Sequence[_Cause]
    ) -> tuple[list[tuple[_Cause, IncidentRun]], list[tuple[_Cause, Recovery, int]]]:
        """Decide which incidents have come back, and which are over after how many failures."""
        reopened: list[tuple[_Cause, IncidentRun]] = []
        recovered: list[tuple[_Cause, Recovery]] = []
        for cause, seen in zip(causes, self._seen_of(causes), strict=True):
            if (closed_at := cause.incident.closed_at) is not None:
                relapse = deciding.relapse_of(cause.error_group, seen.runs, closed_at=closed_at)
                reopened += [] if relapse is None else [(cause, relapse)]
                continue
            recovery = deciding.recovery_of(
                cause.incident,
                cause.error_group,
                seen.runs,
                alerted_run=seen.alerted_run,
                now=cause.now,
            )
            recovered += [] if recovery is None else [(cause, recovery)]
        failures = self._count_failures([cause for cause, _ in recovered])
        counted = zip(recovered, failures, strict=True)
        return reopened, [(cause, recovery, count) for (cause, recovery), count in counted]

    def _causes(self, job_names: Sequence[str] | None, environment: str | None) -> list[_Cause]:
        """Read the incidents that are open, and those that may come back."""
        lately = db_now_plus(literal(-deciding.REOPENS_WITHIN.total_seconds()))
        may_come_back = (_GUARD.closed_alert_id.is_not(None)) & (_GUARD.closed_at > lately)
        wanted = _guards(or_(_GUARD.open_alert_id.is_not(None), may_come_back), *_OF_FAILURES)
        if job_names is not None:
            keys = [key for name in job_names for key in keys_of(name, environment)]
            wanted = wanted.where(_GUARD.source_id.in_(keys))
        causes = []
        for row in self._rows(wanted.add_columns(db_now().label("now"))):
            named = key_parts(row.source_id)
            if named is not None:
                causes.append(_Cause(_record(row), *named, row.now))
        return causes

    def _have_moved(self) -> frozenset[int]:
        """Return those whose jobs have since had what may close or reopen them: one statement.

        Hundreds may be open of one cause, and few of their jobs have run again.
        """
        is_open = _GUARD.open_alert_id.is_not(None)

        def has(name: str, *its_runs: ColumnElement[bool]) -> ColumnElement[bool]:
            newest = (
                select(run_log.c.status, run_log.c.finished_at)
                .where(*its_runs)
                .order_by(run_log.c.started_at.desc())
                .limit(LOOKS_AT)
                .correlate(alert_cooldown)
                .subquery(name)
            )
            closes = (newest.c.status == "SUCCESS") & (newest.c.finished_at >= _GUARD.opened_at)
            reopens = (newest.c.status == "FAILED") & (newest.c.finished_at >= _GUARD.closed_at)
            return (
                select(_ONE)
                .select_from(newest)
                .where(case((is_open, closes), else_=reopens))
                .correlate(alert_cooldown)
                .exists()
            )

        # Two questions, so that each finds its runs by an index.
        job_name, environment = _whose(_GUARD.source_id, self.engine)
        its_job = run_log.c.job_name == job_name
        moved = case(
            (environment.is_(None), has("newest", its_job, is_in(None))),
            else_=has("newest_there", its_job, run_log.c.environment == environment),
        )
        lately = db_now_plus(literal(-deciding.REOPENS_WITHIN.total_seconds()))
        may_come_back = (_GUARD.closed_alert_id.is_not(None)) & (_GUARD.closed_at > lately)
        wanted = select(func.coalesce(_GUARD.open_alert_id, _GUARD.closed_alert_id)).where(
            or_(is_open, may_come_back), *_OF_FAILURES, or_(_GUARD.opened_at.is_(None), moved)
        )
        return frozenset(incident for (incident,) in self._rows(wanted))

    def _seen_of(self, causes: Sequence[_Cause]) -> list[_Seen]:
        """Read what decides on incidents, in a few statements for all of them."""

        def work(attempt: Attempt) -> list[_Seen]:
            runs = self._runs_of(attempt.connection, causes)
            alerted = _alerted_runs(attempt.connection, [one.incident.id for one in causes])
            return [
                _Seen(
                    runs.get((one.job_name, one.environment or ""), []),
                    alerted.get(one.incident.id),
                )
                for one in causes
            ]

        return self._read(work)

    def _runs_of(
        self, connection: Connection, causes: Sequence[_Cause]
    ) -> dict[tuple[str, str], list[IncidentRun]]:
        """Read the newest runs of each job there."""
        jobs = sorted({one.whose for one in causes})
        columns = {
            job.c.job_name: [name for name, _ in jobs],
            job.c.environment: [environment for _, environment in jobs],
        }
        asked = given(connection, "asked", columns)

        def newest(name: str, place: ColumnElement[bool]) -> ColumnElement[str]:
            its_job = run_log.c.job_name == asked.c.job_name
            runs = (
                select(*(run_log.c[name] for name in field_names(IncidentRun)))
                .where(its_job, place, has_place(run_log.c.started_at))
                .order_by(run_log.c.started_at.desc())
                .limit(literal_column(str(LOOKS_AT)))
                .correlate(asked)
                .subquery(name)
            )
            return document_of(runs, self.engine)

        # Two questions, so that each finds its runs by an index.
        document = case(
            (asked.c.environment == literal_column("''"), newest("newest", is_in(None))),
            else_=newest("newest_there", run_log.c.environment == asked.c.environment),
        )
        read = time_reader(self.engine)
        rows = connection.execute(select(asked.c.job_name, asked.c.environment, document))
        return {(name, there): [*_runs_in(text, read)] for name, there, text in rows}

    def _closed(
        self, cause: _Cause, recovery: Recovery, failures: int, *, auto_resolve: bool
    ) -> list[Settled]:
        """Close an incident, unless another process has, or its cause has failed meanwhile."""
        incident = cause.incident
        newer_failure = exists(
            select(_ONE).where(
                *_failures_of(cause),
                run_log.c.finished_at > recovery.failed_at,
                run_log.c.started_at > recovery.failed_at - LOOKS_BACK,
            )
        )
        change = (
            update(alert_cooldown)
            .where(*_is_key(incident), _GUARD.open_alert_id == incident.id, ~newer_failure)
            .values(
                open_alert_id=null(),
                closed_alert_id=_GUARD.open_alert_id,
                closed_at=db_now(),
                **_NO_ACK,
            )
        )
        down = deciding.down_time(incident, recovery)
        told = _alert_values(
            cause,
            RECOVERED,
            severity=Severity.LOW,
            title=deciding.recovered_title(cause.name, down),
            message=deciding.recovered_message(recovery, failures),
            detail=_detail(cause)
            | deciding.recovered_detail(
                incident, cause.job_name, cause.error_group, recovery, failures
            ),
        ) | {"resolved": true(), "resolved_at": db_now(), "resolved_by": BY}
        resolved = {"resolved": true(), "resolved_at": db_now(), "resolved_by": BY}
        resolve = (
            update(alert)
            .where(_in_incident(incident.id), alert.c.resolved.is_not(True))
            .values(resolved)
        )
        return self._change_state(cause, RECOVERED, change, told, resolve if auto_resolve else None)

    def _reopened(self, cause: _Cause, relapse: IncidentRun) -> list[Settled]:
        """Reopen an incident whose cause fails again while the cooldown keeps it from alerting."""
        incident = cause.incident
        change = (
            update(alert_cooldown)
            .where(
                *_is_key(incident),
                _GUARD.open_alert_id.is_(None),
                _GUARD.closed_alert_id == incident.id,
                _GUARD.closed_at == incident.closed_at,
            )
            .values(
                open_alert_id=_GUARD.closed_alert_id,
                reopened=func.coalesce(_GUARD.reopened, literal_column("0")) + _ONE,
                closed_alert_id=null(),
                closed_at=null(),
                **_NO_ACK,
            )
        )
        detail = {"failed_again_in_run": relapse.id}
        told = _alert_values(
            cause,
            REOPENED,
            severity=SEVERITY_OF[cause.error_group],
            title=f"{cause.name} fails again",
            message=f"run {relapse.id} failed after the recovery was told; the cooldown kept its"
            " alert back",
            detail=_detail(cause) | detail,
        )
        return self._change_state(cause, REOPENED, change, told, None)

    def _change_state(
        self,
        cause: _Cause,
        alert_type: str,
        change: Update,
        told: Mapping[str, Any],
        resolve: Update | None,
    ) -> list[Settled]:
        """Change a guard row, and only with it write the alert and resolve others."""

        def in_steps(connection: Connection) -> int | None:
            if not connection.execute(change.returning(_GUARD.source_id)).all():
                return None
            if resolve is not None:
                connection.execute(resolve)
            new = insert(alert).values(told).returning(alert.c.id)
            alert_id: int = connection.execute(new).scalar_one()
            return alert_id

        def work(attempt: Attempt) -> int | None:
            if not speaks_sqlite(self.engine):
                whole = _in_one_statement(change, told, resolve)
                found: int | None = attempt.connection.execute(whole).scalar_one_or_none()
                return found
            with immediate(attempt.connection):
                return in_steps(attempt.connection)

        alert_id = self._read(work)
        return [] if alert_id is None else [Settled(cause.incident, alert_id, alert_type)]

    def _count_failures(self, causes: Sequence[_Cause]) -> list[int]:
        """Count how often each has failed since it opened; at least once."""
        if not causes:
            return []
        opened = [one.incident.opened_at for one in causes]
        columns: dict[Column[Any], Sequence[Any]] = {
            alert.c.id: [one.incident.id for one in causes],
            run_log.c.job_name: [one.job_name for one in causes],
            run_log.c.environment: [one.environment for one in causes],
            run_log.c.error_group: [one.error_group.value for one in causes],
            run_log.c.finished_at: [at - deciding.BEFORE_OPENING for at in opened],
            run_log.c.started_at: [at - LOOKS_BACK for at in opened],
        }

        def work(attempt: Attempt) -> dict[int, int]:
            asked = given(attempt.connection, "asked", columns)

            def number(place: ColumnElement[bool]) -> ColumnElement[int]:
                failures = select(func.count()).where(
                    run_log.c.job_name == asked.c.job_name,
                    place,
                    run_log.c.status == literal_column("'FAILED'"),
                    run_log.c.error_group == asked.c.error_group,
                    run_log.c.finished_at >= asked.c.finished_at,
                    run_log.c.started_at >= asked.c.started_at,
                )
                return failures.correlate(asked).scalar_subquery()

            counted = case(
                (asked.c.environment.is_(None), number(is_in(None))),
                else_=number(run_log.c.environment == asked.c.environment),
            )
            rows = attempt.connection.execute(select(asked.c.id, counted))
            return {row[0]: row[1] for row in rows}

        numbers = self._read(work)
        return [max(1, numbers.get(one.incident.id, 1)) for one in causes]

    def _end_silences_of(self, closed: Sequence[_Cause]) -> None:
        """End the silences that were wanted until these causes recover, here and elsewhere."""
        if not closed:
            return
        for one in self.silences(active_at=closed[0].now):
            if not one.until_recovered:
                continue
            its = [cause for cause in closed if _is_matched(one, cause)]
            if any(not self._still_matches_elsewhere(one, cause) for cause in its):
                self.end_silence(one.id, by=BY)

    def _still_matches_elsewhere(self, silence: Silence, cause: _Cause) -> bool:
        return any(_is_matched(silence, other) for other in self._elsewhere(cause))

    def _elsewhere(self, cause: _Cause) -> Iterator[_Cause]:
        """Yield what is open of a job of the same name in other environments."""
        for incident in self.open_incidents():
            named = key_parts(incident.source_id)
            if named is None or named.job_name != cause.job_name:
                continue
            if named.environment != cause.environment:
                yield _Cause(incident, *named, cause.now)

    def _still_failing(self, causes: Sequence[_Cause]) -> Iterator[Settled]:
        """Tell once of each open incident that a silence muted until it ended."""
        if not causes:
            return
        left = {
            key_of_telling(silence, cause.incident.id): (silence, cause)
            for silence in self._ended_lately()
            for cause in causes
            if left_failing(
                silence,
                cause.incident,
                cause.job_name,
                cause.error_group,
                environment=cause.environment,
            )
        }
        known = self._known_of([*left])
        for key, (silence, cause) in left.items():
            if key not in known:
                yield from self._tell_of_silence(silence, cause, key)

    def _ended_lately(self) -> Sequence[Silence]:
        """Return the silences that ended within a day, and have muted something."""
        lately = db_now_plus(literal(-deciding.REOPENS_WITHIN.total_seconds()))
        ended_at = func.coalesce(silences.c.ended_at, silences.c.ends_at)
        return self._silences(
            silences.c.matched > literal_column("0"), ended_at > lately, ended_at <= db_now()
        )

    def _known_of(self, keys: Sequence[UUID]) -> frozenset[UUID]:
        """Return those that alerts have: an insert that meets one takes an id all the same."""
        if not keys:
            return frozenset()
        known = select(alert.c.alert_key).where(alert.c.alert_key.in_(keys))
        return frozenset(key for (key,) in self._rows(known))

    def _tell_of_silence(self, silence: Silence, cause: _Cause, key: UUID) -> Iterator[Settled]:
        told = _alert_values(
            cause,
            SILENCE_ENDED,
            severity=SEVERITY_OF[cause.error_group],
            title=f"silence {silence.id} ended; {cause.name} still fails",
            message=f"it has been failing since {wording.utc(cause.incident.opened_at)};"
            f" the silence was set by {silence.created_by}: {silence.reason}",
            detail=_detail(cause) | {"silence": silence.id},
        )
        yield from self._told_once(cause.incident, told | {"alert_key": key})

    def _told_once(self, incident: IncidentRecord, told: Mapping[str, Any]) -> Iterator[Settled]:
        """Write an alert, unless one with its key is there."""
        once = inserting_into(alert, is_sqlite=speaks_sqlite(self.engine)).values(told)
        for (alert_id,) in self._rows(once.returning(alert.c.id)):
            yield Settled(incident, alert_id, str(told["alert_type"]))


def key_of_telling(silence: Silence, incident: int) -> UUID:
    """Return the key of the alert that tells of a silence's end, once for each incident."""
    return uuid5(_NAMES, f"{silence.id}:{incident}")


class _Cause(NamedTuple):
    """An incident, whose it is, and the database's clock when it was read."""

    incident: IncidentRecord
    job_name: str
    error_group: ErrorGroup
    environment: str | None
    now: datetime

    @property
    def whose(self) -> tuple[str, str]:
        """The job, and its environment or an empty text, as in the table of jobs."""
        return self.job_name, self.environment or ""

    @property
    def name(self) -> str:
        """What people call the job."""
        return named_in(self.job_name, self.environment)


class _Seen(NamedTuple):
    """What decides on an incident: the job's newest runs, and that of its newest failure alert."""

    runs: Sequence[IncidentRun]
    alerted_run: IncidentRun | None


def _runs_in(
    document: str | None, time_of: Callable[[Any], datetime | None]
) -> Iterator[IncidentRun]:
    """Read runs; one whose times nobody can read is passed over."""
    for row in json.loads(document or "[]"):
        known = dict(zip(field_names(IncidentRun), row, strict=True))
        with suppress(ValueError, OverflowError, TypeError):
            yield IncidentRun(**known | {name: time_of(known[name]) for name in _TIMES})


def _alerted_runs(connection: Connection, incidents: Sequence[int]) -> dict[int, IncidentRun]:
    """Read the run of each incident's newest failure alert."""
    asked = given(connection, "asked", {alert.c.incident: incidents})
    its = union_all(
        *(
            select(asked.c.incident.label("its_incident"), alert.c.id)
            .join_from(asked, alert, number == asked.c.incident)
            .where(alert.c.alert_type == FAILURE_ALERT_TYPE)
            for number in (alert.c.id, alert.c.incident)  # each by its own index
        )
    ).subquery("its")
    newest = (
        select(its.c.its_incident, func.max(its.c.id).label("id"))
        .group_by(its.c.its_incident)
        .subquery("newest")
    )
    details = select(newest.c.its_incident, cast(alert.c.detail, Text)).join_from(
        newest, alert, alert.c.id == newest.c.id
    )
    run_ids = {
        incident: run_id
        for incident, text in connection.execute(details)
        if isinstance(run_id := json_object(text).get("run_id"), int) and 0 < run_id <= LARGEST_ID
    }
    if not run_ids:
        return {}
    asked = given(connection, "asked", {run_log.c.id: sorted({*run_ids.values()})})
    query = select(*_RUN_COLUMNS).join_from(asked, run_log, run_log.c.id == asked.c.id)
    found = connection.execute(query.where(has_place(run_log.c.started_at)))
    runs = {row.id: IncidentRun(**row._mapping) for row in found}
    return {incident: runs[one] for incident, one in run_ids.items() if one in runs}


def _is_matched(silence: Silence, cause: _Cause) -> bool:
    return matches(
        silence,
        cause.job_name,
        error_group=cause.error_group,
        alert_type=cause.incident.alert_type,
        environment=cause.environment,
    )


def _is_acked(cause: _Cause) -> bool:
    until = cause.incident.acked_until
    return until is not None and until > cause.now


def _guards(*wanted: Any) -> Select[Any]:
    return select(*_KEY, *_STATE).where(*wanted)


def _record(row: Any) -> IncidentRecord:
    is_open = row.open_alert_id is not None
    return IncidentRecord(
        id=row.open_alert_id if is_open else row.closed_alert_id,
        source_type=row.source_type,
        source_id=row.source_id,
        alert_type=row.alert_type,
        opened_at=row.opened_at or row.closed_at,
        closed_at=None if is_open else row.closed_at,
        reopened=row.reopened or 0,
        acked_until=row.acked_until,
        acked_by=row.acked_by,
        ack_reason=row.ack_reason,
    )


def _is_key(of: Any) -> tuple[Any, ...]:
    return tuple(column == getattr(of, column.name) for column in _KEY)


def _in_incident(incident: int) -> Any:
    return or_(alert.c.id == incident, alert.c.incident == incident)


def _runs_where(cause: _Cause) -> tuple[Any, ...]:
    return run_log.c.job_name == cause.job_name, is_in(cause.environment)


def _failures_of(cause: _Cause) -> tuple[Any, ...]:
    return (
        *_runs_where(cause),
        run_log.c.status == literal_column("'FAILED'"),
        run_log.c.error_group == cause.error_group.value,
    )


def _detail(cause: _Cause) -> dict[str, Any]:
    environment = {} if cause.environment is None else {"environment": cause.environment}
    return {
        "job_name": cause.job_name,
        **environment,
        "error_group": cause.error_group.value,
        "incident": cause.incident.id,
        "failing_since": cause.incident.opened_at.isoformat(),
    }


def _alert_values(
    cause: _Cause,
    alert_type: str,
    *,
    severity: Severity,
    title: str,
    message: str,
    detail: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "source_type": cause.incident.source_type,
        "source_id": cause.incident.source_id,
        "alert_type": alert_type,
        "severity": severity.value,
        "title": title,
        "message": message,
        "detail": dict(detail),
        "review_status": "AUTO",
        "resolved": literal_column("false"),
        "created_at": db_now(),
        "alert_key": uuid4(),
        "incident": cause.incident.id,
        **({} if cause.environment is None else {"environment": cause.environment}),
    }


def _whose(
    source_id: ColumnElement[Any], engine: Engine
) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """The job and the environment in the key of a failure alert, before its group and after it."""
    place_in = func.instr if speaks_sqlite(engine) else func.strpos
    length = func.length(source_id)
    names: dict[ColumnElement[bool], ColumnElement[Any]] = {}
    environments: dict[ColumnElement[bool], ColumnElement[Any]] = {}
    for group in ErrorGroup:
        rest = length - len(group) - 1
        ends_so = func.substr(source_id, rest + 1) == literal_column(f"':{group.value}'")
        names[ends_so] = func.substr(source_id, 1, rest, type_=Text())
        environments[ends_so] = null()
    for group in ErrorGroup:
        place = place_in(source_id, literal_column(f"':{group.value}@'"))
        after = func.substr(source_id, place + len(group) + 2, type_=Text())
        holds_it = (place > _ONE) & (place_in(after, literal_column("':'")) == literal_column("0"))
        names[holds_it] = func.substr(source_id, 1, place - _ONE, type_=Text())
        environments[holds_it] = after
    return case(*names.items()), case(*environments.items(), else_=null())


def _in_one_statement(
    change: Update, told: Mapping[str, Any], resolve: Update | None
) -> Executable:
    changed = change.returning(_GUARD.source_id).cte("changed")
    values = [
        value if hasattr(value, "compile") else literal(value, alert.c[name].type)
        for name, value in told.items()
    ]
    new = (
        insert(alert)
        .from_select(list(told), select(*values).select_from(changed))
        .returning(alert.c.id)
        .cte("told")
    )
    whole = select(new.c.id)
    if resolve is None:
        return whole
    only_then = exists(select(_ONE).select_from(changed))
    return whole.add_cte(resolve.where(only_then).cte("resolved"))
