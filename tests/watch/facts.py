"""Jobs, runs and findings for the tests of the judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard._monitor.expectations import (
    Closing,
    Expectation,
    Finding,
    FindingType,
    Gap,
    JobFacts,
    JobRecord,
    OpenFinding,
    Verdict,
    WatchedRun,
)
from runguard._watch.judge import judge

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
DECLARED = datetime(2026, 3, 1, tzinfo=UTC)  # when the jobs of these tests were declared


def at(text: str) -> datetime:
    """Read a time of March 2026 in UTC, `4 02:00`, or one with its date."""
    if " " in text and "-" not in text:
        day, _, time = text.partition(" ")
        text = f"2026-03-{int(day):02} {time}"
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def run(
    start: datetime | str,
    *,
    took: timedelta | None = 5 * SECOND,
    number: int | None = None,
    status: str = "SUCCESS",
    **more: Any,
) -> WatchedRun:
    """A run; one that took None goes on."""
    start = at(start) if isinstance(start, str) else start
    return WatchedRun(
        id=int(start.timestamp()) if number is None else number,
        status="RUNNING" if took is None else status,
        started_at=start,
        finished_at=None if took is None else start + took,
        **more,
    )


def facts(
    expectation: Expectation,
    runs: Iterable[WatchedRun] = (),
    *,
    found: Mapping[FindingType, OpenFinding] | None = None,
    declared: datetime | None = DECLARED,
    **job: Any,
) -> JobFacts:
    """What is known of a job."""
    return JobFacts(
        job=JobRecord(
            job_name="nightly_backup", expectation=expectation, declared_at=declared, **job
        ),
        runs=tuple(sorted(runs, key=lambda one: one.started_at, reverse=True)),
        open=found or {},
    )


def opened(finding: Finding, when: datetime) -> dict[FindingType, OpenFinding]:
    """The finding, once the store has raised it."""
    return {
        finding.type: OpenFinding(
            type=finding.type,
            incident=1,
            opened_at=when,
            last_alert_at=when,
            detail={**finding.detail, "mark": finding.mark},
        )
    }


def look(
    expectation: Expectation,
    runs: Iterable[WatchedRun],
    now: datetime | str,
    *,
    gaps: Iterable[Gap] = (),
    **more: Any,
) -> Verdict:
    """Judge a job at a time."""
    now = at(now) if isinstance(now, str) else now
    return judge(facts(expectation, runs, **more), now=now, gaps=tuple(gaps))


def found(verdict: Verdict) -> list[str]:
    """The types of what was found."""
    return [str(one.type) for one in verdict.findings]


def closed(verdict: Verdict) -> list[str]:
    """The types of what is over."""
    return [str(one.type) for one in verdict.closings]


def only_finding(verdict: Verdict) -> Finding:
    """The one finding of a verdict."""
    [finding] = verdict.findings
    return finding


def only_closing(verdict: Verdict) -> Closing:
    """The one closing of a verdict."""
    [closing] = verdict.closings
    return closing
