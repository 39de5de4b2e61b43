"""The outputs of a command: passed on as they come, or held back, and the end of each kept."""

from __future__ import annotations

import os
import select
import selectors
import sys
import threading
import time
from contextlib import suppress
from math import inf
from typing import IO, Final

STDOUT: Final = 1
STDERR: Final = 2
LONGEST_TAIL: Final = 64 * 1024  # bytes of an output that are kept
DRAIN_SECONDS: Final = 1.0  # for what processes left behind still write to it
MOST_AFTER_DRAIN: Final = 1024 * 1024  # bytes: the largest pipe
JOIN_SECONDS: Final = 0.05  # for the thread to notice that the draining is over
MOST_IN_MEMORY: Final = 1024 * 1024  # bytes held back; more goes to a temporary file


class HeldOutput:
    """What a command has said so far and nobody has seen yet, in the order in which it came."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._lock = threading.Lock()
        self._is_open = True
        self._in_memory: list[tuple[int, bytearray]] = []
        self._file: IO[bytes] | None = None  # what comes when that is enough
        self._in_file: list[tuple[int, int]] = []
        self._left_in_memory = MOST_IN_MEMORY

    def add(self, target: int, chunk: bytes) -> None:
        """Hold a chunk back. Where the disk takes no more, all is shown."""
        with self._lock:
            kept = self._keep(target, chunk) if self._is_open else 0
            if kept < len(chunk):
                self._show()
        write_all(target, chunk[kept:])

    def end(self, *, show: bool) -> None:
        """Hold back no more: show all so far, or drop it."""
        with self._lock:
            if not show:
                self._in_memory.clear()
                self._in_file.clear()
            self._show()

    def _keep(self, target: int, chunk: bytes) -> int:
        """Return how many bytes of it are kept."""
        if self._file is None and len(chunk) <= self._left_in_memory:
            self._left_in_memory -= len(chunk)
            if not (self._in_memory and self._in_memory[-1][0] == target):
                self._in_memory.append((target, bytearray()))
            self._in_memory[-1][1].extend(chunk)
            return len(chunk)
        try:
            if self._file is None:
                from tempfile import TemporaryFile  # most commands say less

                self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - see `_show`
            kept: int = self._file.write(chunk)
        except OSError:
            return 0
        length = 0
        if self._in_file and self._in_file[-1][0] == target:
            _, length = self._in_file.pop()
        self._in_file.append((target, length + kept))
        return kept

    def _show(self) -> None:
        self._is_open = False
        for target, said in self._in_memory:
            write_all(target, said)
        self._in_memory.clear()
        if self._file is None:
            return
        with suppress(OSError), self._file as file:
            file.seek(0)
            for target, length in self._in_file:
                left = length
                while left and (chunk := file.read(min(left, LONGEST_TAIL))):
                    write_all(target, chunk)
                    left -= len(chunk)
        self._file = None


class Stream:
    """Copies one output of a child to ours as it comes, byte for byte, and keeps its end.

    In a thread, since writing may block for as long as nobody reads: that must hold up the command
    as it would without us, and neither signals nor the timeout.
    """

    def __init__(self, source: int, target: int, held: HeldOutput | None = None) -> None:
        """Take the reading end of the pipe, and where what comes from it belongs."""
        self.tail = b""
        self.length = 0
        self._source = source
        self._target = target
        self._held = held
        self._until = inf
        self._stop, self._stopper = os.pipe()
        self._thread = threading.Thread(target=self._copy, name="runguard-stream", daemon=True)

    def start(self) -> None:
        """Begin to copy.

        Raises:
            RuntimeError: the system has no thread left.
        """
        self._thread.start()

    def settle(self) -> None:
        """Copy what the child has left, and wait a bounded time for it."""
        self._until = time.monotonic() + DRAIN_SECONDS
        os.close(self._stopper)
        if self._thread.ident is not None:
            self._thread.join(DRAIN_SECONDS + JOIN_SECONDS)

    def finish(self) -> None:
        """Wait until whoever reads our output has taken what is left."""
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._source)
        os.close(self._stop)

    def _copy(self) -> None:
        late = MOST_AFTER_DRAIN
        with selectors.PollSelector() as selector:
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
                self._pass_on(chunk)
                if time.monotonic() > self._until:
                    late -= len(chunk)

    def _pass_on(self, chunk: bytes) -> None:
        if self._held is None:
            write_all(self._target, chunk)
        else:
            self._held.add(self._target, chunk)

    def _patience(self) -> float | None:
        return None if self._until == inf else max(0.0, self._until - time.monotonic())


def write_all(target: int, chunk: bytes | bytearray) -> None:
    """Write to an output of ours; where nobody takes it, the command goes on all the same."""
    while chunk:
        try:
            chunk = chunk[os.write(target, chunk) :]
        except BlockingIOError:  # somebody else made it so, who shares it
            select.select([], [target], [])
        except OSError:
            return


def open_standard_streams() -> None:
    """Let /dev/null stand in for a stdin, stdout or stderr that is closed. To be called first.

    Otherwise the next file that is opened gets that number: a pipe of ours, or the store's socket.
    """
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)  # noqa: FBT003 - positional only
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
