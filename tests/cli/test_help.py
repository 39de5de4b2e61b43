"""Every command is documented: its help has examples, and they work as they stand."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import pytest
import typer.main

from runguard._cli.app import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

SPECIFIED = {
    *("db upgrade", "db downgrade", "db current", "db check", "db backup"),
    *(
        "demo",
        "doctor",
        "runs",
        "alerts",
        "report",
        "metrics",
        "import pg-cron",
        "reap",
        "exec",
        "prune",
    ),
    *("spool status", "spool flush", "spool retry"),
    *("config check", "config show"),
    *("ack", "silence add", "silence list", "silence end", "monitor", "notify"),
    *("web", "show", "explain", "jobs", "resolve", "unknowns", "problems", "expect"),
}


NEED_NO_STORE = {"config check", "config show"}


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, child in getattr(command, "commands", {}).items():
        if hasattr(child, "commands"):
            yield from walk(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


COMMANDS = dict(walk(typer.main.get_command(app)))


def examples(epilog: str) -> list[str]:
    lines = (line.strip() for line in epilog.splitlines())
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


EXAMPLES = [
    example
    for command in [typer.main.get_command(app), *COMMANDS.values()]
    for example in examples(command.epilog)
    # Until Ctrl-C: tests/web/test_serving.py, tests/cli/test_watch.py and test_monitor.py.
    if not example.startswith("runguard web")
    and "--watch" not in example
    and example != "runguard monitor"
    and not example.startswith("runguard import")  # it needs pg_cron: tests/rounds/test_pg_cron.py
    and not example.startswith("runguard notify")  # it needs a channel: test_notify.py
]


def test_the_commands_are_those_of_the_contract() -> None:
    assert set(COMMANDS) == SPECIFIED


@pytest.mark.parametrize("path", COMMANDS)
def test_help_has_examples_and_exit_codes_and_the_store(cli: Cli, path: str) -> None:
    answer = cli(*path.split(), "--help")

    assert answer.exit_code == 0
    assert f"$ runguard {path}" in answer.stdout
    assert "Exit codes:" in answer.stdout
    assert ("--database-url URL" in answer.stdout) is (path not in NEED_NO_STORE)
    assert max(map(len, answer.lines)) <= 80


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_says_what_it_does(path: str) -> None:
    said = {option.name: option.help for option in COMMANDS[path].params}

    assert [name for name, text in said.items() if not text] == []


# `exec` forks before it has a thread; here pytest-xdist has some.
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_works_as_it_stands(
    cli: Cli, filled_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example: str
) -> None:
    monkeypatch.chdir(tmp_path)  # where what an example writes does no harm
    program, *arguments = shlex.split(example)
    ends = [arguments.index(end) for end in ("|", ">", "&&") if end in arguments]
    arguments = arguments[: min(ends, default=None)]
    if "postgresql://…" in arguments:
        arguments[arguments.index("postgresql://…")] = filled_file
    if arguments[0] == "demo" and "--database-url" in arguments:
        arguments.append("--no-mail")  # its slow part is the same; the other example plays it

    if arguments[:2] == ["silence", "end"]:
        cli("silence", "*", "--for", "1h", "--reason", "x", "--database-url", filled_file)

    if arguments[0] == "expect":
        cli("expect", "backup", "--every", "1h", "--database-url", filled_file)

    answer = cli(*arguments, RUNGUARD_DATABASE_URL=filled_file)

    assert program == "runguard"
    assert answer.exit_code == 0, answer.stderr


def test_without_a_command_the_help_is_shown(cli: Cli) -> None:
    answer = cli()

    assert "Commands:" in answer.stdout + answer.stderr


def test_an_unknown_command_is_answered_with_the_nearest(cli: Cli) -> None:
    answer = cli("aler")

    assert answer.exit_code == 2
    assert "alerts" in answer.stderr
