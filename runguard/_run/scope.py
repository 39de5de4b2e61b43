"""`run_scope`: one run as a context manager."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from types import TracebackType

from .._models import TriggerType, TriggerTypeName
from .handle import Run
from .lifecycle import RunLife
from .options import RunOptions, make_options
from .runtime import runtime
from .threads import off_loop


def run_scope(
    job_name: str,
    /,
    *,
    trigger_type: TriggerType | TriggerTypeName | None = None,
    lock: bool = False,
    lock_ttl: timedelta | None = None,
    cooldown: timedelta | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> RunScope:
    """Track a block as a run, with `with` or `async with`.

    Args:
        job_name: 1 to 255 printable characters.
        trigger_type: MANUAL, SCHEDULER or RETRY.
        lock: let only one run of the job be inside; the others raise `JobLockActive`.
        lock_ttl: lease of that lock.
        cooldown: silence after an alert; 0 alerts every time.
        no_alert_on: exception types whose failure is recorded but raises no alert.

    Raises:
        ConfigurationError: an option or a setting cannot be used.

    >>> with run_scope("enrolment_sync", trigger_type="SCHEDULER") as run:
    ...     run.total_records = 512
    """
    return RunScope(
        make_options(
            job_name,
            trigger_type=trigger_type,
            lock=lock,
            lock_ttl=lock_ttl,
            cooldown=cooldown,
            no_alert_on=no_alert_on,
        )
    )


class RunScope:
    """One run, for `with` and `async with`. Entering it a second time is a `RuntimeError`."""

    def __init__(self, options: RunOptions) -> None:
        """Made by `run_scope` and `tracked_run`."""
        self._options = options
        self._life: RunLife | None = None

    def __enter__(self) -> Run:
        """Write the RUNNING row, then let the body run."""
        life = self._begin()
        try:
            trouble = life.open()
        except BaseException as interruption:
            life.close(life.ending_of(interruption))
            raise
        return life.enter(trouble)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Write how the run ended. The body's exception goes on, whatever happens here."""
        life = self._entered()
        if life.leave():
            ending = life.ending_of(exc)
            life.tell(ending, life.close(ending))

    async def __aenter__(self) -> Run:
        """Do as `__enter__`, with the database work off the event loop."""
        life = self._begin()
        trouble, cancellation = await off_loop(runtime.writers, life.open)
        if cancellation is not None:
            ending = life.ending_of(cancellation)
            await off_loop(runtime.writers, partial(life.close, ending))
            raise cancellation
        return life.enter(trouble)

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
        if life.leave():
            ending = life.ending_of(exc)
            outcome, cancellation = await off_loop(runtime.writers, partial(life.close, ending))
            life.tell(ending, outcome)
            if cancellation is not None:
                raise cancellation

    def _begin(self) -> RunLife:
        if self._life is not None:
            raise RuntimeError(
                f"run_scope({self._options.job_name!r}) was entered before: make one for each run"
            )
        self._life = RunLife(self._options, runtime.settings())
        return self._life

    def _entered(self) -> RunLife:
        if self._life is None:
            raise RuntimeError("this run_scope was left before it was entered")
        return self._life
