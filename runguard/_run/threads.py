"""The threads that write for runs.

Database work is done in a thread of runguard's own, while the caller waits, but for what is so
plain that the caller's thread does it, and no harm is done where it is cut off: see `here`. An
exception that strikes the caller at any instant (a time limit of its queue, Ctrl-C, a signal's
handler) then never cuts a statement off, leaks a connection or leaves a lock behind: the work goes
on to its end, and the exception leaves the with-block afterwards. A signal's handler may itself be
tracked. A coroutine's event loop never waits for the store.
"""

from __future__ import annotations

import sys
import threading
from _queue import SimpleQueue  # `queue` would load heapq too
from collections import deque
from collections.abc import Callable
from math import inf
from typing import TYPE_CHECKING, Any

from .._errors import StoreUnavailable
from .breaker import Admission, Breaker
from .task import GRACE_SECONDS, Done, T, Task, Work, taken

if TYPE_CHECKING:
    from .off_loop import Bell


class Writers:
    """At most as many threads as there may be connections, and one queue in front of them."""

    def __init__(self, most: Callable[[], int]) -> None:
        """Take how many threads there may be; none is started yet."""
        self.breaker = Breaker()
        self._most = most
        kind = getattr(sys.modules.get("queue"), "SimpleQueue", SimpleQueue)  # gevent patches it
        self._queue: SimpleQueue[Task[Any] | None] = kind()
        self._unfinished: set[Task[Any]] = set()
        self._threads: list[threading.Thread] = []
        self._parked: deque[Task[Any]] = deque()
        self._here = threading.local()  # several threads may run loops

    def run(
        self,
        work: Work[T],
        *,
        seconds: float,
        turn: float | None = None,
        here: Callable[[], Done[T] | None] | None = None,
    ) -> Done[T]:
        """Have the work done, and wait for it as long as it may take.

        Raises nothing: what strikes the caller meanwhile is returned, to be raised when all is
        done.

        Args:
            work: what to do.
            seconds: how long it may take.
            turn: how long it may wait for its turn; `seconds`, of which it is a part, where None.
            here: does the same in the caller's thread, or returns None; `work` goes over it again.
        """
        return self._run(work, seconds, turn or seconds, None, None, here=here)

    async def run_off_loop(
        self, work: Work[T], *, seconds: float, turn: float | None = None
    ) -> Done[T]:
        """Do the same for a coroutine. A task that is cancelled meanwhile waits all the same.

        Without a running asyncio loop (another async framework) the caller's thread waits.
        """
        turn = turn or seconds
        task: Task[T] | None = None
        interruption: BaseException | None = None
        try:
            if (bell := self._bell_of_loop()) is not None:
                task = Task(work, seconds, turn)
                task.on_done = bell.ring
                if self._submit(task):
                    interruption = await bell.until_done(task)
                elif self._withdraws(task):
                    task = None  # this thread does it, as it does for who is no coroutine
        except BaseException as struck:  # such as the end of a coroutine that is closed
            interruption = struck
        return self._run(work, seconds, turn, task, interruption)

    def _bell_of_loop(self) -> Bell | None:
        """Return what wakes the loop that runs in this thread; None where there is none."""
        asyncio = sys.modules.get("asyncio")
        if asyncio is None or (loop := asyncio._get_running_loop()) is None:
            return None
        bell: Bell | None = getattr(self._here, "bell", None)
        if bell is None or bell.loop is not loop:
            try:
                from .off_loop import Bell
            except (ImportError, OSError) as error:  # it was not loaded in time: the loop waits
                if isinstance(error, TimeoutError) or getattr(error, "errno", 0) is None:
                    raise  # a time limit
                return None
            self._here.bell = bell = Bell(loop)
        return bell

    def _run(
        self,
        work: Work[T],
        seconds: float,
        turn: float,
        task: Task[T] | None,
        interruption: BaseException | None,
        *,
        here: Callable[[], Done[T] | None] | None = None,
    ) -> Done[T]:
        while True:
            try:
                if here is not None and self.breaker.fault_since(-inf) is None:
                    try_it, here = here, None
                    if self._queue.empty() and (done := try_it()) is not None:
                        return Done(done.result, interruption)
                if task is None:
                    task = Task(work, seconds, turn)
                    if not self._submit(task) and self._withdraws(task):
                        return Done(work(None), interruption)
                task.wait()
                if not task.done:
                    self._give_up(task)
                return Done(task.result, interruption)
            except BaseException as struck:
                interruption = interruption or struck
                if task is not None and not task.done and self._withdraws(task):
                    task = None  # it may not even be in the queue

    def close(self) -> None:
        """Let the threads end when they have done what waits."""
        threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join(timeout=GRACE_SECONDS)

    def _submit(self, task: Task[Any]) -> bool:
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

    def _withdraws(self, task: Task[Any]) -> bool:
        """Take work back that no thread has begun; say whether it was so."""
        if is_withdrawn := taken(task.may_begin):
            self._unfinished.discard(task)
        return is_withdrawn

    def _give_up(self, task: Task[Any]) -> None:
        """Do without the store: the time is up. Whoever is struck in the middle comes again."""
        if self._withdraws(task):
            task.trouble = self._busy()
        elif task.trouble is None:
            task.wait(GRACE_SECONDS)
            if not task.done and not taken(task.may_end):  # it is just being said
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

    def _serve_one(self, task: Task[Any]) -> None:
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


def _result_of(task: Task[T], trouble: Exception | None) -> T | None:
    try:
        return task.context.run(task.work, trouble)
    except BaseException as bug:  # of ours, or what hostile code raises: do without the store
        error = bug if isinstance(bug, Exception) else RuntimeError(repr(bug))
        return None if trouble is not None else _result_of(task, error)
