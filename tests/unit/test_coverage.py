"""Whether the alert that covers a failure was raised for the same error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runguard._monitor.coverage import other_error
from tests.unit.test_explanation import ALERT, RUN

FILE = {
    "run_id": 3,
    "reason": None,
    "error_type": "exit code 1",
    "error_message": "sync: no such file /srv/in/2026-03-01.csv",
}
MISSING_FILE = replace(
    RUN, error_group="UNKNOWN", error_type="exit code 1", error_message=FILE["error_message"]
)


def said(run: dict[str, Any], detail: Any, **alert: Any) -> str | None:
    return other_error(replace(MISSING_FILE, **run), replace(ALERT, detail=detail, **alert))


@pytest.mark.parametrize(
    ("run", "detail"),
    [
        ({"error_message": "sync: no such table orders"}, {}),
        ({"error_type": "FileNotFoundError"}, {}),
        ({"error_reason": "schema"}, {"reason": "refused"}),
        ({"error_reason": "bug", "error_type": "ImportError"}, {"reason": "bug"}),
        ({"error_group": "TIMEOUT", "error_type": "ReadTimeout"}, {}),
    ],
)
def test_another_reason_type_or_unsorted_message_is_another_error(
    run: dict[str, Any], detail: dict[str, Any]
) -> None:
    assert said(run, {**FILE, **detail}) == (
        "exit code 1: sync: no such file /srv/in/2026-03-01.csv"
    )


@pytest.mark.parametrize(
    ("run", "detail"),
    [
        ({}, {}),
        ({"error_message": "sync: no such file /srv/in/2026-03-02.csv"}, {}),
        ({"error_reason": "refused", "error_type": "A"}, {"reason": "refused"}),
        ({"error_reason": "refused"}, {}),
        ({"error_group": "TIMEOUT", "error_message": "timed out after 3 s"}, {}),
        ({"error_type": None, "error_message": None}, {}),
    ],
)
def test_the_same_error_is_no_other_whatever_its_numbers_and_names(
    run: dict[str, Any], detail: dict[str, Any]
) -> None:
    assert said(run, {**FILE, **detail}) is None


@pytest.mark.parametrize("detail", [None, [], "text", {}, {"error_type": 7, "reason": ["x"]}])
def test_what_another_program_wrote_tells_nothing(detail: Any) -> None:
    assert said({"error_type": "A", "error_reason": "schema"}, detail) is None


def test_an_alert_that_the_run_raised_itself_covers_no_other() -> None:
    assert said({"id": 3, "error_type": "A"}, FILE) is None
    assert said({"covered_by": None, "error_type": "A"}, FILE) is None
    assert other_error(MISSING_FILE, None) is None
