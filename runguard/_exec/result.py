"""How a command is to be run, and how it ended."""

from __future__ import annotations

import signal
from datetime import timedelta
from typing import Final, NamedTuple

from .._frozen import frozen
from .._models import ErrorGroup, Failure, Severity

TIMED_OUT: Final = 124  # as timeout(1) says it
SIGNALLED: Final = 128  # and the signal's number on top, as a shell says it

EX_TEMPFAIL: Final = 75  # of sysexits.h: another run holds the lock


@frozen(kw_only=True)
class CommandOptions:
    """How a command is to be run and judged.

    Attributes:
        timeout: after which the whole process group is ended; None for never.
        kill_after: from asking the group to end until it is killed.
        ok_exits: exit codes besides 0 that are a success.
        wait_lock: how long to wait for a lock that another run holds.
        skip_if_locked: whether a lock that is held is no failure.
        quiet_when_suppressed: whether nothing is shown of a failure that an alert covers.
        keep_stdout_tail: whether the end of stdout belongs to the error too.
        keep_environment: whether the command sees runguard's own secrets.
    """

    timeout: timedelta | None = None
    kill_after: timedelta = timedelta(seconds=10)
    ok_exits: frozenset[int] = frozenset()
    wait_lock: timedelta = timedelta(0)
    skip_if_locked: bool = False
    quiet_when_suppressed: bool = False
    keep_stdout_tail: bool = False
    keep_environment: bool = False


@frozen
class CommandResult:
    """How a command ended.

    Attributes:
        exit_code: what our caller gets.
        words: what the record says.
        error_type: the same, in one word or two.
        timed_out: whether `--timeout` ended it.
        interrupted: whether somebody interrupted it, as by Ctrl-C.
        by_timeout_command: whether timeout(1) was the command, and ended what it ran.
        is_unstarted: whether the system had no process left for it.
    """

    exit_code: int
    words: str
    error_type: str
    timed_out: bool = False
    interrupted: bool = False
    by_timeout_command: bool = False
    is_unstarted: bool = False

    def is_success(self, options: CommandOptions) -> bool:
        """Whether it did what it should: a time limit never did."""
        is_fine = self.exit_code in options.ok_exits and not self.timed_out
        return self.exit_code == 0 or is_fine


class Output(NamedTuple):
    """The end of one output of a command.

    Attributes:
        name: `stderr` or `stdout`.
        tail: its last bytes.
        length: how many bytes it was long in all.
    """

    name: str
    tail: bytes
    length: int


def bare_failure(result: CommandResult) -> Failure:
    """Return what is sure of a failed command where nothing can be loaded to read its outputs."""
    timed_out = result.timed_out
    return Failure(
        error_group=ErrorGroup.TIMEOUT if timed_out else ErrorGroup.UNKNOWN,
        severity=Severity.HIGH if timed_out else Severity.MEDIUM,
        http_status_code=None,
        error_type=result.error_type,
        error_message=result.words,
        matched_by="nothing: its outputs could not be read",
    )


def name_of(signum: int) -> str:
    """Return the name of a signal: `SIGTERM`."""
    try:
        return signal.Signals(signum).name
    except ValueError:  # the nameless ones between SIGRTMIN and SIGRTMAX
        return f"signal {signum}"
