"""Records as column values: the one place that knows which field goes into which column."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from .._models import AlertDraft, NewRun, RunEnding, RunNote

RUN_COLUMNS: Final = (  # in the order of `NewRun`
    *("run_key", "job_name", "trigger_type", "host", "pid", "lost_after_seconds"),
    *("environment", "version", "trace_id"),
)
FAILURE_COLUMNS: Final = (
    *("error_message", "error_group", "http_status_code", "error_type", "error_location"),
    *("error_reason", "matched_by", "matched_depth", "matched_rule", "upstream"),
    "cooldown_seconds",
)
_OF_FAILURE: Final = FAILURE_COLUMNS[:4] + FAILURE_COLUMNS[5:-1]  # the others are the ending's
_read_failure: Final = attrgetter(*_OF_FAILURE)
REFUSAL_COLUMNS: Final = ("refused", "lock_holder", "lock_held_until")

# Columns of this release that the store has not got yet: see `BaseStore.lacking`.
Lacking = frozenset[str]
Progress = Mapping[UUID, tuple[int, int | None]]  # how many are done of how many, by a run's key
NOTHING: Final[Lacking] = frozenset()
NOTES: Final = "run_note"  # a table, and lacking as a column is
UNKNOWN: Final[Lacking] = frozenset({"environment", "version", "trace_id"})  # of many runs
NO_NOTE: Final[Lacking] = frozenset({NOTES})


def parameters(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values as parameters of a statement: Core keeps the bare names for itself."""
    return {f"in_{column}": value for part in values for column, value in part.items()}


def lacking_of(run: NewRun, lacking: Lacking) -> Lacking:
    """What is left out of a run: the columns too of which it knows nothing."""
    return lacking.union(name for name in UNKNOWN if getattr(run, name) is None)


def lacking_at_end(ending: RunEnding, lacking: Lacking) -> Lacking:
    """What is left out of a run's ending: where nothing stands beside it, the note too."""
    return lacking if ending.note is not None else lacking | NO_NOTE


def run_values(run: NewRun, lacking: Lacking = NOTHING) -> dict[str, Any]:
    """The columns of a run that begins."""
    values = dict(zip(RUN_COLUMNS, run, strict=True))
    values["lost_after_seconds"] = (run.lost_after and _whole_seconds(run.lost_after)) or None
    return present(values, lacking)


def failure_values(ending: RunEnding, lacking: Lacking = NOTHING) -> dict[str, Any]:
    """Why a run failed; nothing for a success."""
    if (failure := ending.failure) is None:
        return {}
    values: dict[str, Any] = dict(zip(_OF_FAILURE, _read_failure(failure), strict=True))
    values["error_location"] = ending.error_location
    values["cooldown_seconds"] = ending.alert and _whole_seconds(ending.alert.cooldown)
    return present(values, lacking)


def note_values(note: RunNote) -> dict[str, Any]:
    """What stands beside a run."""
    return note._asdict() | {
        "context": None if note.context is None else dict(note.context),
        "links": [{"name": name, "url": url} for name, url in note.links] or None,
    }


def present(values: dict[str, Any], lacking: Lacking) -> dict[str, Any]:
    """Keep the columns that the store has."""
    return {name: values[name] for name in values if name not in lacking} if lacking else values


def alert_values(draft: AlertDraft) -> dict[str, Any]:
    """The columns of an alert, its `detail` without the run's id."""
    return {
        "alert_key": draft.uuid,
        **draft.key._asdict(),
        "severity": draft.severity,
        "title": draft.title,
        "message": draft.message,
        "detail": dict(draft.detail),
        **({} if draft.environment is None else {"environment": draft.environment}),
    }


def _whole_seconds(length: timedelta) -> int:
    return ceil(length.total_seconds())
