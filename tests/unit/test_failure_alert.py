"""What the alert of a failed run says: its title, its key, its detail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from runguard._failure.alert import SEVERITY_OF, failure_alert
from runguard._models import AlertDraft, ErrorGroup, Failure
from runguard._reasons import ErrorReason


def alert_of(group: str, reason: str | None, status: int | None = None) -> AlertDraft:
    error_group = ErrorGroup(group)
    failure = Failure(
        error_group,
        SEVERITY_OF[error_group],
        status,
        "app.Failed",
        "message",
        matched_by="a test",
        error_reason=reason,
    )
    return failure_alert(
        run_key=UUID(int=1),
        job_name="sync",
        failure=failure,
        location=None,
        cooldown=timedelta(minutes=30),
    )


@pytest.mark.parametrize(
    ("group", "status", "reason", "title"),
    [
        ("UNKNOWN", None, None, "sync failed"),
        ("UNKNOWN", None, "refused", "sync failed: connection refused"),
        ("UNKNOWN", None, "disk_full", "sync failed: disk full"),
        ("UNKNOWN", None, "bug", "sync failed: an error in the code"),
        ("TIMEOUT", None, None, "sync failed: timed out"),
        ("TIMEOUT", None, "connect_timeout", "sync failed: timed out, while connecting"),
        (
            "HTTP_4XX",
            403,
            "forbidden",
            "sync failed: upstream refused the request (403), forbidden",
        ),
        ("HTTP_5XX", 503, "overloaded", "sync failed: upstream is broken (503), overloaded"),
        ("HTTP_5XX", 500, "server_error", "sync failed: upstream is broken (500)"),
        ("HTTP_409", 409, "conflict", "sync failed: upstream answered 409"),
        ("LOCK_CONFLICT", 409, "lock_held", "sync did not run: another run holds its lock"),
    ],
)
def test_the_title_says_group_status_and_reason(
    group: str, status: int | None, reason: str | None, title: str
) -> None:
    assert alert_of(group, reason, status).title == title


@pytest.mark.parametrize("reason", [None, "refused"])
def test_the_detail_holds_the_reason_and_the_key_does_not(reason: str | None) -> None:
    draft = alert_of("UNKNOWN", reason)

    assert draft.detail["reason"] == reason
    assert draft.key.source_id == "sync:UNKNOWN"


def test_the_detail_names_what_failed_upstream_where_it_is_known() -> None:
    failure = Failure(ErrorGroup.TIMEOUT, SEVERITY_OF[ErrorGroup.TIMEOUT], None, "E", "no", "x")
    named = replace(failure, upstream="api.example.org:443")
    given: dict[str, Any] = {"run_key": UUID(int=1), "job_name": "sync", "location": None}

    drafts = [
        failure_alert(failure=one, cooldown=timedelta(minutes=30), **given)
        for one in (failure, named)
    ]

    assert "upstream" not in drafts[0].detail
    assert drafts[1].detail["upstream"] == "api.example.org:443"


def test_every_reason_is_one_word_that_a_column_and_a_filter_can_hold() -> None:
    assert all(reason.isidentifier() and reason == reason.lower() for reason in ErrorReason)
    assert max(map(len, ErrorReason)) <= 20
