from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import runguard
from runguard import Rule
from runguard._frozen import field_names
from runguard._monitor.records import RunRecord
from runguard._monitor.unknowns import LONGEST_MASKED, UnknownFailures, masked, rule_for

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = dict.fromkeys(field_names(RunRecord))


def run(number: int, message: str, **values: Any) -> RunRecord:
    given = {
        "id": number,
        "job_name": "billing",
        "status": "FAILED",
        "started_at": NOON + timedelta(minutes=number),
        "error_group": "UNKNOWN",
        "error_type": "billing.errors.Declined",
        "error_message": message,
        "matched_by": "no rule matched",
    }
    return RunRecord(**{**COLUMNS, **given, **values})


def counted(*runs: RunRecord) -> list[Any]:
    failures = UnknownFailures()
    failures.add(runs)
    return failures.commonest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("row 17 of 4,711 is bad", "row … of … is bad"),
        ("at 12:30:05 the lock was gone", "at … the lock was gone"),
        ("no field 'user_id' in \"students\"", "no field '…' in \"…\""),
        ("key 0195533f-6c00-7000-8000-000000000001 is gone", "key … is gone"),
        ("commit 9fceb02d0ae598e95dc970b74767f19372d61af8 not there", "commit … not there"),
        ("cannot read /srv/data/in.csv: no space", "cannot read …: no space"),
        ("GET https://api.example/v1/x?y=1 broke", "GET … broke"),
        ("ledger is closed\nDETAIL: by Kim", "ledger is closed"),
        ("the decade is over", "the decade is over"),  # letters alone are no id
        ("", ""),
    ],
)
def test_what_differs_from_one_failure_to_the_next_is_masked(text: str, expected: str) -> None:
    assert masked(text) == expected


def test_masking_is_bounded_and_linear() -> None:
    for hostile in ("'" * 100_000, "1" * 100_000, "/a" * 50_000, "a://" * 30_000, "x" * 100_000):
        assert len(masked(hostile)) <= LONGEST_MASKED


def test_failures_of_one_kind_are_counted_together_the_commonest_first() -> None:
    common = [run(n, f"card {n} declined", job_name=f"job-{n % 2}") for n in range(1, 4)]
    rare = run(9, "ledger is closed", error_type="ValueError")

    first, second = counted(rare, *common)

    assert (first.failures, first.message) == (3, "card … declined")
    assert (first.jobs, first.example_run) == (("job-0", "job-1"), 3)
    assert first.last_failure_at == NOON + timedelta(minutes=3)
    assert (second.failures, second.error_type) == (1, "ValueError")


def test_what_a_rule_sorted_or_nobody_judged_is_not_counted() -> None:
    sorted_by_a_rule = run(1, "x", matched_by="own rule 1")
    in_a_group = run(2, "x", error_group="TIMEOUT", matched_by="text: 'timed out'")
    foreign = run(3, "x", error_group=None, matched_by=None)

    assert counted(sorted_by_a_rule, in_a_group, foreign) == []


class Declined(Exception):
    """An error of somebody's own."""


@pytest.mark.parametrize(
    ("exc", "reason"),
    [
        (Declined("card 4711 declined"), "forbidden"),
        (ValueError("the ledger of 2026 is closed for now"), None),
        (RuntimeError("it's the 'books' that are closed"), None),
        (KeyError("x"), None),
    ],
)
def test_the_rule_that_is_shown_can_be_pasted_and_sorts_the_failure(
    exc: Exception, reason: str | None
) -> None:
    failure = runguard.classify(exc)
    assert failure.error_group == "UNKNOWN"

    rule = rule_for(failure.error_type, masked(failure.error_message), error_reason=reason)

    assert rule is not None
    runguard.configure(rules=[eval(rule, {"Rule": Rule})])
    assert runguard.classify(exc).matched_by == "own rule 1"
    assert runguard.classify(OSError("something else entirely")).matched_by != "own rule 1"


@pytest.mark.parametrize(
    ("reason", "group"),
    [("auth", "HTTP_4XX"), ("refused", "HTTP_5XX"), ("time_limit", "TIMEOUT"), (None, "HTTP_5XX")],
)
def test_the_group_that_is_proposed_follows_the_reason(reason: str | None, group: str) -> None:
    rule = rule_for("billing.errors.Declined", "declined", error_reason=reason)

    assert rule == f"Rule('billing.errors.Declined', '{group}')"


@pytest.mark.parametrize("error_type", ["exit code 3", "SIGKILL 9", "runguard.Run.fail", ""])
def test_what_is_no_exception_gets_no_rule(error_type: str) -> None:
    assert rule_for(error_type, "the ledger is closed") is None
