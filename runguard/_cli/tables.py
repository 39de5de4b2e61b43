"""The operator's views as tables, one function for each kind of row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from rich.text import Text

from .._models import (
    LostRun,
)
from .._records import (
    AlertRecord,
    GroupCount,
    RunRecord,
    RunWithAlert,
)
from .output import Listing, duration, moment

_STYLES: Final = {
    "SUCCESS": "green",
    "RUNNING": "cyan",
    "FAILED": "red",
    "high": "red",
    "medium": "yellow",
    "low": "dim",
    "raised": "bold",
    "suppressed": "dim",
    "open": "yellow",
    "resolved": "green",
}


def runs_listing(runs: Sequence[RunRecord]) -> Listing:
    """Show runs: what ran, how it ended and why."""
    now = datetime.now(UTC)
    return Listing(
        columns=("id", "job", "status", "started", "took", "group", "alert"),
        rows=[
            (
                str(run.id),
                run.job_name,
                _word(run.status),
                moment(run.started_at, now=now),
                _took(run, now),
                run.error_group or "-",
                _word(_told(run.alert_outcome)),
            )
            for run in runs
        ],
        note_title="message",
        notes=[run.error_message or "" for run in runs],
        numbers=("id", "took"),
    )


def alerts_listing(alerts: Sequence[AlertRecord]) -> Listing:
    """Show alerts: what was raised, how loud, and whether it is still open."""
    now = datetime.now(UTC)
    return Listing(
        columns=("id", "created", "source", "type", "severity", "state"),
        rows=[
            (
                str(alert.id),
                moment(alert.created_at, now=now),
                alert.source_id,
                alert.alert_type,
                _word(alert.severity),
                _word("resolved" if alert.resolved else "open"),
            )
            for alert in alerts
        ],
        note_title="message",
        notes=[_heading(alert) for alert in alerts],
    )


def groups_listing(counts: Sequence[GroupCount]) -> Listing:
    """Show failures by group: whether it is one problem or forty."""
    now = datetime.now(UTC)
    return Listing(
        columns=("group", "severity", "failures", "alerts", "jobs", "last failure"),
        rows=[
            (
                count.error_group or "-",
                _word(count.severity or "-"),
                str(count.failures),
                str(count.alerts),
                str(count.jobs),
                moment(count.last_failure_at, now=now),
            )
            for count in counts
        ],
        note_title="",
        notes=[""] * len(counts),
        numbers=("failures", "alerts", "jobs"),
    )


def joined_listing(pairs: Sequence[RunWithAlert]) -> Listing:
    """Show failed runs, each beside the alert that it raised or that covers it."""
    return Listing(
        columns=("run", "job", "group", "outcome", "alert", "severity"),
        rows=[
            (
                str(pair.run.id),
                pair.run.job_name,
                pair.run.error_group or "-",
                _word(_told(pair.run.alert_outcome)),
                "-" if pair.alert is None else str(pair.alert.id),
                _word("-" if pair.alert is None else pair.alert.severity),
            )
            for pair in pairs
        ],
        note_title="title",
        notes=["" if pair.alert is None else pair.alert.title for pair in pairs],
        numbers=("run", "alert"),
    )


def lost_listing(lost: Sequence[LostRun]) -> Listing:
    """Show runs that were closed because nothing was heard of them."""
    now = datetime.now(UTC)
    return Listing(
        columns=("id", "job", "host", "pid", "last heard"),
        rows=[
            (
                str(run.run_id),
                run.job_name,
                run.host or "-",
                "-" if run.pid is None else str(run.pid),
                moment(run.last_heard_at, now=now),
            )
            for run in lost
        ],
        note_title="",
        notes=[""] * len(lost),
        numbers=("id", "pid"),
    )


def _word(word: str) -> Text:
    return Text(word, _STYLES.get(word, ""))


def _told(outcome: str | None) -> str:
    return "-" if outcome in (None, "none") else str(outcome)


def _took(run: RunRecord, now: datetime) -> str:
    if run.started_at is None:
        return "-"
    if run.finished_at is None:
        return f"{duration(now - run.started_at)}…" if run.status == "RUNNING" else "-"
    return duration(run.finished_at - run.started_at)


def _heading(alert: AlertRecord) -> str:
    return f"{alert.title}: {alert.message}" if alert.message else alert.title
