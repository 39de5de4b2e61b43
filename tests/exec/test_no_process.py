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

# Root is above the limit, so it becomes somebody else who may still read every file.
AS_SOMEBODY = (
    *("setpriv", "--reuid=12345", "--clear-groups", "--inh-caps=-all,+dac_override"),
    *("--ambient-caps=-all,+dac_override", "--bounding-set=-all,+dac_override"),
)
NO_PROCESS = ("prlimit", "--nproc=0:0")
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
@pytest.mark.parametrize("options", [[], ["--quiet-when-suppressed"]])
def test_where_no_process_can_be_started_it_is_126_and_a_failed_run(
    execute: Execute, run: Run, options: list[str]
) -> None:
    somebody = AS_SOMEBODY if os.geteuid() == 0 else ()
    if somebody and not can_run(*somebody, "true"):
        pytest.skip("needs setpriv with ambient capabilities")
    ended = execute("nightly", *options, "--", "/bin/true", before=(*somebody, *NO_PROCESS))

    line = "runguard: true: no process can be started: Resource temporarily unavailable"
    assert (ended.exit_code, ended.stderr.decode().count(line)) == (126, 1)
    assert b"Traceback" not in ended.stderr
    assert (run()["status"], run()["error_message"]) == ("FAILED", f"exit code 126: {line}")
    assert (run()["error_reason"], run()["alert_outcome"]) == ("overloaded", "raised")


@pytest.mark.parametrize("before", [SUBREAPER, PROCESS_1], ids=["subreaper", "process 1"])
def test_what_the_command_leaves_behind_is_no_zombie(
    execute: Execute, before: tuple[str, ...]
) -> None:
    if not can_run(*before, shutil.which("true") or "true"):
        pytest.skip(f"{before[0]} is not allowed here")
    ended = execute("nightly", "--", "sh", "-c", LEAVE_BEHIND, before=before)

    assert (ended.exit_code, ended.stdout) == (0, b"gone\n")
