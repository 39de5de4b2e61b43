"""`unknowns`: what no rule sorts."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

import pytest

import runguard
import runguard.testing
from runguard import Rule, run_scope

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


def fail(job: str, error: Exception) -> None:
    with contextlib.suppress(type(error)), run_scope(job):
        raise error


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    runguard.configure(database_url=url)
    for number in range(3):
        fail(f"books-{number}", ValueError(f"the ledger of {2020 + number} is closed"))
    fail("books-0", LookupError("no student 'Kim'"))
    fail("books-0", TimeoutError("timed out"))
    runguard.testing.reset()
    return url


def test_the_commonest_come_first_each_with_its_rule(cli: Cli, url: str) -> None:
    answer = cli("unknowns", "--database-url", url)

    assert answer.exit_code == 0
    assert answer.lines[0].split()[:2] == ["failures", "type"]
    assert answer.lines[1].split()[:2] == ["3", "ValueError"]
    assert "the ledger of … is closed" in answer.stdout
    assert "Rule(lambda exc: isinstance(exc, ValueError) and 'the ledger of' in" in answer.stdout
    assert "TimeoutError" not in answer.stdout


def test_the_rules_are_python_to_be_copied_on_a_narrow_terminal_too(cli: Cli, url: str) -> None:
    answer = cli("unknowns", "--database-url", url, FORCE_COLOR="1", NO_COLOR="1", COLUMNS="60")
    table, _, code = re.sub(r"\x1b\[[\d;]*m", "", answer.stdout).partition("\n\n")
    given: list[Rule] = []
    names = {"Rule": Rule, "configure": lambda *, rules: given.extend(rules)}
    exec(code, names)

    assert max(map(len, table.splitlines())) <= 60
    assert len(given) == 2
    runguard.configure(database_url=url, rules=given)
    assert runguard.classify(ValueError("the ledger of 2029 is closed")).error_group == "HTTP_5XX"
    runguard.testing.reset()


def test_json_has_every_field(cli: Cli, url: str) -> None:
    first, second = cli("unknowns", "--json", "--database-url", url).json

    assert (first["failures"], first["jobs"]) == (3, ["books-0", "books-1", "books-2"])
    assert (second["error_type"], second["message"]) == ("LookupError", "no student '…'")
    assert set(first) == {
        *("error_type", "message", "failures", "jobs", "last_failure_at", "example_run"),
        *("error_reason", "rule"),
    }


def test_it_says_what_it_left_out(cli: Cli, url: str) -> None:
    answer = cli("unknowns", "-n", "1", "--look", "2", "--database-url", url)

    assert "1 shown, 1 more: -n 2" in answer.stderr
    assert "the newest 2 are" in answer.stderr


def test_one_job_alone_can_be_asked_for(cli: Cli, url: str) -> None:
    rows = cli("unknowns", "--job", "books-1", "--json", "--database-url", url).json

    assert [(row["error_type"], row["failures"]) for row in rows] == [("ValueError", 1)]


def test_a_job_that_never_ran_is_named(cli: Cli, url: str) -> None:
    answer = cli("unknowns", "--job", "boks-1", "--database-url", url)

    assert answer.exit_code == 1
    assert "did you mean 'books-1'" in answer.stderr
