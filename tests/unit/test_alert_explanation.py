"""What is said of an alert that no run raised."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from runguard._monitor.alert_explanation import explain_alert
from runguard._monitor.expectations import JOB_SOURCE_TYPE, MONITOR_SOURCE_ID
from runguard._monitor.records import AlertDetails, AlertRecord

NOW = datetime(2026, 3, 1, 3, tzinfo=UTC)


def said_of(source_id: str, detail: Any, *, source_type: str = JOB_SOURCE_TYPE) -> list[str]:
    """Each reason with its topic."""
    alert = AlertRecord(
        id=1,
        source_type=source_type,
        source_id=source_id,
        alert_type="MISSED",
        severity="high",
        title="backup did not start",
        message="backup was due at 02:00. Its last start was yesterday.",
        detail=detail,
        review_status=None,
        resolved=False,
        created_at=NOW,
    )
    explanation = explain_alert(AlertDetails(alert, None, 0, ()), now=NOW)
    return [f"{one.topic}: {one.text()}" for one in explanation.reasons]


def test_a_finding_is_explained_with_its_message_its_owner_and_what_to_do() -> None:
    detail = {"owner": "data", "runbook": "https://wiki.example/backup"}

    assert said_of("backup@staging", detail) == [
        "alert: backup was due at 02:00. Its last start was yesterday.",
        "alert: It is about job backup@staging. It is not resolved.",
        "job: It belongs to data.",
        "job: Runbook: https://wiki.example/backup",
    ]


@pytest.mark.parametrize(
    ("source_type", "source_id", "said"),
    [
        (JOB_SOURCE_TYPE, MONITOR_SOURCE_ID, "It is about all jobs that are expected."),
        ("invoice", "4711", "It is about invoice 4711."),
    ],
)
def test_what_is_about_no_job_says_so(source_type: str, source_id: str, said: str) -> None:
    assert (
        said_of(source_id, [], source_type=source_type)[-1] == f"alert: {said} It is not resolved."
    )


@pytest.mark.parametrize(
    ("source_id", "name"),
    [("backup@staging@", "backup@staging"), (MONITOR_SOURCE_ID, MONITOR_SOURCE_ID)],
)
def test_a_job_of_an_odd_name_is_named(source_id: str, name: str) -> None:
    said = said_of(source_id, {"job_name": name})

    assert f"alert: It is about job {name}. It is not resolved." in said
