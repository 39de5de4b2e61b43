"""`runguard exec`: any command as a run; its end as an exit code and as a record."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Final

from .._events import Events
from .._models import Failure
from .._run.scope import RunScope
from .child import Child
from .result import SIGNALLED, TIMED_OUT, CommandResult
from .signals import PASSED_ON, Signals
from .stderr import Stderr
from .terminal import Terminal

TIMEOUT_COMMANDS: Final = frozenset({"timeout", "gtimeout"})


def execute(
    command: Sequence[str],
    scope: RunScope,
    *,
    clean: Callable[..., str],
    events: Events,
    timeout: timedelta | None,
    kill_after: timedelta,
) -> int:
    """Run a command inside a run, with our stdin and stdout; return the exit code to end with.

    Args:
        command: the program and its arguments; no shell reads them.
        scope: the run, not entered yet.
        clean: takes secrets out of a text.
        events: logs a fault of our own.
        timeout: after which the whole process group is ended; None for never.
        kill_after: from asking the group to end until it is killed.

    Raises:
        JobLockActive: another run holds the lock; the command was not run.
        StoreUnavailable: a lock is wanted and the store is away; likewise.
        SchemaOutOfDate: likewise.
    """
    child = Child(command, clean=clean)
    stderr = Stderr(child.stderr)
    terminal = Terminal()
    try:
        signals = Signals((*PASSED_ON, signal.SIGTSTP) if terminal.exists else PASSED_ON)
        with signals, scope:
            result = _ended_before(signals)
            if result is None:
                stderr.start()
                result = _supervise(child, signals, terminal, timeout, kill_after)
                program = command[0].rpartition("/")[2]
                result = replace(result, by_timeout_command=program in TIMEOUT_COMMANDS)
                stderr.settle()
            if result.exit_code:
                failure = _failure_of(result, stderr, clean, events)
                scope.fail_with(failure, interrupted=result.interrupted)
    finally:
        terminal.close()
        child.dismiss()
    stderr.finish()  # all is written: from here on a signal may end us
    return result.exit_code


def _failure_of(
    result: CommandResult, stderr: Stderr, clean: Callable[..., str], events: Events
) -> Failure:
    from .failure import failure_of, unread_failure  # a command that succeeds does without

    try:
        return failure_of(result, stderr.tail, stderr.length, clean=clean)
    except Exception as bug:  # a fault of ours may change neither exit code nor record
        events.internal_error("classify", bug)
        return unread_failure(result)


def _ended_before(signals: Signals) -> CommandResult | None:
    """Say so if we were told to end while the run was being opened."""
    for signum in signals.wait(0):
        if signum in PASSED_ON:
            name = _name_of(signum)
            words = f"not started: {name} arrived first"
            is_interrupt = signum == signal.SIGINT
            return CommandResult(SIGNALLED + signum, words, name, interrupted=is_interrupt)
    return None


def _supervise(
    child: Child,
    signals: Signals,
    terminal: Terminal,
    timeout: timedelta | None,
    kill_after: timedelta,
) -> CommandResult:
    child.begin()
    until = inf if timeout is None else time.monotonic() + timeout.total_seconds()
    code = child.wait(signals, terminal, until=until)
    if code is None:
        child.end(signals, terminal, grace=kill_after.total_seconds())
        return CommandResult(TIMED_OUT, f"timed out after {timeout}", "timeout", timed_out=True)
    if code >= 0:
        words = f"exit code {code}"
        # How a shell says that what it ran was interrupted.
        return CommandResult(code, words, words, interrupted=code == SIGNALLED + signal.SIGINT)
    name = _name_of(-code)
    words = f"killed by {name} (signal {-code})"
    return CommandResult(SIGNALLED - code, words, name, interrupted=-code == signal.SIGINT)


def _name_of(signum: int) -> str:
    try:
        return signal.Signals(signum).name
    except ValueError:  # the nameless ones between SIGRTMIN and SIGRTMAX
        return f"signal {signum}"


def open_standard_streams() -> None:
    """Let /dev/null stand in for a stdin, stdout or stderr that is closed. To be called first.

    Otherwise the next file that is opened gets that number: a pipe of ours, or the store's socket.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)  # noqa: FBT003 - positional only
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
