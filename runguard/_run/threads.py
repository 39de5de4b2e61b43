"""The threads that write for runs.

Every piece of database work is done in a thread of runguard's own, while the caller waits. An
exception that strikes the caller at any instant (a time limit of its queue, Ctrl-C, a signal's
handler) then never cuts a statement off, leaks a connection or leaves a lock behind: the work goes
on to its end, and the exception leaves the with-block afterwards. A signal's handler may itself be
tracked. A coroutine's event loop never waits for the store.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack, suppress
from contextvars import Context, copy_context
from queue import SimpleQueue
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from .._clock import ticks
from .._errors import StoreUnavailable
from .breaker import Admission, Breaker

GRACE_SECONDS: Final = 1.0
"""For work that has begun: it ends itself in time, and what is left is to keep its record."""

LOOK_AGAIN_SECONDS: Final = 1.0
"""A limit shrinks when the work begins, so those who wait look at it now and then."""

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


class _Task(Generic[T]):
    """Work on its way: whoever takes `may_begin` does it, whoever takes `may_end` says how."""

    __slots__ = (
        *("_gate", "asked_at", "context", "done", "may_begin", "may_end", "on_done", "result"),
        *("seconds", "trouble", "until", "work"),
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
        self.on_done: Callable[[], object] | None = None
        self._gate = threading.Lock()
        self._gate.acquire()

    def finish(self, result: T) -> None:
        """Give the result to who waits, unless they have given up."""
        if _taken(self.may_end):
            self.result = result
            self.done = True
            self._gate.release()
            if self.on_done is not None:
                self.on_done()

    def begin(self) -> bool:
        """Whether the work is this thread's to do; if so, its own time begins now at the latest."""
        if not _taken(self.may_begin):
            return False
        self.until = min(self.until, ticks() + self.seconds)
        return True

    def wait(self, grace: float = 0.0) -> None:
        """Wait until it is done, or the time is up."""
        while not self.done and (left := self.until + grace - ticks()) > 0:
            self._gate.acquire(timeout=min(left, LOOK_AGAIN_SECONDS))


def _taken(token: deque[bool]) -> bool:
    try:
        return token.pop()
    except IndexError:
        return False


class Writers:
    """At most as many threads as there may be connections, and one queue in front of them."""

    def __init__(self, most: Callable[[], int]) -> None:
        """Take how many threads there may be; none is started yet."""
        self.breaker = Breaker()
        self._most = most
        self._queue: SimpleQueue[_Task[Any] | None] = SimpleQueue()
        self._unfinished: set[_Task[Any]] = set()
        self._threads: list[threading.Thread] = []
        self._parked: deque[_Task[Any]] = deque()

    def run(self, work: Work[T], *, seconds: float, turn: float | None = None) -> Done[T]:
        """Have the work done, and wait for it as long as it may take.

        Raises nothing: what strikes the caller meanwhile is returned, to be raised when all is
        done.

        Args:
            work: what to do.
            seconds: how long it may take.
            turn: how long it may wait for its turn; `seconds`, of which it is a part, where None.
        """
        return self._run(work, seconds, turn or seconds, None, None)

    async def run_off_loop(
        self, work: Work[T], *, seconds: float, turn: float | None = None
    ) -> Done[T]:
        """Do the same for a coroutine. A task that is cancelled meanwhile waits all the same.

        Without a running asyncio loop (another async framework) the caller's thread waits.
        """
        turn = turn or seconds
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or asyncio._get_running_loop() is None:
            return self._run(work, seconds, turn, None, None)
        task: _Task[T] | None = None
        interruption: BaseException | None = None
        try:
            loop = asyncio.get_running_loop()
            woken = loop.create_future()
            task = _Task(work, seconds, turn)
            task.on_done = lambda: _wake(loop, woken)
            if self._submit(task):
                interruption = await _until_woken(asyncio, woken, task)
        except BaseException as struck:  # such as the end of a coroutine that is closed
            interruption = struck
        return self._run(work, seconds, turn, task, interruption)

    def _run(
        self,
        work: Work[T],
        seconds: float,
        turn: float,
        task: _Task[T] | None,
        interruption: BaseException | None,
    ) -> Done[T]:
        while True:
            try:
                if task is None:
                    task = _Task(work, seconds, turn)
                    if not self._submit(task) and _taken(task.may_begin):
                        return Done(work(None), interruption)
                task.wait()
                if not task.done:
                    self._give_up(task)
                return Done(task.result, interruption)
            except BaseException as struck:
                interruption = interruption or struck
                if task is not None and not task.done and _taken(task.may_begin):
                    task = None  # it may not even be in the queue

    def close(self) -> None:
        """Let the threads end when they have done what waits."""
        threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join(timeout=GRACE_SECONDS)

    def _submit(self, task: _Task[Any]) -> bool:
        """Put it into the queue; False where no thread will ever come for it."""
        # Steps that nothing can cut in half, and no lock: an exception may strike between any
        # two, and a signal's handler may come here too.
        if sys.is_finalizing():
            return False
        self._unfinished.add(task)
        self._queue.put(task)
        threads = len(self._threads)
        if len(self._unfinished) > threads and threads < self._most():
            return self._start_thread() or bool(self._threads)
        return True

    def _start_thread(self) -> bool:
        thread = threading.Thread(target=self._serve, name="runguard-writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter shuts down, or the system has no thread left
            return False
        return True

    def _give_up(self, task: _Task[Any]) -> None:
        """Do without the store: the time is up. Whoever is struck in the middle comes again."""
        if _taken(task.may_begin):
            self._unfinished.discard(task)
            task.trouble = self._busy()
        elif task.trouble is None:
            task.wait(GRACE_SECONDS)
            if not task.done and not _taken(task.may_end):  # it is just being said
                task.wait(2 * GRACE_SECONDS)
            if task.done:
                return
            task.trouble = StoreUnavailable("the store could not be used in time")
        task.result = task.work(task.trouble)
        task.done = True

    def _busy(self) -> StoreUnavailable:
        return StoreUnavailable(
            f"the store could not be used in time: all {self._most()} connections are busy;"
            " max_connections sets how many there are"
        )

    def _serve(self) -> None:
        me = threading.current_thread()
        if len(self._threads) >= self._most():
            return
        self._threads.append(me)
        try:
            while (task := self._queue.get()) is not None:
                self._serve_one(task)
                del task  # else its run would live until the next one comes
        finally:
            self._threads.remove(me)

    def _serve_one(self, task: _Task[Any]) -> None:
        fault = self.breaker.fault_since(task.asked_at)
        admission = Admission.GO if fault is not None else self.breaker.admit()
        if admission is Admission.WAIT:
            self._parked.append(task)
        elif task.begin():
            result = _result_of(task, fault)
            self._unfinished.discard(task)
            task.finish(result)
        if admission is Admission.PROBE:
            self.breaker.end_probe()
        while self._parked and not self.breaker.is_probed:
            self._queue.put(self._parked.popleft())


def _result_of(task: _Task[T], trouble: Exception | None) -> T | None:
    try:
        return task.context.run(task.work, trouble)
    except BaseException as bug:  # of ours, or what hostile code raises: do without the store
        error = bug if isinstance(bug, Exception) else RuntimeError(repr(bug))
        return None if trouble is not None else _result_of(task, error)


def _wake(loop: Any, woken: Any) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
        loop.call_soon_threadsafe(lambda: woken.done() or woken.set_result(None))


async def _until_woken(asyncio: Any, woken: Any, task: _Task[Any]) -> BaseException | None:
    """Wait as `_Task.wait` does, on the loop; return the cancellation that came meanwhile."""
    cancellation: BaseException | None = None
    with ExitStack() as shield:
        while not task.done and (left := _seconds_left(task)) > 0:
            try:
                await asyncio.wait((woken,), timeout=min(left, LOOK_AGAIN_SECONDS))
            except asyncio.CancelledError as cancelled:
                if cancellation is None and (anyio := sys.modules.get("anyio")) is not None:
                    # Its cancelled scopes cancel again and again, at every turn of the loop.
                    shield.enter_context(anyio.CancelScope(shield=True))
                cancellation = cancelled
    return cancellation


def _seconds_left(task: _Task[Any]) -> float:
    grace = 0.0 if task.may_begin else GRACE_SECONDS
    return task.until + grace - ticks()
