"""Statements in the thread that asks, which an exception may strike at any instant.

No step takes a lock, or catches what a signal's handler may raise. What was struck is thrown away;
a writer then does the work again, which finds what was committed. Loaded by the second run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any, NoReturn, TypeVar

import psycopg
from sqlalchemy import Engine

from ..._clock import ticks
from ..faults import Fault
from ..retry import IDLE_SINCE, Attempt, Attempts
from .faults import BY_SQLSTATE

T = TypeVar("T")


class Here:
    """Work on a connection of ours that is free."""

    def __init__(self, attempts: Attempts) -> None:
        """Take what a store's attempts have found out."""
        self._attempts = attempts

    @property
    def _pool(self) -> Any:
        return self._attempts.engine.pool

    def do(self, hand: deque[Any], work: Callable[[Attempt], T], deadline: float) -> T | None:
        """Do the work until a deadline of `ticks`; None where it is for a writer.

        Args:
            hand: where the connection is meanwhile, and stays if this raises: see `recover`.
            work: what to do.
            deadline: when the server must have answered.
        """
        attempts, pool = self._attempts, self._pool
        if pool.is_watched() or attempts.hopeless or hand or not pool.idle.take_into(hand):
            return None
        connection = hand[0].dbapi_connection
        if not pool.is_sound(hand[0]) or not (
            attempts.may_prepare or connection.prepare_threshold is None
        ):
            pool.idle.give_back_from(hand)  # a writer mends it
            return None
        connection.deadline = deadline
        try:
            result = work(BareAttempt(attempts.engine, hand[0]))
        except NotHere:  # nothing was sent: the connection is as good as it was
            connection.deadline = inf
            pool.idle.give_back_from(hand)
            return None
        except psycopg.Error as error:
            if BY_SQLSTATE.get(error.sqlstate or "") is Fault.UNPREPARE:
                attempts.may_prepare = False  # there is a pooler, it seems
            return None
        connection.deadline = inf
        hand[0].info[IDLE_SINCE] = ticks()
        pool.idle.give_back_from(hand)
        if pool.is_disposed:
            pool.dispose()
        return result

    def recover(self, hand: deque[Any]) -> None:
        """Let others have the place of what is in the hand."""
        self._pool.idle.recover(hand, self._pool.let_go)


class NotHere(psycopg.NotSupportedError):
    """A statement that only a writer may execute."""


class BareAttempt(Attempt):
    """An attempt that does nothing that only a writer may."""

    is_bare = True

    def __init__(self, engine: Engine, entry: Any) -> None:
        self.engine, self.core, self.answer_lost = engine, None, False
        self.pooled = self.lent = entry

    def first_row(self, *_: Any) -> NoReturn:
        """Refuse: Core's execution, and what compiles for it, catches what may strike."""
        raise NotHere

    def raise_as_core(self, error: Exception, _: str) -> NoReturn:
        """Leave the error as it is."""
        raise error
