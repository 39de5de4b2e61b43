"""What is expected of a job, as it is shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runguard._monitor.expectations import (
    Declarer,
    Expectation,
    FindingType,
    JobRecord,
    OpenFinding,
)
from runguard._monitor.watched import ExpectedJob, expected_job, link_to

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MISSED = OpenFinding(type=FindingType.MISSED, incident=7, opened_at=NOON, last_alert_at=NOON)


def test_a_row_is_shown_with_its_schedule_its_texts_and_what_is_found() -> None:
    row = JobRecord(
        job_name="backup",
        expectation=Expectation(cron="0 2 * * *", tz="Asia/Seoul", max_runtime=timedelta(hours=2)),
        owner="ana",
        declared_by=Declarer.FILE,
        declared_who="/etc/runguard.toml",
        next_due_at=NOON,
        grace_seconds=600.0,
        spec_hash="x",
    )

    assert expected_job(row, [MISSED]) == ExpectedJob(
        cron="0 2 * * *",
        tz="Asia/Seoul",
        max_runtime_seconds=7200.0,
        owner="ana",
        declared_by="file",
        declared_who="/etc/runguard.toml",
        next_due_at=NOON,
        grace_seconds=600.0,
        findings=(MISSED,),
    )


def test_of_a_job_that_is_retired_no_start_is_expected() -> None:
    assert expected_job(JobRecord(job_name="old", next_due_at=NOON, retired_at=NOON)) == (
        ExpectedJob(declared_by="code", retired_at=NOON)
    )


@pytest.mark.parametrize(
    "address",
    [
        *(
            None,
            "",
            "javascript:alert(1)",
            "data:text/html,x",
            "//evil.example.org",
            "ftp://x.org/",
        ),
        *("https://bank.example@evil.example/", r"https://evil.example\.bank.example/"),
        *("https://", "https:///path", "http://a b", "http://a\nb", "http://[", "see page 7"),
    ],
)
def test_what_is_no_address_of_the_web_is_no_link(address: str | None) -> None:
    assert link_to(address) is None


def test_an_address_of_the_web_is_a_link() -> None:
    assert link_to(" HTTPS://wiki.example.org/a?b=c#d ") == "HTTPS://wiki.example.org/a?b=c#d"
