"""An end for an attempt whose every step may wait, also where a byte a second comes in."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ..._monitor.notices import Outcome, Probe, SendResult

T = TypeVar("T")


class OutOfTime(Exception):
    """Nobody waits for this attempt any more."""


class Deadline:
    """When an attempt ends, and how far it came.

    An attempt that is given up before `commit` never sends its message later.

    Attributes:
        answer: What the other side said, once it did; what follows then is courtesy.
        is_committed: Whether the other side may have the message.
    """

    def __init__(self, seconds: float) -> None:
        """Begin now."""
        self.answer: Outcome | None = None
        self.is_committed = False
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._is_over = False
        self._sockets: list[socket.socket] = []

    def remaining(self) -> float:
        """Return the seconds that are left.

        Raises:
            OutOfTime: None are.
        """
        left = self._end - time.monotonic()
        if left <= 0 or self._is_over:
            raise OutOfTime
        return left

    @property
    def is_past(self) -> bool:
        """Whether no time is left. A step that waited as long as it may ended a moment before."""
        return self._is_over or time.monotonic() > self._end - 0.01

    def cuts(self, connection: socket.socket) -> None:
        """Cut this connection at the end.

        Raises:
            OutOfTime: The end has been.
        """
        with self._lock:
            if not self._is_over:
                self._sockets.append(connection)
                return
        connection.close()
        raise OutOfTime

    def commit(self) -> None:
        """Say that the message is sent now.

        Raises:
            OutOfTime: Nobody waits any more, so it must not be.
        """
        with self._lock:
            if self._is_over:
                raise OutOfTime
            self.is_committed = True

    def settle(self, answer: Outcome) -> Outcome:
        """Keep what the other side said, and return it.

        Raises:
            OutOfTime: The end has been; that it was cut may have made the answer what it is.
        """
        with self._lock:
            if self._is_over:
                raise OutOfTime
            self.answer = answer
        return answer

    def give_up(self) -> None:
        """Cut what is connected; the work's thread comes to its end by that."""
        with self._lock:
            self._is_over = True
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                # The bare socket's: that of TLS would forget its state, which the thread uses.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)


def send_within(
    seconds: float,
    work: Callable[[Deadline], Outcome],
    *,
    where: str,
    hide: Callable[[str], str],
) -> Outcome:
    """Do the work in a thread of its own, and wait for it no longer than `seconds`. Never raises.

    Args:
        seconds: For everything, looking up the host's name included.
        work: Sends; translates the errors that it knows.
        where: Names the other side in errors.
        hide: Takes the secrets out of an error's text.
    """
    deadline = Deadline(seconds)

    def late() -> Outcome:
        if deadline.answer is not None:
            return deadline.answer
        if deadline.is_committed:
            return Outcome(
                SendResult.UNKNOWN,
                f"{where}: the message was sent, and no answer came within {seconds:g} s",
            )
        return Outcome(SendResult.RETRY, f"{where}: not ready to take it within {seconds:g} s")

    def failed(error: BaseException) -> Outcome:
        if deadline.answer is not None:
            return deadline.answer
        result = SendResult.UNKNOWN if deadline.is_committed else SendResult.RETRY
        return Outcome(result, f"{where}: {hide(f'{type(error).__name__}: {error}')}")

    return _within(deadline, seconds, work, late, failed)


def probe_within(
    seconds: float, work: Callable[[Deadline], Probe], *, where: str, hide: Callable[[str], str]
) -> Probe:
    """Look, as `send_within` sends. Never raises."""
    return _within(
        Deadline(seconds),
        seconds,
        work,
        lambda: Probe(ok=False, summary=f"{where}: no answer within {seconds:g} s"),
        lambda error: Probe(
            ok=False, summary=f"{where}: {hide(f'{type(error).__name__}: {error}')}"
        ),
    )


def _within(
    deadline: Deadline,
    seconds: float,
    work: Callable[[Deadline], T],
    late: Callable[[], T],
    failed: Callable[[BaseException], T],
) -> T:
    results: queue.SimpleQueue[T] = queue.SimpleQueue()

    def do() -> None:
        try:
            result = work(deadline)
        except OutOfTime:
            result = late()
        except BaseException as error:  # a plugin may even exit
            result = late() if deadline.is_past else failed(error)
        results.put(result)

    try:
        threading.Thread(target=do, name="runguard channel", daemon=True).start()
        return results.get(timeout=seconds)
    except queue.Empty:
        deadline.give_up()
        return late()
    except RuntimeError as error:  # no thread can be had
        return failed(error)
