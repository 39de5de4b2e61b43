"""Runs and endings as the machinery would hand them to a store."""

from __future__ import annotations

from datetime import timedelta

from runguard._failure.alert import SEVERITY_OF, failure_alert
from runguard._models import (
    AlertDraft,
    AlertKey,
    Counters,
    ErrorGroup,
    Failure,
    NewRun,
    RunEnding,
    Severity,
    TriggerType,
)
from runguard._run.run_key import new_run_key

TIMEOUT = 10.0
HALF_AN_HOUR = timedelta(minutes=30)


def new_run(job_name: str = "enrolment_sync") -> NewRun:
    return NewRun(
        key=new_run_key(),
        job_name=job_name,
        trigger_type=TriggerType.SCHEDULER,
        host="host-1",
        pid=4711,
    )


def success(run: NewRun, counters: Counters | None = None) -> RunEnding:
    return RunEnding(run.key, counters or Counters())


def failure(
    run: NewRun,
    *,
    group: ErrorGroup = ErrorGroup.HTTP_5XX,
    cooldown: timedelta = HALF_AN_HOUR,
    alerts: bool = True,
    counters: Counters | None = None,
    message: str = "HTTP 503",
    reason: str | None = None,
    environment: str | None = None,
) -> RunEnding:
    failed = Failure(
        error_group=group,
        severity=SEVERITY_OF[group],
        http_status_code=503 if group is ErrorGroup.HTTP_5XX else None,
        error_type="httpx.HTTPStatusError",
        error_message=message,
        matched_by="a test",
        error_reason=reason,
    )
    alert = failure_alert(
        run_key=run.key,
        job_name=run.job_name,
        failure=failed,
        location="job.py:7 in pull",
        cooldown=cooldown,
        environment=environment,
    )
    return RunEnding(
        run.key, counters or Counters(), failed, "job.py:7 in pull", alert if alerts else None
    )


def own_alert(
    source_id: str = "student-1", cooldown: timedelta = HALF_AN_HOUR, alert_type: str = "NEW"
) -> AlertDraft:
    return AlertDraft(
        uuid=new_run_key(),
        key=AlertKey("student", source_id, alert_type),
        severity=Severity.LOW,
        title="A new student",
        message="student-1 came",
        detail={"term": "2026-2"},
        cooldown=cooldown,
    )
