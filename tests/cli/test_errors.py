"""What goes wrong is one line on stderr and an exit code, and never shows a password."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

SECRET = "hunter2geheim"
STORE_COMMANDS = [
    ["runs"],
    ["runs", "--json"],
    ["alerts"],
    ["report"],
    ["demo"],
    ["db", "upgrade"],
    ["db", "current"],
    ["db", "check"],
    ["db", "downgrade", "base", "--yes"],
]


@pytest.fixture
def dead_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("command", [["runs"], ["db", "check"], ["demo"]], ids=" ".join)
def test_a_server_that_is_away_is_code_3(cli: Cli, dead_port: int, command: list[str]) -> None:
    url = f"postgresql://u:{SECRET}@127.0.0.1:{dead_port}/db"
    answer = cli(*command, "--database-url", url)

    assert (answer.exit_code, answer.stdout) == (3, "")
    assert answer.stderr.startswith("runguard: ")
    assert answer.stderr.count("\n") == 1
    assert SECRET not in answer.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["runs", "-n", "0"], "'-n': expected 1 or more, found '0'"),
        (["runs", "-n", "many"], "'-n': expected a whole number, found 'many'"),
        (["jobs", "--strip", "99"], "'--strip': expected 30 or less, found '99'"),
        (["report", "--hours", "x"], "'--hours': expected a number, found 'x'"),
        (["spool", "flush", "--seconds", "0"], "'--seconds': expected 0.1 or more, found '0'"),
    ],
)
def test_a_number_that_cannot_be_used_says_expected_and_found(
    cli: Cli, command: list[str], said: str
) -> None:
    answer = cli(*command)

    assert answer.exit_code == 2
    assert answer.stderr.endswith(f"{said}\n")


@pytest.mark.parametrize("command", [["runs"], ["alerts"], ["report"]], ids=" ".join)
def test_a_missing_schema_is_code_4_and_the_remedy(
    cli: Cli, pg_url: str, command: list[str]
) -> None:
    answer = cli(*command, "--database-url", pg_url)

    assert (answer.exit_code, answer.stdout) == (4, "")
    assert "found no runguard schema" in answer.stderr
    assert "runguard db upgrade" in answer.stderr


@pytest.mark.parametrize("command", [*STORE_COMMANDS, ["doctor"]], ids=" ".join)
@pytest.mark.parametrize(
    "url",
    [
        f"postgresql//u:{SECRET}@host/db",
        f"postgresql://u:{SECRET}@host:54x/db",
        f"postgresql://u:p@{SECRET}@host/db",
        f"mysql://u:{SECRET}@host/db",
        f"nosuch+driver://u:{SECRET}@host/db",
        f"{SECRET}",
        "",
        " ",
        "sqlite://",
    ],
)
def test_an_unreadable_url_is_code_2_and_is_never_repeated(
    cli: Cli, command: list[str], url: str
) -> None:
    answer = cli(*command, "--database-url", url)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("runguard: --database-url: expected ")
    assert SECRET not in answer.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("RUNGUARD_DATABASE_URL", f"postgresql//u:{SECRET}@host/db"),
        ("ALERT_COOLDOWN_MINUTES", "soon"),
        ("JOB_LOCK_TTL_SECONDS", "-1"),
        ("RUNGUARD_TRIGGER_TYPE", "SHEDULER"),
    ],
)
def test_a_bad_variable_is_code_2_and_is_named(
    cli: Cli, sqlite_url: str, variable: str, value: str
) -> None:
    environ = {"RUNGUARD_DATABASE_URL": sqlite_url, variable: value}
    answer = cli("runs", **environ)

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert variable in answer.stderr
    assert SECRET not in answer.stderr


def test_a_folder_that_cannot_be_made_is_code_3(cli: Cli) -> None:
    answer = cli("runs", "--database-url", "sqlite:////dev/null/runguard.db")

    assert (answer.exit_code, answer.stdout) == (3, "")
    assert "/dev/null" in answer.stderr


def test_a_file_that_is_no_database_is_code_3(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("these are notes, not a database\n" * 99)
    answer = cli("runs", "--database-url", f"sqlite:///{tmp_path / 'notes.txt'}")

    assert (answer.exit_code, answer.stdout) == (3, "")
    assert answer.stderr.startswith("runguard: ")
