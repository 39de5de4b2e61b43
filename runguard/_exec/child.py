"""One command as a child process, in a group of its own. Nothing here knows of runs. POSIX only."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Final

from .signals import Signals
from .terminal import Terminal

NOT_FOUND: Final = 127  # as a shell says it
NOT_EXECUTABLE: Final = 126
LOOK_SECONDS: Final = 0.05  # between two looks whether a group has ended
KILL_SECONDS: Final = 5.0  # a process that hangs in the kernel outlives even SIGKILL
_PR_SET_PDEATHSIG: Final = 1


class Child:
    """A command in a process group of its own, which waits at a gate until `begin`.

    It is forked at once, while this process has a single thread: a fork beside threads may inherit
    a lock that nobody will ever free.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        piped: Sequence[int],
        clean: Callable[[str], str],
    ) -> None:
        """Fork.

        Args:
            command: the program and its arguments.
            environ: its environment.
            piped: which of its outputs are pipes to us; `pipes` holds our end of each.
            clean: takes the secrets out of what is said of a command that is not found.

        Raises:
            OSError: the system has no process, no memory or no file left.
        """
        self.code: int | None = None
        self.pipes: dict[int, int] = {}
        self._has_begun = False
        self._is_put_away = False
        die_with_us = _death_wish()
        us = os.getpid()
        with ExitStack() as on_failure, ExitStack() as theirs:
            gate, self._gate = _pipe(ours=on_failure, theirs=theirs, we_read=False)
            writers = {}
            for output in piped:
                writers[output], self.pipes[output] = _pipe(ours=on_failure, theirs=theirs)
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    os.close(self._gate)
                    for output, writer in writers.items():
                        os.dup2(writer, output)
                    die_with_us()
                    # A parent that died before the wish was made is missed by it.
                    if os.getppid() == us and _gate_opens(gate):
                        _become(command, environ, clean)
                finally:
                    os._exit(NOT_EXECUTABLE)
            on_failure.pop_all()
        with suppress(OSError):  # it may have been killed already
            os.setpgid(self.pid, self.pid)

    def begin(self) -> None:
        """Open the gate."""
        self._has_begun = True
        with suppress(BrokenPipeError):
            os.write(self._gate, b".")
        os.close(self._gate)

    def dismiss(self) -> None:
        """Let it end, if it has not begun."""
        if not self._has_begun:
            os.close(self._gate)
            os.waitpid(self.pid, 0)

    def wait(self, signals: Signals, terminal: Terminal, *, until: float) -> int | None:
        """Pass signals on until it ends; return its exit code, or None where time is up first.

        As everywhere in Python, the code is negative where a signal ended it.
        """
        while self._look(terminal) is None and (left := until - time.monotonic()) > 0:
            for signum in signals.wait(left):
                if signum in signals.passed_on:
                    self._is_put_away |= signum == signal.SIGTSTP
                    self._send(signum)
        return self.code

    def end(self, signals: Signals, terminal: Terminal, *, grace: float) -> None:
        """End the whole group: TERM, and KILL for what is still there after so many seconds."""
        until = time.monotonic() + grace
        self._send(signal.SIGTERM)
        self._send(signal.SIGCONT)  # what is stopped cannot obey
        self.wait(signals, terminal, until=until)
        while self._send(0) and (left := until - time.monotonic()) > 0:
            signals.wait(min(left, LOOK_SECONDS))
            self._look(terminal)
        self._send(signal.SIGKILL)
        self.wait(signals, terminal, until=time.monotonic() + KILL_SECONDS)

    def _send(self, signum: int) -> bool:
        """Send to the group; return whether anybody is in it."""
        try:
            os.killpg(self.pid, signum)
        except ProcessLookupError:
            return False
        except PermissionError:  # a set-uid command
            pass
        return True

    def _look(self, terminal: Terminal) -> int | None:
        """Return the exit code, if it has ended; take leave of every other process that has.

        What our descendants leave behind comes to us where we are process 1, as in a container.
        """
        for pid, status in _changed_children():
            if pid != self.pid:
                continue
            if os.WIFSTOPPED(status):
                self._follow(os.WSTOPSIG(status), terminal)
            else:
                self.code = os.waitstatus_to_exitcode(status)
        return self.code

    def _follow(self, stop_signal: int, terminal: Terminal) -> None:
        """Give a stopped group the terminal that it asked for; or be stopped with it (Ctrl-Z)."""
        asks = stop_signal in (signal.SIGTTIN, signal.SIGTTOU)
        if not terminal.exists or not (asks or stop_signal == signal.SIGTSTP):
            return  # whoever stopped it lets it go on
        may_stop = _a_shell_lets_us_go_on()
        # It may ask when Ctrl-Z is under way, which SIGCONT would undo.
        is_put_away, self._is_put_away = self._is_put_away and may_stop, False
        if not (asks and not is_put_away and terminal.lend(self.pid)):
            terminal.take_back()
            if may_stop:
                os.kill(0, signal.SIGSTOP)
            elif asks:  # and never gets it: what the kernel sends to the stopped and abandoned
                self._send(signal.SIGHUP)
        self._send(signal.SIGCONT)


def _a_shell_lets_us_go_on() -> bool:
    """Whether our parent may be a shell with job control: one of our session."""
    parent = os.getppid()
    return parent != 0 and os.getsid(parent) == os.getsid(0)


def _changed_children() -> Iterator[tuple[int, int]]:
    """Yield each child that has ended or stopped, with its status."""
    with suppress(ChildProcessError):  # none is left
        while (changed := os.waitpid(-1, os.WNOHANG | os.WUNTRACED))[0]:
            yield changed


def _pipe(*, ours: ExitStack, theirs: ExitStack, we_read: bool = True) -> tuple[int, int]:
    """Make a pipe; return the child's end and ours, each to be closed by its stack."""
    reader, writer = os.pipe()
    its_end, our_end = (writer, reader) if we_read else (reader, writer)
    theirs.callback(os.close, its_end)
    ours.callback(os.close, our_end)
    return its_end, our_end


def _gate_opens(gate: int) -> bool:
    return bool(os.read(gate, 1))


def _become(
    command: Sequence[str], environ: Mapping[str, str], clean: Callable[[str], str]
) -> None:
    """Turn into the command, or say as a shell does why not, and exit."""
    # The interpreter ignores these, and the command would inherit that.
    for signum in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(signum, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), environ)  # noqa: S606 - no shell is wanted
    except (OSError, ValueError) as error:  # an empty name is the latter
        reason = getattr(error, "strerror", None) or error
        line = f"runguard: {clean(command[0])}: {reason}\n"
        with suppress(OSError):
            os.write(2, line.encode(errors="backslashreplace"))
        is_missing = isinstance(error, FileNotFoundError | NotADirectoryError | ValueError)
        os._exit(NOT_FOUND if is_missing else NOT_EXECUTABLE)


def _death_wish() -> Callable[[], object]:
    """Return what makes the kernel kill a process when its parent dies; elsewhere nothing does."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl  # found before the fork
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
