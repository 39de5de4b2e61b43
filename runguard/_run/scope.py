"""`RunScope`: one run as a context manager."""

from __future__ import annotations

from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .handle import Run
from .lifecycle import HERE, Lifecycle
from .options import RunOptions
from .runtime import Runtime

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Awaitable, Callable

    from .here import Here
    from .task import Done, Work

T = TypeVar("T")


class RunScope:
    """One run, for `with` and `async with`; `run_scope` makes it.

    Entering it a second time is a `RuntimeError`. Added in 0.1.
    """

    lifecycle: ClassVar[type[Lifecycle]] = Lifecycle

    def __init__(self, options: RunOptions, runtime: Runtime) -> None:
        """Made by `run_scope` and `tracked_run`."""
        self._options = options
        self._runtime = runtime
        self._life: Lifecycle | None = None
        self._ends_later = False

    def __enter__(self) -> Run:
        """Write the RUNNING row, then let the body run."""
        life = self._begin()
        try:
            here = partial(at.open, life) if (at := self._here()) else None
            return life.enter(self._do(life.open, *life.time_to_open(), here=here))
        except BaseException as error:
            if life.is_open:  # the block is not entered, so it will not be left either
                self._do(partial(life.close, error), life.time_to_close())
                life.finish()
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write how the run ended. The body's exception goes on, whatever happens here."""
        life = self._entered()
        try:
            life.leave(exc)
            if life.is_open and not self._hands_over(exc):
                here = partial(at.close, life, exc) if (at := self._here()) else None
                self._do(partial(life.close, exc), life.time_to_close(), here=here)
        except BaseException:
            if life.is_open:
                self._do(partial(life.close, exc), life.time_to_close())
            raise
        finally:
            life.finish()

    async def __aenter__(self) -> Run:
        """Do as `__enter__`, with the database work off the event loop."""
        life = self._begin()
        try:
            return life.enter(await self._do_off_loop(life.open, *life.time_to_open()))
        except GeneratorExit as error:  # a coroutine that is closed may not wait
            if life.is_open:
                self._do(partial(life.close, error), life.time_to_close())
            raise
        except BaseException as error:
            if life.is_open:
                await self._do_off_loop(partial(life.close, error), life.time_to_close())
                life.finish()
            raise

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do as `__exit__`, off the event loop; a cancellation waits until the end is written."""
        if isinstance(exc, GeneratorExit):
            self.__exit__(exc_type, exc, traceback)  # a coroutine that is closed may not wait
            return
        life = self._entered()
        try:
            life.leave(exc)
            if life.is_open:
                await self._do_off_loop(partial(life.close, exc), life.time_to_close())
        except BaseException:
            if life.is_open:
                self._do(partial(life.close, exc), life.time_to_close())
            raise
        finally:
            life.finish()

    def __del__(self) -> None:
        """Let the end be written of a block that was entered and never left.

        Python itself skips `__exit__` where a signal's handler raises between the two.
        """
        life = getattr(self, "_life", None)
        if life is not None and life.is_open:
            self._runtime.heartbeat.end_abandoned(life.close_abandoned)

    def end_later(self) -> None:
        """Let the block be left without an end: the body has returned work that is still to do."""
        self._ends_later = True

    async def end_after(self, work: Awaitable[T]) -> T:
        """Do that work, then end the run as it ends; what `end_later` has announced."""
        self._entered().enter(None)
        try:
            result = await work
        except BaseException as error:
            await self.__aexit__(type(error), error, error.__traceback__)
            raise
        await self.__aexit__(None, None, None)
        return result

    def end_with(self, future: Future[Any]) -> None:
        """End the run as a future has ended."""
        from asyncio import CancelledError

        error = CancelledError() if future.cancelled() else future.exception()
        self.__exit__(None if error is None else type(error), error, None)

    def _hands_over(self, exc: BaseException | None) -> bool:
        ends_later, self._ends_later = self._ends_later, False
        return ends_later and exc is None

    def _here(self) -> Here | None:
        return self._runtime.made_late.get(HERE) if self.lifecycle is Lifecycle else None

    def _do(
        self,
        work: Work[T],
        seconds: float,
        turn: float | None = None,
        here: Callable[[], Done[T] | None] | None = None,
    ) -> T | None:
        """Do it here, or let a writer do it; then raise what struck this thread meanwhile."""
        done = self._runtime.writers().run(work, seconds=seconds, turn=turn, here=here)
        if done.interruption is not None:
            raise done.interruption
        return done.result

    async def _do_off_loop(
        self, work: Work[T], seconds: float, turn: float | None = None
    ) -> T | None:
        writers = self._runtime.writers()
        done = await writers.run_off_loop(work, seconds=seconds, turn=turn)
        if done.interruption is not None:
            raise done.interruption
        return done.result

    def _begin(self) -> Lifecycle:
        if self._life is not None:
            raise RuntimeError(
                f"run_scope({self._options.job_name!r}) was entered before: make one for each run"
            )
        self._life = self.lifecycle(self._options, self._runtime)
        return self._life

    def _entered(self) -> Lifecycle:
        if self._life is None:
            raise RuntimeError("this run_scope was left before it was entered")
        return self._life
