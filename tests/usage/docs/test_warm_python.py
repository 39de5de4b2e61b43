"""A fork of the warm Python does what a cold one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.warm_python import WarmPython, can_run
from tests.usage.docs.session import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNGUARD = str(Path(sys.executable).with_name("runguard"))
SCRIPT = """\
import os, sys
from atexit import register
register(print, "at its end")
print(__name__, __file__, sys.argv, sys.path[0], os.getcwd())
print(os.environ["FOR_IT"], sys.stdin.read())
print("to stderr", file=sys.stderr)
print([sys.stdout.isatty(), sys.stdout.encoding, sys.stderr.errors], "runguard" in sys.modules)
import jobs
if len(sys.argv) > 1:
    jobs.fail()
"""


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmPython]:
    python = WarmPython()
    yield python
    python.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["script.py"],
        ["script.py", "x"],
        ["-W", "error", "script.py", "x y"],
        ["-W", "error", "-c", "import warnings; warnings.warn('old')"],
        ["-c", "import sys; print(sys.argv, sys.path[0]); sys.exit(3)", "x"],
        ["-c", "import sys; sys.exit('no')"],
        ["-c", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"],
        ["-c", "import threading; threading.Timer(0.05, print, ['late']).start()"],
        ["-c", "1 +"],
        [RUNGUARD, "runs", "--limit", "x"],
        [RUNGUARD, "config", "show"],
        [RUNGUARD, "exec", "job", "--", "sh", "-c", "echo said"],
    ],
    ids=" ".join,
)
def test_a_fork_says_and_returns_what_a_cold_start_does(
    arguments: list[str], warm: WarmPython, tmp_path: Path
) -> None:
    tmp_path.joinpath("script.py").write_text(SCRIPT)
    tmp_path.joinpath("jobs.py").write_text("def fail():\n    raise ValueError('failed')\n")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "FOR_IT": "its own"}
    cold = subprocess.run(
        [sys.executable, *arguments],
        cwd=tmp_path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )

    found = warm.run(arguments, cwd=tmp_path, env=environment, timeout=60)

    assert (found.returncode, found.stdout) == (cold.returncode, cold.stdout)


@pytest.mark.parametrize("before", ["", "os.close(1); os.close(2); "])
def test_a_script_that_takes_too_long_is_killed(
    before: str, warm: WarmPython, tmp_path: Path
) -> None:
    code = f"import os, time; {before}time.sleep(99)"
    with pytest.raises(subprocess.TimeoutExpired):
        warm.run(["-c", code], cwd=tmp_path, env={}, timeout=0.2)

    assert warm.run(["-c", "print(1)"], cwd=tmp_path, env={}, timeout=60).stdout == "1\n"


def test_a_command_that_needs_a_shell_or_another_option_of_python_is_started_cold() -> None:
    assert words_of("""runguard silence 'billing.*' --reason "the $5 plan" """) is None
    assert words_of("python a.py | head") is words_of("python a.py 2>/dev/null") is None
    assert words_of("runguard exec job -- sh -c 'exit $?' \"a b\"") == [
        *("runguard", "exec", "job", "--", "sh", "-c", "exit $?", "a b")
    ]
    assert not can_run(["-m", "pytest"])
    assert not can_run([])
    assert can_run(["-W", "error", "a.py"])
