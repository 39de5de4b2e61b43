"""`runguard exec`: any command as a run; its end as an exit code and as a record."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

from .._errors import JobLockActive
from .._models import RunNote
from .process import Process
from .result import EX_TEMPFAIL, SIGNALLED, CommandOptions, CommandResult, bare_failure, name_of
from .run import CommandScope
from .signals import ENDING, Signals

if TYPE_CHECKING:
    from .._events import Events
    from .._failure.redaction import Redactor
    from .._models import Failure
    from .._run.options import RunOptions
    from .._run.runtime import Runtime
    from .._settings import Settings

FIRST_PAUSE_SECONDS: Final = 0.1  # between two attempts to take a lock; it doubles …
LONGEST_PAUSE_SECONDS: Final = 2.0  # … up to this


def execute(
    command: Sequence[str],
    run: RunOptions,
    runtime: Runtime,
    options: CommandOptions,
    *,
    say: Callable[[str], None],
) -> int:
    """Run a command as a run, with our stdin and stdout; return the exit code to end with.

    Args:
        command: the program and its arguments; no shell reads them.
        run: what is said of the run.
        runtime: what the run needs.
        options: how the command is run and judged.
        say: tells why nothing was run.

    Raises:
        StoreUnavailable: a lock is wanted and the store is away; the command was not run.
        SchemaOutOfDate: likewise.
    """
    settings = runtime.settings()
    process = Process(command, options, settings.redactor.clean)
    try:
        with process.signals as signals:
            entry = _enter(run, runtime, signals, options)
            if entry.conflict is not None:
                return _refuse(entry, entry.conflict, options, say)
            with ExitStack() as entered:
                entered.push(entry.scope)
                result = entry.ended or process.run()
                if not result.is_success(options):
                    failure = _failure_of(result, process, settings.redactor, runtime.events)
                    note = _note_of(process, settings, runtime.events)
                    entry.scope.fail_with(failure, note, interrupted=result.interrupted)
    finally:
        process.dismiss()
    # All is written: from here on a signal may end us.
    process.finish(show=not entry.scope.is_suppressed)
    return result.exit_code


class _Entry(NamedTuple):
    """What became of the attempts to begin a run.

    Attributes:
        scope: the run of the last attempt; it has begun where there is no conflict.
        conflict: who holds the lock, where it was not to be had.
        ended: how we were told to end meanwhile.
    """

    scope: CommandScope
    conflict: JobLockActive | None
    ended: CommandResult | None


def _enter(run: RunOptions, runtime: Runtime, signals: Signals, options: CommandOptions) -> _Entry:
    """Begin the run, as soon as its lock is free. Only the last attempt leaves a row."""
    until = time.monotonic() + options.wait_lock.total_seconds()
    pause = FIRST_PAUSE_SECONDS
    ended: CommandResult | None = None
    while True:
        left = until - time.monotonic()
        is_last = ended is not None or left <= 0
        is_failure = is_last and not options.skip_if_locked
        scope = CommandScope(run, runtime, records_refusal=is_failure)
        try:
            scope.__enter__()
        except JobLockActive as conflict:
            if is_last:
                return _Entry(scope, conflict, ended)
        else:
            return _Entry(scope, None, ended or _ended_before(signals, 0))
        ended = _ended_before(signals, min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _refuse(
    entry: _Entry,
    conflict: JobLockActive,
    options: CommandOptions,
    say: Callable[[str], None],
) -> int:
    """Say that another run holds the lock; return the exit code."""
    is_skipped = options.skip_if_locked and entry.ended is None
    is_known = options.quiet_when_suppressed and (is_skipped or entry.scope.is_suppressed)
    if not is_known:
        with suppress(OSError):
            say(f"runguard: skipped: {conflict}" if is_skipped else f"runguard: {conflict}")
    if entry.ended is not None:
        return entry.ended.exit_code
    return 0 if is_skipped else EX_TEMPFAIL


def _failure_of(
    result: CommandResult, process: Process, redactor: Redactor, events: Events
) -> Failure:
    try:
        from .._failure.throughout import Throughout
        from .failure import failure_of, unread_failure  # a command that succeeds does without
    except (ImportError, OSError) as fault:  # such as no file that is left
        events.internal_error("classify", fault)
        return bare_failure(result)
    try:
        return failure_of(result, process.outputs(), clean=Throughout(redactor).clean)
    except Exception as bug:  # a fault of ours may change neither exit code nor record
        events.internal_error("classify", bug)
        return unread_failure(result)


def _note_of(process: Process, settings: Settings, events: Events) -> RunNote:
    try:
        from .failure import note_of

        return note_of(process.outputs(), settings)
    except Exception as fault:  # likewise
        events.internal_error("note", fault)
        return RunNote()


def _ended_before(signals: Signals, seconds: float) -> CommandResult | None:
    """Say so if we were told to end before the command began; wait for that so long."""
    for signum in signals.wait(seconds):
        if signum in ENDING:
            name = name_of(signum)
            words = f"not started: {name} arrived first"
            is_interrupt = signum == signal.SIGINT
            return CommandResult(SIGNALLED + signum, words, name, interrupted=is_interrupt)
    return None
