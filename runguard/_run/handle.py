"""`Run`, the handle that the body of a run is given."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar, overload

from .._clock import ticks
from .._errors import did_you_mean
from .._failure.introspection import place_of, text_from
from .._frozen import NamedTuple
from .._models import (
    AlertOutcome,
    AlertVerdict,
    Failure,
    RunNote,
    RunStatus,
    Severity,
    SeverityName,
    TriggerType,
)
from .run_key import new_run_key

if TYPE_CHECKING:
    from uuid import UUID

    import structlog

    from .run_note import Kept
    from .runtime import Runtime
    from .task import Done, Work

COUNTERS: Final = ("total_records", "changed_records", "created_alerts", "retry_count")

T = TypeVar("T")


class DeclaredFailure(NamedTuple):
    """A failure that is not an exception, and where it was declared.

    `note` has what is known of it where another process failed: its traceback, its last lines.
    """

    failure: Failure
    location: str | None
    alerts: bool = True
    note: RunNote | None = None


# What every run has when it is made.
_AT_FIRST: Final = (
    ("id", None),
    ("status", RunStatus.RUNNING),
    ("fence", None),
    ("lock_lost", False),
    *((name, 0) for name in COUNTERS),
    ("_declared", None),
    ("_is_tried_again", False),
    ("_observed", ()),
    *((name, None) for name in ("_log", "_kept", "_ids", "_lines", "_progress")),
)
innermost_run: ContextVar[Run | None] = ContextVar("runguard_run", default=None)


class Run:
    """The handle of a run. `run_scope` gives it to the block, `current_run` to any code inside.

    Attributes:
        id: Id of its row in `run_log`. None while no row exists: the store is away.
        key: UUID of the run, made in this process; the same as `run_log.run_key`.
        job_name: The job's name.
        trigger_type: What started the run.
        status: RUNNING inside the scope, then SUCCESS or FAILED.
        fence: With `lock=True`, a number that grows with each holder of the lock; else None.
        lock_lost: Whether another run has taken the lock over meanwhile.
        total_records: Counter of the job, 0 or more, to set or add to: records seen.
        changed_records: Counter of the job: records changed.
        created_alerts: Counter: alerts of this run. `emit_alert` adds to it.
        retry_count: Counter of the job: further tries.

    Setting any other attribute is an `AttributeError`: a mistyped counter would count nothing.

    Added in 0.1.
    """

    __slots__ = (
        *("id", "key", "job_name", "trigger_type", "status", "fence", "lock_lost"),
        *COUNTERS,
        *("_cooldown", "_declared", "_is_tried_again", "_log", "_outer", "_runtime"),
        *("_ids", "_kept", "_lines", "_observed", "_progress"),
        "__weakref__",
    )

    id: int | None
    key: UUID
    job_name: str
    trigger_type: TriggerType
    status: RunStatus
    fence: int | None
    lock_lost: bool
    total_records: int
    changed_records: int
    created_alerts: int
    retry_count: int
    _cooldown: timedelta
    _declared: DeclaredFailure | None
    _is_tried_again: bool  # whether a queue makes another attempt: it alerts if it fails
    _outer: Run | None
    _runtime: Runtime
    _log: structlog.stdlib.BoundLogger | None
    _kept: Kept | None  # what the job said of the run
    _ids: dict[str, str] | None  # in other places, such as Sentry
    _lines: deque[Any] | None  # that it logged last
    _observed: Sequence[Any]
    _progress: tuple[int, int | None] | None

    def __init__(
        self,
        *,
        key: UUID,
        job_name: str,
        trigger_type: TriggerType,
        cooldown: timedelta,
        outer: Run | None,
        runtime: Runtime,
    ) -> None:
        """Made by `run_scope`, not by users."""
        put = object.__setattr__  # ours looks after names, which takes its time
        for name, value in _AT_FIRST:
            put(self, name, value)
        put(self, "key", key)
        put(self, "job_name", job_name)
        put(self, "trigger_type", trigger_type)
        put(self, "_cooldown", cooldown)
        put(self, "_outer", outer)
        put(self, "_runtime", runtime)

    def __repr__(self) -> str:
        """Say which run it is and how it stands."""
        return f"<Run {self.job_name!r} id={self.id} {self.status}>"

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse what a run does not have, and name what was most likely meant."""
        try:
            object.__setattr__(self, name, value)
        except AttributeError:
            if name in dir(type(self)):
                raise
            raise AttributeError(_no_such(name), name=name, obj=self) from None

    if not TYPE_CHECKING:  # else type checkers would believe that a run has every name

        def __getattr__(self, name: str) -> object:
            """Name what was most likely meant, since `run.totl_records += 1` reads it first."""
            raise AttributeError(_no_such(name), name=name, obj=self)

    @property
    def log(self) -> structlog.stdlib.BoundLogger:
        """A structlog logger that knows `run_id` and `job_name`; made on first use."""
        if self._log is None:
            from .run_logger import bound_logger

            self._log = bound_logger(run_id=self.id, job_name=self.job_name)
        return self._log

    def fail(self, reason: str, *, http_status_code: int | None = None) -> None:
        """Mark the run FAILED at exit, although nothing is raised: a partial failure.

        The last call counts. An exception that leaves the scope replaces it.

        Args:
            reason: What went wrong. It becomes the run's message, and is classified as text.
            http_status_code: Status that the upstream answered, 400 to 599, or None.

        Raises:
            RuntimeError: The run has ended.

        Added in 0.1.

        >>> with run_scope("enrolment_sync") as run:
        ...     run.fail("3 of 10 pages failed: HTTP 503")
        """
        self._must_be_open("fail")
        from .._failure.classify import classify_text

        caller = sys._getframe(1)
        failure = classify_text(
            text_from(reason),
            http_status_code=http_status_code,
            clean=self._runtime.first_use().redactor.clean,
        )
        self._declared = DeclaredFailure(failure, place_of(caller, caller.f_lineno))

    def emit_alert(
        self,
        alert_type: str,
        *,
        source_type: str,
        source_id: str,
        severity: Severity | SeverityName,
        title: str,
        message: str,
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Raise an alert of the job's own. It is committed at once, however the run ends.

        Args:
            alert_type: Kind of the alert, such as `NEW`. With the next two, the cooldown's key.
            source_type: Kind of what it is about, such as `student`.
            source_id: Which one.
            severity: `low`, `medium` or `high`; any other word is logged, and taken as `high`.
            title: One line.
            message: The text.
            detail: More, as JSON can hold it.

        Returns:
            True where it was written. False where the cooldown suppressed it, or the store is
            away (then it waits in the spool, and an event says so).

        Raises:
            RuntimeError: The run has ended.

        Added in 0.1.
        """
        key = (source_type, source_id, alert_type)
        said = {"severity": severity, "title": title, "message": message, "detail": detail}
        work = self._alert_work(key=key, **said)
        done = self._runtime.writers().run(work, seconds=self._seconds_for_alert())
        return self._count_alert(done)

    async def aemit_alert(
        self,
        alert_type: str,
        *,
        source_type: str,
        source_id: str,
        severity: Severity | SeverityName,
        title: str,
        message: str,
        detail: Mapping[str, Any] | None = None,
    ) -> bool:
        """Raise an alert as `emit_alert` does, off the event loop. Added in 0.1."""
        key = (source_type, source_id, alert_type)
        said = {"severity": severity, "title": title, "message": message, "detail": detail}
        work = self._alert_work(key=key, **said)
        done = await self._runtime.writers().run_off_loop(work, seconds=self._seconds_for_alert())
        return self._count_alert(done)

    def note(self, /, **values: Any) -> None:
        """Keep what the run is about: `run.note(term="2026S", page=3)`.

        A name that is noted again keeps its last value. Together they are small: 4 KiB as JSON,
        without secrets; what is more is left out, and an event says so.

        Raises:
            RuntimeError: The run has ended.

        Added in 0.2.
        """
        self._must_be_open("note")
        self._keeping().add(values, self._runtime.first_use().redactor)

    def link(self, name: str, url: str) -> None:
        """Keep a link: `run.link("report", "https://…")`. Only http and https are kept.

        Raises:
            RuntimeError: The run has ended.

        Added in 0.2.
        """
        self._must_be_open("link")
        self._keeping().add_link(name, url)

    def progress(self, done: int, total: int | None = None) -> None:
        """Say how far the run is. It costs no more than setting an attribute.

        The next heartbeat writes it, or the end of the run. `total` is None where it is not known.

        Raises:
            RuntimeError: The run has ended.

        Added in 0.2.
        """
        self._must_be_open("progress")
        self._progress = (done, total)

    @overload
    def track(self, items: Iterable[T], total: int | None = None) -> Iterator[T]: ...
    @overload
    def track(self, items: AsyncIterable[T], total: int | None = None) -> AsyncIterator[T]: ...
    def track(self, items: Any, total: int | None = None) -> Any:
        """Go through items, and say how far the run is: `for page in run.track(pages):`.

        Args:
            items: An iterable, or an asynchronous one for `async for`.
            total: How many there are. None: their `len()`, where they have one.

        Added in 0.2.
        """
        from .tracking import tracked

        return tracked(self, items, total)

    def _keeping(self) -> Kept:
        if self._kept is None:
            from .run_note import Kept

            self._kept = self._kept or Kept()
        return self._kept

    def _alert_work(self, **said: Any) -> Work[AlertVerdict | None]:
        self._must_be_open("emit_alert")
        said |= {"uuid": new_run_key(), "cooldown": self._cooldown}
        deadline = ticks() + self._seconds_for_alert()

        def work(trouble: Exception | None = None, /) -> AlertVerdict | None:
            from .own_alert import raise_or_keep  # a process that is short of files may not

            return raise_or_keep(self, self._runtime, deadline, trouble, **said)

        return work

    def _count_alert(self, done: Done[AlertVerdict | None]) -> bool:
        raised = done.result is not None and done.result.outcome is AlertOutcome.RAISED
        self.created_alerts += raised
        if done.interruption is not None:
            raise done.interruption
        return raised

    def _seconds_for_alert(self) -> float:
        return self._runtime.first_use().store_timeout.total_seconds() / 2

    def _must_be_open(self, what: str) -> None:
        if self.status is not RunStatus.RUNNING:
            raise RuntimeError(f"{what}() was called on a run that has ended: {self!r}")


def current_run() -> Run | None:
    """Return the innermost open run of this thread or task, or None where there is none.

    Child tasks and `asyncio.to_thread` inherit it. A run that has ended is never returned.

    Added in 0.1.
    """
    return open_run_from(innermost_run.get())


def open_run_from(run: Run | None) -> Run | None:
    """Return this run, or the nearest one around it that is still open."""
    while run is not None and run.status is not RunStatus.RUNNING:
        run = run._outer
    return run


def _no_such(name: str) -> str:
    hint = did_you_mean(name, COUNTERS)
    return f"a Run has no {name!r}{hint}: its counters are {', '.join(COUNTERS)}"
