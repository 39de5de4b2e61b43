"""A queue's attempt at a task as a run: what the integrations of queues have in common.

The worker begins an attempt before the task's body and ends it after. Where the worker died in
between, whoever survived closes the run by its key, which both know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from .._api import runtime
from .._errors import RunguardError, SchemaOutOfDate, StoreUnavailable
from .._failure.alert import SEVERITY_OF
from .._failure.classify import classify
from .._frozen import frozen
from .._models import ErrorGroup, Failure, FinishedRun, RunEnding, TriggerType
from .._reasons import ErrorReason
from .._run.decorator import TRACKED
from .._run.embedded import embedded_url
from .._run.handle import DeclaredFailure, Run
from .._run.lifecycle import Lifecycle
from .._run.options import make_options
from .._run.run_key import new_run_key
from .._run.scope import RunScope

if TYPE_CHECKING:
    from .._models import TriggerTypeName
    from .._run.runtime import Runtime

REFUSALS: Final = (StoreUnavailable, SchemaOutOfDate)
"""What a run that must not begin unrecorded raises, with `outage_policy="refuse"`."""

# What a run loads when it needs it.
_LOADED_LATER: Final = (
    *("capture", "channels_here", "log_tail", "opening", "outage", "outcome", "own_alert"),
    *("reaper", "reserve", "spool_places", "unknown_names", "version"),
)
_KEYS: Final = UUID("6a0f5c0e-5d0f-4c39-9c1b-1a4f6f0f7d11")


def key_of(queue: str, task_id: str, attempt: int | str) -> UUID:
    """Return the key of the run of one attempt, the same in every process.

    A key is used once: where a queue delivers an attempt again, that needs another one.

    Args:
        queue: The library, such as `celery`.
        task_id: Its id of the task.
        attempt: 0 for the first one; or a text that no other delivery of the task has.
    """
    return uuid5(_KEYS, f"{queue}:{task_id}:{attempt}")


def is_tracked(function: object) -> bool:
    """Whether every call is a run already, by `@tracked_run`: then its attempts get no second one.

    Also where other decorators stand above it, as long as they use `functools.wraps`.
    """
    while isinstance(function, partial):
        function = function.func
    return getattr(function, TRACKED, False) is True


def get_ready() -> None:
    """Have all imported that a run needs, before a time limit of a task counts it. Never raises.

    The settings are fixed from here on.
    """
    with unharmed("start"):
        runtime.first_use()


def import_ahead() -> None:
    """Have imported what runs need, for the children that this process forks. Never raises.

    Nothing is fixed: a module of theirs may still configure runguard.
    """
    with unharmed("start"):
        for name in _LOADED_LATER:
            import_module(f"runguard._run.{name}")

        settings = runtime.settings_so_far()
        if settings.engine is None:
            url = settings.database_url or embedded_url()
            runtime.stores.open(url=url, engine=None, max_connections=1, patience=1.0)


@contextmanager
def unharmed(
    step: str, passing: tuple[type[BaseException], ...] = (), /, **names: object
) -> Iterator[None]:
    """Let no fault of runguard's own reach the worker: it is one `runguard.internal_error`.

    Args:
        step: What failed, as the event says it.
        passing: What goes on: refusals, and what a signal of the queue raises anywhere.
        names: Further fields of the event.
    """
    try:
        yield
    except passing:
        raise
    except Exception as trouble:
        runtime.events.internal_error(step, trouble, **names)


@frozen
class Choice:
    """Which tasks become runs, under which names, and with which options.

    Attributes:
        only: Names of tasks, or patterns such as `reports.*`; None: all.
        skip: The same, of those that do not.
        name: From a task's name to its job's: a function, or a mapping of those that differ.
        options: What `run_scope` takes besides, of all of them.
        expects: Whether the queue's schedules are what is expected of the jobs.
    """

    only: Iterable[str] | str | None = None
    skip: Iterable[str] | str = ()
    name: Callable[[str], str] | Mapping[str, str] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    expects: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be used, where it was written."""
        make_options("task", **self.options)
        for which in ("only", "skip"):
            if (given := getattr(self, which)) is not None:
                patterns = (given,) if isinstance(given, str) else tuple(given)
                if not all(isinstance(pattern, str) for pattern in patterns):
                    raise TypeError(f"{which}: expected names of tasks, found {given!r}")
                object.__setattr__(self, which, patterns)
        if not (self.name is None or callable(self.name) or isinstance(self.name, Mapping)):
            raise TypeError(f"name: expected a function or a mapping, found {self.name!r}")

    def job_name_of(self, task_name: str) -> str | None:
        """Return the name of this task's job; None where the task does not become runs."""
        if self.only is not None and not _matches(task_name, self.only):
            return None
        if _matches(task_name, self.skip):
            return None
        if callable(self.name):
            return self.name(task_name)
        return task_name if self.name is None else self.name.get(task_name, task_name)


def _matches(task_name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(task_name, pattern) for pattern in patterns)


class WorkerStopped(Exception):
    """A worker stopped before its task had ended, and nobody makes another attempt."""

    __module__ = "runguard.integrations"


class RetriesExhausted(Exception):
    """A task asked for another attempt and has none left: this is its failure that alerts."""

    __module__ = "runguard.integrations"

    @classmethod
    def of(cls, asked: BaseException) -> RetriesExhausted:
        """Return it for the exception by which the task asked, which stays its cause."""
        error = cls(f"no attempt is left: {asked}").with_traceback(asked.__traceback__)
        error.__cause__ = asked
        return error


class _Shared(Lifecycle):
    """The life of a run that another process may have ended before, and told it."""

    def _tell(self, ending: RunEnding, finished: FinishedRun) -> None:
        if finished.recorded:
            super()._tell(ending, finished)


class _SharedScope(RunScope):
    lifecycle = _Shared


class Attempt:
    """One attempt at a task as a run, from the worker's signals before and after its body."""

    def __init__(
        self,
        job_name: str,
        *,
        attempt: int = 0,
        key: UUID | None = None,
        trigger_type: TriggerType | TriggerTypeName | None = None,
        context: Mapping[str, Any] | None = None,
        recorder: Runtime = runtime,
        **options: Any,
    ) -> None:
        """Take what `run_scope` takes; nothing is written yet.

        A further attempt is a RETRY, whatever started the first one. The context is kept with a
        run that fails: such as the task's id and its queue, without what is None. The recorder is
        another one than the process's where nothing is to be stored.
        """
        self._attempt = attempt
        self._context = context
        trigger = TriggerType.RETRY if attempt else trigger_type
        made = make_options(job_name, trigger_type=trigger, **options)
        key = key or new_run_key()
        self._scope = _SharedScope(replace(made, key=key), recorder)
        self._close_whole = partial(
            close_by_key, key, job_name, attempt=attempt, trigger_type=trigger, context=context
        )
        self._options = options
        self._is_struck = False
        self.run: Run | None = None
        self.is_open = False

    def begin(self) -> Run:
        """Write the RUNNING row; `current_run()` returns the run from here on.

        Raises:
            JobLockActive: With `lock=True`, another run holds the lock.
        """
        with self._noting_strikes():
            return self._begun(self._scope.__enter__())

    async def abegin(self) -> Run:
        """Do as `begin`, off the event loop."""
        with self._noting_strikes():
            return self._begun(await self._scope.__aenter__())

    def end(self, error: BaseException | None, *, is_tried_again: bool = False) -> None:
        """End the run as its body ended; nothing is done where it has ended, or never began.

        Where a time limit struck while the run began, the whole run is written.

        Args:
            error: What left the body, or None.
            is_tried_again: Whether the queue makes another attempt: this one then raises no alert.
        """
        if self._is_ending(error, is_tried_again=is_tried_again):
            self._scope.__exit__(*_raised(error))
        elif self._is_struck and error is not None:
            self._close_whole(error, is_tried_again=is_tried_again, **self._options)

    async def aend(self, error: BaseException | None, *, is_tried_again: bool = False) -> None:
        """Do as `end`, off the event loop."""
        if self._is_ending(error, is_tried_again=is_tried_again):
            await self._scope.__aexit__(*_raised(error))
        elif self._is_struck and error is not None:
            close = partial(self._close_whole, error, is_tried_again=is_tried_again)
            await asyncio.to_thread(close, **self._options)

    @contextmanager
    def _noting_strikes(self) -> Iterator[None]:
        try:
            yield
        except RunguardError:  # it is recorded as refused, or cannot be
            raise
        except BaseException:
            self._is_struck = True
            raise

    def _begun(self, run: Run) -> Run:
        self.run = run
        self.is_open = True
        run.retry_count = self._attempt
        return run

    def _is_ending(self, error: BaseException | None, *, is_tried_again: bool) -> bool:
        if self.run is None or not self.is_open:
            return False
        self.is_open = False
        self.run._is_tried_again = is_tried_again
        if error is not None or self.run._declared is not None:
            _keep_context(self.run, self._context)
        return True


def _raised(error: BaseException | None) -> tuple[Any, Any, Any]:
    return (None, None, None) if error is None else (type(error), error, error.__traceback__)


def _keep_context(run: Run, context: Mapping[str, Any] | None) -> None:
    known = {name: value for name, value in (context or {}).items() if value is not None}
    if known:
        run.note(**known)


def close_by_key(
    key: UUID,
    job_name: str,
    error: BaseException,
    *,
    message: str | None = None,
    reason: ErrorReason | None = None,
    is_tried_again: bool = False,
    attempt: int = 0,
    trigger_type: TriggerType | TriggerTypeName | None = None,
    started_at: datetime | None = None,
    context: Mapping[str, Any] | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    **options: Any,
) -> None:
    """End a run FAILED in the place of its worker, which died. Never raises.

    The alert is raised by the same statement as for every failure. A run that has ended keeps its
    end. Where the store has no row of the run, or is away, the whole run is written from what is
    given here, or waits in the spool.

    Args:
        key: The key that its attempt was given.
        job_name: As its attempt was given it, likewise the trigger, the attempt and the options.
        error: What the queue says of the end, such as its WorkerLostError.
        message: What the run says of it, where the error's own text says little.
        reason: What ended it, where the error's type does not say: `killed`, `time_limit`,
            `lost` or `cancelled`.
        is_tried_again: Whether the queue makes another attempt: this one then raises no alert.
        attempt: 0 for the first one.
        trigger_type: What started the first one.
        started_at: When it began, aware, where no row may tell. None: now.
        context: What is kept with it.
        no_alert_on: Types of `error` that raise no alert.
        options: Others that `run_scope` takes.
    """
    with unharmed("finish", job_name=job_name):
        trigger = TriggerType.RETRY if attempt else trigger_type
        made = make_options(job_name, trigger_type=trigger, no_alert_on=no_alert_on, **options)
        alerts = not (is_tried_again or isinstance(error, made.no_alert_on))
        scope = _SurvivorScope(replace(made, key=key), runtime)
        failure = _failure_of(error, message, reason)
        scope.close(failure, alerts=alerts, attempt=attempt, started_at=started_at, context=context)


class _Survivor(_Shared):
    """The end of a run whose beginning another process has written."""

    def _write(self, ending: RunEnding, finished_at: datetime) -> FinishedRun:
        finished = self._ask(self._runtime.store().finish_run, ending)
        if finished.recorded or finished.earlier is not None:
            self.run.id = finished.run_id
            return finished
        return super()._write(ending, finished_at)  # its beginning waits in a spool, if anywhere


class _SurvivorScope(RunScope):
    lifecycle = _Survivor

    def close(
        self,
        failure: Failure,
        *,
        alerts: bool,
        attempt: int,
        started_at: datetime | None,
        context: Mapping[str, Any] | None,
    ) -> None:
        life = self._begin()
        life._started_at = started_at or life._started_at
        life.run.retry_count = attempt
        life.run._declared = DeclaredFailure(failure, None, alerts)
        _keep_context(life.run, context)
        self._do(partial(life.close, None), life.time_to_close())


def _failure_of(error: BaseException, message: str | None, reason: ErrorReason | None) -> Failure:
    settings = runtime.first_use()
    clean = settings.redactor.clean
    failure = classify(error, rules=settings.rules, clean=clean)
    if message is not None:
        failure = replace(failure, error_message=clean(message))
    if reason is None or failure.matched_rule is not None:
        return failure
    if reason is ErrorReason.TIME_LIMIT and failure.error_group is ErrorGroup.UNKNOWN:
        group = ErrorGroup.TIMEOUT
        failure = replace(failure, error_group=group, severity=SEVERITY_OF[group])
    return replace(failure, error_reason=reason)
