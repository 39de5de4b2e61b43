"""arq: `runguard.integrations.arq.install(WorkerSettings)` makes every attempt a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from arq.cron import CronJob
from arq.typing import WEEKDAYS
from arq.utils import to_seconds
from arq.worker import Function, Retry, RetryJob, Worker, func

from .._frozen import frozen
from .._models import TriggerType
from ._attempts import REFUSALS, Attempt, Choice, RetriesExhausted, get_ready, is_tracked, unharmed
from ._schedules import CannotBeSaid, Rule, Schedules, clock_rule, machine_zone, zone_name

S = TypeVar("S")

# What arq takes where neither the settings nor the function say it.
JOB_TIMEOUT_SECONDS: Final = 300
MAX_TRIES: Final = 5


def install(
    settings: S,
    *,
    only: Iterable[str] | str | None = None,
    skip: Iterable[str] | str = (),
    name: Callable[[str], str] | Mapping[str, str] | None = None,
    expect_schedule: bool = True,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> S:
    """Make every attempt at a job a run, and expect cron jobs when they say.

    Also a decorator of the class. Call it once, when its functions and cron jobs are complete.

    Args:
        settings: The `WorkerSettings`, a class or a dict; or a `Worker` that is ready-made.
        only: Functions that become runs, names or patterns such as `cron:*`. None: all.
        skip: Functions that do not.
        name: From a function's name to its job's: a function, or a mapping of those that differ.
        expect_schedule: Whether the worker declares its schedule as what is expected of the jobs.
        cooldown: As of `run_scope`.
        failures_to_alert: As of `run_scope`.
        no_alert_on: As of `run_scope`.

    Returns:
        The settings.

    Raises:
        ConfigurationError: An option cannot be used.

    Added in 0.2.
    """
    options: dict[str, Any] = {
        "cooldown": cooldown,
        "failures_to_alert": failures_to_alert,
        "no_alert_on": no_alert_on,
    }
    choice = Choice(only, skip, name, options, expect_schedule)
    if isinstance(settings, Worker):
        _install_in_worker(settings, choice)
        return settings
    limits = _Limits(
        to_seconds(_get(settings, "job_timeout")) or JOB_TIMEOUT_SECONDS,
        _get(settings, "max_tries") or MAX_TRIES,
        retries=_get(settings, "retry_jobs", default=True),
    )
    functions = [func(one) for one in _get(settings, "functions") or ()]
    crons = list(_get(settings, "cron_jobs") or ())
    zone = _get(settings, "timezone")
    tz = machine_zone() if zone is None else zone_name(zone)
    startup = _Startup(choice, crons, tz, _get(settings, "on_startup"))
    _set(settings, "functions", [_with_runs(one, choice, limits) for one in functions])
    _set(settings, "cron_jobs", [_with_runs(one, choice, limits) for one in crons])
    _set(settings, "on_startup", startup.run)
    return settings


def _install_in_worker(worker: Worker, choice: Choice) -> None:
    limits = _Limits(worker.job_timeout_s, worker.max_tries, retries=worker.retry_jobs)
    # arq takes an offset without a name where nobody says a zone.
    is_machines = worker.timezone == datetime.now().astimezone().tzinfo
    tz = zone_name(worker.timezone) or (machine_zone() if is_machines else None)
    worker.on_startup = _Startup(choice, worker.cron_jobs, tz, worker.on_startup).run
    for function in worker.functions.values():  # the cron jobs are among them
        function.coroutine = _with_runs(function, choice, limits).coroutine


def _with_runs(function: Any, choice: Choice, limits: _Limits) -> Any:
    """Return what calls the function in a run; the same where it becomes none."""
    called = function.coroutine
    job_name = choice.job_name_of(function.name)
    if job_name is None or is_tracked(called) or isinstance(called, _InRuns):
        return function
    limits = replace(
        limits,
        timeout=limits.timeout if function.timeout_s is None else function.timeout_s,
        max_tries=limits.max_tries if function.max_tries is None else function.max_tries,
    )
    return replace(function, coroutine=_InRuns(function, job_name, limits, choice.options))


@frozen
class _Limits:
    """How long an attempt may take, in seconds, and how many there may be."""

    timeout: float | None
    max_tries: int
    retries: bool = True  # whether a job comes again that asks for it, or that was cancelled


class _InRuns:
    """Calls a function of arq in a run."""

    def __init__(
        self,
        function: Function | CronJob,
        job_name: str,
        limits: _Limits,
        options: Mapping[str, Any],
    ) -> None:
        self.__qualname__ = function.coroutine.__qualname__
        self._coroutine = function.coroutine
        self._job_name = job_name
        self._trigger = TriggerType.SCHEDULER if isinstance(function, CronJob) else None
        self._limits = limits
        self._options = options

    def __call__(self, ctx: dict[Any, Any], *args: Any, **kwargs: Any) -> Awaitable[Any]:
        # Not yet in the task: arq begins to count only after this.
        return self._run(asyncio.get_running_loop().time(), ctx, args, kwargs)

    async def _run(self, began_at: float, ctx: dict[Any, Any], args: Any, kwargs: Any) -> Any:
        attempt = None
        with unharmed("start", job_name=self._job_name):
            attempt = self._attempt(ctx)
        try:
            if attempt is not None:
                with unharmed("start", REFUSALS, job_name=self._job_name):
                    await attempt.abegin()
            result = await self._coroutine(ctx, *args, **kwargs)
        except BaseException as error:
            took = asyncio.get_running_loop().time() - began_at
            failure, is_tried_again = self._judge(error, took, ctx.get("job_try", 1))
            await self._end(attempt, failure, is_tried_again=is_tried_again)
            raise
        await self._end(attempt, None)
        return result

    def _attempt(self, ctx: dict[Any, Any]) -> Attempt:
        number = ctx.get("job_try", 1)
        return Attempt(
            self._job_name,
            attempt=number - 1,
            trigger_type=self._trigger,
            context={
                "job_id": ctx.get("job_id"),
                "queue": getattr(ctx.get("redis"), "default_queue_name", None),
                "attempt": number,
            },
            **self._options,
        )

    async def _end(
        self, attempt: Attempt | None, error: BaseException | None, *, is_tried_again: bool = False
    ) -> None:
        with unharmed("finish", job_name=self._job_name):
            if attempt is not None:
                await attempt.aend(error, is_tried_again=is_tried_again)

    def _judge(self, error: BaseException, took: float, number: int) -> tuple[BaseException, bool]:
        """Return what ended the attempt in arq's eyes, and whether arq makes another one."""
        limits = self._limits
        comes_again = limits.retries and number < limits.max_tries
        if isinstance(error, asyncio.CancelledError):
            if limits.timeout is None or took < limits.timeout:
                return error, comes_again  # the worker stops, or somebody aborts the job
            text = f"the job took longer than its timeout of {limits.timeout:g} seconds"
            late = TimeoutError(text).with_traceback(error.__traceback__)
            return late, False
        if isinstance(error, Retry | RetryJob):
            return (error, True) if comes_again else (RetriesExhausted.of(error), False)
        return error, False


class _Startup:
    """Says what is expected of cron jobs when a worker starts, after its own startup."""

    def __init__(
        self,
        choice: Choice,
        crons: Iterable[CronJob],
        tz: str | None,
        then: Callable[[dict[Any, Any]], Awaitable[Any]] | None,
    ) -> None:
        self._choice = choice
        self._crons = tuple(crons) if choice.expects else ()
        self._tz = tz
        self._then = then
        self._schedules = Schedules()

    async def run(self, ctx: dict[Any, Any]) -> None:
        if self._then is not None:  # it may still configure runguard
            await self._then(ctx)
        await asyncio.to_thread(get_ready)
        for cron in self._crons:
            with unharmed("declare", job_name=cron.name):
                self._expect(cron)

    def _expect(self, cron: CronJob) -> None:
        job_name = self._choice.job_name_of(cron.name)
        if job_name is None or is_tracked(cron.coroutine):
            return
        try:
            self._schedules.expect(cron.name, job_name, _rule_of(cron, self._tz))
        except CannotBeSaid as reason:
            self._schedules.tell(job_name, cron, str(reason))


def _rule_of(cron: CronJob, tz: str | None) -> Rule:
    weekday = cron.weekday
    return clock_rule(
        tz=tz,
        minutes=_chosen(cron.minute),
        hours=_chosen(cron.hour),
        days=_chosen(cron.day),
        months=_chosen(cron.month),
        weekdays=[WEEKDAYS.index(weekday)] if isinstance(weekday, str) else _chosen(weekday),
        seconds=range(60) if (seconds := _chosen(cron.second)) is None else seconds,
    )


def _chosen(option: int | Iterable[int] | None) -> list[int] | None:
    """Read a field: None means any."""
    if option is None:
        return None
    return [option] if isinstance(option, int) else sorted(option)


def _get(settings: Any, name: str, *, default: Any = None) -> Any:
    if isinstance(settings, dict):
        return settings.get(name, default)
    return getattr(settings, name, default)


def _set(settings: Any, name: str, value: Any) -> None:
    if isinstance(settings, dict):
        settings[name] = value
    else:
        setattr(settings, name, value)
