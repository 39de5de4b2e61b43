"""procrastinate: `runguard.integrations.procrastinate.install(app)` makes every attempt a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import timedelta
from functools import wraps
from typing import Any

from procrastinate import App, exceptions
from procrastinate.job_context import AbortReason, JobContext

from .._models import TriggerType
from ._attempts import REFUSALS, Attempt, Choice, WorkerStopped, get_ready, is_tracked, unharmed
from ._schedules import Schedules


def install(
    app: App,
    *,
    only: Iterable[str] | str | None = None,
    skip: Iterable[str] | str = (),
    name: Callable[[str], str] | Mapping[str, str] | None = None,
    expect_schedule: bool = True,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> None:
    """Make every attempt at a job a run, and expect periodic tasks when their cron says.

    Call it where the app is made. A worker that is started with a `worker_middleware` of its own
    needs `app.worker_defaults["worker_middleware"]` in it. A further call replaces the first one's
    choice.

    Args:
        app: The app, whose workers are to record.
        only: Tasks that become runs, names or patterns such as `app.reports.*`. None: all.
        skip: Tasks that do not.
        name: From a task's name to its job's: a function, or a mapping of those that differ.
        expect_schedule: Whether the worker declares its schedule as what is expected of the jobs.
        cooldown: As of `run_scope`.
        failures_to_alert: As of `run_scope`.
        no_alert_on: As of `run_scope`.

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
    middleware = [*(app.worker_defaults.get("worker_middleware") or ())]
    for known in middleware:
        if isinstance(known, _Runs):
            known.choice = choice
            return
    runs = _Runs(choice)
    app.worker_defaults["worker_middleware"] = [runs, *middleware]
    run_worker = app.run_worker_async

    @wraps(run_worker)
    async def run_worker_async(**options: Any) -> None:
        app.perform_import_paths()  # type: ignore[no-untyped-call]
        await asyncio.to_thread(get_ready)
        runs.declare_schedule(app)
        await run_worker(**options)

    app.run_worker_async = run_worker_async  # type: ignore[method-assign] # no hook is nearer


class _Runs:
    """A middleware of workers that processes every job in a run."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        self._schedules = Schedules()

    async def __call__(
        self, call_next: Callable[[], Awaitable[Any]], context: JobContext, _worker: object
    ) -> Any:
        job_name = context.job.task_name
        attempt = None
        with unharmed("start", job_name=job_name):
            attempt = self._attempt(context)
        if attempt is None:
            return await call_next()
        try:
            with unharmed("start", REFUSALS, job_name=job_name):
                await attempt.abegin()
            result = await call_next()
        except BaseException as error:
            failure, is_tried_again = error, False
            with unharmed("finish", job_name=job_name):  # it asks the task's own retry strategy
                failure, is_tried_again = _judge(error, context)
            with unharmed("finish", job_name=job_name):
                await attempt.aend(failure, is_tried_again=is_tried_again)
            raise
        with unharmed("finish", job_name=job_name):
            await attempt.aend(None)
        return result

    def _attempt(self, context: JobContext) -> Attempt | None:
        job, task = context.job, context.task
        job_name = self.choice.job_name_of(job.task_name)
        if job_name is None or is_tracked(task.func):
            return None
        return Attempt(
            job_name,
            attempt=job.attempts,
            trigger_type=TriggerType.SCHEDULER if _is_periodic(context) else None,
            context={"job_id": job.id, "queue": job.queue, "attempt": job.attempts + 1},
            **self.choice.options,
        )

    def declare_schedule(self, app: App) -> None:
        """Say when periodic tasks start."""
        if not self.choice.expects:
            return
        for (name, entry), periodic in app.periodic_registry.periodic_tasks.items():
            with unharmed("declare", job_name=name):
                job_name = self.choice.job_name_of(name)
                if job_name is not None and not is_tracked(periodic.task.func):
                    rule = {"cron": periodic.cron, "tz": "UTC"}  # the zone of procrastinate's crons
                    self._schedules.expect(f"{name} {entry}", job_name, rule)


def _is_periodic(context: JobContext) -> bool:
    """Whether the job comes from a cron: procrastinate gives such jobs the time that was due."""
    periodic = context.app.periodic_registry.periodic_tasks
    return "timestamp" in context.job.task_kwargs and any(
        name == context.job.task_name for name, _ in periodic
    )


def _judge(error: BaseException, context: JobContext) -> tuple[BaseException, bool]:
    """Return what ended the attempt, and whether the worker makes another one."""
    reason = context.abort_reason()
    is_aborted = isinstance(error, exceptions.JobAborted)
    if is_aborted and reason is not AbortReason.SHUTDOWN:
        return error, False
    if context.task.get_retry_exception(exception=error, job=context.job) is not None:
        return error, True
    if isinstance(error, asyncio.CancelledError) and reason is AbortReason.USER_REQUEST:
        aborted = exceptions.JobAborted("the job was aborted on request")
        return aborted.with_traceback(error.__traceback__), False
    if reason is AbortReason.SHUTDOWN and (is_aborted or isinstance(error, asyncio.CancelledError)):
        text = "the worker stopped before the job had ended; procrastinate does not run it again"
        return WorkerStopped(text).with_traceback(error.__traceback__), False
    return error, False
