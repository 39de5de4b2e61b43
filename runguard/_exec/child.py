"""One command as a child process: its group, its stderr, the signals and the terminal it gets.

Nothing here knows of runs. POSIX only. What happens meanwhile is told by one pipe into which the
interpreter writes the number of every signal: no code of ours runs in a signal handler.
"""

from __future__ import annotations

import ctypes
import os
import select
import selectors
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from math import inf
from types import TracebackType
from typing import Any, Final

PASSED_ON: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
NOT_FOUND: Final = 127  # as a shell says it
NOT_EXECUTABLE: Final = 126
LONGEST_TAIL: Final = 64 * 1024  # bytes of stderr that are kept
DRAIN_SECONDS: Final = 1.0  # for what processes left behind still write to it
MOST_AFTER_DRAIN: Final = 1024 * 1024  # bytes: the largest pipe
LOOK_SECONDS: Final = 0.05  # between two looks whether a group has ended
KILL_SECONDS: Final = 5.0  # a process that hangs in the kernel outlives even SIGKILL
_LONGEST_WAIT: Final = 3600.0  # a selector refuses more than some weeks
_PR_SET_PDEATHSIG: Final = 1


class Signals:
    """The signals that this process is sent; while open, none of `PASSED_ON` ends it."""

    def __init__(self, passed_on: Iterable[signal.Signals]) -> None:
        """Take which ones; those that are ignored, as under nohup, stay so."""
        self.passed_on = frozenset(
            signum for signum in passed_on if signal.getsignal(signum) is not signal.SIG_IGN
        )
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        """Have their numbers written to a pipe instead of what they would do."""
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._wakeup_before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for signum in (*self.passed_on, signal.SIGCHLD):
            self._before[signum] = signal.signal(signum, _leave_it_to_the_pipe)
        # A group in the background may take the terminal back only so.
        self._before[signal.SIGTTOU] = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let the signals do what they did before."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler or signal.SIG_DFL)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> bytes:
        """Return the numbers of what came, after at most so long; empty where nothing came."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._reader, selectors.EVENT_READ)
            selector.select(min(seconds, _LONGEST_WAIT))
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""


def _leave_it_to_the_pipe(_signum: int, _frame: object) -> None:
    """Do nothing: see `Signals`."""


class Terminal:
    """The controlling terminal, lent to a child's group when that asks for it.

    The group begins in the background, so Ctrl-C comes to us and is passed on, and the others of a
    pipeline keep the terminal. The kernel stops a group that reads it from there: then it is lent.
    """

    def __init__(self) -> None:
        """Open it, where there is one."""
        try:
            self._fd: int | None = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        except OSError:
            self._fd = None
        self._is_lent = False

    @property
    def exists(self) -> bool:
        """Whether this process has a terminal."""
        return self._fd is not None

    def lend(self, group: int) -> bool:
        """Put the group into the foreground, if we are there; return whether."""
        try:
            if self._fd is None or os.tcgetpgrp(self._fd) != os.getpgrp():
                return False
            os.tcsetpgrp(self._fd, group)
        except OSError:  # it was hung up
            return False
        self._is_lent = True
        return True

    def take_back(self) -> None:
        """Be in the foreground again, if we lent our place."""
        if self._fd is not None and self._is_lent:
            self._is_lent = False
            with suppress(OSError):  # likewise
                os.tcsetpgrp(self._fd, os.getpgrp())

    def close(self) -> None:
        """Take it back and close it."""
        self.take_back()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class Stderr:
    """Copies a child's stderr to ours as it comes, byte for byte, and keeps its end.

    In a thread, since writing may block for as long as nobody reads: that must hold up the command
    as it would without us, and neither signals nor the timeout.
    """

    def __init__(self, source: int) -> None:
        """Take the reading end of the pipe."""
        self.tail = b""
        self.length = 0
        self._source = source
        self._until = inf
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._copy, name="runguard-stderr", daemon=True)

    def start(self) -> None:
        """Begin to copy."""
        self._thread.start()

    def settle(self) -> None:
        """Copy what the child has left, and wait a bounded time for it."""
        self._until = time.monotonic() + DRAIN_SECONDS
        os.close(self._stopper)
        self._thread.join(DRAIN_SECONDS + LOOK_SECONDS)

    def finish(self) -> None:
        """Wait until whoever reads our stderr has taken what is left."""
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._source)
        os.close(self._stop)

    def _copy(self) -> None:
        late = MOST_AFTER_DRAIN
        with selectors.DefaultSelector() as selector:
            selector.register(self._source, selectors.EVENT_READ)
            selector.register(self._stop, selectors.EVENT_READ)
            while late > 0:
                ready = {key.fd for key, _ in selector.select(self._patience())}
                if self._stop in ready:
                    selector.unregister(self._stop)
                    continue
                chunk = os.read(self._source, LONGEST_TAIL) if ready else b""
                if not chunk:  # closed by all; or held open by a process left behind
                    return
                self.length += len(chunk)
                self.tail = (self.tail + chunk)[-LONGEST_TAIL:]
                _write(chunk)
                if time.monotonic() > self._until:
                    late -= len(chunk)

    def _patience(self) -> float | None:
        return None if self._until == inf else max(0.0, self._until - time.monotonic())


def _write(chunk: bytes) -> None:
    """Write to our stderr; where nobody takes it, the command goes on all the same."""
    while chunk:
        try:
            chunk = chunk[os.write(2, chunk) :]
        except BlockingIOError:  # somebody else made it so, who shares it
            select.select([], [2], [])
        except OSError:
            return


class Child:
    """A command in a process group of its own, which waits at a gate until `begin`.

    It is forked at once, while this process has a single thread: a fork beside threads may inherit
    a lock that nobody will ever free.
    """

    def __init__(self, command: Sequence[str], *, clean: Callable[[str], str]) -> None:
        """Fork. `clean` takes the secrets out of what is said of a command that is not found."""
        gate, self._gate = os.pipe()
        self.stderr, its_stderr = os.pipe()
        die_with_us = _death_wish()
        us = os.getpid()
        self.code: int | None = None
        self._has_begun = False
        self._is_put_away = False
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self._gate)
                os.dup2(its_stderr, 2)
                die_with_us()
                # A parent that died before the wish was made is missed by it.
                if os.getppid() == us and _gate_opens(gate):
                    _become(command, clean)
            finally:
                os._exit(NOT_EXECUTABLE)
        os.close(gate)
        os.close(its_stderr)
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
        if self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid and os.WIFSTOPPED(status):
                self._follow(os.WSTOPSIG(status), terminal)
            elif pid:
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


def _gate_opens(gate: int) -> bool:
    return bool(os.read(gate, 1))


def _become(command: Sequence[str], clean: Callable[[str], str]) -> None:
    """Turn into the command, or say as a shell does why not, and exit."""
    # The interpreter ignores these, and the command would inherit that.
    for signum in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(signum, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        os.execvp(command[0], list(command))  # noqa: S606 - no shell is wanted
    except OSError as error:
        line = f"runguard: {clean(command[0])}: {error.strerror}\n"
        with suppress(OSError):
            os.write(2, line.encode(errors="backslashreplace"))
        is_missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        os._exit(NOT_FOUND if is_missing else NOT_EXECUTABLE)


def _death_wish() -> Callable[[], object]:
    """Return what makes the kernel kill a process when its parent dies; elsewhere nothing does."""
    if sys.platform != "linux":
        return lambda: None
    prctl = ctypes.CDLL(None).prctl  # found before the fork
    return lambda: prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
