"""Whether a job does what is expected of it, from its rows and a clock. Pure.

A verdict says all that is wrong now, each time anew: the store raises what is not open yet, within
the cooldown. A finding that is open and not wrong any more is closed.

Keys of a finding's `detail`; times are ISO 8601 in UTC, lengths are seconds:

- MISSED: `schedule`, `due` (missed last; also the mark), `first_due`, `missed` (how many, at most
  1,000), `grace_seconds`, `last_start_at`, `last_run_id`, `gap_began_at`, `gap_ended_at` (nobody
  looked between). Its closing: `due`, `since`, `missed`, `started_at` and one of `late_seconds`,
  `reported_late` (true: it had started in time), `next_due` (the start of another due time).
- STUCK: `run_id`, `started_at`, `running_seconds`, `allowed_seconds`. Its closing: `started_at`,
  `seconds`, `status`.
- SLOW, FAST: `run_id`, `first_run_id`, `seconds`, and `usual_seconds` or `allowed_seconds`. Their
  closing: `seconds`.
- EMPTY: `run_id`, `records`, and `least_records` or `usual_records`. Its closing: `records`.
- FREQUENT: `schedule`, `starts`, `within_seconds`, `declared_seconds`, `hosts`, `last_start_at`.
- WRONG_ZONE: `schedule`, `declared_zone`, `fits_zone`, `shift_seconds` (starts come so much later
  than declared), `starts`, `last_start_at`.

A closing has `changed` (true) where something else is expected now.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from .._errors import ConfigurationError
from .._monitor.expectations import (
    Closing,
    Expectation,
    FindingType,
    Gap,
    JobFacts,
    Verdict,
)
from .case import Case, Opinion, case_of, earliest, is_running
from .frequency import judge_frequency
from .runs import judge_durations, judge_empty, judge_stuck
from .schedule import Schedule, schedule_of
from .starts import Starts, judge_starts

UNREADABLE_LOOK: Final = timedelta(hours=1)  # until a monitor that knows more may have come
_NOTHING: Final = Expectation()


def judge(facts: JobFacts, *, now: datetime, gaps: Sequence[Gap] = ()) -> Verdict:
    """Say what is wrong with a job now, what no longer is, and when to look again.

    Args:
        facts: The job, its newest runs and its open findings.
        now: The time of the clock that the rows have their times from.
        gaps: When nobody looked.

    Returns:
        The verdict. No row is too odd for one: times without a zone are taken as UTC, times in
        the future as now.
    """
    expectation = facts.learned or facts.job.expectation
    schedule, is_unreadable = _schedule_of(expectation)
    case = case_of(facts, expectation, schedule, now=now, gaps=gaps)
    if facts.job.retired_at is not None or expectation == _NOTHING:
        return Verdict(job=facts.job, closings=tuple(_all_closed(case)), judged_at=case.now)
    starts = _unread(case) if is_unreadable else judge_starts(case)
    opinions = [
        starts.opinion,
        judge_stuck(case),
        *judge_durations(case),
        judge_empty(case),
        *([] if is_unreadable else [judge_frequency(case)]),
    ]
    findings = tuple(one for opinion in opinions for one in opinion.findings)
    is_untold = any(one.type not in facts.open for one in findings)
    # Nothing tells of its end where other environments start this job more often.
    goes_on = case.job.environment is not None and any(map(is_running, case.runs))
    return Verdict(
        job=facts.job,
        findings=findings,
        closings=tuple(one for opinion in opinions for one in opinion.closings),
        next_due_at=starts.next_due_at,
        grace_seconds=None if schedule is None else schedule.grace.total_seconds(),
        # Its cooldown may hold back what is found: asked each round, it is told once that is over.
        look_at=case.now if is_untold or goes_on else earliest(*(one.look_at for one in opinions)),
        judged_at=case.now,
    )


def _schedule_of(expectation: Expectation) -> tuple[Schedule | None, bool]:
    """Return the schedule, and whether there is one that cannot be read here."""
    try:
        return schedule_of(expectation), False
    except ConfigurationError:
        return None, True


def _unread(case: Case) -> Starts:
    """Leave all as it is: a schedule that cannot be read here is no fault of the job."""
    return Starts(Opinion(look_at=case.now + UNREADABLE_LOOK), case.job.next_due_at)


def _all_closed(case: Case) -> Iterator[Closing]:
    message = f"Nothing is expected of {case.name} any more."
    for kind in case.open:
        if kind is not FindingType.UNWATCHED:
            yield Closing(
                type=kind,
                title=message.removesuffix("."),
                message=message,
                detail={"changed": True},
            )
