"""Trying delivery: a test that goes the whole way, and a look at what would go where."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from .._clock import ticks
from .._events import Events
from .._failure.alert import FAILURE_ALERT_TYPE, FAILURE_SOURCE_TYPE
from .._frozen import frozen
from .._models import AlertDraft, AlertKey, Severity
from .._monitor.delivering import ClaimedDelivery, DispatchContext, PlannedDelivery
from .._monitor.notices import (
    DeliveryRecord,
    DeliveryState,
    Message,
    NoticeKind,
    PendingAlert,
    Standing,
)
from .._notify.dispatcher import MAIL
from .._notify.message import LONGEST_IN_MAIL, LONGEST_TEXT, build_message
from .._notify.policy import TEST_TYPE, plan_deliveries
from .._run.run_key import new_run_key
from .._store.queries.terms import key_parts
from .channels import Channels

if TYPE_CHECKING:
    from .._monitor.records import AlertRecord
    from .._store.operator import OperatorStore

TIMEOUT_SECONDS: Final = 30.0
LONGEST_TRIAL_SECONDS: Final = 60.0
PAUSE_SECONDS: Final = 0.2
_NOT_OVER: Final = (DeliveryState.PENDING, DeliveryState.SENDING)


@frozen(kw_only=True)
class Preview:
    """What a channel would be told of an alert.

    Attributes:
        channel: Its name.
        target: Who is reached, without secrets.
        kind: Why somebody is told.
        state: `pending` where it would be sent.
        reason: Why it would not be sent.
        message: What would be sent.
    """

    channel: str
    target: str
    kind: NoticeKind
    state: DeliveryState
    reason: str | None
    message: Message | None


def send_test(
    store: OperatorStore, channels: Channels, names: Sequence[str], events: Events, *, by: str
) -> Sequence[DeliveryRecord]:
    """Raise an alert of type TEST, have it sent on these channels, and return its deliveries."""
    draft = AlertDraft(
        uuid=new_run_key(),
        key=AlertKey("runguard", "notify", TEST_TYPE),
        severity=Severity.LOW,
        title="runguard: a test of the channels",
        message=f"{by} asked whether alerts arrive.",
        detail={"channels": list(names), "by": by},
        cooldown=timedelta(0),
    )
    alert_id = store.raise_alert(draft, timeout=TIMEOUT_SECONDS).alert_id
    dispatcher = channels.dispatcher(store, events)
    until = ticks() + LONGEST_TRIAL_SECONDS
    while not dispatcher.dispatch().is_whole and ticks() < until:
        time.sleep(PAUSE_SECONDS)  # another process is at it, or there is much to route
    dispatcher.deliver_due(stops=lambda: ticks() >= until or _is_over(store, alert_id))
    if alert_id is None:
        return ()
    trail = store.trail([alert_id])
    if trail and all(one.state is DeliveryState.SENT for one in trail):
        store.resolve_alerts([alert_id], by=by)  # it arrived: nothing is left to do
    return trail


def preview(store: OperatorStore, channels: Channels, alert: AlertRecord) -> Sequence[Preview]:
    """Say what each channel would be told if this alert came now, and send nothing."""
    now = store.now()
    pending = _as_if_it_came_now(alert, now)
    usable = {channel.name: channel for channel in channels.usable}
    states = {state.channel: state for state in store.channel_states()}
    context = DispatchContext(
        now=now, alerts=(pending,), channels=states, silences=tuple(store.active_silences(now))
    )
    plan = plan_deliveries(context, channels.config, list(usable))
    shown = []
    for one in plan.deliveries:
        channel = usable[one.channel]
        longest = LONGEST_IN_MAIL if channel.kind == MAIL else LONGEST_TEXT
        facts = store.notice_facts(_claimed(one, now), timeout=TIMEOUT_SECONDS)
        message = None
        if facts is not None:
            message = build_message(facts, channels.config, now=now, longest=longest)
        shown.append(
            Preview(
                channel=one.channel,
                target=channel.target(),
                kind=one.kind,
                state=one.state,
                reason=one.reason,
                message=message,
            )
        )
    return shown


def without_any(channels: Channels, shown: Iterable[Preview]) -> Sequence[str]:
    """Name the channels that would be told nothing, since no route leads there."""
    told = {one.channel for one in shown}
    return [channel.name for channel in channels.usable if channel.name not in told]


def _is_over(store: OperatorStore, alert_id: int | None) -> bool:
    """Whether no channel still has the test before it; what else is due is left to others."""
    deliveries = [] if alert_id is None else store.trail([alert_id])
    return not any(one.state in _NOT_OVER for one in deliveries)


def _as_if_it_came_now(alert: AlertRecord, now: datetime) -> PendingAlert:
    detail = alert.detail if isinstance(alert.detail, dict) else {}
    is_failure = (alert.source_type, alert.alert_type) == (FAILURE_SOURCE_TYPE, FAILURE_ALERT_TYPE)
    name, group, _ = (is_failure and key_parts(alert.source_id)) or (None, None, None)

    def text(key: str) -> str | None:
        value = detail.get(key)
        return value if isinstance(value, str) else None

    is_first = alert.incident in (None, alert.id)
    return PendingAlert(
        id=alert.id,
        source_type=alert.source_type,
        source_id=alert.source_id,
        alert_type=alert.alert_type,
        severity=alert.severity,
        title=alert.title,
        created_at=now,
        detail=detail,
        job_name=text("job_name") or name,
        error_group=text("error_group") or (group and str(group)),
        error_reason=text("reason"),
        upstream=text("upstream"),
        owner=text("owner"),
        environment=alert.environment,
        standing=Standing.FIRST if is_first else Standing.OPEN,
        incident=alert.incident or alert.id,
        opened_at=now if is_first else alert.created_at,
    )


def _claimed(planned: PlannedDelivery, now: datetime) -> ClaimedDelivery:
    record = DeliveryRecord(
        id=0,
        alert_id=planned.alert_id,
        incident=planned.incident,
        kind=planned.kind,
        channel=planned.channel,
        state=planned.state,
        attempts=1,
        created_at=now,
    )
    return ClaimedDelivery(record=record)
