"""What a call loads, and what stands before a command: versions and help."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import runguard
from runguard._cli import app, execution, start
from runguard._cli.app import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]

CALL = """
import json, sys
from runguard.__main__ import main
report, *arguments = sys.argv[1:]
sys.argv = ["runguard", *arguments]
code = main()
with open(report, "w") as file:
    json.dump(sorted(sys.modules), file)
sys.exit(code)
"""
TABLES = {"rich", "runguard._cli.output", "runguard._cli.tables", "runguard._cli.lists"}


@pytest.fixture
def modules_of(tmp_path: Path, filled_file: str) -> Callable[..., set[str]]:
    """Call `runguard` in a process of its own; return the modules that it has loaded at its end."""

    def call(*arguments: str) -> set[str]:
        report = tmp_path / "modules.json"
        subprocess.run(
            [sys.executable, "-c", CALL, report, *arguments],
            env={"PATH": "/usr/bin:/bin", "RUNGUARD_DATABASE_URL": filled_file},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return set(json.loads(report.read_text()))

    return call


def commands_in(modules: set[str]) -> set[str]:
    beginning = "runguard._cli.commands."
    return {name.removeprefix(beginning) for name in modules if name.startswith(beginning)}


@pytest.mark.parametrize(("job", "commands"), [(["hello"], set()), (["-"], {"exec"})])
def test_exec_loads_no_other_command_and_nothing_that_prints_tables(
    modules_of: Callable[..., set[str]], job: list[str], commands: set[str]
) -> None:
    loaded = modules_of("exec", *job, "--", "true")

    assert commands_in(loaded) == commands
    assert loaded & TABLES == set()
    assert not [name for name in loaded if name.startswith("runguard._store.queries")]
    assert loaded & {"alembic", "jinja2", "runguard._web", "runguard._store.operator"} == set()


def test_a_command_on_a_file_loads_nothing_of_the_other_database(
    modules_of: Callable[..., set[str]],
) -> None:
    loaded = modules_of("jobs")

    assert "runguard._store.sqlite.operator" in loaded
    assert not {name for name in loaded if "dialects.postgresql" in name or "psycopg" in name}


@pytest.mark.parametrize(
    ("command", "arguments"), [("runs", []), ("jobs", []), ("show", ["1"]), ("doctor", [])]
)
def test_a_command_loads_no_other_command(
    modules_of: Callable[..., set[str]], command: str, arguments: list[str]
) -> None:
    loaded = modules_of(command, *arguments)

    assert commands_in(loaded) == {command}
    assert loaded & {"jinja2", "runguard._web", "runguard._exec"} == set()


def test_the_version_is_printed_without_a_command(
    cli: Cli, modules_of: Callable[..., set[str]]
) -> None:
    answer = cli("--version")

    assert (answer.exit_code, answer.stdout) == (0, f"runguard {runguard.__version__}\n")
    assert commands_in(modules_of("--version")) == set()


@pytest.mark.parametrize(
    "command", [[], *([name] for name in COMMANDS), ["db", "upgrade"], ["spool", "flush"]]
)
def test_h_is_short_for_help(cli: Cli, command: list[str]) -> None:
    short, long = cli(*command, "-h"), cli(*command, "--help")

    assert (short.exit_code, short.stdout) == (0, long.stdout)
    assert "-h, --help" in short.stdout


def test_the_help_lists_every_command_with_its_first_sentence(cli: Cli) -> None:
    lines = cli("--help").lines
    listed = lines[lines.index("Commands:") + 1 :][: len(COMMANDS)]

    assert [line.split()[0] for line in listed] == list(COMMANDS)
    assert [line for line in listed if line[-1] not in ".?" or line.endswith("...")] == []


@pytest.mark.parametrize("job", ["plain", "-"])  # read without Typer, and by it
@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        (runguard.ConfigurationError("expected a URL"), (2, "runguard: expected a URL\n")),
        (runguard.RunguardError("\x1b[31m no"), (1, "runguard: \\x1b[31m no\n")),
        (KeyboardInterrupt(), (130, "")),
    ],
)
def test_exec_ends_in_the_same_way_whoever_reads_its_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    job: str,
    fault: BaseException,
    ending: tuple[int, str],
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise fault

    monkeypatch.setattr(execution, "execute", fail)
    monkeypatch.setattr(sys, "argv", ["runguard", "exec", job, "--", "true"])

    assert (start.run(), capsys.readouterr().err) == ending


def test_a_shell_that_completes_exec_starts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "call", lambda: 77)
    monkeypatch.setattr(sys, "argv", ["runguard", "exec", "job", "--", "false"])
    monkeypatch.setenv("_RUNGUARD_COMPLETE", "complete_bash")

    assert start.run() == 77
