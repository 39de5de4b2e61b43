"""How coroutines wait for the threads that write for runs. Loaded by the first run of all."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from .._clock import ticks
from . import task as bounds
from .task import Task, taken

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, TimerHandle


class Bell:
    """Wakes the coroutines of one event loop: one call for all that is done until it comes."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        """Take the loop; nobody waits yet."""
        self.loop = loop
        self._done: deque[Task[Any]] = deque()
        self._may_ring = deque((True,), maxlen=1)
        self._asleep: set[Task[Any]] = set()
        self._looks_again = False

    def ring(self, task: Task[Any]) -> None:
        """Have a task's coroutine woken. Called by other threads."""
        self._done.append(task)
        if taken(self._may_ring):
            with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                self.loop.call_soon_threadsafe(self._wake_done)

    async def until_done(self, task: Task[Any]) -> BaseException | None:
        """Wait as `Task.wait` does; return the cancellation that came meanwhile."""
        cancelled = sys.modules["asyncio"].CancelledError
        cancellation: BaseException | None = None
        shield: ExitStack | None = None
        try:
            while not task.done and (left := _seconds_left(task)) > 0:
                own_time = self._lay_down(task, left)
                try:
                    await task.woken
                except cancelled as struck:
                    cancellation = struck
                    shield = shield or _shield_from_anyio()
                finally:
                    self._asleep.discard(task)
                    if own_time is not None:
                        own_time.cancel()
        finally:
            if shield is not None:
                shield.close()
        return cancellation

    def _lay_down(self, task: Task[Any], seconds: float) -> TimerHandle | None:
        """Have the task woken when it is done or it is time to look again; return its own timer."""
        task.woken = self.loop.create_future()
        self._asleep.add(task)
        if seconds < bounds.LOOK_AGAIN_SECONDS:
            return self.loop.call_later(seconds, _wake, task)
        if not self._looks_again:
            self._looks_again = True
            self.loop.call_later(bounds.LOOK_AGAIN_SECONDS, self._wake_all)
        return None

    def _wake_done(self) -> None:
        self._may_ring.append(True)  # before any is taken: who comes too late rings again
        while self._done:
            _wake(self._done.popleft())

    def _wake_all(self) -> None:
        self._looks_again = False
        self._wake_done()
        for task in self._asleep:
            _wake(task)


def _wake(task: Task[Any]) -> None:
    if task.woken is not None and not task.woken.done():  # else it was done before anybody waited
        task.woken.set_result(None)


def _shield_from_anyio() -> ExitStack:
    """Keep off its cancelled scopes, which cancel again and again, at every turn of the loop."""
    shield = ExitStack()
    if (anyio := sys.modules.get("anyio")) is not None:
        shield.enter_context(anyio.CancelScope(shield=True))
    return shield


def _seconds_left(task: Task[Any]) -> float:
    grace = 0.0 if task.may_begin else bounds.GRACE_SECONDS
    return task.until + grace - ticks()
