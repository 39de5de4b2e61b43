"""What becomes of a record when the store is away: it waits on this machine.

Nothing here raises: a disk that is full or cannot be written is one loud event, and the job runs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from .._clock import now
from .._errors import RunguardError, StoreUnavailable
from .._events import RECORD_LOST, SPOOLED, Events, error_text
from .._failure.introspection import qualified_name
from .._models import NOBODY, AlertDraft, NewRun, RunEnding, SpooledAlert, SpooledRun

if TYPE_CHECKING:
    from .spool import Spool


class RefusableLife(Protocol):
    """The life of a run that may be kept from beginning."""

    _options: Any
    _settings: Any
    _lease: Any
    _started_at: datetime

    @property
    def _new(self) -> NewRun: ...

    def ending_of(self, exc: BaseException | None) -> RunEnding:
        """Judge how a body ended."""
        ...

    def _keep(self, record: SpooledRun) -> None: ...

    def _whole(self, ending: RunEnding, finished_at: datetime) -> SpooledRun: ...

    def _release_lock(self) -> None: ...


def keep(
    spool: Callable[[], Spool],
    record: SpooledRun | SpooledAlert,
    events: Events,
    *,
    is_told: bool = False,
    **names: object,
) -> bool:
    """Write a record to the spool; return whether it is lost, told once for each run."""
    try:
        path = spool().put(record)
    except Exception as trouble:  # of ours or of the store: the job goes on
        if not is_told:
            events.emit(RECORD_LOST, error=error_text(trouble), **names)
        return True
    events.emit(SPOOLED, file=str(path), **names)
    return False


def dated(draft: AlertDraft, occurred_at: datetime) -> AlertDraft:
    """Say in an alert's detail when it occurred: it will be dated when it is replayed."""
    return draft._replace(detail={**draft.detail, "occurred_at": occurred_at.isoformat()})


def dated_ending(ending: RunEnding, finished_at: datetime) -> RunEnding:
    """The same for the alert of a run that failed."""
    if ending.alert is None:
        return ending
    return ending._replace(alert=dated(ending.alert, finished_at))


def outlive(life: RefusableLife, trouble: Exception) -> RunguardError | None:
    """Keep what the store could not be told of a start; return what refuses the run."""
    # Nothing is wrong with the job; but it must not run without its lock, or unrecorded.
    lock_is_missing = life._options.lock and life._lease is None
    if not (lock_is_missing or life._settings.outage_policy == "refuse"):
        life._keep(SpooledRun(life._new, life._started_at))
        return None
    life._release_lock()
    refusal = own_error(trouble)
    ending = life.ending_of(refusal)._replace(refused_by=NOBODY)
    life._keep(life._whole(ending, now()))
    return refusal


def own_error(trouble: Exception) -> RunguardError:
    """Return what refuses a run that cannot be recorded."""
    if isinstance(trouble, RunguardError):
        return trouble
    error = StoreUnavailable(f"the run could not be recorded: {qualified_name(type(trouble))}")
    error.__cause__ = trouble
    return error
