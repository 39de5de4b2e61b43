"""One round of delivery: alerts that wait are routed, and what is due is sent.

Any number of processes may do it at once. A delivery is claimed before it is sent, by a lease with
the number of the attempt as its fence, and settled only by who still holds the claim: a sender
that dies in between loses nothing, and its successor repeats with the same key.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from .. import _clock
from .._errors import StoreUnavailable
from .._events import Events
from .._frozen import frozen
from .._monitor.delivering import (
    ClaimedDelivery,
    DispatchContext,
    Dispatched,
    DispatchPlan,
    Settlement,
)
from .._monitor.notices import DeliveryState, NoticeKind, Outcome, SendResult
from .channels.base import Channel
from .config import NotifyConfig
from .message import LONGEST_IN_MAIL, LONGEST_TEXT, build_message
from .outbox import Outbox
from .policy import plan_deliveries, reach, settlement_of

ALERT_NOT_DELIVERED: Final = "runguard.alert_not_delivered"  # critical

AT_ONCE: Final = 100  # alerts in one transaction
LOOKS_AHEAD: Final = 50  # deliveries of a channel; each is claimed by itself, when it is its turn
MOST_BATCHES: Final = 50  # of one round
MOST_COUNTED: Final = 10_000
LEASE: Final = timedelta(minutes=2)
SEND_TIMEOUT_SECONDS: Final = 30.0
STORE_TIMEOUT_SECONDS: Final = 30.0
MAIL: Final = "smtp"
DELETED: Final = Settlement(state=DeliveryState.SKIPPED, error="the alert was deleted")


@frozen(kw_only=True)
class Delivered:
    """What was sent in a round, and what was not."""

    sent: int = 0
    failed: int = 0  # of which some are tried again
    dead: int = 0  # given up

    def __add__(self, other: Delivered) -> Delivered:
        """Count two together."""
        return Delivered(
            sent=self.sent + other.sent,
            failed=self.failed + other.failed,
            dead=self.dead + other.dead,
        )


class Dispatcher:
    """Routes alerts and sends deliveries, for the channels that are configured here.

    Args:
        outbox: The store.
        channels: Those that could be opened.
        config: Routes, maintenance windows, and what messages need.
        events: Where to tell what is wrong.
        clock: Gives the time that messages are written at.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Iterable[Channel],
        config: NotifyConfig,
        events: Events,
        *,
        clock: Callable[[], datetime] = _clock.now,
    ) -> None:
        self._outbox = outbox
        self._channels = {channel.name: channel for channel in channels}
        self._config = config
        self._events = events
        self._clock = clock
        self._who = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"

    def dispatch(self) -> Dispatched:
        """Route the alerts that wait, in batches. Without a channel, they go on waiting.

        Raises:
            StoreUnavailable: the store is away.
            SchemaOutOfDate: it was not upgraded yet.
        """
        if not self._channels:
            return Dispatched()
        hashes = {name: channel.config_hash for name, channel in self._channels.items()}
        self._outbox.note_channels(hashes, timeout=STORE_TIMEOUT_SECONDS)
        routed = expired = unroutable = 0
        for _ in range(MOST_BATCHES):
            done = self._outbox.dispatch(self._plan, limit=AT_ONCE, timeout=STORE_TIMEOUT_SECONDS)
            routed += done.routed
            expired += done.expired
            unroutable += done.unroutable
            if done.is_whole or not done.alerts:
                break
        return replace(done, routed=routed, expired=expired, unroutable=unroutable)

    def deliver_due(self, *, stops: Callable[[], bool] = lambda: False) -> Delivered:
        """Send all that is due, a thread a channel, so that one that hangs holds up no other.

        It returns when nothing is due any more, or a channel has failed: `next_due_in` says when
        to go on. `stops` says before each message whether to leave the rest.

        Raises:
            StoreUnavailable: the store is away.
        """
        workers = [_ChannelWorker(self, channel, stops) for channel in self._channels.values()]
        if len(workers) == 1:
            workers[0].run()
        else:
            threads = [
                threading.Thread(target=worker.run, name=f"runguard-{worker.name}", daemon=True)
                for worker in workers
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        for worker in workers:
            if worker.trouble is not None:
                raise worker.trouble
        return sum((worker.done for worker in workers), Delivered())

    def count_due(self) -> int:
        """Count what is due on these channels now, up to `MOST_COUNTED`."""
        due = self._outbox.due_deliveries(
            [*self._channels], limit=MOST_COUNTED, timeout=STORE_TIMEOUT_SECONDS
        )
        return len(due)

    def next_due_in(self) -> timedelta | None:
        """Return how long until something is due on these channels; None where nothing waits."""
        return self._outbox.next_delivery_in([*self._channels], timeout=STORE_TIMEOUT_SECONDS)

    def due_on(self, channel: Channel) -> list[int]:
        """Return what is due on a channel, or the first part of it."""
        due = self._outbox.due_deliveries(
            [channel.name], limit=LOOKS_AHEAD, timeout=STORE_TIMEOUT_SECONDS
        )
        return [*due]

    def claim(self, channel: Channel, due: Sequence[int]) -> ClaimedDelivery | None:
        """Take what comes first of these deliveries; None where others have taken all of them."""
        return self._outbox.claim_delivery(
            [channel.name], who=self._who, lease=LEASE, timeout=STORE_TIMEOUT_SECONDS, among=due
        )

    def deliver(self, channel: Channel, claimed: ClaimedDelivery) -> Delivered:
        """Send what was claimed, and settle it."""
        outcome = self._send(channel, claimed)
        settlement = DELETED
        if outcome is not None:
            settlement = settlement_of(
                claimed, outcome, is_idempotent=channel.is_idempotent, now=self._claimed_at(claimed)
            )
        if claimed.record.kind is not NoticeKind.UNDELIVERED:  # or two that fail tell each other
            settlement = replace(settlement, tell=reach(self._channels, channel.name))
        settled = self._outbox.settle_delivery(claimed, settlement, timeout=STORE_TIMEOUT_SECONDS)
        if settled.alarm:
            self._events.emit(
                ALERT_NOT_DELIVERED,
                alert_id=claimed.record.alert_id,
                channel=channel.name,
                state=settlement.state.value,
                failures=settled.failures,
                attempts=claimed.record.attempts,
                error=settlement.error,
            )
        return Delivered(
            sent=settlement.state is DeliveryState.SENT,
            failed=settlement.failed,
            dead=settlement.state is DeliveryState.DEAD,
        )

    def _plan(self, context: DispatchContext) -> DispatchPlan:
        # Also for channels that only others can use: a secret may be missing here.
        names = dict.fromkeys([*self._config.channels, *self._channels])
        return plan_deliveries(context, self._config, [*names])

    def _claimed_at(self, claimed: ClaimedDelivery) -> datetime:
        """Return the database's time, by which deliveries grow old; ours may be wrong."""
        expires_at = claimed.record.claim_expires_at
        return self._clock() if expires_at is None else expires_at - LEASE

    def _send(self, channel: Channel, claimed: ClaimedDelivery) -> Outcome | None:
        """Send it; None where its alert was deleted.

        A fault of our own is an attempt that failed: it never stops the others.
        """
        try:
            facts = self._outbox.notice_facts(claimed, timeout=STORE_TIMEOUT_SECONDS)
            if facts is None:
                return None
            facts = replace(facts, remind_every=self._config.remind_every)
            longest = LONGEST_IN_MAIL if channel.kind == MAIL else LONGEST_TEXT
            message = build_message(facts, self._config, now=self._clock(), longest=longest)
            return channel.send(message, timeout=SEND_TIMEOUT_SECONDS)
        except StoreUnavailable:
            raise  # the claim runs out, and somebody tries again
        except Exception as trouble:  # see the docstring
            self._events.internal_error("deliver", trouble, alert_id=claimed.record.alert_id)
            return Outcome(SendResult.RETRY, error=f"runguard failed: {type(trouble).__name__}")


class _ChannelWorker:
    """Sends on one channel until nothing is due there or it fails, and keeps what came of it."""

    def __init__(self, dispatcher: Dispatcher, channel: Channel, stops: Callable[[], bool]) -> None:
        self.name = channel.name
        self.done = Delivered()
        self.trouble: Exception | None = None
        self._dispatcher, self._channel, self._stops = dispatcher, channel, stops

    def run(self) -> None:
        """Work; what goes wrong is for who asked."""
        try:
            tried: list[int] = []
            # What is due as before could not be claimed: others are at it.
            while (due := self._dispatcher.due_on(self._channel)) and due != tried:
                tried = [*due]
                if self._has_stopped_at(due):
                    return
        except Exception as trouble:
            self.trouble = trouble

    def _has_stopped_at(self, due: list[int]) -> bool:
        """Send what is due; return whether somebody or something says to leave the rest."""
        while due and (claimed := self._claimed(due)) is not None:
            one = self._dispatcher.deliver(self._channel, claimed)
            self.done += one
            if one.failed and not one.dead:  # the next would hang as long as this one
                return True
        return self._stops()

    def _claimed(self, due: list[int]) -> ClaimedDelivery | None:
        """Take what comes first, and leave in the list what comes after it."""
        claimed = None if self._stops() else self._dispatcher.claim(self._channel, due)
        if claimed is not None:
            del due[: due.index(claimed.record.id) + 1]
        return claimed
