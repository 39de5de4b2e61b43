"""What becomes of a record when the store is away: it waits on this machine.

Nothing here raises: a disk that is full or cannot be written is one loud event, and the job runs.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from .._errors import RunguardError, StoreUnavailable
from .._events import RECORD_LOST, SPOOLED, Events, error_text
from .._failure.introspection import qualified_name
from .._models import AlertDraft, RunEnding, SpooledAlert, SpooledRun

if TYPE_CHECKING:
    from .spool import Spool


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


def own_error(trouble: Exception) -> RunguardError:
    """Return what refuses a run that cannot be recorded."""
    if isinstance(trouble, RunguardError):
        return trouble
    error = StoreUnavailable(f"the run could not be recorded: {qualified_name(type(trouble))}")
    error.__cause__ = trouble
    return error
