"""What a round of delivery works with: pure records between the store and `_notify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta

from .._frozen import frozen
from .notices import ChannelState, DeliveryRecord, DeliveryState, NoticeKind, PendingAlert, Silence

Cause = tuple[str, str | None, str | None]
"""Group, reason and upstream of a failure: what many jobs may fail of at once."""


@frozen(kw_only=True)
class RecentNotice:
    """A message of the last minutes on a channel, sent or about to be."""

    channel: str
    kind: NoticeKind
    at: datetime
    source_id: str
    cause: Cause | None
    environment: str | None = None


@frozen(kw_only=True)
class DispatchContext:
    """All that is known when alerts are routed.

    Attributes:
        now: The database's time.
        alerts: Those that wait, in the order of their ids.
        history: Deliveries of their incidents, the oldest first, by the incident.
        open_incidents: Incidents that are open now.
        recent: What went to channels lately, the oldest first.
        digests: The digest of each channel that still takes alerts.
        told_digests: Digests that were sent.
        lost_digests: Digests that never will be.
        channels: How channels are doing.
        silences: Those that mute now.
    """

    now: datetime
    alerts: tuple[PendingAlert, ...]
    history: Mapping[int, tuple[DeliveryRecord, ...]] = field(default_factory=dict)
    open_incidents: frozenset[int] = frozenset()
    recent: tuple[RecentNotice, ...] = ()
    digests: Mapping[str, int] = field(default_factory=dict)
    told_digests: frozenset[int] = frozenset()
    lost_digests: frozenset[int] = frozenset()
    channels: Mapping[str, ChannelState] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()


@frozen(kw_only=True)
class PlannedDelivery:
    """A row of `alert_delivery` to be.

    Attributes:
        reason: Why it is skipped or replaced.
        digest_due: Where a digest tells it: when that is sent, unless the channel's open one is.
        with_alert: Where the notice of another alert of the plan tells it on the same channel.
        replaces: Ids of deliveries that wait, and that this one tells as well.
    """

    alert_id: int
    incident: int | None
    kind: NoticeKind
    channel: str
    state: DeliveryState
    reason: str | None = None
    digest_due: datetime | None = None
    with_alert: int | None = None
    replaces: tuple[int, ...] = ()


@frozen(kw_only=True)
class DispatchPlan:
    """What becomes of alerts that wait: those without any delivery are unroutable.

    `silenced` counts the notices that each silence muted.
    """

    deliveries: tuple[PlannedDelivery, ...] = ()
    silenced: Mapping[int, int] = field(default_factory=dict)


@frozen(kw_only=True)
class Dispatched:
    """What a dispatch did. `is_whole` is False where more alerts may wait."""

    routed: int = 0
    expired: int = 0
    unroutable: int = 0
    is_whole: bool = True

    @property
    def alerts(self) -> int:
        """How many alerts it dealt with."""
        return self.routed + self.expired + self.unroutable


@frozen(kw_only=True)
class ClaimedDelivery:
    """A delivery that this process sends, until `record.claim_expires_at`.

    `may_have_arrived` says whether an attempt before may have: its sender died, or never learnt.
    """

    record: DeliveryRecord
    may_have_arrived: bool = False


@frozen(kw_only=True)
class Settlement:
    """What an attempt changes.

    Attributes:
        state: `sent`, `unknown`, `dead`, or `pending` for another attempt.
        retry_in: When that is.
        may_have_arrived: Whether this attempt may have arrived although nobody knows.
        hold: How long nobody sends on this channel.
        failed: Whether it counts against the channel.
        disables: Whether the channel is disabled until its configuration changes.
        tell: Channels that are told if this one is found to fail.
    """

    state: DeliveryState
    retry_in: timedelta | None = None
    error: str | None = None
    receipt: str | None = None
    may_have_arrived: bool = False
    hold: timedelta | None = None
    failed: bool = False
    disables: bool = False
    tell: tuple[str, ...] = ()


@frozen(kw_only=True)
class Settled:
    """What came of it: `is_ours` is False where another sender had taken the delivery over.

    `alarm` is set where the channel has failed often enough, or gave a message up: others are told.
    """

    is_ours: bool = True
    alarm: bool = False
    failures: int = 0
