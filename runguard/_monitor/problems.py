"""Problems: alerts of one cause, and whether the job still fails because of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from .._models import RunStatus
from .expectations import OpenFinding
from .records import Problem, ProblemState, RunCell
from .watched import found_since

STRIP: Final = 30
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


def judged(problem: Problem, runs: Sequence[RunCell]) -> Problem:
    """Return a problem with its job's last runs, the newest first, and what they say of it.

    It is over when a run that began after its last failure has succeeded. Alerts of other
    programs, and of jobs that have no run, are not judged.
    """
    if problem.job_name is None or not runs:
        return problem
    failures = [one for one in runs if _is_of(problem, one)]
    last = failures[0].started_at if failures else problem.last_at
    later = [one for one in runs if _began(one) > (last or _LONG_AGO)]
    seen = replace(problem, strip=tuple(runs[:STRIP]))
    successes = [one for one in later if one.status == RunStatus.SUCCESS]
    if successes:
        return replace(seen, state=ProblemState.RECOVERED, recovered_by=successes[-1])
    return replace(seen, state=ProblemState.BROKEN, since=_broken_since(problem, runs))


def standing_of_finding(problem: Problem, finding: OpenFinding | None) -> Problem:
    """Return a problem that is a finding of a job, which is over where it is not open any more."""
    if finding is None:
        return replace(problem, state=ProblemState.RECOVERED)
    return replace(problem, state=ProblemState.BROKEN, since=found_since(finding))


def _broken_since(problem: Problem, runs: Sequence[RunCell]) -> datetime:
    """Return when the first failure of this kind since the last success began."""
    first: datetime | None = None
    for one in runs:
        if one.status == RunStatus.SUCCESS:
            return first or problem.last_at
        if _is_of(problem, one):
            first = one.started_at or first
    return min(first or problem.last_at, problem.first_at)


def _is_of(problem: Problem, run: RunCell) -> bool:
    return (
        run.status == RunStatus.FAILED
        and run.error_group == problem.error_group
        and run.error_reason == problem.error_reason
    )


def _began(run: RunCell) -> datetime:
    return run.started_at or _LONG_AGO
