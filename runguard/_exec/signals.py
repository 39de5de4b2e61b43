"""The signals that a supervising process is sent, as numbers in a pipe.

The interpreter writes them there: no code of ours runs in a signal handler. POSIX only.
"""

from __future__ import annotations

import os
import selectors
import signal
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
