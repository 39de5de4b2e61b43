"""Records as column values: the one place that knows which field goes into which column."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import ceil
from typing import Any, Final

from .._models import AlertDraft, NewRun, RunEnding

RUN_COLUMNS: Final = (
    *("run_key", "job_name", "trigger_type", "host", "pid", "lost_after_seconds"),
    *("environment", "version", "trace_id"),
)
FAILURE_COLUMNS: Final = (
    "error_message",
    "error_group",
    "http_status_code",
    "error_type",
    "error_location",
    "error_reason",
    "matched_by",
    "matched_depth",
    "matched_rule",
    "upstream",
    "cooldown_seconds",
)
REFUSAL_COLUMNS: Final = ("refused", "lock_holder", "lock_held_until")

# Columns of this release that the store has not got yet: see `BaseStore.lacking`.
Lacking = frozenset[str]
NOTHING: Final[Lacking] = frozenset()
NOTES: Final = "run_note"  # a table, and lacking as a column is
_OFTEN_UNKNOWN: Final = ("environment", "version", "trace_id")
UNKNOWN: Final[Lacking] = frozenset(_OFTEN_UNKNOWN)


def parameters(*values: Mapping[str, Any]) -> dict[str, Any]:
    """Column values as parameters of a statement: Core keeps the bare names for itself."""
    return {f"in_{column}": value for part in values for column, value in part.items()}


def lacking_of(run: NewRun, lacking: Lacking) -> Lacking:
    """What is left out of a run: the columns too of which it knows nothing."""
    return lacking.union(name for name in _OFTEN_UNKNOWN if getattr(run, name) is None)


def run_values(run: NewRun, lacking: Lacking = NOTHING) -> dict[str, Any]:
    """The columns of a run that begins."""
    values = {
        "run_key": run.key,
        "job_name": run.job_name,
        "trigger_type": run.trigger_type,
        "host": run.host,
        "pid": run.pid,
        "lost_after_seconds": _whole_seconds(run.lost_after) if run.lost_after else None,
        "environment": run.environment,
        "version": run.version,
        "trace_id": run.trace_id,
    }
    return present(values, lacking)


def failure_values(ending: RunEnding, lacking: Lacking = NOTHING) -> dict[str, Any]:
    """Why a run failed; nothing for a success."""
    failure = ending.failure
    if failure is None:
        return {}
    beside = {
        "error_location": ending.error_location,
        "cooldown_seconds": ending.alert and _whole_seconds(ending.alert.cooldown),
    }
    values = {name: getattr(failure, name) for name in FAILURE_COLUMNS if name not in beside}
    values.update(beside)
    return present(values, lacking)


def present(values: dict[str, Any], lacking: Lacking) -> dict[str, Any]:
    """Keep the columns that the store has."""
    if not lacking:
        return values
    return {name: value for name, value in values.items() if name not in lacking}


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
