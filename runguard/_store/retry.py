"""Attempts: how long a store call may take, and what is repeated because a repeat heals it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from itertools import count
from logging import INFO
from math import inf
from typing import Any, Final, NoReturn, TypeVar
from weakref import ref

from sqlalchemy import Connection, Engine, Executable
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import Pool
from sqlalchemy.pool.base import _ConnectionFairy

from .._clock import ticks
from .._errors import RecordRefused, StoreUnavailable

# When the store call that is under way in this thread must end, in seconds of `ticks`.
DEADLINE: Final[ContextVar[float]] = ContextVar("runguard_deadline", default=inf)
IDLE_SINCE: Final = "runguard_idle_since"  # in a connection's info: when it went back to the pool
# Whoever listens to one of these goes on seeing every statement.
_HOOKS: Final = ("before_execute", "after_execute", "before_cursor_execute", "after_cursor_execute")
T = TypeVar("T")


class Attempt:
    """One try: a connection, and whether an earlier try may have been committed unanswered.

    `pooled` is as the pool gives it; `core`, around it, is None until somebody needs Core's.
    `lent` is what the pool gave without a proxy.
    """

    is_bare = False  # of what only a writer may do: see `here`
    __slots__ = ("answer_lost", "core", "engine", "lent", "pooled")

    def __init__(self, engine: Engine, *, answer_lost: bool) -> None:
        """Take a connection from the pool, and no more of Core than the engine asks for."""
        pool: Any = engine.pool
        if 0 <= getattr(pool, "_max_overflow", -1) <= pool.checkedout() - pool.size():
            from .repeating import await_connection  # of a user's pool, whose own limit is long

            await_connection(pool, DEADLINE.get())
        self.engine = engine
        self.answer_lost = answer_lost
        self.core: Connection | None = None
        self.lent: Any = None
        if engine.dispatch.engine_connect or engine.get_execution_options():
            self.core = engine.connect()
            self.pooled = self.core.connection
            return
        try:
            self.lent = pool.take() if hasattr(pool, "take") else None  # our own
            self.pooled = self.lent or engine.raw_connection()
        except engine.dialect.loaded_dbapi.Error as error:
            Connection._handle_dbapi_exception_noconnection(error, engine.dialect, engine)
            raise

    @property
    def connection(self) -> Connection:
        """Core's connection."""
        if self.core is None:
            if self.lent is not None:
                self.pooled = _proxy_of(self.engine.pool, self.lent)
            self.core = Connection(self.engine, self.pooled)
        return self.core

    @property
    def is_watched(self) -> bool:
        """Whether anybody wants to see, log or change what Core executes."""
        engine, source = self.engine, self.core or self.engine
        return bool(
            source.get_execution_options().keys() - {"isolation_level"}
            or any(getattr(source.dispatch, name) for name in _HOOKS)
            or engine.dialect.dispatch.do_execute
            or engine.logger.isEnabledFor(INFO)
        )

    def first_row(self, statement: Executable, values: Mapping[str, Any]) -> Any:
        """Let Core execute a statement; return the first row of its answer."""
        return self.connection.execute(statement, values).first()

    def raise_as_core(self, error: Exception, statement: str) -> NoReturn:
        """Raise what Core raises for an error, and forget the connection where Core does."""
        self.connection._handle_dbapi_exception(error, statement, None, None, None)

    def close(self) -> None:
        """Give it back to the pool."""
        if self.lent is not None and self.core is None:
            self.lent.checkin(_fairy_was_created=False)
        else:
            (self.core or self.pooled).close()


def _proxy_of(pool: Pool, entry: Any) -> Any:
    """Put the proxy around an entry of ours that was taken: closing it gives both back."""
    proxy = _ConnectionFairy(pool, entry.dbapi_connection, entry, echo=False)
    entry.fairy_ref = ref(proxy)
    proxy._counter = 1
    return proxy


class Attempts:
    """Runs work on an engine's connections, and again where a repeat heals the fault."""

    patience = inf
    """The seconds that a call waits for a server that is away: who reads wants to hear of it."""

    def __init__(self, engine: Engine) -> None:
        """Take the engine."""
        self.engine = engine
        self.may_prepare = True
        self.hopeless: tuple[StoreUnavailable, float] | None = None

    def run(self, work: Callable[[Attempt], T], *, timeout: float) -> T:
        """Return what `work` returns. `timeout` is in seconds.

        Raises:
            StoreUnavailable: the time is up, or repeating does not help.
            SchemaOutOfDate: a table or column is missing.
        """
        if self.hopeless is not None and ticks() < self.hopeless[1]:
            raise StoreUnavailable(str(self.hopeless[0]))  # who asks on has an account locked
        deadline = ticks() + timeout
        token = DEADLINE.set(deadline)
        try:
            return self._until(deadline, work)
        finally:
            DEADLINE.reset(token)

    def _until(self, deadline: float, work: Callable[[Attempt], T]) -> T:
        found_until = min(deadline, ticks() + self.patience)
        answer_lost = False
        for number in count(1):
            DEADLINE.set(deadline)
            attempt: Attempt | None = None
            try:
                attempt = Attempt(self.engine, answer_lost=answer_lost)
                try:
                    if number == 1 and IDLE_SINCE in attempt.pooled.info:
                        # It may be dead without a word: leave time for a new one.
                        DEADLINE.set((ticks() + deadline) / 2)
                    if not self.may_prepare:
                        from .repeating import stop_preparing

                        stop_preparing(attempt.pooled.driver_connection)
                    return work(attempt)
                except BaseException as error:
                    if self._is_spoilt_by(error):
                        with suppress(SQLAlchemyError):  # of a dead one: it would hide what
                            attempt.connection.invalidate()  # killed it
                    raise
                finally:
                    attempt.close()
            except (SQLAlchemyError, ValueError, OverflowError) as error:
                from .repeating import await_repeat

                away_until = found_until if attempt is None else None
                answer_lost |= await_repeat(self, error, number, deadline, away_until)
        raise AssertionError("unreachable")

    def _is_spoilt_by(self, error: BaseException) -> bool:
        """Whether a connection must not be used again, after this came out of its use."""
        if isinstance(error, SQLAlchemyError):
            from .repeating import leads_elsewhere

            return leads_elsewhere(self, error)
        # It may have cut a command off in the middle: a time limit of the host's, Ctrl-C. Not our
        # own refusal, which comes after the answer.
        return not isinstance(error, RecordRefused)
