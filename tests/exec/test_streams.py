"""stdin and stdout are inherited; stderr is passed on byte for byte, whatever becomes of it."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.exec.conftest import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.exec.conftest import Ended, Wrapper

    Execute = Callable[..., Ended]
    Run = Callable[[], dict[str, Any]]
    Start = Callable[..., Wrapper]

# As if nothing that the command had left were taken before the run is written.
WITHOUT_PATIENCE = (
    "from runguard._exec import streams; streams.DRAIN_SECONDS = 0.0\n"
    "from runguard.__main__ import main; raise SystemExit(main())"
)
FLOOD = "import os, sys; os.write(2, bytes(range(256)) * {count}); sys.exit({code})"


def flood(count: int, code: int = 0) -> list[str]:
    return ["--", sys.executable, "-c", FLOOD.format(count=count, code=code)]


def test_stdin_and_stdout_are_the_commands_own(start: Start) -> None:
    wrapper = start("nightly", "--", "cat")
    wrapper.write(b"one\n")

    assert wrapper.await_line() == "one"
    assert wrapper.end().exit_code == 0


def test_stderr_comes_through_byte_for_byte(execute: Execute) -> None:
    assert execute("nightly", *flood(2000)).stderr == bytes(range(256)) * 2000


def test_stderr_comes_through_while_the_command_runs(start: Start) -> None:
    wrapper = start("nightly", "--", "sh", "-c", "printf half >&2; read line; printf -- -done >&2")

    assert wrapper.await_stderr(4) == b"half"
    wrapper.write(b"go on\n")
    assert wrapper.end().stderr == b"-done"


def test_a_reader_that_comes_late_gets_all_of_stderr(environ: dict[str, str], run: Run) -> None:
    reading, writing = os.pipe()
    filling = b"x" * fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
    os.write(writing, filling)  # nobody reads: the pipe is full
    wrapper = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_PATIENCE, "exec", "nightly", *flood(100)],
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=writing,
    )
    os.close(writing)
    while not is_over(run):
        assert wrapper.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        wrapper.wait(1)
    with os.fdopen(reading, "rb") as stderr:
        taken = stderr.read()

    assert taken == filling + bytes(range(256)) * 100
    assert wrapper.wait(LIMIT) == 0


def is_over(run: Run) -> bool:
    try:
        return bool(run()["status"] == "SUCCESS")
    except (sqlite3.OperationalError, ValueError):
        return False  # the table or the row is not there yet


def test_a_flood_keeps_its_end_in_the_message(execute: Execute, run: Run) -> None:
    execute("nightly", "--", "sh", "-c", "seq 100000 >&2; echo password=geheim >&2; exit 1")

    first, _, rest = run()["error_message"].partition("\n\n")
    lines = rest.splitlines()
    assert first == "exit code 1: password=[redacted]"
    assert lines[0] == "[the end of 588,911 bytes of stderr]"
    assert lines[-2:] == ["100000", "password=[redacted]"]
    assert int(lines[1]) + len(lines) - 3 == 100_000, "a line is shown whole or not"
    assert 7_000 < len(rest) < 9_000


def test_hangul_fits_too(execute: Execute, run: Run) -> None:
    execute("nightly", "--", "sh", "-c", "yes 한국어 | head -n 9000 >&2; exit 1")

    message = run()["error_message"]
    assert len(message.encode()) < 16 * 1024
    assert "\ufffd" not in message


def test_a_stderr_that_nobody_reads_changes_nothing(start: Start, run: Run) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    ended = start("nightly", *flood(2000, code=3), stderr=writing)
    os.close(writing)

    assert ended.process.wait(LIMIT) == 3
    assert (run()["status"], run()["error_type"]) == ("FAILED", "exit code 3")


def test_closed_streams_change_nothing(execute: Execute, run: Run) -> None:
    closing = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    ended = execute("nightly", "--", "sh", "-c", "echo gone >&2; exit 3", before=closing)

    assert ended.exit_code == 3
    assert run()["error_message"] == "exit code 3: gone"


def test_a_full_disk_behind_stderr_changes_nothing(start: Start, run: Run) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        wrapper = start("nightly", *flood(10, code=3), stderr=full)

    assert wrapper.process.wait(LIMIT) == 3
    assert run()["status"] == "FAILED"


def test_a_stderr_that_another_made_nonblocking_loses_nothing(start: Start) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wrapper = start("nightly", *flood(2000), stderr=writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stderr:
        assert stderr.read() == bytes(range(256)) * 2000
    assert wrapper.process.wait(LIMIT) == 0


@pytest.mark.parametrize("left_behind", ["sleep 600 >/dev/null", "yes >&2"])
def test_a_process_left_behind_with_stderr_open_holds_up_nothing(
    start: Start, run: Run, left_behind: str
) -> None:
    wrapper = start("nightly", "--", "sh", "-c", f"{left_behind} & echo $!; exit 3", stderr=-3)
    left = int(wrapper.await_line())

    try:
        assert wrapper.process.wait(LIMIT) == 3
        assert run()["status"] == "FAILED"
    finally:
        subprocess.run(["kill", "-9", str(left)], check=False, stderr=subprocess.DEVNULL)


def test_the_interpreter_leaves_no_trace_on_the_commands_signals(execute: Execute) -> None:
    ignored = "grep SigIgn /proc/self/status"
    plain = subprocess.run(
        ["env", "sh", "-c", ignored], capture_output=True, check=True, restore_signals=True
    )

    assert execute("nightly", "--", "sh", "-c", ignored).stdout == plain.stdout


def test_a_file_that_the_caller_left_open_reaches_the_command(start: Start) -> None:
    reading, writing = os.pipe()
    write = f"import os; os.write({writing}, b'here')"
    wrapper = start("nightly", "--", sys.executable, "-c", write, pass_fds=[writing])
    os.close(writing)

    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"here"
    assert wrapper.end().exit_code == 0


@pytest.mark.skipif(not Path("/usr/share/i18n/locales/de_DE").exists(), reason="needs localedef")
def test_stderr_is_read_in_the_encoding_of_the_locale(
    execute: Execute, run: Run, environ: dict[str, str], tmp_path: Path
) -> None:
    name = "de_DE.ISO-8859-1"
    definition = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(tmp_path / name)]
    subprocess.run(definition, check=True)
    environ |= {"LOCPATH": str(tmp_path), "LC_ALL": name}
    ended = execute("nightly", "--", "sh", "-c", r"printf 'K\366ln fehlt\n' >&2; exit 1")

    assert b"K\xf6ln fehlt\n" in ended.stderr
    assert run()["error_message"] == "exit code 1: Köln fehlt"
