"""How a command ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

TIMED_OUT: Final = 124  # as timeout(1) says it
SIGNALLED: Final = 128  # and the signal's number on top, as a shell says it


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended.

    Attributes:
        exit_code: what our caller gets.
        words: what the record says.
        error_type: the same, in one word or two.
        timed_out: whether `--timeout` ended it.
        interrupted: whether somebody interrupted it, as by Ctrl-C.
        by_timeout_command: whether timeout(1) was the command, and ended what it ran.
    """

    exit_code: int
    words: str
    error_type: str
    timed_out: bool = False
    interrupted: bool = False
    by_timeout_command: bool = False
