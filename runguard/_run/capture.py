"""What is captured of every run of this process besides what it is told: code, trace, log."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

from .._failure.introspection import attribute
from . import log_tail
from .version import find_version

if TYPE_CHECKING:
    from uuid import UUID

    from .._events import Events
    from .._models import RunEnding, TriggerType
    from .._settings import Settings

_ID: Final = "[0-9a-f]{32}"


class CapturedRun(log_tail.LoggedRun, Protocol):
    """A run, with its ids in other places."""

    id: int | None
    key: UUID
    job_name: str
    trigger_type: TriggerType
    _ids: dict[str, str] | None
    _observed: Sequence[Any]


class Observed(Protocol):
    """One run as something else sees it. All is called in the run's own context, one at a time."""

    trace_id: str | None

    def enter(self) -> None:
        """The body begins."""
        ...

    def leave(self) -> None:
        """The body has ended."""
        ...

    def end(self, run: Any, ending: RunEnding) -> None:
        """The run is written, or refused."""
        ...


class Capture:
    """Made once in a process, before its first run.

    Attributes:
        observers: make an `Observed` of each run before its row is written.
        version: of the code that runs; None where nothing says it.
    """

    observers: ClassVar[list[Callable[[Any], Observed]]] = []

    def __init__(self, settings: Settings, events: Events) -> None:
        """Find out what stays the same for all runs."""
        self.version = find_version(settings, os.environ, events)
        self._captures_logs = settings.capture_logs
        self._events = events

    def start(self, run: CapturedRun) -> str | None:
        """Let observers see a run that is about to begin; return the trace that it is part of."""
        trace_id = self.trace_id()
        for observe in self.observers:
            with self._guarded(run):
                run._observed = (*run._observed, observed := observe(run))
                trace_id = observed.trace_id or trace_id
        return trace_id

    def begin(self, run: CapturedRun, innermost: log_tail.Innermost) -> None:
        """Capture from now on what belongs to this run; in the context of its body."""
        if self._captures_logs:
            log_tail.begin(run, innermost)
        if (sentry := sys.modules.get("sentry_sdk")) is not None:
            event_id = sentry_event_id(sentry)  # of something before this run
            run._ids = None if event_id is None else {"sentry_event_id": event_id}
        for observed in run._observed:
            with self._guarded(run):
                observed.enter()

    def leave(self, run: CapturedRun) -> None:
        """Note the run's ids in other places; in the context of its body, which has ended."""
        if (sentry := sys.modules.get("sentry_sdk")) is not None:
            event_id = sentry_event_id(sentry)
            earlier, run._ids = run._ids, None
            if event_id is not None and event_id != (earlier or {}).get("sentry_event_id"):
                run._ids = {"sentry_event_id": event_id}
        for observed in reversed(run._observed):
            with self._guarded(run):
                observed.leave()

    def end(self, run: CapturedRun, ending: RunEnding) -> None:
        """Tell observers how the run ended, once."""
        seen, run._observed = run._observed, ()
        for observed in seen:
            with self._guarded(run):
                observed.end(run, ending)

    @contextmanager
    def _guarded(self, run: CapturedRun) -> Iterator[None]:
        try:
            yield
        except Exception as fault:  # what only looks on never hurts the job
            self._events.internal_error("observe", fault, job_name=run.job_name, run_id=run.id)

    @staticmethod
    def trace_id() -> str | None:
        """Return the trace of the caller's current OpenTelemetry span; None where there is none."""
        if (trace := sys.modules.get("opentelemetry.trace")) is None:
            return None
        return trace_id_of(trace)


def trace_id_of(trace: object) -> str | None:
    """Return the current trace as 32 hexadecimal digits. Never raises."""
    try:
        number = attribute(trace, "get_current_span")().get_span_context().trace_id
        return f"{number:032x}" if 0 < number < 2**128 else None
    except Exception:  # of another library's
        return None


def sentry_event_id(sentry: object) -> str | None:
    """Return the event that Sentry was last told in this context, as it names it. Never raises."""
    try:
        event_id = attribute(sentry, "last_event_id")()
    except Exception:  # of another library's
        return None
    return event_id if isinstance(event_id, str) and re.fullmatch(_ID, event_id) else None
