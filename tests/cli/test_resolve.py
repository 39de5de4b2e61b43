"""`resolve`: what an operator does about alerts."""

from __future__ import annotations

import getpass
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def test_alerts_are_resolved_by_the_user_of_this_machine(cli: Cli, filled_url: str) -> None:
    answer = cli("resolve", "1", "3", "--json", "--database-url", filled_url)

    assert (answer.exit_code, answer.stderr) == (0, "")
    assert [(alert["id"], alert["resolved"]) for alert in answer.json] == [(1, True), (3, True)]
    assert {alert["resolved_by"] for alert in answer.json} == {getpass.getuser()}
    still_open = cli("alerts", "--open", "--json", "--database-url", filled_url).json
    assert [alert["id"] for alert in still_open] == [2]


def test_who_resolved_first_stays(cli: Cli, filled_url: str) -> None:
    cli("resolve", "1", "--by", "Kim", "--database-url", filled_url)

    [alert] = cli("resolve", "1", "--by", "Lee", "--json", "--database-url", filled_url).json
    assert alert["resolved_by"] == "Kim"


def test_an_alert_is_opened_again(cli: Cli, filled_url: str) -> None:
    cli("resolve", "1", "--database-url", filled_url)

    [alert] = cli("resolve", "1", "--reopen", "--json", "--database-url", filled_url).json
    assert (alert["resolved"], alert["resolved_by"], alert["resolved_at"]) == (False, None, None)


def test_the_review_status_is_set_too(cli: Cli, filled_url: str) -> None:
    answer = cli("resolve", "1", "--review", "false_alarm", "--json", "--database-url", filled_url)

    [alert] = answer.json
    assert (alert["resolved"], alert["review_status"]) == (True, "FALSE_ALARM")


def test_an_alert_that_is_not_there_is_told_and_the_others_are_resolved(
    cli: Cli, filled_url: str
) -> None:
    answer = cli("resolve", "1", "99", "--json", "--database-url", filled_url)

    assert answer.exit_code == 1
    assert [alert["id"] for alert in answer.json] == [1]
    assert "There is no alert 99" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "ALERT"),
        (["x"], "expected a whole number"),
        (["1", "--by", " "], "by: expected a name"),
        (["1", "--review", "no good!"], "false_alarm"),
    ],
)
def test_what_means_nothing_is_wrong_usage(
    cli: Cli, filled_file: str, arguments: list[str], told: str
) -> None:
    answer = cli("resolve", *arguments, "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert told in answer.stderr


def test_wrong_usage_changes_nothing(cli: Cli, filled_file: str) -> None:
    cli("resolve", "1", "--review", "no good!", "--database-url", filled_file)

    alerts = cli("alerts", "--open", "--json", "--database-url", filled_file).json
    assert len(alerts) == 3


def test_who_may_only_read_is_told_so(cli: Cli, filled_file: str) -> None:
    with closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "create trigger no_writes before update on alert"
            " begin select raise(abort, 'this store is only read'); end"
        )
        connection.commit()

    answer = cli("resolve", "1", "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout) == (3, "")
    assert "this store is only read" in answer.stderr
