"""What is expected of jobs, wherever the command line shows them."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from runguard._monitor.expectations import Expectation, FindingType
from runguard._store.schema.tables import alert, run_log
from tests.store.test_operator_queries import GOOD, play
from tests.support.findings import expect, find
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runguard._store.operator import OperatorStore
    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

MINUTE = timedelta(minutes=1)
NIGHTLY = Expectation(cron="0 2 * * *", tz="Asia/Seoul")
TEXTS = {
    "owner": "ana",
    "runbook": "https://wiki.example.org/backup",
    "description": "Copies the database",
}


@pytest.fixture
def store(sqlite_url: str) -> Iterator[OperatorStore]:
    """A job that missed its start, one that is late, one that never ran, and a quiet one."""
    store = open_store(sqlite_url)
    for name in ("backup", "late"):
        play(store, name, GOOD)
    play(store, "quiet", *[GOOD] * 6)
    expect(store, "backup", expectation=NIGHTLY, due=600 * MINUTE, **TEXTS)
    expect(store, "late", due=3 * MINUTE)
    expect(store, "never", due=60 * MINUTE)
    find(store, "backup")
    _ended_long_ago(store)
    yield store
    store.close()


def _ended_long_ago(store: OperatorStore) -> None:
    """Let the runs of `quiet` be 10 minutes apart until 19 days ago, and others an hour old."""
    now = datetime.now(UTC)
    with store.engine.begin() as connection:
        for number in range(1, 9):
            started_at = now - 19 * 24 * 60 * MINUTE - number * 10 * MINUTE
            its = run_log.c.id == 9 - number
            if number > 6:
                started_at = now - 60 * MINUTE
            ended = started_at + MINUTE
            values = {"started_at": started_at, "finished_at": ended}
            connection.execute(update(run_log).where(its).values(**values))


@pytest.fixture
def answer_of(cli: Cli, store: OperatorStore, sqlite_url: str) -> Callable[..., Answer]:
    """What a command answers, three minutes after a start was due."""
    expect(store, "late", due=-3 * MINUTE)
    return lambda *arguments, **environ: cli(*arguments, "--database-url", sqlite_url, **environ)


def test_jobs_shows_what_is_missed_late_or_never_ran(answer_of: Cli) -> None:
    answer = answer_of("jobs")

    states = {line.split()[0]: line.split()[1] for line in answer.lines[1:]}
    assert states == {"backup": "missed", "late": "late", "never": "never", "quiet": "quiet"}
    assert [line.split()[0] for line in answer.lines[1:3]] == ["backup", "late"]
    assert answer.stderr == "4 jobs: 1 missed, 1 late, 1 quiet, 1 never ran.\n"
    notes = {line.split()[0]: line for line in answer.lines}
    assert "did not start when it was due" in notes["backup"]
    assert "was due 3 min ago" in notes["late"]
    assert "usually every 10 minutes; last 19 d ago" in notes["quiet"]


def test_jobs_that_are_not_well_are_found(answer_of: Cli) -> None:
    names = [row["job_name"] for row in answer_of("jobs", "--failing", "--json").json]

    assert names == ["backup", "late"]


def test_json_has_all_that_is_expected_and_found(answer_of: Cli) -> None:
    backup, late, quiet, never = answer_of("jobs", "--json").json

    assert (backup["state"], backup["expected_state"]) == ("missed", "MISSED")
    assert backup["expected"]["cron"] == "0 2 * * *"
    assert {name: backup["expected"][name] for name in TEXTS} == TEXTS
    assert [one["type"] for one in backup["expected"]["findings"]] == ["MISSED"]
    assert (late["expected_state"], never["expected_state"]) == ("LATE", "ON_TIME")
    assert (quiet["expected"], quiet["expected_state"]) == (None, None)
    assert quiet["cadence"]["words"] == "every 10 minutes"
    assert quiet["cadence"]["gap_seconds"] == 600
    assert never["last_start_at"] is None


def test_csv_has_them_in_columns(answer_of: Cli) -> None:
    rows = list(csv.DictReader(io.StringIO(answer_of("jobs", "--csv").stdout)))

    backup = rows[0]
    assert (backup["expected"], backup["found"]) == ("cron 0 2 * * * (Asia/Seoul)", "MISSED")
    assert {name: backup[name] for name in TEXTS} == TEXTS
    assert rows[2]["usually"] == "every 10 minutes"


def _sheet(answer: Answer) -> dict[str, str]:
    pairs = (line.partition("  ") for line in answer.lines)
    return {label: rest.strip() for label, _, rest in pairs}


def test_show_tells_whose_job_it_is_and_when_it_is_due(answer_of: Cli) -> None:
    told = _sheet(answer_of("show", "last:backup"))

    assert {name: told[name] for name in TEXTS} == TEXTS
    assert told["expected"] == "cron 0 2 * * * (Asia/Seoul)"
    assert told["next due"].startswith("20")
    assert told["found"].startswith("did not start when it was due (alert 1")
    assert "usually" not in told


def test_show_tells_the_usual_cadence(answer_of: Cli) -> None:
    told = _sheet(answer_of("show", "last:quiet"))

    assert told["usually"] == "every 10 minutes; last 19 d ago"


def test_show_as_json_has_what_is_expected(answer_of: Cli) -> None:
    [told] = answer_of("show", "last:backup", "--json").json

    assert told["expected"]["runbook"] == TEXTS["runbook"]


def test_explain_tells_whose_job_it_is(answer_of: Cli) -> None:
    answer = answer_of("explain", "last:backup")

    text = " ".join(answer.stdout.split())
    assert "Job Copies the database. It belongs to ana." in text
    assert "Runbook: https://wiki.example.org/backup" in text
    assert "Its schedule is cron 0 2 * * * (Asia/Seoul); the next start is due at 20" in text
    assert "It did not start when it was due: alert 1 reports it." in text


@pytest.mark.parametrize("command", ["problems", "report"])
def test_lists_of_failures_tell_what_did_not_start(answer_of: Cli, command: str) -> None:
    told = answer_of(command).stderr

    assert "1 job missed: backup (due " in told
    assert "1 job late: late (due 3 min ago, last start 1 h ago)." in told
    assert "1 job quiet: quiet (usually every 10 minutes; last 19 d ago)." in told


def test_the_page_for_a_mail_tells_it_too(answer_of: Cli, store: OperatorStore) -> None:
    expect(store, "late", due=-3 * MINUTE, runbook="javascript:alert(1)")

    page = answer_of("report", "--format", "html").stdout

    assert "1 job did not start when due." in page
    assert "was due 3 min ago" in page
    assert "usually every 10 minutes; last 19 d ago" in page
    assert f'<a href="{TEXTS["runbook"]}"' in page
    assert 'href="javascript' not in page


@pytest.mark.parametrize("command", [("runs", "--job", "never"), ("show", "last:never")])
def test_a_job_that_is_expected_and_never_ran_is_known(answer_of: Cli, command: list[str]) -> None:
    answer = answer_of(*command)

    assert answer.exit_code == 1
    assert "no run of 'never' was ever recorded here, and it is expected to run" in answer.stderr
    assert "`runguard expect never` says when." in answer.stderr


def test_explain_tells_which_silence_mutes_what_was_found(answer_of: Cli) -> None:
    silenced = answer_of("silence", "backup", "--for", "2h", "--reason", "it moves", "--by", "kim")

    text = " ".join(answer_of("explain", "alert:1").stdout.split())

    assert silenced.exit_code == 0
    assert "Silence 1 (backup) mutes notices until " in text


def test_a_list_of_alerts_says_once_what_was_found(answer_of: Cli, store: OperatorStore) -> None:
    with store.engine.begin() as connection:
        connection.execute(update(alert).values(title="a start is missed", message="all of it"))

    [row] = [line for line in answer_of("alerts").lines if "MISSED" in line]

    assert row.endswith("  all of it")
    assert "a start is missed" not in row


def test_what_else_is_found_is_told_too(answer_of: Cli, store: OperatorStore) -> None:
    find(store, "quiet", FindingType.EMPTY)
    expect(store, "quiet", expectation=Expectation(min_records=1))

    row: dict[str, Any] = answer_of("jobs", "--job", "quiet", "--json").json[0]

    assert (row["state"], row["expected_state"]) == ("unusual", None)
