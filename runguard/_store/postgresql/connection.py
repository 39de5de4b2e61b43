"""A psycopg connection that gives up at a deadline."""

from __future__ import annotations

from collections.abc import Generator
from math import inf
from typing import Any, TypeVar

import psycopg
from psycopg import waiting

from ..._clock import ticks
from ..retry import DEADLINE

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection whose every wait ends at `DEADLINE`, or at its own `deadline`.

    A server that accepts and never answers, or a network that swallows packets, would else hold
    the job for as long as the kernel hopes: many minutes.
    """

    deadline = inf  # while the thread that uses it may be struck by an exception: see `Here`

    @classmethod
    def _connect_gen(cls, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        # psycopg's own limit for connecting is two seconds or more, for each address of the host.
        return _until_deadline(super()._connect_gen(*args, **kwargs))

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """Wait as psycopg does; what was cut off in the middle is never used again."""
        try:
            if self.deadline < inf:  # psycopg would ask the server to cancel, at a Ctrl-C
                return waiting.wait(_until_deadline(gen, self.deadline), self.pgconn.socket, 0.1)
            return super().wait(_until_deadline(gen), *args, **kwargs)
        except DeadlineExceeded:
            self.pgconn.finish()
            raise

    def is_direct(self) -> bool:
        """Whether the session that answers is the one that greeted us: no pooler in between."""
        row = self.execute("select pg_catalog.pg_backend_pid()").fetchone()
        return row is not None and row[0] == self.info.backend_pid


class DeadlineExceeded(psycopg.OperationalError):
    """The server did not answer in time."""


def _until_deadline(gen: Generator[Any, Any, T], deadline: float = inf) -> Generator[Any, Any, T]:
    """Pass everything on to `gen`, and look at the time whenever psycopg looks up from waiting.

    It does so every tenth of a second, to let Ctrl-C through.
    """
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and ticks() >= min(deadline, DEADLINE.get()):
                raise DeadlineExceeded("no answer from the server in time")
            wanted = gen.send(ready)
    except StopIteration as end:
        result: T = end.value
        return result
