"""Facts of deliveries, as the outbox hands them to the message."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard._monitor.notices import (
    Covered,
    DeliveryRecord,
    DeliveryState,
    NoticeFacts,
    NoticeKind,
    RunFacts,
)

NOW = datetime(2026, 3, 1, 5, 10, tzinfo=UTC)
BEGAN = NOW - timedelta(hours=3, minutes=10)

FIRST = NoticeFacts(
    delivery=DeliveryRecord(
        id=5,
        alert_id=17,
        incident=17,
        kind=NoticeKind.OPENED,
        channel="mail",
        state=DeliveryState.SENDING,
        attempts=1,
        created_at=NOW,
    ),
    alert_id=17,
    source_type="run_log",
    source_id="enrolment_sync:TIMEOUT",
    alert_type="FAILED",
    severity="high",
    title="enrolment_sync failed: timed out, while connecting",
    created_at=BEGAN,
    message="ConnectTimeout: no connection to api.example:443 within 5 s (page 3 of 12)",
    detail={"error_location": "sync.py:41 in fetch"},
    job_name="enrolment_sync",
    error_group="TIMEOUT",
    error_reason="connect_timeout",
    upstream="api.example",
    opened_at=BEGAN,
    failed_run=RunFacts(id=991, started_at=BEGAN, host="etl-3", version="1.5"),
    last_success=RunFacts(
        id=900, started_at=BEGAN - timedelta(minutes=15), host="etl-2", version="1.4"
    ),
    remind_every=timedelta(hours=4),
    next_reminder_at=NOW + timedelta(hours=4),
)


TRACEBACK = """\
Traceback (most recent call last):
  File "~/app/nightly.py", line 12, in main
    sync.fetch(3)
  File "~/app/sync.py", line 41, in fetch
    page = client.get(url)
  File "/venv/lib/python3.12/site-packages/httpx/_client.py", line 914, in send
    raise exc
httpx.ConnectTimeout: timed out"""


def notice(kind: str = "opened", **changed: Any) -> NoticeFacts:
    """The facts of a delivery of this kind, with what a test changes of them."""
    return replace(FIRST, delivery=replace(FIRST.delivery, kind=NoticeKind(kind)), **changed)


def recovery(**changed: Any) -> NoticeFacts:
    """The facts of a recovery."""
    closing = RunFacts(id=1000, started_at=NOW - timedelta(minutes=5), finished_at=NOW)
    given = {"alert_type": "RECOVERED", "severity": "low", "recovered_by": closing, **changed}
    return notice("recovered", **given)


def covered(job: str, *, word: str = "TIMEOUT", kind: str = "opened", **changed: Any) -> Covered:
    """One alert of a digest."""
    given: dict[str, Any] = {"severity": "high", "alert_id": 30, "title": f"{job} failed"}
    given |= changed
    return Covered(subject_word=word, job_name=job, kind=NoticeKind(kind), at=NOW, **given)


def finding(kind: str = "MISSED", over: bool = False, **changed: Any) -> NoticeFacts:
    """The facts of what was found of a job, or of its end; `detail` is added to the usual one."""
    detail = {
        "job_name": "nightly_backup",
        "description": "Copies the warehouse.",
        **({"finding": kind} if over else {}),
        **changed.pop("detail", {}),
    }
    given: dict[str, Any] = {
        "source_type": "job",
        "source_id": "nightly_backup",
        "job_name": "nightly_backup",
        "alert_type": "RECOVERED" if over else kind,
        "title": "nightly_backup: as its title says",
        "message": "Sentences of the judge.",
        "error_group": None,
        "error_reason": None,
        "upstream": None,
        "failed_run": None,
        "last_success": None,
        "owner": "data",
        "runbook": "https://wiki.example/backup",
        "detail": detail,
    }
    kind_of_notice = changed.pop("notice", "recovered" if over else "opened")
    return notice(kind_of_notice, **{**given, **changed})
