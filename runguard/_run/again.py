"""A failure that came before, judged in the thread that it came in.

As `outcome` judges it, but nothing is loaded, printed or caught: an exception may strike between
any two steps, as in `here`. Where there is more to do, a writer does it.
"""

from __future__ import annotations

import linecache
import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from .._clock import ticks
from .._failure.repeated import Known, mark_of, recall_unguarded
from .._models import Counters, RunEnding, RunNote
from .outcome import Outcome, alert_of, outcome_of
from .surroundings import home_folder, ids_of

if TYPE_CHECKING:
    from .._settings import Settings
    from .handle import Run


LOOK_AGAIN_SECONDS: Final = 1.0
_WHOLE_ENTRY: Final = 4  # size, time of change, lines and path; another is still to be read


class FailedLife(Protocol):
    """The life of a run whose body has raised."""

    run: Run
    _cooldown: timedelta
    _options: Any
    _settings: Settings


def judge_again(exc: BaseException, life: FailedLife, counters: Counters) -> RunEnding | None:
    """Return the ending of a run that has failed as one before it; None where a writer is to say.

    Args:
        exc: what the body has raised.
        life: the run.
        counters: what it has counted.
    """
    run, settings = life.run, life._settings
    if run._kept is not None or run._progress is not None or run._lines:
        return None
    mark = mark_of(exc, home_folder())
    found = mark and recall_unguarded(mark, settings)
    if found is None or not _is_as_it_was(found[1]):
        return None
    options = life._options
    outcome = outcome_of(exc, trigger_type=run.trigger_type, no_alert_on=options.no_alert_on)
    if outcome is Outcome.SUCCESS:
        return None
    judged, alert = found[0], None
    if outcome is Outcome.FAILED and not run._is_tried_again:
        alert = alert_of(
            run,
            judged,
            settings=settings,
            cooldown=life._cooldown,
            failures_to_alert=options.failures_to_alert or settings.failures_to_alert,
        )
    ids, note = ids_of(run._ids), None
    if judged.traceback is not None or ids:
        note = RunNote(judged.traceback, context=ids or None)
    return RunEnding(run.key, counters, judged.failure, judged.location, alert, note=note)


def _is_as_it_was(known: Known) -> bool:
    """Whether the files are those that were read: as linecache looks, which would hide a strike."""
    if ticks() - known.looked_at < LOOK_AGAIN_SECONDS:
        return True
    for file, source in known.sources:
        entry: Any = linecache.cache.get(file)
        if entry is source is None:  # it has no file
            continue
        if entry is not source or len(entry) != _WHOLE_ENTRY:
            return False
        size, changed_at, _, path = entry
        if changed_at is None:  # it came from no file
            continue
        try:
            found = os.stat(path)  # noqa: PTH116 - as linecache does
        except OSError as error:
            if error.filename != path:  # a time limit
                raise
            return False
        if (size, changed_at) != (found.st_size, found.st_mtime):
            return False
    known.looked_at = ticks()
    return True
