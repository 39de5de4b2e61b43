"""`problems`, and `resolve --all`: many alerts as one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

import runguard
from runguard import run_scope, testing

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def test_problems_are_listed_with_their_count_and_state(cli: Cli, filled_url: str) -> None:
    answer = cli("problems", "--job", "payments", "--database-url", filled_url)

    assert answer.exit_code == 0
    [_, line] = answer.lines
    assert re.match(r"payments +HTTP_5XX +overloaded +high +1 +1 +20\S+ +20\S+ +still broken", line)
    assert line.endswith("HTTP 503 Service Unavailable")
    assert answer.stderr == "1 alert, 1 open.\n"


def test_a_problem_shows_the_line_that_its_message_quotes_once(cli: Cli, store_url: str) -> None:
    runguard.configure(database_url=store_url)
    with run_scope("nightly") as run:
        run.fail("exit code 3: no such table\n\nopening\nno such table")
    testing.reset()

    [_, line] = cli("problems", "--database-url", store_url).lines
    assert line.endswith("  exit code 3: no such table opening")


def test_an_alert_does_not_say_its_reason_twice(cli: Cli, store_url: str) -> None:
    runguard.configure(database_url=store_url)
    with run_scope("nightly") as run:
        run.fail("timed out")
    testing.reset()

    [_, line] = cli("alerts", "--database-url", store_url).lines
    assert line.endswith("  nightly failed: timed out")


def test_a_list_of_problems_that_is_cut_says_so(cli: Cli, filled_url: str) -> None:
    answer = cli("problems", "-n", "1", "--json", "--database-url", filled_url)

    assert len(answer.json) == 1
    assert answer.stderr.startswith("1 shown, 2 more: -n 3\n")
    header = cli("problems", "--csv", "--database-url", filled_url).lines[0]
    assert header.startswith("source_type,source_id,alert_type,error_reason,job_name,error_group")
    nothing = cli("problems", "--reason", "dns", "--database-url", filled_url)
    assert nothing.stderr.startswith("No alerts match.")


def test_all_that_match_are_resolved_and_taken_back(cli: Cli, filled_url: str) -> None:
    where = ("--database-url", filled_url)
    answer = cli("resolve", "--job", "pay*", "--group", "http_5xx", "--all", "--json", *where)

    assert [one["count"] for one in answer.json] == [1]
    said, undo = answer.stderr.splitlines()
    assert said == "1 alert resolved."
    assert [one["id"] for one in cli("alerts", "--open", "--json", *where).json] == [3, 2]
    assert undo.endswith(" --database-url …"), "the same store, and no password of its URL"
    words = undo.removeprefix("To take it back: runguard ").removesuffix(" --database-url …")
    undone = cli(*words.split(), *where)
    assert (undone.exit_code, undone.stderr) == (0, "1 alert open again.\n")
    assert len(cli("alerts", "--open", "--json", *where).json) == 3


@pytest.mark.parametrize(
    ("arguments", "end"),
    [
        ([], (2, "expected ids of alerts, or --all, or --undo TIME")),
        (["1", "--all"], (2, "expected ids of alerts, or --all, or --undo TIME")),
        (["1", "--job", "payments"], (2, "expected --all beside them")),
        (["--job", "payments"], (2, "expected --all beside them")),
        (["--undo", "24h"], (2, "expected the time that --all printed")),
        (["--undo", "2026-03-01T02:00Z"], (1, "0 alerts open again")),
        (["--all", "--job", "paymnts"], (1, "did you mean 'payments'?")),
        (["--all", "--reason", "dns"], (0, "No open alerts match. Leave out a filter.\n")),
    ],
)
def test_what_resolves_nothing_says_why(
    cli: Cli, filled_url: str, arguments: list[str], end: tuple[int, str]
) -> None:
    answer = cli("resolve", *arguments, "--database-url", filled_url)

    assert answer.exit_code == end[0]
    assert end[1] in answer.stderr
