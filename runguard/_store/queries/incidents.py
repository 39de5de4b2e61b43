"""Incidents: their state in the guard rows, and what moves it on.

Each change of a state is one compare-and-set on the guard row of the cause, so any number of
processes may settle at once. No run does any of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID, uuid4, uuid5

from sqlalchemy import (
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
from ..._monitor.expectations import JOB_SOURCE_TYPE, FindingType
from ..._monitor.incidents import (
    RECOVERED,
    REOPENED,
    SILENCE_ENDED,
    IncidentRun,
    Recovery,
    Settled,
)
from ..._monitor.notices import IncidentRecord, Silence, Standing
from ..._monitor.silences import left_failing, matches
from ..retry import Attempt
from ..schema.clock import db_now
from ..schema.expressions import finite
from ..schema.moments import db_now_plus
from ..schema.notice_tables import alert, alert_cooldown
from ..schema.notice_tables import silence as silences
from ..schema.tables import run_log
from ..sqlite.transaction import immediate
from .foreign import json_object, time_of
from .silences import SilenceQueries
from .terms import (
    FAILURE_ALERT,
    LARGEST_ID,
    has_place,
    inserting,
    inserting_into,
    is_in,
    key_parts,
    keys_of,
    speaks_sqlite,
    storable,
)

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
_RANKS: Final = {word.value: rank for rank, word in enumerate(Severity)}
_NAMES: Final = UUID("5a3c2f0e-6f0b-4a6e-9d5c-0b8f2f4d7a11")  # of alerts that come once


class DispatchedAlert(Protocol):
    """What `advance` must know of an alert; `incident` is the column."""

    id: int
    source_type: str
    source_id: str
    alert_type: str
    severity: str
    created_at: datetime
    detail: Any
    incident: int | None


class Advanced(NamedTuple):
    """Where an alert stands, and the incident's state with it in."""

    standing: Standing
    incident: int
    opened_at: datetime
    was_severity: str | None = None
    acked_until: datetime | None = None
    acked_by: str | None = None


def advance(connection: Connection, pending: DispatchedAlert) -> Advanced:
    """Let an alert that is dispatched open, go on with or reopen its incident.

    Inside the caller's transaction. Only failures of runs and findings of jobs have incidents, and
    what is told of those; any other alert stands alone. Calling it twice for one alert changes
    nothing.
    """
    if pending.alert_type in _IN_AN_INCIDENT and pending.incident is not None:
        return _told_of(connection, pending)
    if pending.source_type == JOB_SOURCE_TYPE and pending.alert_type in FindingType.__members__:
        return _found(connection, pending)
    is_failure = (pending.source_type, pending.alert_type) == (
        FAILURE_SOURCE_TYPE,
        FAILURE_ALERT_TYPE,
    )
    if not is_failure or key_parts(pending.source_id) is None:
        return Advanced(Standing.ALONE, pending.id, pending.created_at)
    guard = _locked_guard(connection, pending)
    failed_at = _occurred_at(pending)
    was_resolved, was_severity = _earlier(connection, guard.open_alert_id, pending.id)
    standing = deciding.standing_of(
        pending.id,
        failed_at,
        open_id=guard.open_alert_id,
        closed_id=guard.closed_alert_id,
        closed_at=guard.closed_at,
        was_resolved=was_resolved,
    )
    if guard.open_alert_id is not None:
        opened_at = guard.opened_at or failed_at
        ack = (guard.acked_until, guard.acked_by)
        return Advanced(standing, guard.open_alert_id, opened_at, was_severity, *ack)
    came_back = standing is Standing.REOPENED
    incident: int = guard.closed_alert_id if came_back else pending.id
    opened_at = (guard.opened_at if came_back else None) or failed_at
    values = {
        "open_alert_id": incident,
        "opened_at": opened_at,
        "reopened": (guard.reopened or 0) + 1 if came_back else 0,
        "closed_alert_id": null(),
        "closed_at": null(),
    }
    connection.execute(update(alert_cooldown).where(*_is_key(pending)).values(values))
    if came_back:
        was_severity = _earlier(connection, incident, pending.id)[1]
    ack = (guard.acked_until, guard.acked_by)  # from between the failure and its dispatch
    return Advanced(standing, incident, opened_at, was_severity, *ack)


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
        settled: list[Settled] = []
        still_open: list[_Cause] = []
        causes = self._causes(job_names, environment)
        moved = self._have_moved() if causes else frozenset()
        for cause in causes:
            is_closed = cause.incident.closed_at is not None
            if cause.incident.id not in moved:
                still_open += [] if is_closed or _is_acked(cause) else [cause]
                continue
            runs = self._runs_of(cause)
            if is_closed:
                settled += self._reopened(cause, runs)
                continue
            recovery = deciding.recovery_of(
                cause.incident,
                cause.error_group,
                runs,
                alerted_run=self._alerted_run(cause.incident.id),
                now=cause.now,
            )
            closed = (
                [] if recovery is None else self._closed(cause, recovery, auto_resolve=auto_resolve)
            )
            settled += closed
            if not closed and not _is_acked(cause):
                still_open.append(cause)
        return [*settled, *self._still_failing(still_open)]

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

    def _runs_of(self, cause: _Cause) -> list[IncidentRun]:
        newest = (
            select(*_RUN_COLUMNS)
            .where(*_runs_where(cause), has_place(run_log.c.started_at))
            .order_by(run_log.c.started_at.desc())
            .limit(LOOKS_AT)
        )
        return [IncidentRun(**row._mapping) for row in self._rows(newest)]

    def _alerted_run(self, incident: int) -> IncidentRun | None:
        """Read the run of an incident's newest failure alert."""
        newest = (
            select(cast(alert.c.detail, Text))
            .where(_in_incident(incident), alert.c.alert_type == FAILURE_ALERT_TYPE)
            .order_by(alert.c.id.desc())
            .limit(1)
        )
        run_id = next((json_object(text).get("run_id") for (text,) in self._rows(newest)), None)
        if not isinstance(run_id, int) or not 0 < run_id <= LARGEST_ID:
            return None
        its = select(*_RUN_COLUMNS).where(run_log.c.id == run_id, has_place(run_log.c.started_at))
        return next((IncidentRun(**row._mapping) for row in self._rows(its)), None)

    def _closed(self, cause: _Cause, recovery: Recovery, *, auto_resolve: bool) -> list[Settled]:
        """Close an incident, unless another process has, or its cause has failed meanwhile."""
        incident = cause.incident
        failures = self._count_failures(cause)
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
        settled = self._change_state(
            cause, RECOVERED, change, told, resolve if auto_resolve else None
        )
        if settled:
            self._end_silences_of(cause)
        return settled

    def _reopened(self, cause: _Cause, runs: Sequence[IncidentRun]) -> list[Settled]:
        """Reopen an incident whose cause fails again while the cooldown keeps it from alerting."""
        incident = cause.incident
        assert incident.closed_at is not None  # noqa: S101 - only closed ones come here
        relapse = deciding.relapse_of(cause.error_group, runs, closed_at=incident.closed_at)
        if relapse is None:
            return []
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

    def _count_failures(self, cause: _Cause) -> int:
        opened_at = cause.incident.opened_at
        count = select(func.count()).where(
            *_failures_of(cause),
            run_log.c.finished_at >= opened_at - deciding.BEFORE_OPENING,
            run_log.c.started_at >= opened_at - LOOKS_BACK,
        )
        failures: int = self._rows(count)[0][0]
        return max(1, failures)

    def _end_silences_of(self, cause: _Cause) -> None:
        """End the silences that were wanted until this cause recovers, here and elsewhere."""
        for one in self.silences(active_at=cause.now):
            is_its = one.until_recovered and _is_matched(one, cause)
            if is_its and not any(_is_matched(one, other) for other in self._elsewhere(cause)):
                self.end_silence(one.id, by=BY)

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
    def name(self) -> str:
        """What people call the job."""
        return named_in(self.job_name, self.environment)


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


def _locked_guard(connection: Connection, pending: DispatchedAlert) -> Any:
    """Return the guard row of a failure's key, which nobody else changes until the commit."""
    values = {column.name: getattr(pending, column.name) for column in _KEY}
    new = inserting(connection, alert_cooldown)
    connection.execute(new.values(**values, last_alert_at=pending.created_at))
    return connection.execute(_guards(*_is_key(pending)).with_for_update()).one()


def _earlier(
    connection: Connection, incident: int | None, alert_id: int
) -> tuple[bool, str | None]:
    """Whether somebody had resolved the incident's newest alert, and its highest severity."""
    if incident is None:
        return False, None
    query = (
        select(alert.c.resolved, alert.c.severity)
        .where(_in_incident(incident), alert.c.id < alert_id, alert.c.alert_type != RECOVERED)
        .order_by(alert.c.id.desc())
        .limit(LOOKS_AT)
    )
    rows = connection.execute(query).all()
    if not rows:
        return False, None
    return bool(rows[0].resolved), max(
        (row.severity for row in rows), key=lambda word: _RANKS.get(word, -1)
    )


def _told_of(connection: Connection, pending: DispatchedAlert) -> Advanced:
    """Say where an alert stands that tells of an incident: a recovery, or that it fails again."""
    its = or_(_GUARD.open_alert_id == pending.incident, _GUARD.closed_alert_id == pending.incident)
    of_this = (column == getattr(pending, column.name) for column in _KEY[:2])
    guard = connection.execute(_guards(*of_this, its)).first()
    opened_at = pending.created_at if guard is None else guard.opened_at or pending.created_at
    standing = Standing.OPEN if pending.alert_type == RECOVERED else Standing.REOPENED
    assert pending.incident is not None  # noqa: S101 - the caller has looked
    return Advanced(standing, pending.incident, opened_at)


def _found(connection: Connection, pending: DispatchedAlert) -> Advanced:
    """Say where a finding stands: whoever wrote it has opened its incident, and none reopens.

    No lock is taken: who writes verdicts holds guards and waits for alerts.
    """
    guard = connection.execute(_guards(*_is_key(pending))).first()
    if guard is None:  # another program's
        return Advanced(Standing.ALONE, pending.id, pending.created_at)
    incident = pending.incident or pending.id
    opened_at = guard.opened_at or pending.created_at
    ack = (guard.acked_until, guard.acked_by) if guard.open_alert_id == incident else (None, None)
    if pending.incident is None:
        return Advanced(Standing.FIRST, incident, opened_at, None, *ack)
    was_severity = _earlier(connection, incident, pending.id)[1]
    return Advanced(Standing.OPEN, incident, opened_at, was_severity, *ack)


def _occurred_at(pending: DispatchedAlert) -> datetime:
    """Return when a failure occurred: a record that came late says so."""
    found = time_of(pending.detail.get("occurred_at")) if isinstance(pending.detail, dict) else None
    return pending.created_at if found is None else min(found, pending.created_at)
