"""`RunScope`: one run as a context manager."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from .._models import Failure
from .handle import Run
from .lifecycle import Lifecycle
from .options import RunOptions
from .runtime import Runtime
from .threads import Done, run_uncancelled

T = TypeVar("T")

# Yields each piece of database work, is sent what became of it, and returns its result.
Steps = Generator[Callable[[], Any], Done[Any], T]


class RunScope:
    """One run, for `with` and `async with`; `run_scope` makes it.

    Entering it a second time is a `RuntimeError`. Added in 0.1.
    """

    def __init__(self, options: RunOptions, runtime: Runtime) -> None:
        """Made by `run_scope` and `tracked_run`."""
        self._options = options
        self._runtime = runtime
        self._life: Lifecycle | None = None

    def __enter__(self) -> Run:
        """Write the RUNNING row, then let the body run."""
        return _drive(self._entering())

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write how the run ended. The body's exception goes on, whatever happens here."""
        _drive(self._leaving(exc))

    async def __aenter__(self) -> Run:
        """Do as `__enter__`, with the database work off the event loop."""
        return await self._drive_off_loop(self._entering())

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do as `__exit__`, off the event loop; a cancellation waits until the end is written."""
        if isinstance(exc, GeneratorExit):
            _drive(self._leaving(exc))  # a coroutine that is closed may not wait
        else:
            await self._drive_off_loop(self._leaving(exc))

    def fail_with(self, failure: Failure, *, interrupted: bool = False) -> None:
        """Let the run end FAILED with a failure that was judged elsewhere, as `exec` does.

        What somebody `interrupted` by hand alerts only where a Ctrl-C would.
        """
        self._entered().declare(failure, interrupted=interrupted)

    def _entering(self) -> Steps[Run]:
        life = self._begin()
        opening, interruption = yield life.open
        if interruption is not None:
            yield partial(life.close, life.ending_of(interruption))
            raise interruption
        return life.enter(opening)

    def _leaving(self, exc: BaseException | None) -> Steps[None]:
        life = self._entered()
        if life.leave():
            ending = life.ending_of(exc)
            outcome, interruption = yield partial(life.close, ending)
            if outcome is not None:
                life.tell(ending, outcome)
            if interruption is not None:
                raise interruption

    async def _drive_off_loop(self, steps: Steps[T]) -> T:
        """Do the work in threads; a cancellation meanwhile is a step's to raise."""
        try:
            work = next(steps)
            while True:
                work = steps.send(await run_uncancelled(self._runtime.writers, work))
        except StopIteration as end:
            result: T = end.value
            return result

    def _begin(self) -> Lifecycle:
        if self._life is not None:
            raise RuntimeError(
                f"run_scope({self._options.job_name!r}) was entered before: make one for each run"
            )
        self._life = Lifecycle(self._options, self._runtime)
        return self._life

    def _entered(self) -> Lifecycle:
        if self._life is None:
            raise RuntimeError("this run_scope was left before it was entered")
        return self._life


def _drive(steps: Steps[T]) -> T:
    """Do the work here and now; an interruption meanwhile (Ctrl-C) is a step's to raise."""
    try:
        work = next(steps)
        while True:
            try:
                done: Done[Any] = Done(work(), None)
            except BaseException as interruption:  # work returns its own faults
                done = Done(None, interruption)
            work = steps.send(done)
    except StopIteration as end:
        result: T = end.value
        return result
