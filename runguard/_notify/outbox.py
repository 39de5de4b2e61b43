"""What delivery asks of a store; `_store` answers.

Every call is a transaction of its own, committed when it returns. `timeout` is in seconds; after
it a store raises `StoreUnavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

from .._monitor.delivering import (
    ClaimedDelivery,
    DispatchContext,
    Dispatched,
    DispatchPlan,
    Settled,
    Settlement,
)
from .._monitor.notices import ChannelState, NoticeFacts

Plan = Callable[[DispatchContext], DispatchPlan]


class Outbox(Protocol):
    """Where alerts wait to be told, and deliveries to be sent."""

    def note_channels(
        self, hashes: Mapping[str, str], *, timeout: float
    ) -> Mapping[str, ChannelState]:
        """Note that somebody looks who has these channels, at most once a minute.

        A channel whose configuration's hash has changed is enabled again.
        """
        ...

    def dispatch(self, plan: Plan, *, limit: int, timeout: float) -> Dispatched:
        """Route alerts that wait, up to `limit`; another process may be at it already."""
        ...

    def due_deliveries(
        self, channels: Sequence[str], *, limit: int, timeout: float
    ) -> Sequence[int]:
        """Return the ids of deliveries that are due on these channels, the first one first."""
        ...

    def claim_delivery(
        self,
        channels: Sequence[str],
        *,
        who: str,
        lease: timedelta,
        timeout: float,
        among: Sequence[int] | None = None,
    ) -> ClaimedDelivery | None:
        """Take the delivery that is due first on these channels; None where none is.

        `among` are the ids to choose from, as `due_deliveries` returned them; all where None. Of an
        incident, none is taken before the ones that came earlier on the same channel.
        """
        ...

    def notice_facts(self, claimed: ClaimedDelivery, *, timeout: float) -> NoticeFacts | None:
        """Return what a message may say; None where the alert was deleted."""
        ...

    def settle_delivery(
        self, claimed: ClaimedDelivery, settlement: Settlement, *, timeout: float
    ) -> Settled:
        """Write how the attempt ended, unless another sender has taken it over."""
        ...

    def next_delivery_in(self, channels: Sequence[str], *, timeout: float) -> timedelta | None:
        """Return how long until something is due on these channels; None where nothing is."""
        ...
