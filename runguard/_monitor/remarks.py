"""What is remarkable about a job now, in a few words each: late, missed, quiet. Pure."""

from __future__ import annotations

from datetime import datetime

from . import wording
from .cadence import Cadence, usual_cadence
from .expectations import ExpectedState, OpenFinding
from .health import is_quiet, state_against_schedule
from .records import JobOverview
from .watched import found_since


def remarks(job: JobOverview, *, now: datetime) -> tuple[str, ...]:
    """Say what is remarkable about a job; nothing where all is as usual."""
    found = job.expected.findings if job.expected is not None else ()
    told = (wording.starts_refused(job.refused),) if job.refused else ()
    return (*(finding_remark(one, now=now) for one in found), *waiting_remarks(job, now=now), *told)


def finding_remark(finding: OpenFinding, *, now: datetime) -> str:
    """Say what was found of a job, and since when it is so."""
    return f"{wording.found(finding.type)}, {wording.age(found_since(finding), now)}"


def waiting_remarks(job: JobOverview, *, now: datetime) -> tuple[str, ...]:
    """Say that a job is late, retired, or quiet for longer than it ever was."""
    if job.expected is not None and job.expected.retired_at is not None:
        return (f"retired {wording.age(job.expected.retired_at, now)}",)
    due = job.expected and job.expected.next_due_at
    if due and state_against_schedule(job, now=now) is ExpectedState.LATE:
        return (f"was due {wording.age(due, now)}",)
    if is_quiet(job, now=now) and (cadence := usual_cadence(job)) is not None:
        return (usually(cadence, now=now),)
    return ()


def usually(cadence: Cadence, *, now: datetime) -> str:
    """Say when a job usually starts, and when it last did.

    >>> from datetime import UTC, timedelta
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> usually(Cadence("every 10 minutes", 600, 900, noon), now=noon + timedelta(days=19))
    'usually every 10 minutes; last 19 d ago'
    """
    return f"usually {cadence.words}; last {wording.age(cadence.last_at, now)}"
