"""Who was told of alerts, and how channels are doing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, select

from ..._monitor.notices import ChannelState, DeliveryRecord, DeliveryState, NoticeKind
from ..schema.notice_tables import alert_delivery, channel_state
from .reports import Reports

DELIVERY_COLUMNS: Final = tuple(alert_delivery.c[name] for name in DeliveryRecord.__slots__)
_CHANNEL_COLUMNS: Final = tuple(channel_state.c[name] for name in ChannelState.__slots__)


def delivery_of(row: Sequence[Any]) -> DeliveryRecord:
    """Return a row of `alert_delivery` as a record."""
    record = dict(zip(DeliveryRecord.__slots__, row, strict=True))
    record["kind"], record["state"] = NoticeKind(record["kind"]), DeliveryState(record["state"])
    return DeliveryRecord(**record)


class TrailQueries(Reports):
    """What a reader learns of deliveries and channels."""

    def trail(self, alert_ids: Sequence[int]) -> Sequence[DeliveryRecord]:
        """Return the deliveries of alerts, the oldest first."""
        if not alert_ids:
            return ()
        its = alert_delivery.c.alert_id.in_(list(alert_ids))
        rows = self._rows(select(*DELIVERY_COLUMNS).where(its).order_by(alert_delivery.c.id))
        return tuple(delivery_of(row) for row in rows)

    def channel_states(self) -> Sequence[ChannelState]:
        """Return how every channel is doing, in the order of their names."""
        rows = self._rows(select(*_CHANNEL_COLUMNS).order_by(channel_state.c.channel))
        return tuple(
            ChannelState(**dict(zip(ChannelState.__slots__, row, strict=True))) for row in rows
        )

    def undelivered_count(self) -> int:
        """Count the deliveries that were given up."""
        dead = alert_delivery.c.state == DeliveryState.DEAD.value
        [(count,)] = self._rows(select(func.count()).select_from(alert_delivery).where(dead))
        return int(count)
