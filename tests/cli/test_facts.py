"""What `explain`, `show` and `jobs` say of lost runs, refused starts and what came after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runguard import JobLockActive, run_scope
from tests.support.stories import (
    fail,
    leave_open,
    refused_while_running,
    time_out_after_a_refused_start,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def job(cli: Cli, url: str) -> dict[str, Any]:
    [found] = cli("jobs", "--json", "--database-url", url).json
    return found


def test_the_failure_after_a_lost_run_is_covered_by_the_alert_of_that_run(
    cli: Cli, store_url: str
) -> None:
    leave_open(store_url)
    cli("reap", "--database-url", store_url)
    fail(store_url)

    lost = cli("explain", "1", "--database-url", store_url).stdout
    assert "UNKNOWN of sync is quiet until" in lost
    assert "So far alert 1 covers 1 failure besides the one that raised it." in lost
    assert "UNKNOWN: nothing was heard of it for 7 min" in lost
    assert ", longer than its limit of 5 min, and no one was left to say why." in lost
    covered = cli("explain", "2", "--database-url", store_url).stdout
    assert "It raised no alert: alert 1 of" in covered
    assert "UNKNOWN of sync is quiet until" in covered
    assert "So far alert 1, raised by run 1, covers 1 failure" in covered


def test_a_timeout_after_a_refused_start_is_what_the_job_shows(cli: Cli, store_url: str) -> None:
    time_out_after_a_refused_start(store_url)

    [header, row, *_] = cli("jobs", "--database-url", store_url).lines
    assert header.split()[:3] == ["job", "state", "group"]
    assert row.split()[:3] == ["sync", "failing", "TIMEOUT"]
    assert (job(cli, store_url)["state"], job(cli, store_url)["severity"]) == ("failing", "high")


def test_a_refused_start_does_not_make_a_running_job_fail(cli: Cli, store_url: str) -> None:
    with refused_while_running(store_url):
        found = job(cli, store_url)
        table = cli("jobs", "--database-url", store_url).stdout

    assert (found["state"], found["refused"], found["finished"]) == ("running", 1, 0)
    assert "1 start refused" in table
    assert "failing" not in table


def test_a_job_of_refused_starts_alone_is_known(cli: Cli, store_url: str) -> None:
    with refused_while_running(store_url, "sync"):
        pass
    answer = cli("jobs", "--json", "--job", "sync", "--database-url", store_url)

    assert [one["job_name"] for one in answer.json] == ["sync"]


def test_a_refused_start_says_who_held_the_lock(cli: Cli, store_url: str) -> None:
    with refused_while_running(store_url):
        pass

    told = cli("explain", "2", "--database-url", store_url)

    assert told.lines[0].startswith("sync did not start at")
    assert "the job's lock was held by run 1 (host" in told.lines[0]
    assert "The body did not run" in told.stdout


def test_a_body_that_met_the_refusal_itself_did_run(cli: Cli, store_url: str) -> None:
    with refused_while_running(store_url, "inner"):
        try:
            with run_scope("outer"), run_scope("inner", lock=True):
                raise AssertionError("the inner body must not run")
        except JobLockActive:
            pass

    told = cli("explain", "last:outer", "--database-url", store_url).stdout

    assert told.startswith("outer failed at")
    assert "The body did run: the refusal came from inside it." in told
    assert "did not run" not in told
