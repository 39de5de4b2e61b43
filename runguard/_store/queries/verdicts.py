"""Writing what was judged: findings open and close, each once, however many monitors there are.

A finding's incident stands in the guard row of its key, as a failure's. What decides is read while
the guard is locked; what a monitor asks for that another has done meanwhile is left to its next
round, which judges anew. A round that finds nothing new reads the guards and locks none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Text,
    case,
    cast,
    func,
    insert,
    literal,
    literal_column,
    null,
    select,
    true,
    update,
)

from ..._frozen import frozen
from ..._models import Severity, named_in
from ..._monitor.expectations import (
    JOB_SOURCE_TYPE,
    SEVERITY_OF_FINDING,
    Closing,
    Finding,
    FindingType,
    JobRecord,
    Verdict,
    source_id_of,
)
from ..._monitor.incidents import RECOVERED, Settled
from ..._monitor.notices import IncidentRecord
from ..schema.clock import db_now
from ..schema.types import UtcDateTime
from ..schema.watch_tables import alert, alert_cooldown, job
from .expectations import JOB_COLUMNS
from .foreign import json_object
from .given import given
from .terms import inserting, storable

BY: Final = "runguard"
IN_THE_FUTURE: Final = timedelta(minutes=1)  # beyond what clocks differ by: it covers nothing

_GUARD: Final = alert_cooldown.c
_NEVER: Final = literal(datetime(1970, 1, 1, tzinfo=UTC), UtcDateTime())
_OF_JOBS: Final = literal(JOB_SOURCE_TYPE, Text())

Key = tuple[str, str]  # `source_id` and `alert_type`


@frozen
class Wanted:
    """What is to be written of one key: a finding, or that it is over."""

    job: JobRecord | None
    what: Finding | Closing


class _Guard(NamedTuple):
    """A guard row; `mark` is that of the incident's newest alert."""

    open_alert_id: int | None
    opened_at: datetime | None
    last_alert_at: datetime
    mark: str | None = None


def write_verdicts(
    connection: Connection,
    verdicts: Sequence[Verdict],
    *,
    cooldown: timedelta,
    auto_resolve: bool,
) -> list[Settled]:
    """Write those that still count, in the transaction that is open."""
    verdicts = _that_count(connection, verdicts)
    findings, closings = _wanted_of(verdicts)
    settled = write_wanted(
        connection, findings, closings, cooldown=cooldown, auto_resolve=auto_resolve
    )
    _note_judged(connection, verdicts)
    return settled


def write_wanted(
    connection: Connection,
    findings: Mapping[Key, Wanted],
    closings: Mapping[Key, Wanted],
    *,
    cooldown: timedelta,
    auto_resolve: bool = True,
) -> list[Settled]:
    """Open, go on with and close incidents; return what was told."""
    keys = sorted({*findings, *closings})
    if not keys:
        return []
    now, seen = _read(connection, keys)
    to_raise = [key for key in findings if _may_raise(key, findings, seen, now, cooldown)]
    to_close = [key for key in closings if key in seen and seen[key].open_alert_id is not None]
    if not to_raise and not to_close:
        return []
    _make_guards(connection, sorted(key for key in to_raise if key not in seen))
    locked = _lock(connection, sorted({*to_raise, *to_close}))
    # A mark belongs to the alert that it was read with.
    there = {
        key: guard._replace(mark=seen[key].mark if _is_same(guard, seen.get(key)) else None)
        for key, guard in locked.items()
    }
    raised = [
        key
        for key in to_raise
        if (there[key].open_alert_id is None or _is_same(there[key], seen.get(key)))
        and _may_raise(key, findings, there, now, cooldown)
    ]
    closed = [key for key in to_close if there[key].open_alert_id is not None]
    return [
        *_raised(connection, {key: findings[key] for key in raised}, there, now),
        *_closed(
            connection,
            {key: closings[key] for key in closed},
            there,
            now,
            auto_resolve=auto_resolve,
        ),
    ]


def _wanted_of(verdicts: Iterable[Verdict]) -> tuple[dict[Key, Wanted], dict[Key, Wanted]]:
    findings: dict[Key, Wanted] = {}
    closings: dict[Key, Wanted] = {}
    for verdict in verdicts:
        its = verdict.job
        source_id = source_id_of(its.job_name, its.environment)
        if its.retired_at is not None:
            over = (_retired(its, kind) for kind in FindingType)
            closings |= {(source_id, one.type.value): Wanted(its, one) for one in over}
            continue
        for finding in verdict.findings:
            findings[source_id, finding.type.value] = Wanted(its, finding)
        for closing in verdict.closings:
            closings[source_id, closing.type.value] = Wanted(its, closing)
    return findings, {key: one for key, one in closings.items() if key not in findings}


def _retired(its: JobRecord, kind: FindingType) -> Closing:
    return Closing(
        type=kind,
        title=f"{named_in(its.job_name, its.environment)} is not watched any more",
        message="Somebody has retired the job.",
        detail={"retired": True},
    )


def _read(connection: Connection, keys: Sequence[Key]) -> tuple[datetime, dict[Key, _Guard]]:
    """Read the guards of these keys, and the database's clock; lock nothing."""
    asked = _asked(connection, keys)
    further, its = alert.alias("further"), alert.alias("its")
    newest = (
        select(func.max(further.c.id))
        .where(
            further.c.incident == _GUARD.open_alert_id,
            further.c.alert_type == _GUARD.alert_type,
        )
        .correlate(alert_cooldown)
        .scalar_subquery()
    )
    detail = (
        select(cast(its.c.detail, Text))
        .where(its.c.id == func.coalesce(newest, _GUARD.open_alert_id))
        .correlate(alert_cooldown)
        .scalar_subquery()
    )
    query = (
        select(asked.c.source_id, asked.c.alert_type, *_STATE, detail, db_now())
        .select_from(asked)
        .outerjoin(alert_cooldown, _is_asked(asked))
    )
    rows = connection.execute(query).all()
    now: datetime = rows[0][-1]
    return now, {
        (row[0], row[1]): _Guard(row[2], row[3], row[4], _mark_in(row[5]))
        for row in rows
        if row.last_alert_at is not None
    }


_STATE: Final = (_GUARD.open_alert_id, _GUARD.opened_at, _GUARD.last_alert_at)


def _mark_in(detail: str | None) -> str | None:
    mark = json_object(detail).get("mark")
    return mark if isinstance(mark, str) else None


def _asked(connection: Connection, keys: Sequence[Key]) -> FromClause:
    ids, types = [source_id for source_id, _ in keys], [alert_type for _, alert_type in keys]
    return given(connection, "asked", {_GUARD.source_id: ids, _GUARD.alert_type: types})


def _is_asked(asked: FromClause) -> ColumnElement[bool]:
    return (
        (_GUARD.source_type == _OF_JOBS)
        & (_GUARD.source_id == asked.c.source_id)
        & (_GUARD.alert_type == asked.c.alert_type)
    )


def _may_raise(
    key: Key,
    findings: Mapping[Key, Wanted],
    guards: Mapping[Key, _Guard],
    now: datetime,
    cooldown: timedelta,
) -> bool:
    """Whether a finding is to be told: its cooldown is over, and it is or says something new."""
    guard = guards.get(key)
    if guard is None:
        return True
    if now - cooldown < guard.last_alert_at <= now + IN_THE_FUTURE:
        return False
    finding = findings[key].what
    assert isinstance(finding, Finding)  # noqa: S101 - by the way they are sorted
    return guard.open_alert_id is None or guard.mark != finding.mark


def _is_same(guard: _Guard, before: _Guard | None) -> bool:
    return before is not None and guard[:3] == before[:3]


def _make_guards(connection: Connection, keys: Sequence[Key]) -> None:
    """Make the guards that are not there, as of something that was never told."""
    if not keys:
        return
    asked = _asked(connection, keys)
    new = select(_OF_JOBS, asked.c.source_id, asked.c.alert_type, _NEVER).where(true())
    columns = ["source_type", "source_id", "alert_type", "last_alert_at"]
    connection.execute(inserting(connection, alert_cooldown).from_select(columns, new))


def _lock(connection: Connection, keys: Sequence[Key]) -> dict[Key, _Guard]:
    """Lock the guards, all monitors in one order, and read them anew."""
    asked = _asked(connection, keys)
    query = (
        select(_GUARD.source_id, _GUARD.alert_type, *_STATE)
        .join_from(asked, alert_cooldown, _is_asked(asked))
        .order_by(asked.c.source_id, asked.c.alert_type)
        .with_for_update(of=alert_cooldown)
    )
    return {(row[0], row[1]): _Guard(row[2], row[3], row[4]) for row in connection.execute(query)}


def _raised(
    connection: Connection,
    findings: Mapping[Key, Wanted],
    guards: Mapping[Key, _Guard],
    now: datetime,
) -> Iterator[Settled]:
    if not findings:
        return
    rows = [_finding_row(key, one, guards[key], now) for key, one in findings.items()]
    written = _insert_alerts(connection, rows)
    opened_at = {
        key: guards[key].opened_at or min(_since_of(one), now) for key, one in findings.items()
    }
    told = given(
        connection,
        "told",
        {
            _GUARD.source_id: [source_id for source_id, _, _ in written],
            _GUARD.alert_type: [alert_type for _, alert_type, _ in written],
            _GUARD.open_alert_id: [*written.values()],
            _GUARD.opened_at: [opened_at[source_id, kind] for source_id, kind, _ in written],
        },
    )
    is_new = _GUARD.open_alert_id.is_(None)
    connection.execute(
        update(alert_cooldown)
        .where(_is_asked(told))
        .values(
            open_alert_id=func.coalesce(_GUARD.open_alert_id, told.c.open_alert_id),
            opened_at=told.c.opened_at,
            reopened=literal_column("0"),
            closed_alert_id=case((is_new, null()), else_=_GUARD.closed_alert_id),
            closed_at=case((is_new, null()), else_=_GUARD.closed_at),
            last_alert_at=db_now(),
        )
    )
    for (source_id, alert_type, incident), alert_id in written.items():
        record = IncidentRecord(
            id=incident or alert_id,
            source_type=JOB_SOURCE_TYPE,
            source_id=source_id,
            alert_type=alert_type,
            opened_at=opened_at[source_id, alert_type],
        )
        yield Settled(record, alert_id, alert_type)


def _closed(
    connection: Connection,
    closings: Mapping[Key, Wanted],
    guards: Mapping[Key, _Guard],
    now: datetime,
    *,
    auto_resolve: bool,
) -> Iterator[Settled]:
    if not closings:
        return
    incidents = {key: guards[key].open_alert_id for key in closings}
    over = given(
        connection,
        "over",
        {
            _GUARD.source_id: [source_id for source_id, _ in incidents],
            _GUARD.alert_type: [alert_type for _, alert_type in incidents],
            _GUARD.open_alert_id: [*incidents.values()],
        },
    )
    connection.execute(
        update(alert_cooldown)
        .where(_is_asked(over), _GUARD.open_alert_id == over.c.open_alert_id)
        .values(
            open_alert_id=null(),
            closed_alert_id=_GUARD.open_alert_id,
            closed_at=db_now(),
            acked_until=null(),
            acked_by=null(),
            ack_reason=null(),
        )
    )
    if auto_resolve:
        for its in (alert.c.id, alert.c.incident):  # each by its own index
            connection.execute(
                update(alert)
                .where(its == over.c.open_alert_id, alert.c.resolved.is_not(True))
                .values(resolved=true(), resolved_at=db_now(), resolved_by=BY)
            )
    rows = [_closing_row(key, one, guards[key], now) for key, one in closings.items()]
    written = _insert_alerts(connection, rows)
    for key, incident in incidents.items():
        opened_at = guards[key].opened_at or now
        assert incident is not None  # noqa: S101 - only open ones are closed
        record = IncidentRecord(
            id=incident,
            source_type=JOB_SOURCE_TYPE,
            source_id=key[0],
            alert_type=key[1],
            opened_at=opened_at,
            closed_at=now,
        )
        yield Settled(record, written[key[0], RECOVERED, incident], RECOVERED)


_WRITTEN: Final = tuple(
    alert.c[name]
    for name in (
        *("source_id", "alert_type", "severity", "title", "message", "detail"),
        *("alert_key", "environment", "incident", "resolved", "resolved_by", "resolved_at"),
    )
)


def _insert_alerts(
    connection: Connection, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[str, str, int | None], int]:
    """Write alerts that wait for their dispatch; return their ids by key and incident."""
    columns: dict[Column[Any], list[Any]] = {
        column: [row.get(column.name) for row in rows] for column in _WRITTEN
    }
    new = given(connection, "new", columns)
    names = [column.name for column in _WRITTEN]
    written = (
        insert(alert)
        .from_select(
            ["source_type", "review_status", "created_at", *names],
            select(_OF_JOBS, literal_column("'AUTO'"), db_now(), *(new.c[name] for name in names)),
            include_defaults=False,
        )
        .returning(alert.c.source_id, alert.c.alert_type, alert.c.incident, alert.c.id)
    )
    return {
        (source_id, alert_type, incident): alert_id
        for source_id, alert_type, incident, alert_id in connection.execute(written)
    }


def _finding_row(key: Key, wanted: Wanted, guard: _Guard, now: datetime) -> Mapping[str, Any]:
    finding = wanted.what
    assert isinstance(finding, Finding)  # noqa: S101 - by the way they are sorted
    detail = {
        **finding.detail,
        **_of_job(wanted.job),
        "mark": finding.mark,
        "since": min(finding.since, now).isoformat(),
    }
    severity = SEVERITY_OF_FINDING[finding.type]
    row = _row(key[0], key[1], severity, wanted, detail)
    return row | {"incident": guard.open_alert_id, "resolved": False}


def _closing_row(key: Key, wanted: Wanted, guard: _Guard, now: datetime) -> Mapping[str, Any]:
    closing = wanted.what
    assert isinstance(closing, Closing)  # noqa: S101 - by the way they are sorted
    opened_at = guard.opened_at or now
    # No `run_id`: joins of failures to runs find no more rows than before.
    run = {} if closing.run_id is None else {"recovered_by_run": closing.run_id}
    detail = {
        **closing.detail,
        **_of_job(wanted.job),
        **run,
        "finding": key[1],
        "incident": guard.open_alert_id,
        "since": opened_at.isoformat(),
        "down_seconds": round(max(timedelta(0), now - opened_at).total_seconds()),
    }
    return _row(key[0], RECOVERED, Severity.LOW, wanted, detail) | {
        "incident": guard.open_alert_id,
        "resolved": True,
        "resolved_by": BY,
        "resolved_at": now,
    }


def _row(
    source_id: str,
    alert_type: str,
    severity: Severity,
    wanted: Wanted,
    detail: Mapping[str, Any],
) -> dict[str, Any]:
    key: UUID = uuid4()
    return {
        "source_id": source_id,
        "alert_type": alert_type,
        "severity": severity.value,
        "title": storable(wanted.what.title),
        "message": storable(wanted.what.message),
        "detail": dict(detail),
        "alert_key": key,
        "environment": None if wanted.job is None else wanted.job.environment,
    }


def _of_job(its: JobRecord | None) -> dict[str, Any]:
    """What the detail says of the job; nothing that is not known."""
    if its is None:
        return {}
    names = ("job_name", "environment", "owner", "runbook")
    return {name: value for name in names if (value := getattr(its, name)) is not None}


def _since_of(wanted: Wanted) -> datetime:
    assert isinstance(wanted.what, Finding)  # noqa: S101 - by the way they are sorted
    return wanted.what.since


_READ_AS: Final = ("job_name", "environment", "declared_at", "judged_at")


def _that_count(connection: Connection, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Lock the jobs; leave out one that another has judged or declared since it was read.

    A verdict on what was known before would raise again what another monitor has just closed.
    """
    keyed = {(one.job.job_name, one.job.environment or ""): one for one in verdicts}
    asked = given(connection, "asked", _keys_of([*keyed.values()]))
    query = (
        select(*(one for one in JOB_COLUMNS if one.name in _READ_AS))
        .join_from(asked, job, _is_of_job(asked))
        .order_by(asked.c.job_name, asked.c.environment)
        .with_for_update(of=job)
    )
    rows = connection.execute(query)
    there = {(row.job_name, row.environment): (row.declared_at, row.judged_at) for row in rows}
    return [
        one
        for key, one in sorted(keyed.items(), key=itemgetter(0))
        if there.get(key) == (one.job.declared_at, one.job.judged_at)
    ]


def _keys_of(verdicts: Sequence[Verdict]) -> dict[Column[Any], list[Any]]:
    return {
        job.c.job_name: [one.job.job_name for one in verdicts],
        job.c.environment: [one.job.environment or "" for one in verdicts],
    }


def _is_of_job(its: FromClause) -> ColumnElement[bool]:
    return (job.c.environment == its.c.environment) & (job.c.job_name == its.c.job_name)


def _note_judged(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    """Note how far jobs were judged."""
    if not verdicts:
        return
    columns: dict[Column[Any], list[Any]] = {
        **_keys_of(verdicts),
        **{
            job.c[name]: [getattr(one, name) for one in verdicts]
            for name in ("next_due_at", "grace_seconds", "look_at", "judged_at")
        },
    }
    judged = given(connection, "judged", columns)
    values = {
        name: judged.c[name] for name in ("next_due_at", "grace_seconds", "look_at", "judged_at")
    }
    connection.execute(update(job).where(_is_of_job(judged)).values(values))
