"""`--timeout` ends the whole process group: SIGTERM, a grace, SIGKILL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.exec.conftest import Ended

    Execute = Callable[..., Ended]
    Run = Callable[[], dict[str, Any]]

# stdout is a pipe: that it ends proves that every process which held it is gone.
CLEANS_UP = "sleep 0.3; echo cleaned up; exit 1"
STUBBORN = 'trap "" TERM; sleep 600'


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(STUBBORN, id="a command that does not"),
        pytest.param(f"({STUBBORN}) & wait", id="one that it leaves behind does not"),
        pytest.param(
            "trap 'exit 0' TERM; sleep 600 & wait", id="a command that calls it a success"
        ),
    ],
)
def test_the_whole_group_ends(execute: Execute, run: Run, script: str) -> None:
    script = f"echo 'HTTP 503, job_lock active' >&2; {script}"
    ended = execute("nightly", "--timeout", "1s", "--kill-after", "1s", "--", "sh", "-c", script)

    assert ended.exit_code == 124
    assert (run()["status"], run()["error_group"]) == ("FAILED", "TIMEOUT")
    assert (run()["matched_by"], run()["error_type"]) == ("--timeout", "timeout")
    assert run()["http_status_code"] is None
    assert run()["error_message"].startswith("timed out after 1 s: HTTP 503")


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(f"trap '{CLEANS_UP}' TERM; sleep 600 & wait", id="itself"),
        pytest.param(f"trap '{CLEANS_UP}' TERM; kill -STOP $$", id="itself though it is stopped"),
        pytest.param(f"(trap '{CLEANS_UP}' TERM; sleep 600) & wait", id="what it leaves behind"),
    ],
)
def test_a_command_has_the_grace_to_end_properly(execute: Execute, script: str) -> None:
    ended = execute("nightly", "--timeout", "1s", "--kill-after", "10m", "--", "sh", "-c", script)

    assert (ended.exit_code, ended.stdout) == (124, b"cleaned up\n")


def test_a_command_in_time_is_left_alone(execute: Execute, run: Run) -> None:
    ended = execute("nightly", "--timeout", "52w", "--", "sh", "-c", "exit 3")

    assert ended.exit_code == 3
    assert run()["error_type"] == "exit code 3"
