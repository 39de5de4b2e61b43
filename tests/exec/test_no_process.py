"""Where the system has no process left, and where its processes are ours to take leave of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.exec.conftest import Ended

    Execute = Callable[..., Ended]
    Run = Callable[[], dict[str, Any]]

READS_ALL = "-all,+dac_override"


def as_somebody(uid: int) -> tuple[str, ...]:
    """Root is above the limit, so it becomes somebody else who may still read every file."""
    if os.geteuid() != 0:
        return ()
    return (
        *("setpriv", f"--reuid={uid}", "--clear-groups", f"--inh-caps={READS_ALL}"),
        *(f"--ambient-caps={READS_ALL}", f"--bounding-set={READS_ALL}"),
    )


# None, or one more than the wrapper: the thread that copies stderr is one too many.
LIMITS = (0, 2)
SUBREAPER = (
    *(sys.executable, "-c"),
    "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0);"
    " os.execv(sys.argv[1], sys.argv[1:])",
)
PROCESS_1 = ("unshare", *(() if os.geteuid() == 0 else ("-Ur",)), "--fork", "--pid")
# What it leaves behind ends later than its parent, and then is gone, unless nobody takes leave.
LEAVE_BEHIND = """
sh -c 'sleep 0.05 >/dev/null 2>&1 & echo $!' >left
for try in $(seq 500); do kill -0 $(cat left) || { echo gone; exit; }; sleep 0.01; done
"""


def can_run(*command: str) -> bool:
    return shutil.which(command[0]) is not None and (
        subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0
    )


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
@pytest.mark.parametrize("limit", LIMITS)
def test_where_no_process_can_be_started_it_is_126_and_a_failed_run(
    execute: Execute, run: Run, limit: int
) -> None:
    before = (*as_somebody(54_320 + limit), "prlimit", f"--nproc={limit}:{limit}")
    if not can_run(*before, "/bin/true"):
        pytest.skip("needs setpriv with ambient capabilities")
    ended = execute("nightly", "--", "/bin/true", before=before)
    [line] = [line for line in ended.stderr.decode().splitlines() if line.startswith("runguard: ")]

    assert ended.exit_code == 126
    assert line.startswith("runguard: true: no process can be started: ")
    assert b"Traceback" not in ended.stderr
    assert (run()["status"], run()["error_message"]) == ("FAILED", f"exit code 126: {line}")
    assert (run()["error_reason"], run()["alert_outcome"]) == ("overloaded", "raised")


@pytest.mark.parametrize("files", [7, 9])
def test_where_hardly_a_file_is_left_it_runs_or_says_why_not(execute: Execute, files: int) -> None:
    shell = ("sh", "-c", f'ulimit -n {files}; exec "$@"', "sh")
    ended = execute("nightly", "--", "echo", "begun", before=shell)

    told = b"runguard: echo: no process can be started: Too many open files\n" in ended.stderr
    assert (ended.exit_code, ended.stdout) == ((126, b"") if told else (0, b"begun\n"))
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize("before", [SUBREAPER, PROCESS_1], ids=["subreaper", "process 1"])
def test_what_the_command_leaves_behind_is_no_zombie(
    execute: Execute, before: tuple[str, ...]
) -> None:
    if not can_run(*before, shutil.which("true") or "true"):
        pytest.skip(f"{before[0]} is not allowed here")
    ended = execute("nightly", "--", "sh", "-c", LEAVE_BEHIND, before=before)

    assert (ended.exit_code, ended.stdout) == (0, b"gone\n")
