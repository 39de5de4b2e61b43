"""The signals that a supervising process is sent, as numbers in a pipe.

The interpreter writes them there: no code of ours runs in a signal handler. POSIX only.
"""

from __future__ import annotations

import os
import selectors
import signal
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Final

ENDING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
PASSED_ON: Final = (*ENDING, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)
_LONGEST_WAIT: Final = 3600.0  # a selector refuses more than some weeks


class Signals:
    """The signals that this process is sent; while open, none of `PASSED_ON` ends it."""

    def __init__(self, passed_on: Iterable[signal.Signals]) -> None:
        """Take which ones; those that are ignored, as under nohup, stay so."""
        self.passed_on = frozenset(
            signum for signum in passed_on if signal.getsignal(signum) is not signal.SIG_IGN
        )
        self._before: dict[signal.Signals, Any] = {}
        self._pipe: tuple[int, int] | None = None

    def prepare(self) -> None:
        """Make the pipe; without it they do what they did before.

        Raises:
            OSError: no file is left.
        """
        self._pipe = os.pipe()
        for end in self._pipe:
            os.set_blocking(end, False)

    def __enter__(self) -> Signals:
        """Have their numbers written to the pipe instead of what they would do."""
        if self._pipe is None:
            return self
        self._wakeup_before = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
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
        if self._pipe is None:
            return
        for signum, handler in self._before.items():
            signal.signal(signum, handler or signal.SIG_DFL)
        signal.set_wakeup_fd(self._wakeup_before)
        for end in self._pipe:
            os.close(end)

    def wait(self, seconds: float) -> bytes:
        """Return the numbers of what came, after at most so long; empty where nothing came."""
        seconds = min(seconds, _LONGEST_WAIT)
        if self._pipe is None:
            time.sleep(seconds)
            return b""
        reader = self._pipe[0]
        with selectors.PollSelector() as selector:  # which needs no file of its own
            selector.register(reader, selectors.EVENT_READ)
            selector.select(seconds)
        try:
            return os.read(reader, 4096)
        except BlockingIOError:
            return b""


def _leave_it_to_the_pipe(_signum: int, _frame: object) -> None:
    """Do nothing: see `Signals`."""
