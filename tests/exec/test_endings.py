"""What becomes of a command, its exit code and its record."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.exec.conftest import Ended

    Execute = Callable[..., Ended]
    Run = Callable[[], dict[str, Any]]
    Sql = Callable[[str], list[dict[str, Any]]]

SECRET = "hunter2geheim"


def test_a_command_that_ends_well_is_a_success(execute: Execute, run: Run) -> None:
    ended = execute("nightly", "--trigger", "scheduler", "--", "true")

    assert (ended.exit_code, ended.stderr) == (0, b"")
    assert (run()["job_name"], run()["status"], run()["trigger_type"]) == (
        "nightly",
        "SUCCESS",
        "SCHEDULER",
    )


def test_an_exit_code_is_handed_on_and_is_a_failure(execute: Execute, run: Run) -> None:
    ended = execute("nightly", "--", "sh", "-c", "echo first >&2; echo last >&2; exit 3")

    assert ended.exit_code == 3
    assert (run()["status"], run()["error_group"]) == ("FAILED", "UNKNOWN")
    assert run()["error_type"] == "exit code 3"
    assert run()["error_message"] == "exit code 3: last\n\nfirst\nlast"
    assert run()["http_status_code"] is run()["error_location"] is None


def test_a_failure_is_sorted_by_its_stderr(execute: Execute, run: Run) -> None:
    execute("nightly", "--", "sh", "-c", "echo 'HTTP 503 Service Unavailable' >&2; exit 1")

    assert (run()["error_group"], run()["http_status_code"]) == ("HTTP_5XX", 503)


@pytest.mark.parametrize(("signum", "name"), [(9, "SIGKILL"), (11, "SIGSEGV")])
def test_a_death_by_signal_is_128_and_its_number(
    execute: Execute, run: Run, signum: int, name: str
) -> None:
    ended = execute("nightly", "--", "sh", "-c", f"kill -{signum} $$")

    assert ended.exit_code == 128 + signum
    assert (run()["status"], run()["error_type"]) == ("FAILED", name)
    assert run()["error_message"] == f"killed by {name} (signal {signum})"


@pytest.mark.parametrize(
    ("command", "exit_code", "reason"),
    [
        ("no-such-command", 127, "No such file or directory"),
        ("", 127, "execve: argv first element cannot be empty"),
        ("/dev/null", 126, "Permission denied"),
    ],
)
def test_what_cannot_be_executed_is_told_as_by_a_shell(
    execute: Execute, run: Run, command: str, exit_code: int, reason: str
) -> None:
    ended = execute("nightly", "--", command)

    line = f"runguard: {command}: {reason}"
    assert ended.exit_code == exit_code
    assert ended.stderr.decode().splitlines()[0] == line
    assert (run()["status"], run()["error_message"]) == (
        "FAILED",
        f"exit code {exit_code}: {line}",
    )


def test_a_program_without_a_format_is_not_given_to_a_shell(
    execute: Execute, tmp_path: Path
) -> None:
    (tmp_path / "script").touch(mode=0o755)

    ended = execute("nightly", "--", "./script")

    assert (ended.exit_code, ended.stderr.splitlines()[0]) == (
        126,
        b"runguard: ./script: Exec format error",
    )


def test_no_shell_reads_the_arguments(execute: Execute) -> None:
    arguments = ["$HOME", "a; exit 3", "*", "--lock", "--", "'"]

    ended = execute(
        "nightly", "--", sys.executable, "-c", "import sys; print(sys.argv)", *arguments
    )

    assert ended.stdout.decode().strip() == str(["-c", *arguments])


def test_a_repeat_of_a_failure_alerts_only_without_a_cooldown(execute: Execute, sql: Sql) -> None:
    options = ([], [], ["--cooldown", "0"])
    ended = [execute("nightly", *option, "--", "false") for option in options]

    assert [one.stderr.count(b"alert_created") for one in ended] == [1, 0, 1]
    assert [row["alert_outcome"] for row in sql("select * from run_log order by id")] == [
        "raised",
        "suppressed",
        "raised",
    ]


def test_a_secret_on_stderr_is_passed_on_and_not_stored(
    execute: Execute, run: Run, file: Path
) -> None:
    ended = execute("nightly", "--", "sh", "-c", f"echo password={SECRET} >&2; exit 1")

    assert SECRET.encode() in ended.stderr
    assert run()["error_message"] == "exit code 1: password=[redacted]"
    assert SECRET.encode() not in file.read_bytes()


def test_a_secret_among_the_arguments_is_neither_stored_nor_told(
    execute: Execute, run: Run, file: Path
) -> None:
    command = f"postgresql://app:{SECRET}@db/sales"
    ended = execute("nightly", "--", command, f"--password={SECRET}")

    assert run()["status"] == "FAILED"
    assert b"app:[redacted]@db" in ended.stderr
    assert SECRET.encode() not in ended.stderr + file.read_bytes()


def test_it_works_on_postgresql(
    execute: Execute, environ: dict[str, str], migrated_pg_url: str
) -> None:
    environ["RUNGUARD_DATABASE_URL"] = migrated_pg_url
    execute("nightly", "--", "sh", "-c", "echo 'connection timed out \\0' >&2; exit 2")

    engine = create_engine(migrated_pg_url)
    with engine.connect() as connection:
        statement = (
            "select error_group, status, source_id from alert"
            " join run_log on detail->>'run_id' = run_log.id::text"
        )
        rows = connection.execute(text(statement)).all()
    engine.dispose()
    assert rows == [("TIMEOUT", "FAILED", "nightly:TIMEOUT")]
