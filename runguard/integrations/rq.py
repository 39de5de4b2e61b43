"""RQ: `rq worker -w runguard.integrations.rq.Worker` makes every attempt a run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from itertools import count
from signal import Signals
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import rq.worker
from rq import Retry
from rq.exceptions import ShutDownImminentException
from rq.timeouts import BaseTimeoutException

from .._reasons import ErrorReason
from ._attempts import (
    REFUSALS,
    Attempt,
    Choice,
    RetriesExhausted,
    close_by_key,
    import_ahead,
    is_tracked,
    key_of,
    unharmed,
)
from ._schedules import Schedules, machine_zone

META: Final = "runguard"  # what is kept in a job's `meta`
# What RQ's signals raise in the middle of anything.
_STRIKES: Final = (BaseTimeoutException, ShutDownImminentException)

_schedules = Schedules()
_entries = count()


class WorkHorseDied(Exception):
    """The process that performed the job ended without having said how the job ended."""

    __module__ = "runguard.integrations"


class RetryReturned(Exception):
    """The job returned `rq.Retry`: it wants another attempt, and gets it."""

    __module__ = "runguard.integrations"


class JobStopped(Exception):
    """Somebody had the job stopped while it was performed."""

    __module__ = "runguard.integrations"


class RunsJobs(rq.worker.BaseWorker):
    """Makes every attempt at a job a run; put it before a worker class of RQ.

    Attributes:
        runguard_name: From a function's name to its job's: a function, or a mapping of those that
            differ.
        runguard_only: Functions that become runs, names or patterns such as `app.reports.*`.
            None: all.
        runguard_skip: Functions that do not.
        runguard_options: What `run_scope` takes besides: `cooldown`, `failures_to_alert` and
            `no_alert_on`.

    Added in 0.2.

    >>> class Worker(RunsJobs, rq.worker.RoundRobinWorker):
    ...     runguard_skip = "app.ping"
    """

    runguard_name: Callable[[str], str] | Mapping[str, str] | None = None
    runguard_only: Iterable[str] | str | None = None
    runguard_skip: Iterable[str] | str = ()
    runguard_options: Mapping[str, Any] = MappingProxyType({})

    def bootstrap(self, *args: Any, **kwargs: Any) -> None:
        """Import before the first horse is forked what each of them would import."""
        super().bootstrap(*args, **kwargs)
        import_ahead()

    def prepare_execution(self, job: Any) -> Any:
        """Note which run the execution is, where both the horse and its parent find it."""
        execution = super().prepare_execution(job)
        with unharmed("start", job_id=job.id):
            self._runguard_key = key_of("rq", job.id, execution.id)
            # RQ counts only the retries that are left.
            if job.retries_left is not None and "retries" not in job.meta.get(META, {}):
                _keep(job, retries=job.retries_left)
        return execution

    def perform_job(self, job: Any, queue: Any, *rest: Any) -> bool:
        """Perform the job in a run, which ends when RQ has settled how the job ended."""
        execution = rest[0] if rest else self.execution
        job_name = self._runguard_job_name(job)
        performed = _Performed(job, job_name, execution, self.runguard_options)
        self._runguard_performed = performed
        try:
            return super().perform_job(job, queue, *rest)
        finally:
            performed.end()

    def handle_exception(self, job: Any, *exc_info: Any) -> None:
        """Note what failed the job, and whether it has retries left."""
        if (performed := getattr(self, "_runguard_performed", None)) is not None:
            performed.error, performed.is_tried_again = exc_info[1], job.should_retry
        super().handle_exception(job, *exc_info)

    def handle_work_horse_killed(self, job: Any, retpid: Any, ret_val: Any, rusage: Any) -> None:
        """End the run of a horse that died."""
        reason = _reason_of(ret_val)
        self._runguard_close(job, WorkHorseDied(_death_of(ret_val)), reason, quiet=job.should_retry)
        handle: Any = super().handle_work_horse_killed
        handle(job, retpid, ret_val, rusage)

    def handle_job_failure(self, job: Any, queue: Any, *args: Any, **kwargs: Any) -> None:
        """End the run of a horse that somebody had killed."""
        if self._stopped_job_id == job.id and not self.is_horse:
            error = JobStopped("the job was stopped on request; its work-horse was killed")
            self._runguard_close(job, error, ErrorReason.CANCELLED, quiet=True)
        super().handle_job_failure(job, queue, *args, **kwargs)

    def _runguard_job_name(self, job: Any) -> str | None:
        job_name = None
        with unharmed("start", job_id=job.id):
            choice = Choice(self.runguard_only, self.runguard_skip, type(self).runguard_name)
            job_name = choice.job_name_of(job.func_name)
        return job_name  # noqa: RET504 - that may have failed

    def _runguard_close(
        self, job: Any, error: Exception, reason: ErrorReason, *, quiet: bool
    ) -> None:
        key: UUID | None = getattr(self, "_runguard_key", None)
        job_name = self._runguard_job_name(job)
        with unharmed("finish", job_name=job_name):
            if key is None or job_name is None or job.get_meta().get(META, {}).get("has_own_run"):
                return
            close_by_key(
                key,
                job_name,
                error,
                reason=reason,
                is_tried_again=quiet,
                attempt=_attempt_of(job),
                trigger_type=_trigger_of(job),
                started_at=job.started_at,
                context=_context_of(job),
                **self.runguard_options,
            )


class Worker(RunsJobs, rq.worker.Worker):
    """RQ's `Worker`, whose attempts are runs. Added in 0.2."""


class SimpleWorker(RunsJobs, rq.worker.SimpleWorker):
    """RQ's `SimpleWorker`, whose attempts are runs. Added in 0.2."""


def register(
    func: Callable[..., Any], queue_name: str, *, job_name: str | None = None, **options: Any
) -> Any:
    """Register a cron job as `rq.cron.register` does, and expect its runs when it is due.

    Args:
        func: The function.
        queue_name: The queue of its jobs.
        job_name: The name of its runs, where the worker gives it another one than the function's.
        options: What `rq.cron.register` takes: `cron`, `interval` and others.

    Returns:
        What `rq.cron.register` returns.

    Added in 0.2.
    """
    from rq import cron

    meta = dict(options.pop("meta", None) or {})
    meta[META] = {**meta.get(META, {}), "trigger": "SCHEDULER"}
    registered = cron.register(func, queue_name, meta=meta, **options)
    if not is_tracked(func):
        job_name = job_name or f"{func.__module__}.{func.__name__}"
        with unharmed("declare", job_name=job_name):
            _expect(job_name, options.get("cron"), options.get("interval"))
    return registered


def _expect(job_name: str, cron: str | None, interval: int | None) -> None:
    entry = f"{job_name} {next(_entries)}"
    if interval:
        _schedules.expect(entry, job_name, {"every": timedelta(seconds=interval)})
    elif (zone := machine_zone()) is None:
        _schedules.tell(job_name, cron, "the zone of this machine has no name")
    else:
        _schedules.expect(entry, job_name, {"cron": cron, "tz": zone})


class _Performed:
    """One job while it is performed: the run, and how RQ settles it."""

    def __init__(
        self, job: Any, job_name: str | None, execution: Any, options: Mapping[str, Any]
    ) -> None:
        self.error: BaseException | None = None
        self.is_tried_again = False
        self._job = job
        self._execution = execution
        self._options = options
        self._attempt: Attempt | None = None
        if job_name is not None:
            self._job_name = job_name
            job.perform = self._perform

    def _perform(self) -> Any:
        del self._job.perform  # as it was
        with unharmed("start", (*REFUSALS, *_STRIKES), job_name=self._job_name):
            self._begin()
        result = self._job.perform()
        if isinstance(result, Retry):
            self.is_tried_again = (self._job.number_of_retries or 0) < result.max
            kind = RetryReturned if self.is_tried_again else RetriesExhausted
            self.error = kind(f"the job returned {result!r}")
        return result

    def _begin(self) -> None:
        try:
            is_tracked_already = is_tracked(self._job.func)
        except Exception:  # it cannot be imported: the job fails for that, in its run
            is_tracked_already = False
        if is_tracked_already:
            if not self._job.meta.get(META, {}).get("has_own_run"):
                _keep(self._job, has_own_run=True)
            return
        self._attempt = Attempt(
            self._job_name,
            attempt=_attempt_of(self._job),
            key=key_of("rq", self._job.id, self._execution.id),
            trigger_type=_trigger_of(self._job),
            context=_context_of(self._job),
            **self._options,
        )
        self._attempt.begin()

    def end(self) -> None:
        """End the run as RQ has ended the job."""
        if self._attempt is not None:
            with unharmed("finish", job_name=self._job_name):
                self._attempt.end(self.error, is_tried_again=self.is_tried_again)


def _keep(job: Any, **values: Any) -> None:
    job.meta[META] = {**job.meta.get(META, {}), **values}
    job.save_meta()


def _attempt_of(job: Any) -> int:
    """Return how many attempts came before."""
    retries: int = job.meta.get(META, {}).get("retries", 0)
    return retries - int(job.retries_left or 0) + int(job.number_of_retries or 0)


def _trigger_of(job: Any) -> Any:
    return job.meta.get(META, {}).get("trigger")


def _context_of(job: Any) -> dict[str, Any]:
    return {"job_id": job.id, "queue": job.origin, "attempt": _attempt_of(job) + 1}


def _reason_of(wait_status: int | None) -> ErrorReason:
    if wait_status is None:  # the parent killed it, a minute after its time was up
        return ErrorReason.TIME_LIMIT
    return ErrorReason.KILLED if os.WIFSIGNALED(wait_status) else ErrorReason.EXIT_CODE


def _death_of(wait_status: int | None) -> str:
    if wait_status is None:
        return "the work-horse was killed, since the job went on after its time limit"
    if os.WIFSIGNALED(wait_status):
        return f"the work-horse was killed by {_name_of(os.WTERMSIG(wait_status))}"
    return f"the work-horse ended with exit code {os.waitstatus_to_exitcode(wait_status)}"


def _name_of(signum: int) -> str:
    try:
        return Signals(signum).name
    except ValueError:  # most real-time signals have no name
        return f"signal {signum}"
