"""Which deliveries an alert gets, and what becomes of one after an attempt. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from .._frozen import frozen
from .._models import ErrorGroup, Severity
from .._monitor.delivering import (
    Cause,
    ClaimedDelivery,
    DispatchContext,
    DispatchPlan,
    PlannedDelivery,
    RecentNotice,
    Settlement,
)
from .._monitor.notices import (
    DeliveryState,
    NoticeKind,
    Outcome,
    PendingAlert,
    SendResult,
    Standing,
)
from .._monitor.silences import muting
from .._monitor.wording import iso
from .config import NotifyConfig
from .quiet import quiet_window
from .routes import channels_for

RECOVERED_TYPE: Final = "RECOVERED"
TEST_TYPE: Final = "TEST"

FLOOD_WINDOW: Final = timedelta(minutes=10)
MOST_SINGLES: Final = 5  # messages on a channel in that time, before it gets digests
DIGEST_AFTER: Final = timedelta(minutes=5)
FIRST_DIGEST_AFTER: Final = timedelta(minutes=1)
BEFORE_CHANNEL: Final = timedelta(minutes=5)  # older alerts are not news for a new channel

RETRY_AFTER: Final = tuple(
    timedelta(seconds=seconds) for seconds in (10, 60, 300, 900, 3600, 10800, 21600, 43200)
)
GIVEN_UP_AFTER: Final = timedelta(hours=24)
LONGEST_HOLD: Final = timedelta(hours=1)
MOST_REFUSALS: Final = 3
LONGEST_ERROR: Final = 1024

_SEVERITIES: Final = (Severity.LOW, Severity.MEDIUM, Severity.HIGH)
_OPENINGS: Final = (NoticeKind.OPENED, NoticeKind.RAISED, NoticeKind.REMINDER)


class _Told(Enum):
    """What a channel knows of an incident."""

    TOLD = "told"
    WAITING = "waiting"
    IN_DIGEST = "in digest"
    GIVEN_UP = "given up"
    MUTED = "muted"
    NEVER = "never"


@frozen
class _Notice:
    """A notice of an incident on a channel: written before, or planned now."""

    kind: NoticeKind
    state: DeliveryState
    at: datetime
    id: int | None = None
    covered_by: int | None = None
    planned: PlannedDelivery | None = None


def plan_deliveries(
    context: DispatchContext, config: NotifyConfig, channels: Sequence[str]
) -> DispatchPlan:
    """Decide what each channel is told of each alert.

    Args:
        context: The alerts that wait, and what is known.
        config: Routes, maintenance windows, and how often to remind.
        channels: Names of the channels that are configured here.
    """
    return _Planner(context, config, channels).plan()


class _Planner:
    """Goes through the alerts in order: what is planned for one counts for those after it."""

    def __init__(
        self, context: DispatchContext, config: NotifyConfig, channels: Sequence[str]
    ) -> None:
        self._context, self._config, self._channels = context, config, tuple(channels)
        self._now = context.now
        self._planned: list[PlannedDelivery] = []
        self._silenced: dict[int, int] = {}
        self._recent = [one for one in context.recent if self._now - one.at <= FLOOD_WINDOW]
        self._notices: dict[tuple[int, str], list[_Notice]] = {}
        for incident, records in context.history.items():
            for record in records:
                self._notices.setdefault((incident, record.channel), []).append(
                    _Notice(
                        record.kind,
                        record.state,
                        record.sent_at or record.created_at,
                        record.id,
                        record.covered_by,
                    )
                )
        self._recoveries: dict[tuple[str, str | None, object], int] = {}

    def plan(self) -> DispatchPlan:
        for alert in self._context.alerts:
            if alert.alert_type == RECOVERED_TYPE and alert.standing is not Standing.ALONE:
                self._recover(alert)
            else:
                self._tell(alert)
        return DispatchPlan(deliveries=tuple(self._planned), silenced=self._silenced)

    def _tell(self, alert: PendingAlert) -> None:
        for channel in self._route(alert):
            kind, skipped = self._kind(alert, channel)
            if skipped is None:
                skipped = self._muted(alert)
            if skipped is not None:
                self._skip(alert, channel, kind, skipped)
            else:
                self._send(alert, channel, kind)

    def _route(self, alert: PendingAlert) -> tuple[str, ...]:
        asked = (alert.detail or {}).get("channels") if alert.alert_type == TEST_TYPE else None
        if isinstance(asked, list):  # a test names its channels
            return tuple(one for one in self._channels if one in asked)
        found = channels_for(self._config.routes, self._channels, alert, now=self._now)
        return tuple(one for one in found if one in self._channels)

    def _kind(self, alert: PendingAlert, channel: str) -> tuple[NoticeKind, str | None]:
        """Say what an alert is for a channel, and why it is not told, if so."""
        if alert.alert_type == TEST_TYPE:
            return NoticeKind.TEST, None
        if self._is_past(alert, channel):
            return NoticeKind.OPENED, "it was over before this channel was configured"
        if alert.standing is not Standing.OPEN:
            return NoticeKind.OPENED, None
        told = self._told(alert.incident, channel)
        if told in (_Told.NEVER, _Told.MUTED, _Told.GIVEN_UP):
            return NoticeKind.OPENED, None
        if _is_worse(alert.severity, alert.was_severity):
            return NoticeKind.RAISED, None
        if told is _Told.WAITING or told is _Told.IN_DIGEST:
            return NoticeKind.REMINDER, "the incident's first message still waits to be sent"
        if alert.acked_until is not None and alert.acked_until > self._now:
            by = alert.acked_by or "somebody"
            return NoticeKind.REMINDER, f"acknowledged by {by} until {iso(alert.acked_until)}"
        due = self._last_told_at(alert.incident, channel) + self._config.remind_every
        if due > self._now:
            return NoticeKind.REMINDER, f"a reminder is not due before {iso(due)}"
        return NoticeKind.REMINDER, None

    def _is_past(self, alert: PendingAlert, channel: str) -> bool:
        """Whether a channel is so new that this is no news for it."""
        state = self._context.channels.get(channel)
        if state is None or state.added_at is None:
            return False
        if alert.created_at >= state.added_at - BEFORE_CHANNEL:
            return False
        return (
            alert.standing is Standing.ALONE or alert.incident not in self._context.open_incidents
        )

    def _muted(self, alert: PendingAlert) -> str | None:
        if alert.alert_type == TEST_TYPE:
            return None
        silence = muting(
            self._context.silences,
            alert.job_name,
            error_group=alert.error_group,
            alert_type=alert.alert_type,
            now=self._now,
            environment=alert.environment,
        )
        if silence is not None:
            self._silenced[silence.id] = self._silenced.get(silence.id, 0) + 1
            until = iso(silence.ends_at.replace(microsecond=0))
            return f"silenced by silence {silence.id} until {until}: {silence.reason}"
        window = quiet_window(self._config.quiet, alert, now=self._now)
        if window is None:
            return None
        return f"in a maintenance window until {iso(window[1])}: {window[0].reason}"

    def _recover(self, alert: PendingAlert) -> None:
        """Tell a recovery where the failure was told, and both where its message still waits."""
        channels = {channel for incident, channel in self._notices if incident == alert.incident}
        for channel in sorted(filter(self._is_in_use, channels)):
            told = self._told(alert.incident, channel)
            waiting = self._waiting(alert.incident, channel)
            if told in (_Told.NEVER, _Told.MUTED):
                self._skip(
                    alert, channel, NoticeKind.RECOVERED, "the failure was not told on this channel"
                )
            elif told is _Told.IN_DIGEST:
                self._send(alert, channel, NoticeKind.RECOVERED, digest_due=self._now)
            elif told is _Told.WAITING and self._is_past(alert, channel):
                reason = "it was over before this channel was configured"
                self._withdraw(alert, channel, waiting, NoticeKind.RECOVERED, reason)
            else:
                self._send(alert, channel, NoticeKind.RECOVERED, replaces=waiting)

    def _is_in_use(self, channel: str) -> bool:
        """Whether a channel is configured here, or by another host that has looked lately."""
        if channel in self._channels:
            return True
        state = self._context.channels.get(channel)
        looked_at = None if state is None else state.looked_at
        return looked_at is not None and self._now - looked_at < GIVEN_UP_AFTER

    def _withdraw(
        self,
        alert: PendingAlert,
        channel: str,
        waiting: Sequence[_Notice],
        kind: NoticeKind,
        reason: str,
    ) -> None:
        self._replace_planned(waiting, reason)
        ids = tuple(one.id for one in waiting if one.id is not None)
        self._add(alert, channel, kind, DeliveryState.SKIPPED, reason=reason, replaces=ids)

    def _send(
        self,
        alert: PendingAlert,
        channel: str,
        kind: NoticeKind,
        *,
        replaces: Sequence[_Notice] = (),
        digest_due: datetime | None = None,
    ) -> None:
        ids = tuple(one.id for one in replaces if one.id is not None)
        self._replace_planned(replaces, "the message of the recovery tells both", alert.id)
        closed_by = alert.detail.get("recovered_by_run") if kind is NoticeKind.RECOVERED else None
        if closed_by is not None:
            key = (channel, alert.job_name, closed_by)
            if key in self._recoveries:
                self._add(
                    alert,
                    channel,
                    kind,
                    DeliveryState.REPLACED,
                    reason="the same success ended another incident of the job, which tells both",
                    with_alert=self._recoveries[key],
                    replaces=ids,
                )
                return
            self._recoveries[key] = alert.id
        if digest_due is None and kind is not NoticeKind.TEST:
            digest_due = self._digest_due(alert, channel, kind)
        if digest_due is not None:
            self._add(
                alert,
                channel,
                kind,
                DeliveryState.REPLACED,
                reason="one message tells it together with others",
                digest_due=digest_due,
                replaces=ids,
            )
            return
        self._recent.append(
            RecentNotice(
                channel=channel,
                kind=kind,
                at=self._now,
                source_id=alert.source_id,
                cause=cause_of(alert.error_group, alert.error_reason, alert.upstream),
                environment=alert.environment,
            )
        )
        self._add(alert, channel, kind, DeliveryState.PENDING, replaces=ids)

    def _digest_due(self, alert: PendingAlert, channel: str, kind: NoticeKind) -> datetime | None:
        """Say when a digest should tell it; None where it goes alone and at once."""
        here = [one for one in self._recent if one.channel == channel]
        digests = [one.at for one in here if one.kind is NoticeKind.DIGEST]
        singles = [one for one in here if one.kind is not NoticeKind.DIGEST]
        if len(singles) >= MOST_SINGLES:
            last = max(digests, default=None)
            soon = self._now + FIRST_DIGEST_AFTER
            return soon if last is None else max(soon, last + FLOOD_WINDOW)
        cause = cause_of(alert.error_group, alert.error_reason, alert.upstream)
        if cause is None or kind in (NoticeKind.REMINDER, NoticeKind.RAISED):
            return None
        is_known = any(
            one.kind is kind and one.cause == cause and one.source_id != alert.source_id
            for one in singles
            if one.environment == alert.environment
        )
        return self._now + DIGEST_AFTER if is_known else None

    def _skip(self, alert: PendingAlert, channel: str, kind: NoticeKind, reason: str) -> None:
        self._add(alert, channel, kind, DeliveryState.SKIPPED, reason=reason)

    def _add(
        self,
        alert: PendingAlert,
        channel: str,
        kind: NoticeKind,
        state: DeliveryState,
        *,
        reason: str | None = None,
        digest_due: datetime | None = None,
        with_alert: int | None = None,
        replaces: tuple[int, ...] = (),
    ) -> None:
        planned = PlannedDelivery(
            alert_id=alert.id,
            incident=None if alert.standing is Standing.ALONE else alert.incident,
            kind=kind,
            channel=channel,
            state=state,
            reason=reason,
            digest_due=digest_due,
            with_alert=with_alert,
            replaces=replaces,
        )
        self._planned.append(planned)
        self._notices.setdefault((alert.incident, channel), []).append(
            _Notice(kind, state, self._now, planned=planned)
        )

    def _replace_planned(
        self,
        notices: Iterable[_Notice],
        reason: str,
        with_alert: int | None = None,
    ) -> None:
        """Let another notice of this plan tell what was planned before it."""
        for one in notices:
            if one.planned is None:
                continue
            place = self._planned.index(one.planned)
            state = DeliveryState.SKIPPED if with_alert is None else DeliveryState.REPLACED
            self._planned[place] = replace(
                one.planned, state=state, reason=reason, with_alert=with_alert
            )

    def _cycle(self, incident: int, channel: str) -> list[_Notice]:
        """The notices since the incident last recovered."""
        notices = self._notices.get((incident, channel), [])
        ended = [at for at, one in enumerate(notices) if one.kind is NoticeKind.RECOVERED]
        return notices[ended[-1] + 1 :] if ended else notices

    def _told(self, incident: int, channel: str) -> _Told:
        openings = [one for one in self._cycle(incident, channel) if one.kind in _OPENINGS]
        if any(self._is_told(one) for one in openings):
            return _Told.TOLD
        if any(one.state is DeliveryState.PENDING for one in openings):
            return _Told.WAITING
        if any(self._is_in_digest(one) for one in openings):
            return _Told.IN_DIGEST
        if any(self._is_given_up(one) for one in openings):
            return _Told.GIVEN_UP
        return _Told.MUTED if openings else _Told.NEVER

    def _is_told(self, notice: _Notice) -> bool:
        if notice.state in (DeliveryState.SENT, DeliveryState.UNKNOWN, DeliveryState.SENDING):
            return True
        return (
            notice.state is DeliveryState.REPLACED
            and notice.covered_by in self._context.told_digests
        )

    def _is_in_digest(self, notice: _Notice) -> bool:
        if notice.state is not DeliveryState.REPLACED:
            return False
        if notice.planned is not None:
            return notice.planned.digest_due is not None
        return notice.covered_by is not None and notice.covered_by not in self._context.lost_digests

    def _is_given_up(self, notice: _Notice) -> bool:
        return notice.state is DeliveryState.DEAD or notice.covered_by in self._context.lost_digests

    def _waiting(self, incident: int, channel: str) -> list[_Notice]:
        return [
            one
            for one in self._cycle(incident, channel)
            if one.kind in _OPENINGS and one.state is DeliveryState.PENDING
        ]

    def _last_told_at(self, incident: int, channel: str) -> datetime:
        told = [one.at for one in self._cycle(incident, channel) if self._is_told(one)]
        return max(told, default=self._now)


def cause_of(group: str | None, reason: str | None, upstream: str | None) -> Cause | None:
    """Return what many jobs may fail of at once; None where nothing is known that they share."""
    if group is None or group == ErrorGroup.UNKNOWN.value:
        return None
    return group, reason, upstream


def _is_worse(severity: str, before: str | None) -> bool:
    ranks = {one.value: rank for rank, one in enumerate(_SEVERITIES)}
    return before is not None and ranks.get(severity, 1) > ranks.get(before, 1)


def settlement_of(
    claimed: ClaimedDelivery,
    outcome: Outcome,
    *,
    is_idempotent: bool,
    now: datetime,
    jitter: Callable[[], float] = random.random,
) -> Settlement:
    """Decide what becomes of a delivery after an attempt.

    Args:
        claimed: What was sent.
        outcome: How it ended.
        is_idempotent: Whether a repeat does no harm on this channel.
        now: The time of the answer.
        jitter: Gives a number from 0 to 1.
    """
    record = claimed.record
    error = outcome.error[:LONGEST_ERROR] if outcome.error else None
    hold = None
    if outcome.retry_after is not None and outcome.result is not SendResult.SENT:
        hold = min(outcome.retry_after, LONGEST_HOLD)
    settlement = Settlement(
        state=DeliveryState.PENDING,
        error=error,
        receipt=outcome.receipt,
        hold=hold,
        failed=outcome.result is not SendResult.SENT,
    )
    if outcome.result is SendResult.SENT:
        return replace(settlement, state=DeliveryState.SENT, error=None)
    if outcome.result is SendResult.GONE:
        return replace(settlement, state=DeliveryState.DEAD, disables=True)
    if outcome.result is SendResult.REFUSED and record.attempts >= MOST_REFUSALS:
        return replace(settlement, state=DeliveryState.DEAD)
    is_unknown = outcome.result is SendResult.UNKNOWN
    if is_unknown and not is_idempotent and claimed.may_have_arrived:
        return replace(settlement, state=DeliveryState.UNKNOWN)
    pause = RETRY_AFTER[min(record.attempts, len(RETRY_AFTER)) - 1] * (0.8 + 0.4 * jitter())
    pause = max(pause, hold or timedelta(0))
    if now + pause > record.created_at + GIVEN_UP_AFTER:
        # The last try comes at the end of the day, not long before it.
        pause = record.created_at + GIVEN_UP_AFTER - now
        if pause <= timedelta(minutes=1):
            may_have = is_unknown or claimed.may_have_arrived
            given_up = DeliveryState.UNKNOWN if may_have else DeliveryState.DEAD
            return replace(settlement, state=given_up)
    return replace(
        settlement,
        retry_in=pause,
        may_have_arrived=is_unknown or claimed.may_have_arrived,
    )


def reach(channels: Mapping[str, object], failing: str) -> tuple[str, ...]:
    """Return the channels through which it is told that one fails."""
    return tuple(name for name in channels if name != failing)
