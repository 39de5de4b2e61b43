"""`runguard doctor` on what is expected: whose word differs, what cannot be read, who watches."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import runguard
from runguard import Expect, testing
from runguard._cli.stores import opened_store
from runguard._monitor.expectations import (
    Declarer,
    Expectation,
    JobDeclaration,
    MonitorRecord,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]
    Findings = Callable[..., list[dict[str, str]]]


@pytest.fixture
def findings(cli: Cli, sqlite_url: str) -> Findings:
    """What the doctor says of expectations."""

    def ask(*words: str, **environ: str) -> list[dict[str, str]]:
        answer = cli("doctor", "--json", *words, "--database-url", sqlite_url, **environ)
        return [one for one in answer.json if one["check"] == "expectations"]

    return ask


@pytest.fixture
def ran(sqlite_url: str) -> Callable[..., None]:
    """Let a job run that expects something."""

    def run(job: str, expect: Expect | None = None) -> None:
        runguard.configure(database_url=sqlite_url)
        with runguard.run_scope(job, expect=expect):
            pass
        testing.reset()

    return run


def declare(url: str, job: str, expectation: Expectation, by: Declarer = Declarer.PERSON) -> None:
    with opened_store(url) as store:
        store.declare(JobDeclaration(job_name=job, expectation=expectation, by=by, who="kim"))


def sql(url: str, statement: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database, database:
        database.execute(statement)


def test_where_nothing_is_expected_nothing_is_said(
    ran: Callable[..., None], findings: Findings
) -> None:
    ran("backup")

    assert findings() == []


def test_it_says_whether_anybody_watches(
    ran: Callable[..., None], findings: Findings, sqlite_url: str
) -> None:
    ran("backup", Expect(every="1h"))
    [never] = findings()
    now = datetime.now(UTC)
    with opened_store(sqlite_url) as store:
        record = MonitorRecord(who="host:1", kind="once", started_at=now, last_round_at=now)
        store.note_round(record, gap_after=timedelta(minutes=5))
    [lately] = findings()
    sql(sqlite_url, "update monitor set last_round_at = datetime('now', '-3 hours')")
    [long_ago] = findings()

    assert never["state"] == long_ago["state"] == "warning"
    assert "1 job expected, and no monitor has ever looked" in never["found"]
    assert "a monitor looked last 3 h ago: " in long_ago["found"]
    assert "runguard monitor" in long_ago["remedy"]
    assert (lately["state"], lately["found"]) == (
        "ok",
        "1 job expected; a monitor looked just now",
    )


def test_it_names_whose_words_differ_and_which_counts(
    ran: Callable[..., None], findings: Findings, sqlite_url: str
) -> None:
    ran("backup", Expect(every="1h"))
    declare(sqlite_url, "backup", Expectation(every=timedelta(hours=1)), Declarer.FILE)
    alike = findings()
    declare(sqlite_url, "backup", Expectation(every=timedelta(hours=2)), Declarer.FILE)
    _, differ = findings()

    assert len(alike) == 1  # that nobody watches
    assert differ["state"] == "warning"
    assert differ["found"].startswith(
        "backup is declared differently; the first counts: the file (kim): every 2 h; code ("
    )
    assert differ["found"].endswith("): every 1 h")


def test_it_names_a_schedule_that_cannot_be_read(
    ran: Callable[..., None], findings: Findings, sqlite_url: str
) -> None:
    ran("backup")
    declare(sqlite_url, "backup", Expectation(cron="61 * * * *", tz="UTC"))
    _, unreadable = findings()

    assert unreadable["state"] == "warning"
    assert "backup is not watched: cron: expected an expression" in unreadable["found"]
    assert unreadable["remedy"] == "correct it where it is said: `runguard expect` (kim)"


def test_a_library_that_lacks_is_a_problem_where_the_monitor_runs(
    ran: Callable[..., None],
    findings: Findings,
    sqlite_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran("backup")
    declare(sqlite_url, "backup", Expectation(cron="13 1 * * *", tz="UTC"))
    monkeypatch.setitem(sys.modules, "cronsim", None)
    _, for_a_job = findings()
    _, for_the_monitor = findings("--for", "notifier")

    assert (for_a_job["state"], for_the_monitor["state"]) == ("ok", "problem")
    assert for_a_job["found"] == "schedules that cannot be read here: backup"
    assert "pip install 'runguard-runlog[monitor]'" in for_a_job["remedy"]


def test_it_names_a_job_that_never_ran_and_one_that_is_retired_and_runs(
    ran: Callable[..., None], findings: Findings, sqlite_url: str
) -> None:
    ran("backup", Expect(every="1h"))
    declare(sqlite_url, "bakup", Expectation(every=timedelta(hours=1)))
    with opened_store(sqlite_url) as store:
        store.retire("backup")
    sql(sqlite_url, "update job set retired_at = '2026-01-01' where job_name = 'backup'")
    _, never, retired = findings()

    assert never["found"] == "no run of bakup was ever recorded (did you mean 'backup'?)"
    assert retired["found"] == "backup is retired, and has run since"
    assert "runguard expect backup --unretire" in retired["remedy"]


def test_it_names_the_environment_of_a_job(findings: Findings, sqlite_url: str) -> None:
    runguard.configure(database_url=sqlite_url, environment="staging")
    with runguard.run_scope("backup", expect=Expect(every="1h")):
        pass
    testing.reset()
    with opened_store(sqlite_url) as store:
        store.retire("backup", "staging")
    sql(sqlite_url, "update job set retired_at = '2026-01-01'")
    *_, retired = findings()

    assert retired["found"] == "backup in staging is retired, and has run since"
    assert "`runguard expect backup --environment staging --unretire`" in retired["remedy"]


def test_many_of_one_kind_are_counted(findings: Findings, sqlite_url: str) -> None:
    for number in range(8):
        declare(sqlite_url, f"job{number}", Expectation(every=timedelta(hours=1)))
    new = findings()
    sql(sqlite_url, "update job set declared_at = datetime('now', '-2 days')")
    found = findings()

    assert len(new) == 1  # that nobody watches: they may still run
    assert len(found) == 7
    assert found[-1]["found"] == "3 more jobs like the one before"
