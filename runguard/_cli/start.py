"""Where a command line begins: a plain `exec` needs no Typer, all else is Typer's."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, Final

from .._errors import RunguardError

ASKS_FOR_COMPLETION: Final = "_RUNGUARD_COMPLETE"
INTERRUPTED: Final = 130  # as a shell says it, and Typer


def run() -> int:
    """Run the command line of this process; returns its exit code."""
    # A terminal that cannot show a letter gets its code instead of a traceback.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        if (plain := _plain_exec(sys.argv[1:])) is not None:
            return _execute(plain)
        from .app import call

        return call()
    finally:
        _flush()


def _plain_exec(arguments: list[str]) -> dict[str, Any] | None:
    if arguments[:1] != ["exec"] or ASKS_FOR_COMPLETION in os.environ:
        return None
    from .exec_line import read_plain

    return read_plain(arguments[1:])


def _execute(plain: dict[str, Any]) -> int:
    """Run a command, and end as Typer would have it end."""
    from .errors import tell
    from .execution import execute

    try:
        return execute(**plain)
    except RunguardError as error:
        try:
            return tell(error, "exec")
        except BrokenPipeError:  # nobody hears it
            return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _flush() -> None:
    """Write what is buffered; a reader that has left early, as `head` does, is no error.

    Nor is a stderr that takes nothing any more: talk that nobody hears changes no exit code.
    """
    for stream, nobody_minds in ((sys.stdout, BrokenPipeError), (sys.stderr, OSError)):
        try:
            stream.flush()
        except nobody_minds:
            # The interpreter flushes once more at its end: nobody shall hear of that either.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
