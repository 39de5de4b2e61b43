"""What a failed assertion prints: what was expected, what comes nearest, and all that is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from .._errors import ConfigurationError, did_you_mean
from .._monitor.records import AlertRecord, RunRecord
from .._monitor.wording import counted
from .view import Rows, ToldMessage

T = TypeVar("T")

MOST_LISTED: Final = 20
LONGEST_TEXT: Final = 100


def check_columns(given: Mapping[str, object], known: Sequence[str]) -> None:
    """Raise where a column is asked for that there is not."""
    for name in given:
        if name not in known:
            raise ConfigurationError(
                f"expected one of {', '.join(known)}, found {name!r}{did_you_mean(name, known)}"
            )


def spelled(columns: Mapping[str, object]) -> str:
    """Spell what is asked for.

    >>> spelled({"status": "FAILED", "total_records": 3})
    "status='FAILED', total_records=3"
    """
    return ", ".join(f"{name}={_plain(value)!r}" for name, value in columns.items())


def differences(row: object, columns: Mapping[str, object]) -> dict[str, object]:
    """Return the columns of a row that are not as asked for, with what they are."""
    return {
        name: found for name, value in columns.items() if (found := getattr(row, name)) != value
    }


def nearest(
    rows: Sequence[T], distance: Callable[[T], int], differing: Callable[[T], str], name: str
) -> str:
    """Say which row comes nearest, and what of it differs."""
    if not rows:
        return ""
    # Of several, the newest.
    best = min(reversed(rows), key=distance)
    return f"nearest: {name} {getattr(best, 'id', '')}, but {differing(best)}"


def listed(rows: Rows, told: Sequence[ToldMessage], waiting: int) -> str:
    """List the runs, the alerts, the deliveries, and the messages."""
    parts = [
        _list("runs", rows.runs, _run),
        _list("alerts", rows.alerts, _alert),
        _list(
            "deliveries",
            rows.deliveries,
            lambda one: (
                f"alert {one.alert_id} to {one.channel}: {one.kind}, {one.state}"
                f"{f' ({one.last_error})' if one.last_error else ''}"
            ),
        ),
        _list("messages", told, lambda one: f"{one.channel}: {one.kind}: {one.subject}"),
    ]
    if waiting:
        parts.append(f"{counted(waiting, 'record')} in the spool, for a store that is away")
    return "\n".join(parts)


def _list(name: str, rows: Sequence[T], line: Callable[[T], str]) -> str:
    if not rows:
        return f"{name}: none"
    shown = rows[-MOST_LISTED:]
    more = f" (the last {len(shown)} of {len(rows)})" if len(shown) < len(rows) else ""
    return "\n".join([f"{name}{more}:", *(f"  {line(row)}" for row in shown)])


def _run(run: RunRecord) -> str:
    words = [str(run.id), run.job_name, run.status]
    if run.error_group is not None:
        words.append("/".join(filter(None, (run.error_group, run.error_reason))))
    counters = ("total_records", "changed_records", "created_alerts", "retry_count")
    words += [f"{name}={getattr(run, name)}" for name in counters if getattr(run, name)]
    if run.alert_outcome not in (None, "none"):
        words.append(f"alert {run.alert_outcome}")
    if run.error_message:
        words.append(_cut(run.error_message))
    return "  ".join(words)


def _alert(alert: AlertRecord) -> str:
    resolved = "  resolved" if alert.resolved else ""
    return (
        f"{alert.id}  {alert.source_id}  {alert.alert_type}  {alert.severity}{resolved}"
        f"  {_cut(alert.title)}"
    )


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…")


def _plain(value: object) -> Any:
    return str(value) if isinstance(value, str) else value
