"""The outbox: alerts are routed, deliveries claimed and settled. See `_notify/outbox.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Float,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    union_all,
    update,
)
from sqlalchemy.sql.dml import ReturningUpdate

from ..._frozen import field_names
from ..._monitor.delivering import ClaimedDelivery, Dispatched, Settled, Settlement
from ..._monitor.notices import ChannelState, DeliveryRecord, DeliveryState, NoticeKind
from ..schema.clock import db_now
from ..schema.moments import db_now_plus
from ..schema.notice_tables import alert, alert_delivery, channel_state
from . import dispatching
from .delivery_facts import DeliveryFacts
from .terms import inserting

T = TypeVar("T")

LOOKED_EVERY_SECONDS: Final = 60
GIVEN_UP_SECONDS: Final = 24 * 3600
WINDOW_SECONDS: Final = 600
FAILURES_THAT_TELL: Final = 3  # in a row

_ONE: Final = alert_delivery.c
_CHANNEL: Final = channel_state.c
# Literals, in the words of the partial index.
_PENDING: Final = _ONE.state == literal_column("'pending'")
_SENDING: Final = _ONE.state == literal_column("'sending'")
_OPEN: Final = or_(_PENDING, _SENDING)
_ENDED: Final = tuple(
    state for state in DeliveryState if state not in (DeliveryState.PENDING, DeliveryState.SENDING)
)
_DUE_AT: Final = case((_PENDING, _ONE.next_attempt_at), else_=_ONE.claim_expires_at)
_DUE_FIRST: Final = (_DUE_AT, _ONE.id)
_FLOAT: Final = Float()
_COLUMNS: Final = tuple(_ONE[name] for name in field_names(DeliveryRecord))


class OutboxQueries(DeliveryFacts):
    """What delivery asks of a store, for both databases."""

    def _transact(self, work: Callable[[Connection], T], *, timeout: float) -> T:
        """Do the work in a transaction; each store begins one in its own way."""
        raise NotImplementedError

    def note_channels(
        self, hashes: Mapping[str, str], *, timeout: float
    ) -> Mapping[str, ChannelState]:
        """Note that somebody looks who has these channels; enable those that have changed."""
        return self._transact(lambda connection: _note(connection, hashes), timeout=timeout)

    def dispatch(self, plan: dispatching.Plan, *, limit: int, timeout: float) -> Dispatched:
        """Route up to `limit` alerts that wait, as the plan says: one transaction."""
        return self._transact(
            lambda connection: dispatching.dispatch(connection, plan, limit=limit),
            timeout=timeout,
        )

    def due_deliveries(
        self, channels: Sequence[str], *, limit: int, timeout: float
    ) -> Sequence[int]:
        """Return the ids of what is due on these channels, in the order to send it in."""
        waiting = _waiting_on(channels)
        its = waiting.c
        query = select(its.id).where(its.due_at <= db_now(), *_may_be_next(waiting))
        query = query.order_by(its.due_at, its.id).limit(limit)
        return [row[0] for row in self._rows(query, timeout=timeout)]

    def claim_delivery(
        self,
        channels: Sequence[str],
        *,
        who: str,
        lease: timedelta,
        timeout: float,
        among: Sequence[int] | None = None,
    ) -> ClaimedDelivery | None:
        """Take what is due first on these channels, with its attempt's number as the fence."""
        first = _first_of(channels, among)
        untried = self._claim_untried(first, who, lease, timeout=timeout)
        return untried or self._transact(
            lambda connection: _claim(connection, first, who, lease), timeout=timeout
        )

    def _claim_untried(
        self,
        first: Select[Any],  # noqa: ARG002
        who: str,  # noqa: ARG002
        lease: timedelta,  # noqa: ARG002
        *,
        timeout: float,  # noqa: ARG002
    ) -> ClaimedDelivery | None:
        """Take what comes first in one statement, where a store can and nobody has tried it yet."""
        return None

    def settle_delivery(
        self, claimed: ClaimedDelivery, settlement: Settlement, *, timeout: float
    ) -> Settled:
        """Write how an attempt ended, if the claim is still ours."""
        return self._transact(
            lambda connection: _settle(connection, claimed, settlement), timeout=timeout
        )

    def next_delivery_in(self, channels: Sequence[str], *, timeout: float) -> timedelta | None:
        """Return how long until something is due; None where nothing waits."""
        if not channels:
            return None
        waits = select(alert.c.id).where(alert.c.dispatch == literal_column("'pending'")).exists()
        waiting = _waiting_on(channels)
        first = select(func.min(waiting.c.due_at)).where(*_may_be_next(waiting))
        query = select(db_now(), waits, first.scalar_subquery())
        [(now, has_alerts, due_at)] = self._rows(query, timeout=timeout)
        if has_alerts:
            return timedelta(0)
        return None if due_at is None else max(timedelta(0), due_at - now)


def _note(connection: Connection, hashes: Mapping[str, str]) -> Mapping[str, ChannelState]:
    states = dispatching.channel_states(connection)
    looked = update(channel_state).values(looked_at=db_now())
    for name, config_hash in sorted(hashes.items()):
        state = states.get(name)
        if state is None:
            row = {"channel": name, "config_hash": config_hash}
            insert = inserting(connection, channel_state)
            connection.execute(insert.values(looked_at=db_now(), **row))
        elif state.config_hash != config_hash:
            # Two hosts may differ for long: what the channel was seen to do counts on.
            anew = {"disabled_at": None, "failing_since": None, "failures": 0, "last_error": None}
            changed = {"config_hash": config_hash, **(anew if state.disabled_at else {})}
            connection.execute(looked.where(_CHANNEL.channel == name).values(**changed))
    is_old = or_(
        _CHANNEL.looked_at.is_(None), _CHANNEL.looked_at < db_now_plus(-LOOKED_EVERY_SECONDS)
    )
    connection.execute(looked.where(_CHANNEL.channel.in_([*hashes]), is_old))
    _give_up(connection)
    return dispatching.channel_states(connection)


def _give_up(connection: Connection) -> None:
    """Give up what has waited for a day: its channel is disabled, or nobody has it any more."""
    has_no_sender = and_(_SENDING, _ONE.claim_expires_at < db_now_plus(-3600))
    why = case((_PENDING, "it could not be sent for a day"), else_="its sender died")
    connection.execute(
        update(alert_delivery)
        .where(
            _OPEN,
            or_(_PENDING, has_no_sender),
            _ONE.created_at < db_now_plus(-GIVEN_UP_SECONDS - 3600),
        )
        .values(
            state=case((_PENDING, DeliveryState.DEAD.value), else_=DeliveryState.UNKNOWN.value),
            next_attempt_at=None,
            claim_expires_at=None,
            last_error=func.coalesce(_ONE.last_error, why),
        )
    )


def _waiting_on(channels: Sequence[str]) -> Subquery:
    """What waits on these channels, with the first one of its incident: each row is read once."""
    first = func.min(_ONE.id).over(partition_by=(_ONE.channel, _ONE.incident))
    return (
        select(
            *(_ONE.id, _ONE.channel, _ONE.incident),
            _DUE_AT.label("due_at"),
            first.label("first"),
        )
        .where(_OPEN, _ONE.channel.in_([*channels]))
        .subquery("waiting")
    )


def _may_be_next(waiting: Subquery) -> tuple[ColumnElement[bool], ...]:
    """Whether what waits is the first of its incident there, on a channel that may send."""
    its = waiting.c
    return _may_send(its.channel), or_(its.incident.is_(None), its.id == its.first)


def _may_send(channel: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether the channel is neither disabled nor asked to wait."""
    stopped = or_(_CHANNEL.disabled_at.is_not(None), _CHANNEL.not_before > db_now())
    return ~select(_CHANNEL.channel).where(_CHANNEL.channel == channel, stopped).exists()


def _is_first() -> ColumnElement[bool]:
    """Whether no earlier delivery of the incident waits on the channel."""
    earlier = alert_delivery.alias("earlier")
    waits_before = select(earlier.c.id).where(
        earlier.c.incident == _ONE.incident,
        earlier.c.channel == _ONE.channel,
        earlier.c.id < _ONE.id,
        # Not in the words of the index of all that waits: what waits is often nothing, so a planner
        # may take that index for the shortest way when thousands do.
        *(earlier.c.state != literal_column(f"'{state}'") for state in _ENDED),
    )
    # As a choice, a planner asks for each row by the index, and joins no table with itself.
    return or_(_ONE.incident.is_(None), ~waits_before.exists())


def _can_be_sent(channels: Sequence[str]) -> tuple[ColumnElement[bool], ...]:
    is_due = or_(
        and_(_PENDING, _ONE.next_attempt_at <= db_now()),
        and_(_SENDING, _ONE.claim_expires_at <= db_now()),
    )
    return _OPEN, _ONE.channel.in_([*channels]), is_due, _may_send(_ONE.channel), _is_first()


def _first_of(channels: Sequence[str], among: Sequence[int] | None) -> Select[Any]:
    """What is due first on these channels, locked; what another one has locked is passed over."""
    # Among all that wait, each claim would read and sort thousands.
    its = () if among is None else (_ONE.id.in_(among),)
    return (
        select(*_COLUMNS)
        .where(*_can_be_sent(channels), *its)
        .order_by(*_DUE_FIRST)
        .limit(1)
        .with_for_update(skip_locked=True, of=alert_delivery)
    )


def claiming(who: str, lease: timedelta) -> ReturningUpdate[Any]:
    """Take a delivery; the number of its attempts is the fence."""
    lasts = bindparam("lease", lease.total_seconds(), type_=_FLOAT, unique=True)
    change = update(alert_delivery).values(
        state=DeliveryState.SENDING.value,
        attempts=_ONE.attempts + 1,
        claimed_by=who,
        claim_expires_at=db_now_plus(lasts),
    )
    return change.returning(*_COLUMNS)


def _claim(
    connection: Connection, first: Select[Any], who: str, lease: timedelta
) -> ClaimedDelivery | None:
    while (row := connection.execute(first).one_or_none()) is not None:
        before = dispatching.delivery_from(row)
        if not _is_overtaken(connection, before):
            break
    else:
        return None
    claim = claiming(who, lease).where(_ONE.id == before.id, _ONE.attempts == before.attempts)
    record = dispatching.delivery_from(connection.execute(claim).one())
    # A claim that ran out, or an attempt whose answer never came, leaves its sender's name.
    return ClaimedDelivery(record=record, may_have_arrived=before.claimed_by is not None)


def _is_overtaken(connection: Connection, record: DeliveryRecord) -> bool:
    """Let a recovery tell what was tried in vain until then.

    What was never tried was replaced when the recovery was routed.
    """
    if not record.attempts or record.incident is None or record.kind not in dispatching.OPENINGS:
        return False
    recovered = (
        select(_ONE.id)
        .where(
            _PENDING,
            _ONE.incident == record.incident,
            _ONE.channel == record.channel,
            _ONE.id > record.id,
            _ONE.kind == NoticeKind.RECOVERED.value,
        )
        .limit(1)
    )
    by = connection.execute(recovered).scalar_one_or_none()
    if by is not None:
        dispatching.replace_with(connection, {record.id: by})
    return by is not None


def _settle(connection: Connection, claimed: ClaimedDelivery, how: Settlement) -> Settled:
    record = claimed.record
    is_sent = how.state is DeliveryState.SENT
    retry_in = how.retry_in.total_seconds() if how.retry_in is not None else 0.0
    waits = how.state is DeliveryState.PENDING
    settle = (
        update(alert_delivery)
        .where(
            _ONE.id == record.id,
            _ONE.claimed_by == record.claimed_by,
            _ONE.attempts == record.attempts,
            _SENDING,
        )
        .values(
            state=how.state.value,
            next_attempt_at=db_now_plus(retry_in) if waits else None,
            claimed_by=record.claimed_by if how.may_have_arrived or not waits else None,
            claim_expires_at=None,
            sent_at=db_now() if is_sent else None,
            last_error=how.error,
            receipt=how.receipt,
        )
        .returning(_ONE.id)
    )
    if connection.execute(settle).one_or_none() is None:
        return Settled(is_ours=False)
    if is_sent:
        _mark_told(connection, record)
        _hurry(connection, record.channel)
    failures = _note_outcome(connection, record, how)
    gave_up = how.state is DeliveryState.DEAD
    alarm = how.failed and (gave_up or failures == FAILURES_THAT_TELL)
    if alarm and how.tell and record.kind is not NoticeKind.TEST:
        _tell_others(connection, record, how)
    return Settled(alarm=alarm, failures=failures)


def _mark_told(connection: Connection, record: DeliveryRecord) -> None:
    """Note when the first channel told an alert, and those that this message told as well."""
    expired = alert.alias("expired")
    told: list[Select[tuple[int]]] = [
        select(literal(record.alert_id, BigInteger())),
        select(expired.c.id).where(  # each message counts them
            expired.c.dispatch == literal_column("'expired'"), expired.c.told_at.is_(None)
        ),
    ]
    if record.kind in (NoticeKind.DIGEST, NoticeKind.RECOVERED):
        told.append(select(_ONE.alert_id).where(_ONE.covered_by == record.id))
    its = union_all(*told).subquery("told")
    connection.execute(
        update(alert)
        .where(alert.c.id.in_(select(its.c[0])), alert.c.told_at.is_(None))
        .values(told_at=db_now())
    )


def _hurry(connection: Connection, channel: str) -> None:
    """Send at once what waits for its next attempt on a channel that works again."""
    has_failed = (
        select(_CHANNEL.channel)
        .where(_CHANNEL.channel == channel, _CHANNEL.failing_since.is_not(None))
        .exists()
    )
    connection.execute(
        update(alert_delivery)
        .where(_OPEN, _PENDING, _ONE.channel == channel, _ONE.attempts > 0, has_failed)
        .values(next_attempt_at=db_now())
    )


def _note_outcome(connection: Connection, record: DeliveryRecord, how: Settlement) -> int:
    """Count it for the channel; return how many attempts have failed in a row."""
    values: dict[str, Any] = {}
    if how.failed:
        values = {
            "failures": _CHANNEL.failures + 1,
            "failing_since": func.coalesce(_CHANNEL.failing_since, db_now()),
            "last_error": how.error,
        }
        if how.hold is not None:
            values["not_before"] = db_now_plus(how.hold.total_seconds())
        if how.disables:
            values["disabled_at"] = db_now()
    elif how.state is DeliveryState.SENT:
        is_new = or_(
            _CHANNEL.window_started_at.is_(None),
            _CHANNEL.window_started_at < db_now_plus(-WINDOW_SECONDS),
        )
        values = {
            "failures": 0,
            "failing_since": None,
            "last_error": None,
            "last_sent_at": db_now(),
            "sent_in_window": case((is_new, 1), else_=_CHANNEL.sent_in_window + 1),
            "window_started_at": case((is_new, db_now()), else_=_CHANNEL.window_started_at),
        }
    changed = (
        update(channel_state)
        .where(_CHANNEL.channel == record.channel)
        .values(**values)
        .returning(_CHANNEL.failures)
    )
    failures: int | None = connection.execute(changed).scalar_one_or_none() if values else 0
    return failures or 0


def _tell_others(connection: Connection, record: DeliveryRecord, how: Settlement) -> None:
    """Tell the other channels that this one fails, at most once a day."""
    failing, notice = alert_delivery.alias("failing"), alert_delivery.alias("notice")
    told = (
        select(notice.c.id)
        .join_from(notice, failing, failing.c.alert_id == notice.c.alert_id)
        .where(
            notice.c.kind == NoticeKind.UNDELIVERED.value,
            notice.c.created_at > db_now_plus(-GIVEN_UP_SECONDS),
            notice.c.channel != record.channel,
            failing.c.channel == record.channel,
        )
        .limit(1)
    )
    if connection.execute(told).first() is not None:
        return
    rows = [
        {
            "alert_id": record.alert_id,
            "kind": NoticeKind.UNDELIVERED.value,
            "channel": channel,
            "state": DeliveryState.PENDING.value,
            "next_attempt_at": db_now(),
        }
        for channel in how.tell
    ]
    connection.execute(inserting(connection, alert_delivery).values(rows))
