"""What metrics are made of, in a few statements for any number of jobs."""

from __future__ import annotations

from typing import Final

from sqlalchemy import func, select

from ..._monitor.metrics import DeliveryCount, OpenIncidents, Standing
from ..schema.notice_tables import alert, alert_cooldown, alert_delivery
from ..schema.watch_tables import monitor
from .watched import WatchedJobs

LAST_RUNS: Final = 10  # of a job: its newest may still run

_COUNT: Final = func.count()


class MetricQueries(WatchedJobs):
    """How all jobs stand, for a monitoring system."""

    def standing(self, *, spool_records: int | None = None) -> Standing:
        """Tell how jobs, incidents, deliveries and monitors stand.

        What this role may not read is left out. `spool_records` is handed on.
        """
        opened = alert.c.alert_type, alert.c.severity
        incidents = (
            select(*opened, _COUNT)
            .join_from(alert_cooldown, alert, alert.c.id == alert_cooldown.c.open_alert_id)
            .where(alert_cooldown.c.open_alert_id.is_not(None))
            .group_by(*opened)
            .order_by(*opened)
        )
        sent = alert_delivery.c.channel, alert_delivery.c.state
        deliveries = select(*sent, _COUNT).group_by(*sent).order_by(*sent)
        last = func.max(monitor.c.last_round_at, type_=monitor.c.last_round_at.type)
        rounds = select(monitor.c.kind, last).group_by(monitor.c.kind).order_by(monitor.c.kind)
        return Standing(
            jobs=self.overview(strip=LAST_RUNS),
            incidents=[OpenIncidents(*row) for row in self._readable(incidents) or ()],
            deliveries=[DeliveryCount(*row) for row in self._readable(deliveries) or ()],
            rounds=[(kind, at) for kind, at in self._readable(rounds) or () if at is not None],
            spool_records=spool_records,
        )
