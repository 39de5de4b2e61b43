"""The stderr of a command: passed on as it comes, and its end kept."""

from __future__ import annotations

import os
import select
import selectors
import threading
import time
from math import inf
from typing import Final

LONGEST_TAIL: Final = 64 * 1024  # bytes of stderr that are kept
DRAIN_SECONDS: Final = 1.0  # for what processes left behind still write to it
MOST_AFTER_DRAIN: Final = 1024 * 1024  # bytes: the largest pipe
JOIN_SECONDS: Final = 0.05  # for the thread to notice that the draining is over


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
        self._thread.join(DRAIN_SECONDS + JOIN_SECONDS)

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
