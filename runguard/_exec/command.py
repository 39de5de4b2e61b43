"""`runguard exec`: any command as a run; its end as an exit code and as a record."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from typing import Final

from .._failure.alert import SEVERITY_OF
from .._failure.classify import classify_text
from .._models import ErrorGroup, Failure
from .._run.scope import RunScope
from .child import LONGEST_TAIL, PASSED_ON, Child, Signals, Stderr, Terminal

TIMED_OUT: Final = 124  # as timeout(1) says it
SIGNALLED: Final = 128  # and the signal's number on top, as a shell says it
LONGEST_SHOWN: Final = 8 * 1024  # bytes of stderr in a message
LONGEST_LAST_LINE: Final = 200


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended.

    Attributes:
        exit_code: what our caller gets.
        words: what the record says.
        error_type: the same, in one word or two.
        timed_out: whether `--timeout` ended it.
        interrupted: whether somebody interrupted it, as by Ctrl-C.
    """

    exit_code: int
    words: str
    error_type: str
    timed_out: bool = False
    interrupted: bool = False


def execute(
    command: Sequence[str],
    scope: RunScope,
    *,
    clean: Callable[..., str],
    timeout: timedelta | None,
    kill_after: timedelta,
) -> int:
    """Run a command inside a run, with our stdin and stdout; return the exit code to end with.

    Args:
        command: the program and its arguments; no shell reads them.
        scope: the run, not entered yet.
        clean: takes secrets out of a text.
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
                stderr.settle()
            if result.exit_code:
                failure = failure_of(result, stderr.tail, stderr.length, clean=clean)
                scope.fail_with(failure, interrupted=result.interrupted)
    finally:
        terminal.close()
        child.dismiss()
    stderr.finish()  # all is written: from here on a signal may end us
    return result.exit_code


def failure_of(
    result: CommandResult, tail: bytes, length: int, *, clean: Callable[..., str]
) -> Failure:
    """Sort a failed command by the end of its stderr, which was `length` bytes long in all."""
    text = tail.decode(errors="replace")
    if length > len(tail) and "\n" in text:
        text = text.partition("\n")[2]  # half a line says half of what it said
    # Secrets are hidden before anything is cut, so that no half of one is left.
    cleaned = clean(text, limit=4 * LONGEST_TAIL).strip()
    failure = _by_timeout() if result.timed_out else _by_last_line(text)
    return replace(
        failure,
        error_type=result.error_type,
        error_message=_message(result.words, cleaned, length),
    )


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


def _by_timeout() -> Failure:
    group = ErrorGroup.TIMEOUT
    return Failure(group, SEVERITY_OF[group], None, "", "", matched_by="--timeout")


def _by_last_line(text: str) -> Failure:
    """Let the last line that says something decide; earlier ones may tell of a retry."""
    whole = classify_text(text, clean=_dropped)
    if whole.error_group in (ErrorGroup.UNKNOWN, ErrorGroup.LOCK_CONFLICT):
        return whole
    for line in reversed(text.splitlines()):
        failure = classify_text(line, clean=_dropped)
        if failure.error_group is not ErrorGroup.UNKNOWN:
            return failure
    return whole


def _dropped(_text: str) -> str:
    return ""


def _message(words: str, cleaned: str, length: int) -> str:
    """Say how it ended, with the last line of its stderr; then the lines before that."""
    last_line = cleaned.rpartition("\n")[2].strip()
    first = f"{words}: {last_line[:LONGEST_LAST_LINE]}" if last_line else words
    if cleaned in ("", last_line[:LONGEST_LAST_LINE]):
        return first
    shown = cleaned.encode()[-LONGEST_SHOWN:].decode(errors="ignore")
    if len(shown) == len(cleaned):
        return f"{first}\n\n{shown}"
    shown = shown.partition("\n")[2] or shown
    return f"{first}\n\n[the end of {length:,} bytes of stderr]\n{shown}"


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
