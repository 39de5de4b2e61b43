"""Open findings in a store, as the monitor leaves them there."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import update

from runguard._models import AlertDraft, AlertKey, Severity
from runguard._monitor.expectations import JOB_SOURCE_TYPE, FindingType, source_id_of
from runguard._run.run_key import new_run_key
from runguard._store.schema.watch_tables import alert_cooldown

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore


def find(
    store: OperatorStore,
    job_name: str,
    kind: FindingType = FindingType.MISSED,
    *,
    environment: str | None = None,
    title: str = "due 02:00 UTC, not started",
) -> int:
    """Raise the alert of a finding and open its incident; return the incident."""
    key = AlertKey(JOB_SOURCE_TYPE, source_id_of(job_name, environment), kind.value)
    detail = {"job_name": job_name, "environment": environment, "since": "2026-03-01T02:00:00Z"}
    verdict = store.raise_alert(
        AlertDraft(
            uuid=new_run_key(),
            key=key,
            severity=Severity.HIGH,
            title=title,
            message=title,
            detail=detail,
            cooldown=timedelta(minutes=30),
        ),
        timeout=5,
    )
    incident = verdict.alert_id
    assert incident is not None
    guard = alert_cooldown.c
    opened = (
        update(alert_cooldown)
        .where(guard.source_id == key.source_id, guard.alert_type == key.alert_type)
        .values(open_alert_id=incident, opened_at=guard.last_alert_at)
    )
    with store.engine.begin() as connection:
        connection.execute(opened)
    return incident
