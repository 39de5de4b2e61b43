"""`ack` and `silence`: nobody is told for a while, and it is written down who wanted that."""

from __future__ import annotations

import getpass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def test_an_alert_is_acknowledged_for_a_time_by_somebody_for_a_reason(
    cli: Cli, filled_url: str
) -> None:
    answer = cli("ack", "1", "--reason", "on it", "--json", "--database-url", filled_url)

    [incident] = answer.json
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert (incident["id"], incident["source_id"]) == (1, "payments:HTTP_5XX")
    assert (incident["acked_by"], incident["ack_reason"]) == (getpass.getuser(), "on it")
    assert datetime.fromisoformat(incident["acked_until"]) > datetime.fromisoformat(
        incident["opened_at"]
    )


def test_an_acknowledgement_is_taken_back(cli: Cli, filled_file: str) -> None:
    where = ("--database-url", filled_file)
    told = cli("ack", "1", "--for", "12h", "--reason", "on it", *where)

    answer = cli("ack", "1", "--undo", *where)

    assert told.stderr.startswith("No reminders of payments:HTTP_5XX until 20")
    assert answer.stderr == "Reminders of payments:HTTP_5XX go out again.\n"


def test_an_alert_without_an_incident_is_told(cli: Cli, filled_file: str) -> None:
    answer = cli("ack", "99", "--reason", "on it", "--database-url", filled_file)

    assert answer.exit_code == 1
    assert "Alert 99 has no open incident" in answer.stderr


def test_jobs_are_silenced_for_a_time_by_somebody_for_a_reason(cli: Cli, filled_url: str) -> None:
    where = ("--database-url", filled_url)
    answer = cli("silence", "pay*", "--for", "2h", "--reason", "upgrade", "--by", "Kim", *where)

    assert answer.exit_code == 0
    assert answer.stderr.startswith("Silence 1: no notices of pay* until 20")
    [silence] = cli("silence", "list", "--json", *where).json
    assert (silence["job"], silence["reason"], silence["created_by"]) == ("pay*", "upgrade", "Kim")
    lasts = datetime.fromisoformat(silence["ends_at"]) - datetime.fromisoformat(
        silence["starts_at"]
    )
    assert 7190 < lasts.total_seconds() < 7210
    [header, row] = cli("silence", "list", *where, COLUMNS="200").stdout.splitlines()
    assert header.split()[:5] == ["id", "jobs", "group", "type", "state"]
    assert row.split()[:5] == ["1", "pay*", "-", "-", "active"]
    assert row.endswith("upgrade")


def test_a_silence_is_ended_and_remembered(cli: Cli, filled_file: str) -> None:
    where = ("--database-url", filled_file)
    cli("silence", "add", "list", "--for", "2h", "--reason", "upgrade", *where)

    ended = cli("silence", "end", "1", "--by", "Kim", "--json", *where)

    assert [one["ended_by"] for one in ended.json] == ["Kim"]
    assert cli("silence", "list", *where).stderr == "No silences.\n"
    [silence] = cli("silence", "list", "--all", "--json", *where).json
    assert (silence["job"], silence["ended_by"]) == ("list", "Kim")
    again = cli("silence", "end", "1", "--by", "Lee", "--json", *where)
    assert [one["ended_by"] for one in again.json] == ["Kim"]


def test_a_silence_that_is_not_there_is_told(cli: Cli, filled_file: str) -> None:
    answer = cli("silence", "end", "7", "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout) == (1, "")
    assert "There is no silence 7" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["silence", "pay*", "--reason", "x"], "--for: expected how long"),
        (["silence", "pay*", "--for", "2h"], "--reason: expected why"),
        (["silence", "pay*", "--for", "2h", "--reason", " "], "--reason: expected why"),
        (["silence", "pay*", "--for", "soon", "--reason", "x"], "expected a duration"),
        (["silence", " ", "--for", "2h", "--reason", "x"], "job: expected a text"),
        (["ack", "1"], "--reason: expected why"),
    ],
)
def test_nothing_is_muted_without_an_end_and_a_reason(
    cli: Cli, filled_file: str, arguments: list[str], said: str
) -> None:
    answer = cli(*arguments, "--database-url", filled_file)

    assert answer.exit_code == 2
    assert said in " ".join(answer.stderr.replace("│", " ").split())


def test_a_silence_may_be_for_one_group_until_it_recovers(cli: Cli, filled_file: str) -> None:
    options = ["--for", "2h", "--reason", "x", "--group", "timeout", "--until-recovered"]
    answer = cli("silence", "*", *options, "--json", "--database-url", filled_file)

    [silence] = answer.json
    found: dict[str, Any] = {name: silence[name] for name in ("error_group", "until_recovered")}
    assert found == {"error_group": "TIMEOUT", "until_recovered": True}
