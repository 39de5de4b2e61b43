"""What is expected of jobs and found of them, as people and the monitor leave it in a store."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import update

from runguard._models import AlertDraft, AlertKey, Severity
from runguard._monitor.expectations import (
    JOB_SOURCE_TYPE,
    Declarer,
    Expectation,
    FindingType,
    JobDeclaration,
    source_id_of,
)
from runguard._run.run_key import new_run_key
from runguard._store.schema.watch_tables import alert_cooldown, job

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


def close(store: OperatorStore, job_name: str) -> None:
    """End the incidents of a job's findings."""
    guard = alert_cooldown.c
    closed = update(alert_cooldown).where(guard.source_id == job_name).values(open_alert_id=None)
    with store.engine.begin() as connection:
        connection.execute(closed)


def expect(
    store: OperatorStore, job_name: str, *, due: timedelta | None = None, **more: Any
) -> None:
    """Declare that a job starts every hour; `due` is when it must next, from now on."""
    values = {"expectation": Expectation(every=timedelta(hours=1)), "by": Declarer.PERSON, **more}
    store.declare(JobDeclaration(job_name=job_name, who="ana", **values))
    if due is None:
        return
    next_due = update(job).where(job.c.job_name == job_name)
    with store.engine.begin() as connection:
        connection.execute(next_due.values(next_due_at=store.now() + due, grace_seconds=600.0))
