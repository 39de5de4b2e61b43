"""A command as a process, with what it says and the terminal that it may be lent. POSIX only."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from .._monitor.wording import duration
from .._settings import DATABASE_URL, NOTIFY, PG_CRON_URL, PING_URL, WEB_PASSWORD, WEB_TOKEN
from .child import NOT_EXECUTABLE, Child
from .result import SIGNALLED, TIMED_OUT, CommandOptions, CommandResult, Output, name_of
from .signals import PASSED_ON, Signals
from .streams import STDERR, STDOUT, HeldOutput, Stream, write_all
from .terminal import Terminal

SECRETS: Final = frozenset({DATABASE_URL, NOTIFY, PG_CRON_URL, PING_URL, WEB_PASSWORD, WEB_TOKEN})
TIMEOUT_COMMANDS: Final = frozenset({"timeout", "gtimeout"})


class Process:
    """A command that is forked already, and begins when its run has begun."""

    def __init__(
        self, command: Sequence[str], options: CommandOptions, clean: Callable[..., str]
    ) -> None:
        """Fork; what keeps us from it is told when the command is to begin.

        Args:
            command: the program and its arguments.
            options: how it is to be run.
            clean: takes secrets out of a text.
        """
        self._options = options
        self._program = command[0].rpartition("/")[2]
        self._clean = clean
        self._held = HeldOutput() if options.quiet_when_suppressed else None
        self._streams: dict[int, Stream] = {}
        self._child: Child | None = None
        self._hindrance: bytes | None = None
        self._terminal = Terminal()
        stop = (signal.SIGTSTP,) if self._terminal.exists else ()
        self.signals = Signals((*PASSED_ON, *stop))
        try:
            self.signals.prepare()
            self._fork(command)
        except OSError as fault:  # no process, no memory or no file is left
            self._note_hindrance(fault.strerror or str(fault))
            self._let_go()

    def run(self) -> CommandResult:
        """Let the command begin, and wait until it ends; while `signals` are taken."""
        if not self._listens() or self._child is None:
            return self._not_started()
        result = self._supervise(self._child)
        for stream in self._streams.values():
            stream.settle()
        return replace(result, by_timeout_command=self._program in TIMEOUT_COMMANDS)

    def outputs(self) -> list[Output]:
        """Return what is to be read for an error: stderr, and stdout where that is wanted."""
        if self._hindrance is not None:
            return [Output("stderr", self._hindrance, len(self._hindrance))]
        wanted = {STDERR: "stderr"}
        if self._options.keep_stdout_tail:
            wanted[STDOUT] = "stdout"
        streams = [(name, self._streams[output]) for output, name in wanted.items()]
        return [Output(name, stream.tail, stream.length) for name, stream in streams]

    def dismiss(self) -> None:
        """Take the terminal back, and let a command end that has not begun."""
        self._terminal.close()
        if self._child is not None:
            self._child.dismiss()

    def finish(self, *, show: bool) -> None:
        """Show what was held back, or drop it; wait until whoever reads has taken all."""
        if self._held is not None:
            self._held.end(show=show)
        for stream in self._streams.values():
            stream.finish()

    def _fork(self, command: Sequence[str]) -> None:
        hidden = frozenset() if self._options.keep_environment else SECRETS
        is_piped = self._held is not None or self._options.keep_stdout_tail
        self._child = Child(
            command,
            environ={name: text for name, text in os.environ.items() if name not in hidden},
            piped=(STDERR, STDOUT) if is_piped else (STDERR,),
            clean=self._clean,
        )
        for output, pipe in self._child.pipes.items():
            self._streams[output] = Stream(pipe, output, self._held)

    def _let_go(self) -> None:
        """Let a command end that will not begin, and free files: its record needs some."""
        if self._child is not None:
            self._child.dismiss()
            for output, pipe in self._child.pipes.items():
                if output not in self._streams:
                    os.close(pipe)
        for stream in self._streams.values():
            stream.settle()
            stream.finish()
        self._child = None
        self._streams = {}

    def _listens(self) -> bool:
        """Begin to copy what it says; return whether that can be done."""
        if self._hindrance is not None:
            return False
        try:
            for stream in self._streams.values():
                stream.start()
        except RuntimeError as fault:  # no thread is left
            self._note_hindrance(str(fault))
        return self._hindrance is None

    def _note_hindrance(self, reason: str) -> None:
        program = self._clean(self._program)
        line = f"runguard: {program}: no process can be started: {reason}\n"
        self._hindrance = line.encode(errors="backslashreplace")

    def _not_started(self) -> CommandResult:
        if self._held is None:
            write_all(STDERR, self._hindrance or b"")
        else:
            self._held.add(STDERR, self._hindrance or b"")
        words = f"exit code {NOT_EXECUTABLE}"
        return CommandResult(NOT_EXECUTABLE, words, words, is_unstarted=True)

    def _supervise(self, child: Child) -> CommandResult:
        child.begin()
        timeout = self._options.timeout
        until = inf if timeout is None else time.monotonic() + timeout.total_seconds()
        code = child.wait(self.signals, self._terminal, until=until)
        if code is None:
            grace = self._options.kill_after.total_seconds()
            child.end(self.signals, self._terminal, grace=grace)
            words = f"timed out after {duration(timeout)}"
            return CommandResult(TIMED_OUT, words, "timeout", timed_out=True)
        if code >= 0:
            words = f"exit code {code}"
            # How a shell says that what it ran was interrupted.
            return CommandResult(code, words, words, interrupted=code == SIGNALLED + signal.SIGINT)
        name = name_of(-code)
        words = f"killed by {name} (signal {-code})"
        return CommandResult(SIGNALLED - code, words, name, interrupted=-code == signal.SIGINT)
