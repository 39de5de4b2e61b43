"""Routing the alerts that wait: what a plan needs to know, and writing what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    Text,
    bindparam,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    true,
)
from sqlalchemy import update as update_of

from ..._failure.alert import FAILURE_ALERT_TYPE, FAILURE_SOURCE_TYPE
from ..._frozen import field_names
from ..._monitor.delivering import (
    Cause,
    DispatchContext,
    Dispatched,
    DispatchPlan,
    PlannedDelivery,
    RecentNotice,
)
from ..._monitor.notices import (
    ChannelState,
    DeliveryRecord,
    DeliveryState,
    Dispatch,
    NoticeKind,
    PendingAlert,
)
from ..schema.clock import db_now
from ..schema.moments import db_now_plus
from ..schema.notice_tables import alert, alert_cooldown, alert_delivery, channel_state
from ..schema.watch_tables import job
from .advancing import Advanced, advance
from .foreign import json_object, readable, text_of
from .given import given
from .silences import note_matches, silences_in_force
from .terms import KeyParts, inserting, key_parts

Plan = Callable[[DispatchContext], DispatchPlan]

EXPIRES_AFTER: Final = timedelta(hours=24)
RECENT_SECONDS: Final = 600
MOST_RECENT: Final = 500
OPENINGS: Final = (NoticeKind.OPENED, NoticeKind.RAISED, NoticeKind.REMINDER)

DISPATCHER_KEY: Final = 0x746F6C642D6F6E63  # differs from the keys of other programs
_ONE: Final = alert_delivery.c
_PENDING: Final = alert.c.dispatch == literal_column("'pending'")  # in the words of its index
_DELIVERY_COLUMNS: Final = tuple(_ONE[name] for name in field_names(DeliveryRecord))
_CHANNEL_COLUMNS: Final = tuple(channel_state.c[name] for name in field_names(ChannelState))
_WAITING: Final = (
    select(
        alert.c.id,
        alert.c.source_type,
        alert.c.source_id,
        alert.c.alert_type,
        alert.c.severity,
        alert.c.title,
        alert.c.incident,
        alert.c.environment,
        alert.c.resolved,
        readable(alert.c.created_at).label("created_at"),
        cast(alert.c.detail, Text).label("detail"),
        db_now().label("now"),
    )
    .where(_PENDING)
    .order_by(alert.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)


def delivery_from(row: Sequence[Any]) -> DeliveryRecord:
    """Return a row of `alert_delivery` as a record."""
    record = dict(zip(field_names(DeliveryRecord), row, strict=True))
    record["kind"], record["state"] = NoticeKind(record["kind"]), DeliveryState(record["state"])
    return DeliveryRecord(**record)


def dispatch(connection: Connection, plan: Plan, *, limit: int) -> Dispatched:
    """Route alerts that wait, in the transaction that is open."""
    if not _is_alone(connection):
        return Dispatched(is_whole=False)  # who is at it goes on until none waits
    rows = connection.execute(_WAITING, {"limit": limit}).all()
    if not rows:
        return Dispatched()
    now: datetime = rows[0].now
    waiting = [_waiting(row) for row in rows]
    owners = _owners(connection, waiting)
    old = {one.id for one in waiting if one.created_at < now - EXPIRES_AFTER}
    new = [one for one in waiting if one.id not in old]
    alerts = tuple(
        _pending_alert(one, place, owners.get(one.its_job))
        for one, place in zip(new, advance(connection, new), strict=True)
    )
    context = _context(connection, alerts, now)
    planned = plan(context) if alerts else DispatchPlan()
    _write_plan(connection, planned, context.digests, now)
    told = {one.alert_id for one in planned.deliveries}
    words = {
        Dispatch.EXPIRED: old,
        Dispatch.ROUTED: told,
        Dispatch.UNROUTABLE: {one.id for one in alerts} - told,
    }
    _mark(connection, words, alerts)
    return Dispatched(
        expired=len(old),
        routed=len(told),
        unroutable=len(words[Dispatch.UNROUTABLE]),
        is_whole=len(rows) < limit,
    )


def _is_alone(connection: Connection) -> bool:
    """Whether nobody else dispatches: what one batch plans counts for the next one."""
    if connection.dialect.name == "sqlite":
        return True
    ask = select(func.pg_try_advisory_xact_lock(DISPATCHER_KEY))
    return bool(connection.execute(ask).scalar_one())


@dataclass(slots=True)
class _Waiting:
    """An alert that waits, as far as other programs have written it as it should be."""

    id: int
    source_type: str
    source_id: str
    alert_type: str
    severity: str
    title: str
    incident: int | None
    environment: str | None
    resolved: bool | None
    created_at: datetime
    detail: Mapping[str, Any]

    @property
    def key(self) -> KeyParts | None:
        """The job and the group of a failure, which its key names."""
        is_failure = (self.source_type, self.alert_type) == (
            FAILURE_SOURCE_TYPE,
            FAILURE_ALERT_TYPE,
        )
        return key_parts(self.source_id) if is_failure else None

    @property
    def job_name(self) -> str | None:
        """The job that the alert is about, where it names one."""
        key = self.key
        return _text(self.detail.get("job_name")) or (key and key.job_name)

    @property
    def its_job(self) -> tuple[str | None, str]:
        """The key of the job's row, if it has one."""
        return self.job_name, self.environment or ""


def _waiting(row: Any) -> _Waiting:
    return _Waiting(
        id=row.id,
        source_type=text_of(row.source_type),
        source_id=text_of(row.source_id),
        alert_type=text_of(row.alert_type),
        severity=text_of(row.severity),
        title=text_of(row.title),
        incident=row.incident,
        environment=row.environment,
        resolved=row.resolved,
        created_at=row.created_at or row.now,
        detail=json_object(row.detail),
    )


def _owners(
    connection: Connection, waiting: Sequence[_Waiting]
) -> dict[tuple[str | None, str], str]:
    """Read whose jobs these alerts are about; a finding says so itself.

    Alerts are routed all the same by a role that may not read it: a statement that fails would end
    the transaction.
    """
    names = {one.job_name for one in waiting if "owner" not in one.detail} - {None}
    if not names or not _may_read(connection, job):
        return {}
    its = (job.c.job_name, job.c.environment, job.c.owner)
    declared = select(*its).where(job.c.job_name.in_(names), job.c.owner.is_not(None))
    return {(name, environment): owner for name, environment, owner in connection.execute(declared)}


def _may_read(connection: Connection, table: Table) -> bool:
    if connection.dialect.name == "sqlite":
        return True
    return bool(connection.execute(select(func.has_table_privilege(table.name, "SELECT"))).scalar())


def _pending_alert(one: _Waiting, place: Advanced, owner: str | None) -> PendingAlert:
    key = one.key
    return PendingAlert(
        id=one.id,
        source_type=one.source_type,
        source_id=one.source_id,
        alert_type=one.alert_type,
        severity=one.severity,
        title=one.title,
        created_at=one.created_at,
        detail=one.detail,
        job_name=one.job_name,
        error_group=_text(one.detail.get("error_group")) or (key and str(key.error_group)),
        error_reason=_text(one.detail.get("reason")),
        upstream=_text(one.detail.get("upstream")),
        owner=_text(one.detail.get("owner")) or owner,
        environment=one.environment,
        standing=place.standing,
        incident=place.incident,
        opened_at=place.opened_at,
        was_severity=place.was_severity,
        acked_until=place.acked_until,
        acked_by=place.acked_by,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _context(
    connection: Connection, alerts: Sequence[PendingAlert], now: datetime
) -> DispatchContext:
    incidents = sorted({one.incident for one in alerts})
    history: dict[int, list[DeliveryRecord]] = {}
    covering: set[int] = set()
    # Of an incident that goes on for weeks, most rows are reminders that were not due.
    matters = or_(_ONE.state != DeliveryState.SKIPPED.value, _ONE.kind == NoticeKind.OPENED.value)
    wanted = select(*_DELIVERY_COLUMNS).where(_ONE.incident.in_(incidents), matters)
    for row in connection.execute(wanted.order_by(_ONE.id)):
        record = delivery_from(row)
        history.setdefault(record.incident or record.alert_id, []).append(record)
        if record.covered_by is not None:
            covering.add(record.covered_by)
    return DispatchContext(
        now=now,
        alerts=tuple(alerts),
        history={incident: tuple(records) for incident, records in history.items()},
        open_incidents=_open_of(connection, incidents),
        recent=_recent(connection),
        digests=_open_digests(connection),
        **_digests_of(connection, covering),
        channels=channel_states(connection),
        silences=tuple(silences_in_force(connection)),
    )


def channel_from(row: Sequence[Any]) -> ChannelState:
    """Return a row of `channel_state` as a record."""
    return ChannelState(**dict(zip(field_names(ChannelState), row, strict=True)))


def channel_states(connection: Connection) -> dict[str, ChannelState]:
    """Read how the channels are doing, by their names."""
    rows = connection.execute(select(*_CHANNEL_COLUMNS))
    return {row[0]: channel_from(row) for row in rows}


def _open_of(connection: Connection, incidents: Sequence[int]) -> frozenset[int]:
    open_one = alert_cooldown.c.open_alert_id
    return frozenset(connection.execute(select(open_one).where(open_one.in_(incidents))).scalars())


def _recent(connection: Connection) -> tuple[RecentNotice, ...]:
    """What went to channels in the last minutes, each with what it told of."""
    untold = [DeliveryState.REPLACED.value, DeliveryState.SKIPPED.value]
    # A digest that waits has told nothing yet: it stands in the window once it was sent.
    at = case((_ONE.kind == NoticeKind.DIGEST.value, _ONE.sent_at), else_=_ONE.created_at)
    recent = (
        select(_ONE.channel, _ONE.kind, at.label("at"), _ONE.alert_id)
        .where(
            _ONE.created_at > db_now_plus(-2 * RECENT_SECONDS),
            at > db_now_plus(-RECENT_SECONDS),
            *(_ONE.state != word for word in untold),
        )
        .order_by(_ONE.id.desc())
        .limit(MOST_RECENT)
        .subquery()
    )
    wanted = select(
        recent.c.channel,
        recent.c.kind,
        recent.c.at,
        alert.c.source_id,
        cast(alert.c.detail, Text),
        alert.c.environment,
    ).join_from(recent, alert, alert.c.id == recent.c.alert_id)
    return tuple(
        RecentNotice(
            channel=channel,
            kind=NoticeKind(kind),
            at=at,
            source_id=text_of(source_id),
            cause=_cause(json_object(detail)),
            environment=environment,
        )
        for channel, kind, at, source_id, detail, environment in connection.execute(wanted)
    )


def _cause(detail: Mapping[str, Any]) -> Cause | None:
    group = _text(detail.get("error_group"))
    if group is None or group == "UNKNOWN":
        return None
    return group, _text(detail.get("reason")), _text(detail.get("upstream"))


def _open_digests(connection: Connection) -> dict[str, int]:
    """The digests that nobody has begun to send: they take more alerts, and are kept for it."""
    wanted = (
        select(_ONE.channel, _ONE.id)
        .where(
            or_(
                _ONE.state == literal_column("'pending'"), _ONE.state == literal_column("'sending'")
            ),
            _ONE.state == literal_column("'pending'"),
            _ONE.kind == NoticeKind.DIGEST.value,
            _ONE.attempts == 0,
        )
        .order_by(_ONE.id)
        .with_for_update(skip_locked=True)
    )
    return {row.channel: row.id for row in connection.execute(wanted)}


def _digests_of(connection: Connection, ids: Iterable[int]) -> dict[str, frozenset[int]]:
    """Which messages that tell several alerts were sent, and which never will be."""
    wanted = [*ids]
    states: dict[int, str] = {}
    if wanted:
        found = connection.execute(select(_ONE.id, _ONE.state).where(_ONE.id.in_(wanted)))
        states = {row.id: row.state for row in found}
    told = (DeliveryState.SENT, DeliveryState.UNKNOWN, DeliveryState.SENDING)
    lost = (DeliveryState.DEAD, DeliveryState.SKIPPED)
    return {
        "told_digests": frozenset(one for one, state in states.items() if state in told),
        "lost_digests": frozenset(one for one, state in states.items() if state in lost),
    }


def _write_plan(
    connection: Connection, plan: DispatchPlan, digests: Mapping[str, int], now: datetime
) -> None:
    """Insert the digests, then what stands alone, then what another one tells."""
    digests = {**digests, **_new_digests(connection, plan.deliveries, digests)}
    written: dict[tuple[int, str], int] = {}
    alone = [one for one in plan.deliveries if one.with_alert is None]
    together = [one for one in plan.deliveries if one.with_alert is not None]
    for part in (alone, together):
        rows = [_values(one, digests, written, now) for one in part]
        written.update(_insert(connection, rows))
    by = {
        replaced: written.get((one.alert_id, one.channel))
        for one in plan.deliveries
        for replaced in one.replaces
    }
    replace_with(connection, by, _ONE.state == DeliveryState.PENDING.value)
    note_matches(connection, plan.silenced)


def _new_digests(
    connection: Connection, deliveries: Iterable[PlannedDelivery], digests: Mapping[str, int]
) -> dict[str, int]:
    rows: dict[str, dict[str, Any]] = {}
    for one in deliveries:
        if one.digest_due is None or one.channel in digests or one.channel in rows:
            continue
        rows[one.channel] = {
            "alert_id": one.alert_id,
            "incident": None,
            "kind": NoticeKind.DIGEST.value,
            "channel": one.channel,
            "state": DeliveryState.PENDING.value,
            "next_attempt_at": one.digest_due,
            "last_error": None,
            "covered_by": None,
        }
    made = _insert(connection, list(rows.values()))
    return {channel: row_id for (_, channel), row_id in made.items()}


def _values(
    one: PlannedDelivery,
    digests: Mapping[str, int],
    written: Mapping[tuple[int, str], int],
    now: datetime,
) -> dict[str, Any]:
    covered_by = None
    if one.with_alert is not None:
        covered_by = written.get((one.with_alert, one.channel))
    elif one.digest_due is not None:
        covered_by = digests.get(one.channel)
    return {
        "alert_id": one.alert_id,
        "incident": one.incident,
        "kind": one.kind.value,
        "channel": one.channel,
        "state": one.state.value,
        "next_attempt_at": now if one.state is DeliveryState.PENDING else None,
        "last_error": one.reason,
        "covered_by": covered_by,
    }


def _insert(
    connection: Connection, rows: Sequence[Mapping[str, Any]]
) -> dict[tuple[int, str], int]:
    if not rows:
        return {}
    columns = {_ONE[name]: [row[name] for row in rows] for name in rows[0]}
    new = given(connection, "new", columns)
    values = select(*new.c).where(true())
    insert = inserting(connection, alert_delivery)
    insert = insert.from_select([one.name for one in columns], values, include_defaults=False)
    returned = insert.returning(_ONE.alert_id, _ONE.channel, _ONE.id)
    return {(alert_id, channel): row for alert_id, channel, row in connection.execute(returned)}


def replace_with(
    connection: Connection, by: Mapping[int, int | None], *where: ColumnElement[bool]
) -> None:
    """Let deliveries tell what others would have told: `by` the one that tells it."""
    if not by:
        return
    its = given(connection, "its", {_ONE.id: [*by], _ONE.covered_by: [*by.values()]})
    connection.execute(
        update_of(alert_delivery)
        .where(_ONE.id == its.c.id, *where)
        .values(
            state=DeliveryState.REPLACED.value,
            covered_by=its.c.covered_by,
            next_attempt_at=None,
            claim_expires_at=None,
            last_error="the message of the recovery tells both",
        )
    )


def _mark(
    connection: Connection, words: Mapping[Dispatch, set[int]], alerts: Sequence[PendingAlert]
) -> None:
    for word, ids in words.items():
        if ids:
            connection.execute(
                update_of(alert).where(alert.c.id.in_(sorted(ids))).values(dispatch=word.value)
            )
    joined = {
        one.id: one.incident
        for one in alerts
        if one.incident != one.id and one.alert_type != "RECOVERED"
    }
    if joined:
        columns = {alert.c.id: [*joined], alert.c.incident: [*joined.values()]}
        its = given(connection, "joined", columns)
        change = update_of(alert).where(alert.c.id == its.c.id)
        connection.execute(change.values(incident=its.c.incident))
