"""Bounds on what clients may take: connections, the time of a request, and lines of the log.

uvicorn bounds neither how many sockets are open nor how slowly a request arrives: its
`limit_concurrency` answers a request that has arrived, its `timeout_keep_alive` waits between two.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from .._frozen import frozen

ACCEPTED_AT_ONCE: Final = 128
RESERVED_FILES: Final = 64  # for the store, the static files and the log
REPEATED_AFTER_SECONDS: Final = 60.0
MOST_MESSAGES: Final = 256
LOGGERS: Final = ("uvicorn.error", "asyncio", "runguard")

_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Length: 0\r\n\r\n"
)


@frozen
class Limits:
    """What all clients together, and each request, may take.

    `request_seconds` is how long a request, its body included, may take to arrive, and how long
    an answer may make no progress.
    """

    connections: int = 256
    request_seconds: float = 20.0

    def within_open_files(self) -> Limits:
        """Return the limits for a process that may open fewer files than that."""
        most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if most == resource.RLIM_INFINITY:
            return self
        fitting = max(1, most - RESERVED_FILES - ACCEPTED_AT_ONCE)
        return Limits(min(self.connections, fitting), self.request_seconds)


DEFAULT_LIMITS: Final = Limits()


class BoundedProtocol(H11Protocol):
    """Closes what is slow, and keeps room for newcomers.

    Where all places are taken, the connection that has waited longest without a whole request
    makes room. Where each of them is being answered, the newcomer is told to come again.
    """

    limits: ClassVar[Limits] = DEFAULT_LIMITS

    _deadline: asyncio.TimerHandle | None = None
    _waiting_since: float = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or send the client away."""
        super().connection_made(transport)
        self._waiting_since = self.loop.time()
        self._set_deadline()
        if len(self.connections) <= self.limits.connections:
            return
        waiting = [one for one in self._others() if not one.is_answering]
        if waiting:
            min(waiting, key=lambda one: one._waiting_since).transport.abort()
        else:
            transport.write(_BUSY)
            transport.close()

    def data_received(self, data: bytes) -> None:
        """Stop the clock once the whole request is there."""
        super().data_received(data)
        if self.is_answering and not self.flow.write_paused:
            self._clear_deadline()
        elif self._deadline is None:
            self._set_deadline()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._waiting_since = self.loop.time()

    def pause_writing(self) -> None:
        """Give a client that does not read its answer a deadline."""
        super().pause_writing()
        self._set_deadline()

    def resume_writing(self) -> None:
        """Take the deadline back: the client reads."""
        super().resume_writing()
        self._clear_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the place."""
        self._clear_deadline()
        super().connection_lost(exc)

    @property
    def is_answering(self) -> bool:
        """Whether a whole request has arrived, and its answer is not complete."""
        has_request = self.cycle is not None and not self.cycle.response_complete
        return has_request and self.conn.their_state is h11.DONE

    def _others(self) -> Iterator[BoundedProtocol]:
        open_ones = cast("set[BoundedProtocol]", self.connections)
        return (one for one in open_ones if one is not self and not one.transport.is_closing())

    def _set_deadline(self) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(self.limits.request_seconds, self.transport.abort)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def bounded_protocol(limits: Limits) -> type[BoundedProtocol]:
    """Return the protocol with these limits; uvicorn makes one object for each connection."""
    return type("BoundedProtocol", (BoundedProtocol,), {"limits": limits})


class RepeatFilter(logging.Filter):
    """Lets a message through once a minute, the next time with the number left out."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know no message yet."""
        super().__init__()
        self._clock = clock
        self._seen: OrderedDict[tuple[str, str], tuple[float, int]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this record is written; its first line tells it from others."""
        message = record.getMessage()
        key = (record.name, message.partition("\n")[0][:200])
        now = self._clock()
        since, left_out = self._seen.get(key, (now - REPEATED_AFTER_SECONDS, 0))
        if now - since < REPEATED_AFTER_SECONDS:
            self._seen[key] = (since, left_out + 1)
            return False
        self._seen.pop(key, None)
        self._seen[key] = (now, 0)
        while len(self._seen) > MOST_MESSAGES:
            self._seen.popitem(last=False)
        if left_out:
            record.msg, record.args = f"{message} ({left_out:,} more like this left out)", ()
        return True


@contextmanager
def bounded_log() -> Iterator[None]:
    """Write each message of the server once a minute, however often clients cause it."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    bound = RepeatFilter()
    for logger in loggers:
        logger.addFilter(bound)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(bound)
