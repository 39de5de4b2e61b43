"""Who was told of alerts, and how channels are doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select

from ..._frozen import field_names
from ..._monitor.notices import ChannelState, DeliveryRecord, DeliveryState
from ..schema.moments import db_now_plus
from ..schema.notice_tables import alert_delivery, channel_state
from .dispatching import delivery_from
from .reports import Reports

UNDELIVERED_SECONDS: Final = 7 * 86_400.0  # older ones are no news
DELIVERY_COLUMNS: Final = tuple(alert_delivery.c[name] for name in field_names(DeliveryRecord))
_CHANNEL_COLUMNS: Final = tuple(channel_state.c[name] for name in field_names(ChannelState))


class TrailQueries(Reports):
    """What a reader learns of deliveries and channels.

    Runs and alerts are for roles to read that may not read deliveries: those learn nothing of them.
    """

    def trail(self, alert_ids: Sequence[int]) -> Sequence[DeliveryRecord]:
        """Return the deliveries of alerts, the oldest first."""
        if not alert_ids:
            return ()
        its = alert_delivery.c.alert_id.in_(list(alert_ids))
        wanted = select(*DELIVERY_COLUMNS).where(its).order_by(alert_delivery.c.id)
        return tuple(delivery_from(row) for row in self._readable(wanted) or ())

    def channel_states(self) -> Sequence[ChannelState]:
        """Return how every channel is doing, in the order of their names."""
        wanted = select(*_CHANNEL_COLUMNS).order_by(channel_state.c.channel)
        return tuple(
            ChannelState(**dict(zip(field_names(ChannelState), row, strict=True)))
            for row in self._readable(wanted) or ()
        )

    def undelivered_count(self) -> int:
        """Count the alerts that a channel gave up in the last week."""
        lately = alert_delivery.c.created_at > db_now_plus(-UNDELIVERED_SECONDS)
        dead = alert_delivery.c.state == DeliveryState.DEAD.value
        its = func.count(alert_delivery.c.alert_id.distinct())
        [(count,)] = self._rows(select(its).where(lately, dead))
        return int(count)
