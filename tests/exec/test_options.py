"""Options of `exec`: what is a failure, what is shown and recorded, what is waited for."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest

from runguard._exec.result import CommandOptions, CommandResult

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.exec.conftest import Ended, Wrapper

    Execute = Callable[..., Ended]
    Run = Callable[[], dict[str, Any]]
    Sql = Callable[[str], list[dict[str, Any]]]
    Start = Callable[..., Wrapper]

BOTH = "echo out; echo HTTP 503 >&2; echo out again; exit 3"


def statuses(sql: Sql) -> list[str]:
    return [row["status"] for row in sql("select status from run_log order by id")]


def test_an_exit_code_that_is_ok_is_a_success_and_handed_on(execute: Execute, run: Run) -> None:
    ended = execute("mirror", "--ok-exit", "23", "--ok-exit", "24", "--", "sh", "-c", "exit 24")

    assert (ended.exit_code, ended.stderr, run()["status"]) == (24, b"", "SUCCESS")


def test_no_exit_code_makes_a_timeout_a_success() -> None:
    options = CommandOptions(ok_exits=frozenset({23, 124}))

    assert CommandResult(124, "", "").is_success(options)
    assert not CommandResult(124, "", "", timed_out=True).is_success(options)
    assert not CommandResult(25, "", "").is_success(options)


def test_who_waits_for_the_lock_gets_it_when_it_is_free(start: Start, sql: Sql) -> None:
    first = start("nightly", "--lock", "--", "sh", "-c", "echo in; read line")
    first.await_line()
    second = start("nightly", "--wait-lock", "1m", "--", "echo", "in too")
    while not takes(second.pid, signal.SIGTERM):
        assert second.process.poll() is None
    first.write(b"go on\n")

    assert (first.end().exit_code, second.await_line(), second.end().exit_code) == (0, "in too", 0)
    assert statuses(sql) == ["SUCCESS", "SUCCESS"], "an attempt that was refused left a row"


def test_who_waits_in_vain_is_refused_once(start: Start, execute: Execute, sql: Sql) -> None:
    first = start("nightly", "--lock", "--", "sh", "-c", "echo in; read line")
    first.await_line()
    ended = execute("nightly", "--wait-lock", "1s", "--", "true")

    assert ended.exit_code == 75
    assert statuses(sql) == ["RUNNING", "FAILED"]


def test_who_waits_for_the_lock_can_be_told_to_end(start: Start, sql: Sql) -> None:
    first = start("nightly", "--lock", "--", "sh", "-c", "echo in; read line")
    first.await_line()
    second = start("nightly", "--wait-lock", "10m", "--", "true")
    while not takes(second.pid, signal.SIGTERM):
        assert second.process.poll() is None
    second.send(signal.SIGTERM)

    assert second.end().exit_code == 128 + signal.SIGTERM
    assert statuses(sql) == ["RUNNING", "FAILED"]


def takes(pid: int, signum: int) -> bool:
    """Whether a process has a handler for a signal by now."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:  # noqa: PTH123
        [caught] = [line.split()[1] for line in status if line.startswith("SigCgt")]
    return bool(int(caught, 16) >> (signum - 1) & 1)


def test_a_lock_that_is_held_is_no_failure_where_it_is_skipped(
    start: Start, execute: Execute, sql: Sql, tmp_path: Path
) -> None:
    first = start("nightly", "--lock", "--", "sh", "-c", "echo in; read line")
    first.await_line()
    skipping = ("nightly", "--skip-if-locked")
    ended = execute(*skipping, "--", "touch", "begun")
    quiet = execute(*skipping, "--quiet-when-suppressed", "--", "touch", "begun")

    assert (ended.exit_code, quiet.exit_code, quiet.stderr) == (0, 0, b"")
    assert b"runguard: skipped: job_lock active: nightly is held by" in ended.stderr
    assert not (tmp_path / "begun").exists()
    assert statuses(sql) == ["RUNNING"]


def test_only_what_is_new_is_shown_where_repeats_are_to_be_quiet(execute: Execute) -> None:
    quiet = ("nightly", "--quiet-when-suppressed", "--", "sh", "-c")
    new, repeat, well = execute(*quiet, BOTH), execute(*quiet, BOTH), execute(*quiet, "echo well")

    assert new.stdout == b"out\nout again\n"
    assert b"HTTP 503\n" in new.stderr
    assert b"runguard.alert_created" in new.stderr
    assert (repeat.exit_code, repeat.stdout, repeat.stderr) == (3, b"", b"")
    assert (well.stdout, well.stderr) == (b"well\n", b"")


def test_what_is_held_back_comes_in_its_order(start: Start) -> None:
    reading, writing = os.pipe()
    many = "for n in $(seq 3); do echo out $n; sleep 0.01; echo err $n >&2; sleep 0.01; done"
    wrapper = start(
        *("nightly", "--quiet-when-suppressed", "--", "sh", "-c", many),
        stdout=writing,
        stderr=writing,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as both:
        shown = both.read().decode().splitlines()
    wrapper.process.wait()

    assert shown == [f"{kind} {n}" for n in (1, 2, 3) for kind in ("out", "err")]


def test_a_flood_that_is_held_back_comes_whole(execute: Execute) -> None:
    ended = execute("nightly", "--quiet-when-suppressed", "--", "seq", "400000")

    assert ended.stdout == b"".join(b"%d\n" % number for number in range(1, 400_001))


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_a_disk_that_takes_no_more_holds_nothing_back(execute: Execute) -> None:
    limit = 1024 * 1024 + 12_345  # of a file; as much again stays in memory
    ended = execute(
        *("nightly", "--quiet-when-suppressed", "--", "seq", "400000"),
        before=("prlimit", f"--fsize={limit}:{limit}"),
    )

    assert ended.stdout == b"".join(b"%d\n" % number for number in range(1, 400_001))


def test_the_end_of_stdout_is_kept_where_it_is_asked_for(execute: Execute, run: Run) -> None:
    script = "echo step 1; echo 'HTTP 503 Service Unavailable'; echo see above >&2; exit 1"
    ended = execute("nightly", "--keep-stdout-tail", "--", "sh", "-c", script)

    assert ended.stdout == b"step 1\nHTTP 503 Service Unavailable\n"
    assert run()["error_group"] == "HTTP_5XX"
    assert run()["error_message"] == (
        "exit code 1: HTTP 503 Service Unavailable\n\n[stderr]\nsee above\n\n"
        "[stdout]\nstep 1\nHTTP 503 Service Unavailable"
    )


def test_stdout_is_not_read_where_nobody_asks_for_it(execute: Execute, run: Run) -> None:
    execute("nightly", "--", "sh", "-c", "echo HTTP 503; exit 1")

    assert (run()["error_group"], run()["error_message"]) == ("UNKNOWN", "exit code 1")


@pytest.mark.parametrize(("options", "seen"), [([], False), (["--keep-env"], True)])
def test_the_command_sees_no_secret_of_runguards_unless_asked_to(
    execute: Execute, environ: dict[str, str], options: list[str], seen: bool
) -> None:
    secrets = [
        *("RUNGUARD_DATABASE_URL", "RUNGUARD_WEB_TOKEN", "RUNGUARD_WEB_PASSWORD"),
        *("RUNGUARD_NOTIFY", "RUNGUARD_PING_URL"),
    ]
    environ["RUNGUARD_DELIVER"] = "off"
    environ |= dict.fromkeys(secrets[1:], "hunter2")
    shown = execute("nightly", *options, "--", "env").stdout.decode().splitlines()
    names = {line.partition("=")[0] for line in shown}

    assert {"PATH", "RUNGUARD_SPOOL_DIR"} <= names
    assert (set(secrets) & names) == (set(secrets) if seen else set())


def test_a_tracked_program_that_keeps_the_environment_records_its_own_run(
    execute: Execute, sql: Sql
) -> None:
    inner = [sys.executable, "-m", "runguard", "exec", "inner", "--", "false"]
    execute("outer", "--keep-env", "--", *inner)
    rows = {row["job_name"]: row for row in sql("select * from run_log")}

    assert rows["inner"]["error_message"] == "exit code 1"
    assert rows["outer"]["error_message"] == "exit code 1", "runguard's own line is no error of it"


def test_a_command_may_fail_once_before_it_alerts(execute: Execute, sql: Sql) -> None:
    for _ in range(2):
        execute("mirror", "--failures-to-alert", "2", "--", "sh", "-c", "exit 3")

    outcomes = sql("select alert_outcome from run_log order by id")
    assert [row["alert_outcome"] for row in outcomes] == ["waiting", "raised"]


def test_a_command_is_expected_as_the_options_say(execute: Execute, sql: Sql) -> None:
    for code in ("0", "1"):
        schedule = ("--cron", "0 2 * * *", "--tz", "Asia/Seoul", "--max-runtime", "2h")
        execute("backup", *schedule, "--", "sh", "-c", f"exit {code}")

    [row] = sql("select * from job")
    assert json.loads(row["expectation"]) == {
        **{"cron": "0 2 * * *", "tz": "Asia/Seoul"},
        "max_runtime": 7200.0,
    }
    assert (row["job_name"], row["declared_by"]) == ("backup", "code")
