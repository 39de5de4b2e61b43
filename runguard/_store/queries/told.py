"""Who was told of a run's alert, beside everything else about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from sqlalchemy import and_, func, or_, select

from ..._errors import StoreUnavailable
from ..._monitor.expectations import JOB_SOURCE_TYPE
from ..._monitor.notices import (
    DeliveryRecord,
    DeliveryState,
    Dispatch,
    IncidentRecord,
    NoticeKind,
    Silence,
    Trail,
)
from ..._monitor.records import AlertDetails, AlertRecord, RunDetails
from ..._monitor.silences import matches
from ..schema.clock import db_now
from ..schema.notice_tables import alert_delivery, channel_state
from .details import DetailQueries
from .dispatching import delivery_from
from .incidents import IncidentQueries
from .reports import is_not_allowed
from .terms import key_parts
from .trail import DELIVERY_COLUMNS, TrailQueries

MOST_DELIVERIES: Final = 100  # of one alert; the newest
_ARRIVED: Final = (DeliveryState.SENT, DeliveryState.UNKNOWN, DeliveryState.DEAD)


class ToldDetails(DetailQueries, IncidentQueries, TrailQueries):
    """The answers about one run and one alert, and who was told."""

    def run_details(self, run_id: int) -> RunDetails | None:
        """Tell everything about one run; None where there is no such run."""
        details = super().run_details(run_id)
        if details is None or details.alert is None:
            return details
        return replace(details, trail=self.trail_of(details.alert))

    def alert_details(self, alert_id: int, *, limit: int = 20) -> AlertDetails | None:
        """Tell everything about one alert; None where there is no such alert."""
        details = super().alert_details(alert_id, limit=limit)
        return details and replace(details, trail=self.trail_of(details.alert))

    def trail_of(self, alert: AlertRecord) -> Trail | None:
        """Tell who was told of an alert; None where this role may not read it."""
        looked = self._readable(select(func.max(channel_state.c.looked_at), db_now()))
        if looked is None:
            return None
        [(looked_at, now)] = looked
        return Trail(
            dispatch=alert.dispatch,
            deliveries=self._deliveries(alert),
            incident=self.incident_of(alert.id) or self._about_to_open(alert),
            looked_at=looked_at,
            silences=self._silences_of(alert, now),
        )

    def active_silences(self, now: datetime) -> Sequence[Silence]:
        """Tell what mutes notices now; nothing where this role may not read it."""
        try:
            return self.silences(active_at=now)
        except StoreUnavailable as error:
            if not is_not_allowed(error):
                raise
            return ()

    def _about_to_open(self, alert: AlertRecord) -> IncidentRecord | None:
        """Tell what somebody may acknowledge already, while nobody was told."""
        is_waiting = alert.dispatch == Dispatch.PENDING
        return self.incident_about_to_open(alert.id) if is_waiting else None

    def _deliveries(self, alert: AlertRecord) -> tuple[DeliveryRecord, ...]:
        """Read an alert's own, its incident's end, and what tells these in their place."""
        one, incident = alert_delivery.c, alert.incident or alert.id
        of_incident = and_(one.incident == incident, one.alert_id != alert.id)
        goes_on = one.kind == NoticeKind.RECOVERED.value
        if incident == alert.id:  # the first: what came of it later stands here too
            goes_on = or_(goes_on, one.state.in_([state.value for state in _ARRIVED]))
        its = or_(one.alert_id == alert.id, and_(of_incident, goes_on))
        covers = select(one.covered_by).where(one.alert_id == alert.id)
        wanted = select(*DELIVERY_COLUMNS).where(or_(its, one.id.in_(covers)))
        rows = self._rows(wanted.order_by(one.id.desc()).limit(MOST_DELIVERIES))
        return tuple(delivery_from(row) for row in reversed(rows))

    def _silences_of(self, alert: AlertRecord, now: datetime) -> tuple[Silence, ...]:
        kind: dict[str, Any] = {"alert_type": alert.alert_type}
        if alert.source_type == JOB_SOURCE_TYPE:
            its = alert.detail if isinstance(alert.detail, Mapping) else {}
            named = its.get("job_name")
            job_name = named if isinstance(named, str) else None
            kind |= {"error_group": None, "environment": alert.environment}
        elif (key := key_parts(alert.source_id)) is not None:
            job_name = key.job_name
            kind |= {"error_group": str(key.error_group), "environment": key.environment}
        else:
            return ()
        return tuple(one for one in self.active_silences(now) if matches(one, job_name, **kind))
