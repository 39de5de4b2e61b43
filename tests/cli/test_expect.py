"""`runguard expect`: a person says what is expected of a job, and sees who said what."""

from __future__ import annotations

import getpass
import re
import time
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine

import runguard
from runguard import testing
from runguard._monitor.expectations import Declarer, Expectation, JobDeclaration
from runguard._store.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

SEOUL = ("--tz", "Asia/Seoul")
HOURLY = runguard.Expect(every="1h", owner="code-team", runbook="https://wiki.example/code")


@pytest.fixture(autouse=True)
def _a_machine_in_seoul(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "timezone", -9 * 3600)
    monkeypatch.setattr(time, "daylight", 0)


@pytest.fixture
def cli(cli: Cli, sqlite_url: str) -> Cli:
    """The command line on a store of its own, unless another is named."""
    return lambda *words, **environ: cli(*words, **{"RUNGUARD_DATABASE_URL": sqlite_url, **environ})


def code_says(url: str, job: str = "backup") -> None:
    runguard.configure(database_url=url)
    with runguard.run_scope(job, expect=HOURLY):
        pass
    testing.reset()


def test_a_person_says_it_of_a_job_that_never_ran(cli: Cli, store_url: str) -> None:
    where = ("--database-url", store_url)
    said = cli(
        *("expect", "nightly", "--cron", "0 2 * * *", *SEOUL, "--grace", "30m"),
        *("--max-runtime", "2h", "--min-records", "1", "--owner", "data-team", *where),
    )

    assert said.exit_code == 0
    what, due, never = said.stderr.splitlines()
    assert what == (
        "nightly: cron 0 2 * * * (Asia/Seoul), up to 30 min late, runs at most 2 h, at least 1"
        f" record, owner data-team. Said by {getpass.getuser()}."
    )
    assert re.fullmatch(r"The next start is due at 20\d\d-\d\d-\d\d 02:00 KST\.", due)
    assert never == "No run of it was ever recorded."
    [row] = cli("expect", "--json", *where).json
    assert row["expectation"] == {
        **{"cron": "0 2 * * *", "tz": "Asia/Seoul", "min_records": 1},
        **{"grace": 1800.0, "max_runtime": 7200.0},
    }
    assert (row["job_name"], row["owner"]) == ("nightly", "data-team")
    assert (row["declared_by"], row["declared_who"]) == ("person", getpass.getuser())
    header, line = cli("expect", *where).lines
    assert header.split() == ["job", "state", "schedule", "next", "due", "by", "also"]
    assert line.split()[:6] == ["nightly", "not", "judged", "cron", "0", "2"]
    assert line.endswith("at least 1 record, owner data-team")


def test_a_job_that_has_no_schedule_is_told_from_one_that_nobody_has_judged_yet(
    cli: Cli, sqlite_url: str
) -> None:
    upgrade(sqlite_url)
    cli("expect", "import", "--max-runtime", "2h")
    cli("expect", "nightly", "--every", "1h")

    listed = cli("expect")
    _, no_schedule, not_judged = listed.lines

    assert listed.stderr.count("No monitor has ever looked") == 1
    assert no_schedule.split()[:3] == ["import", "no", "schedule"]
    assert not_judged.split()[:3] == ["nightly", "not", "judged"]


def test_a_person_counts_more_than_a_file_and_a_file_more_than_code(
    cli: Cli, store_url: str
) -> None:
    from runguard._cli.stores import opened_store

    where = ("--database-url", store_url)
    code_says(store_url)
    file = JobDeclaration(
        job_name="backup",
        expectation=Expectation(every=timedelta(hours=2)),
        runbook="https://wiki.example/file",
        by=Declarer.FILE,
        who="/etc/runguard.toml",
    )
    with opened_store(store_url) as store:
        store.declare(file)
    by_file = cli("expect", "backup", "--json", *where).json
    told = cli("expect", "backup", "--every", "3h", "--by", "kim", *where)
    by_person = cli("expect", "backup", "--json", *where).json
    withdrawn = cli("expect", "backup", "--remove", *where)

    assert [(row["expectation"], row["declared_by"]) for row in by_file] == [
        ({"every": 7200.0}, "file")
    ]
    assert [(row["expectation"], row["declared_by"]) for row in by_person] == [
        ({"every": 10800.0}, "person")
    ]
    assert told.stderr == (
        "backup: every 3 h, owner code-team, runbook https://wiki.example/file. Said by kim, over"
        " the file /etc/runguard.toml and code on"
        f" {by_file[0]['declarations']['code']['who']}.\n"
    )
    # Of each text the highest voice that says one counts.
    assert (by_person[0]["owner"], by_person[0]["runbook"]) == ("code-team", file.runbook)
    assert set(by_person[0]["declarations"]) == {"code", "file", "person"}
    assert withdrawn.stderr.startswith("backup: every 2 h, owner code-team, runbook https://wiki")
    assert "Said by the file /etc/runguard.toml, over code on " in withdrawn.stderr


def test_what_was_said_before_stays_and_a_schedule_replaces_a_schedule(cli: Cli) -> None:
    cli("expect", "a", "--cron", "0 2 * * *", *SEOUL, "--grace", "5m", "--owner", "ops")
    cli("expect", "a", "--max-runtime", "1h", "--description", "Copies.")
    cli("expect", "a", "--cron", "0 3 * * *")
    [row] = cli("expect", "a", "--json").json
    cli("expect", "a", "--every", "1d")
    [hourly] = cli("expect", "a", "--json").json

    rules = {"grace": 300.0, "max_runtime": 3600.0}
    assert row["expectation"] == {"cron": "0 3 * * *", "tz": "Asia/Seoul", **rules}
    assert (row["owner"], row["description"]) == ("ops", "Copies.")
    assert hourly["expectation"] == {"every": 86400.0, **rules}


def test_a_rule_of_a_person_is_added_to_what_code_says(cli: Cli, sqlite_url: str) -> None:
    code_says(sqlite_url)
    cli("expect", "backup", "--grace", "20m")
    [row] = cli("expect", "backup", "--json").json
    cli("expect", "backup", "--remove")
    cli("expect", "backup", "--owner", "ops")
    [named] = cli("expect", "backup", "--json").json

    assert (row["expectation"], row["declared_by"]) == (
        {"every": 3600.0, "grace": 1200.0},
        "person",
    )
    assert (named["expectation"], named["declared_by"]) == ({"every": 3600.0}, "code")
    assert named["owner"] == "ops"


def test_what_only_names_an_owner_says_that_nothing_is_expected(cli: Cli) -> None:
    said = cli("expect", "a", "--owner", "ops")

    assert said.stderr.startswith("a: owner ops. Nothing is expected of its runs.\n")


def test_a_word_that_cannot_be_read_here_is_told(cli: Cli, sqlite_url: str) -> None:
    from runguard._cli.stores import opened_store

    unreadable = Expectation(cron="61 * * * *", tz="UTC")
    with opened_store(sqlite_url) as store:
        store.declare(JobDeclaration(job_name="a", expectation=unreadable))
    cli("expect", "a", "--every", "1h")
    withdrawn = cli("expect", "a", "--remove")

    assert withdrawn.exit_code == 0
    assert "Nobody can watch it from here: cron: expected an expression" in withdrawn.stderr


def test_a_job_is_retired_and_watched_again(cli: Cli) -> None:
    cli("expect", "a", "--every", "1h")
    retired = cli("expect", "a", "--retire")
    listed = cli("expect")
    again = cli("expect", "a", "--unretire", "--json")

    assert retired.stderr == "a is retired: nobody watches it. To watch it again: --unretire\n"
    assert listed.lines[1].split()[:2] == ["a", "retired"]
    assert [row["retired_at"] for row in again.json] == [None]


def test_an_environment_has_its_own_expectations(cli: Cli) -> None:
    cli("expect", "a", "--every", "1h", RUNGUARD_ENVIRONMENT="staging")
    cli("expect", "a", "--every", "2h", "--environment", "production")
    cli("expect", "a", "--remove", "--environment", "staging")
    rows = cli("expect", "--json").json
    table = cli("expect", "--environment", "production")

    assert [(row["environment"], row["expectation"]) for row in rows] == [
        ("production", {"every": 7200.0})
    ]
    assert table.lines[1].split()[:2] == ["a", "production"]
    assert cli("expect", "--environment", "none").exit_code == 0
    assert "expected an environment such as staging" in " ".join(
        cli("expect", "--environment", "Prod!").stderr.split()
    )


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("a", "--cron", "0 2 * *", *SEOUL), 2, "--cron: expected five fields, such as '0 2 * * *"),
        (("a", "--cron", "0 2 * * *"), 2, "--tz: expected the zone that cron is meant in"),
        (("a", "--every", "1h", *SEOUL), 2, "--tz: expected cron or calendar beside it, found"),
        (("a", "--every", "fast"), 2, "expected a duration such as 90s, 15m, 24h or 7d, found"),
        (("a", "--min-records", "-1"), 2, "expected 0 or more, found '-1'"),
        (("a", "--grace", "1h"), 2, "--grace: expected one of every, cron, calendar, learn beside"),
        (("a", "--runbook", "wiki"), 2, "--runbook: expected an address such as https://wiki"),
        (("a", "--ping-url", "https://hc/s3cret"), 2, "--ping-url: expected env:NAME or file:/p"),
        (("--every", "1h"), 2, "expected one JOB to say it of, found 0"),
        (("a", "b", "--every", "1h"), 2, "expected one JOB to say it of, found 2"),
        (("a*", "--every", "1h"), 2, "expected the name of one job, found the pattern 'a*'"),
        (("a", "--every", "1h", "--remove"), 2, "expected one of --every and --remove, found both"),
        (("a", "--remove", "--retire"), 2, "expected one of --remove and --retire, found both"),
        (("bakup",), 1, "Nothing is expected of bakup (did you mean 'backup'?)."),
        (("bakup", "--retire"), 1, "Nothing is expected of bakup (did you mean 'backup'?)."),
        (("backup", "--remove"), 1, "Nothing was said of backup with this command. Said by code"),
    ],
)
def test_what_cannot_be_done_is_said(
    cli: Cli, sqlite_url: str, words: tuple[str, ...], code: int, said: str
) -> None:
    code_says(sqlite_url)

    answer = cli("expect", *words)

    assert answer.exit_code == code
    assert said in " ".join(answer.stderr.split())
    assert "s3cret" not in answer.stderr


def test_a_list_of_nothing_says_how_to_begin(cli: Cli) -> None:
    answer = cli("expect")

    assert (answer.exit_code, answer.stdout) == (0, "")
    assert "Nothing is expected of any job" in answer.stderr
    assert cli("expect", "--json").json == []


def test_what_the_history_proves_is_printed_as_toml(cli: Cli, sqlite_url: str) -> None:
    upgrade(sqlite_url)
    now = datetime.now(UTC)
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        for hours in range(24 * 20):
            connection.exec_driver_sql(
                "insert into run_log (job_name, trigger_type, status, started_at)"
                " values ('hourly', 'SCHEDULER', 'SUCCESS', ?)",
                ((now - timedelta(hours=hours)).strftime("%Y-%m-%d %H:17:00.000"),),
            )
    engine.dispose()

    printed = cli("expect", "--suggest")
    [suggestion] = cli("expect", "--suggest", "hour*", "--json").json

    assert printed.exit_code == 0
    [(name, keys)] = tomllib.loads(printed.stdout)["jobs"].items()
    assert name == suggestion["job_name"] == "hourly"
    assert printed.lines[0] == f"# {suggestion['words']}: {suggestion['evidence']}"
    assert {"every", "cron"} & keys.keys()
    assert "Left out" not in printed.stderr


def test_a_job_that_one_environment_declares_is_suggested_for_the_others(
    cli: Cli, sqlite_url: str
) -> None:
    upgrade(sqlite_url)
    now = datetime.now(UTC)
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        for hours, (minute, place) in product(range(24 * 20), (("17", None), ("40", "staging"))):
            connection.exec_driver_sql(
                "insert into run_log (job_name, trigger_type, status, started_at, environment)"
                " values ('hourly', 'SCHEDULER', 'SUCCESS', ?, ?)",
                ((now - timedelta(hours=hours)).strftime(f"%Y-%m-%d %H:{minute}:00.000"), place),
            )
    engine.dispose()
    cli("expect", "hourly", "--every", "1h")

    [suggestion] = cli("expect", "--suggest", "--json").json
    elsewhere = cli("expect", "--suggest", "--environment", "none")

    assert suggestion["job_name"] == "hourly"
    assert "every hour" in suggestion["words"]
    assert elsewhere.stderr == "Left out: 1 job with a schedule already, or retired.\n"


def test_a_job_without_a_suggestion_is_told_and_one_that_never_ran_is_named(
    cli: Cli, sqlite_url: str
) -> None:
    code_says(sqlite_url, "payroll")
    runguard.configure(database_url=sqlite_url)
    with runguard.run_scope("backup"):
        pass
    testing.reset()

    told = cli("expect", "--suggest")
    unknown = cli("expect", "--suggest", "backp")

    assert (told.exit_code, told.stdout) == (0, "")
    assert told.stderr == (
        "Left out: 1 job whose history proves no rule; 1 job with a schedule already, or retired.\n"
    )
    assert (unknown.exit_code, unknown.stderr) == (
        1,
        "No run of backp was ever recorded (did you mean 'backup'?).\n",
    )
