"""At a terminal: Ctrl-C and Ctrl-Z work, and a command that reads it gets it."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

import pytest

from tests.exec.conftest import LIMIT, RUNGUARD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[[], dict[str, Any]]

# What a terminal's first process does, then a shell with job control for one command, in short.
LEADER = """
import fcntl, os, signal, subprocess, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
def say(*words): print(*words, flush=True)
job = subprocess.Popen(sys.argv[1:], process_group=0, restore_signals=True)
while True:
    os.tcsetpgrp(0, job.pid)
    os.killpg(job.pid, signal.SIGCONT)
    _, status = os.waitpid(job.pid, os.WUNTRACED)
    is_ours = os.tcgetpgrp(0) == job.pid
    os.tcsetpgrp(0, os.getpgrp())
    if not os.WIFSTOPPED(status):
        break
    say("[stopped]", is_ours)
    sys.stdin.readline()
say("[ended]", os.waitstatus_to_exitcode(status), is_ours)
"""

# The same without such a shell, as under `ssh -t`.
ALONE = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Screen:
    """The other side of a terminal in which `runguard exec` runs."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._seen = b""

    def type(self, keys: bytes) -> None:
        os.write(self._fd, keys)

    def resize(self, *, columns: int, lines: int) -> None:
        termios.tcsetwinsize(self._fd, (lines, columns))

    def await_text(self, text: str) -> str:
        """All that was shown since the last call, up to this text."""
        while text.encode() not in self._seen:
            assert select.select([self._fd], [], [], LIMIT)[0], f"{text!r} was not shown in time"
            try:
                self._seen += os.read(self._fd, 4096)
            except OSError:  # how Linux says that all have left
                raise AssertionError(f"{text!r} was not shown, but {self._seen!r}") from None
        shown, found, self._seen = self._seen.partition(text.encode())
        return (shown + found).decode()


@pytest.fixture
def screen(environ: dict[str, str]) -> Iterator[Callable[..., Screen]]:
    processes = []
    fds = []

    def start(*command: str, leader: str = LEADER) -> Screen:
        ours, theirs = pty.openpty()
        fds.append(ours)
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", leader, *RUNGUARD, "exec", "nightly", "--", *command],
                env={**os.environ, **environ},
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
            )
        )
        os.close(theirs)
        return Screen(ours)

    yield start
    for fd in fds:
        os.close(fd)  # hangs up, which ends all that is left
    for process in processes:
        process.wait(LIMIT)


def test_ctrl_c_ends_the_command(screen: Callable[..., Screen], run: Run) -> None:
    terminal = screen("sh", "-c", "echo ready; exec sleep 600")
    terminal.await_text("ready")
    terminal.type(b"\x03")
    terminal.await_text("[ended] 130")

    assert run()["error_message"] == "killed by SIGINT (signal 2)"


def test_a_command_that_reads_the_terminal_gets_it(screen: Callable[..., Screen]) -> None:
    terminal = screen("sh", "-c", "echo who; read name; echo hello $name")
    terminal.await_text("who")
    terminal.type(b"Kim\n")

    assert "hello Kim" in terminal.await_text("[ended] 0 True")


def test_ctrl_c_ends_a_command_that_has_the_terminal(
    screen: Callable[..., Screen], run: Run
) -> None:
    terminal = screen("sh", "-c", "read first; echo $first; read second")
    terminal.type(b"one\n")
    terminal.await_text("one\r\none")
    terminal.type(b"\x03")
    terminal.await_text("[ended] 130 True")

    assert (run()["error_type"], run()["alert_outcome"]) == ("SIGINT", "excluded")


@pytest.mark.parametrize("first", ["echo ready", "read x; echo ready $x"])
def test_ctrl_z_stops_the_wrapper_too_and_both_go_on(
    screen: Callable[..., Screen], first: str
) -> None:
    terminal = screen("sh", "-c", f"{first}; read line; echo got $line")
    terminal.type(b"x\n" if "read x" in first else b"")
    terminal.await_text("ready")
    terminal.type(b"\x1a")
    terminal.await_text("[stopped] True")
    terminal.type(b"fg\n")
    terminal.type(b"on\n")

    assert "got on" in terminal.await_text("[ended] 0 True")


def test_ctrl_z_changes_nothing_where_no_shell_could_let_us_go_on(
    screen: Callable[..., Screen],
) -> None:
    terminal = screen("sh", "-c", "read x; echo first $x; read x; echo second $x", leader=ALONE)
    terminal.type(b"\x1aone\n")
    terminal.await_text("first one")
    terminal.type(b"\x1atwo\n")

    assert "second two" in terminal.await_text("second two")


def test_a_new_size_of_the_window_reaches_the_command(screen: Callable[..., Screen]) -> None:
    script = (
        "import os, signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH]); print('ready', flush=True)\n"
        "signal.sigwait([signal.SIGWINCH]); print(*os.get_terminal_size(1))"
    )
    terminal = screen(sys.executable, "-c", script)
    terminal.await_text("ready")
    terminal.resize(columns=123, lines=45)

    assert "123 45" in terminal.await_text("[ended] 0")
