"""Work for the threads that write for runs, on its way from who asks to who does it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from .._clock import ticks
from .._errors import RunguardError, StoreUnavailable

GRACE_SECONDS: Final = 1.0  # for work that has begun: it ends itself in time, then it is kept
LOOK_AGAIN_SECONDS: Final = 1.0  # a limit shrinks when the work begins, so who waits looks again

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Work(Protocol[T_co]):
    """Does something with the store; or, given the trouble, what is to be done without it."""

    def __call__(self, trouble: Exception | None = None, /) -> T_co:
        """Return the result. Raises nothing of its own."""
        ...


class Done(NamedTuple, Generic[T]):
    """What the work returned, and the exception that struck the caller meanwhile.

    The result is None also where the work raised, which it should not.
    """

    result: T | None
    interruption: BaseException | None


class Opening(NamedTuple):
    """What became of the opening of a run.

    Attributes:
        trouble: what went wrong with the store; None where all went well.
        refusal: what keeps the body from running; None where it may run.
    """

    trouble: Exception | None = None
    refusal: RunguardError | None = None


class Task(Generic[T]):
    """Work on its way: whoever takes `may_begin` does it, whoever takes `may_end` says how."""

    __slots__ = (
        *("_gate", "asked_at", "context", "done", "may_begin", "may_end", "on_done", "result"),
        *("seconds", "trouble", "until", "woken", "work"),
    )

    def __init__(self, work: Work[T], seconds: float, turn: float) -> None:
        self.work = work
        self.seconds = seconds
        self.asked_at = ticks()
        self.until = self.asked_at + turn
        self.context: Context = copy_context()
        self.may_begin = deque((True,))  # popped once, which no other thread can do in between
        self.may_end = deque((True,))
        self.done = False
        self.result: T | None = None
        self.trouble: StoreUnavailable | None = None  # of one who has given up
        self.on_done: Callable[[Task[T]], object] | None = None
        self.woken: Any = None  # the future that a coroutine waits for
        self._gate = threading.Lock()
        self._gate.acquire()

    def finish(self, result: T) -> None:
        """Give the result to who waits, unless they have given up."""
        if taken(self.may_end):
            self.result = result
            self.done = True
            self._gate.release()
            if self.on_done is not None:
                self.on_done(self)

    def begin(self) -> bool:
        """Whether the work is this thread's to do; if so, its own time begins now at the latest."""
        if not taken(self.may_begin):
            return False
        self.until = min(self.until, ticks() + self.seconds)
        return True

    def wait(self, grace: float = 0.0) -> None:
        """Wait until it is done, or the time is up."""
        while not self.done and (left := self.until + grace - ticks()) > 0:
            self._gate.acquire(timeout=min(left, LOOK_AGAIN_SECONDS))


def taken(token: deque[bool]) -> bool:
    """Whether this thread is the one that takes it."""
    try:
        return token.pop()
    except IndexError:
        return False
