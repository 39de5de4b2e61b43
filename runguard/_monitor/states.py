"""The words for how jobs, findings, problems and alerts stand.

Apart from the records that hold them, so that who only names them loads no record.
"""

from __future__ import annotations

from enum import StrEnum


class JobState(StrEnum):
    """How a job stands, the worst first."""

    FAILING = "failing"
    MISSED = "missed"
    STUCK = "stuck"
    LATE = "late"
    UNUSUAL = "unusual"
    FLAPPING = "flapping"
    QUIET = "quiet"
    RUNNING = "running"
    OK = "ok"
    UNKNOWN = "unknown"
    NEVER_RAN = "never_ran"


class FindingType(StrEnum):
    """What is found: column `alert.alert_type`, where `source_type` is `job`."""

    MISSED = "MISSED"  # no start covers a due time
    STUCK = "STUCK"  # runs longer than it may
    SLOW = "SLOW"
    FAST = "FAST"
    EMPTY = "EMPTY"  # fewer records than expected
    FREQUENT = "FREQUENT"  # starts far more often than declared
    WRONG_ZONE = "WRONG_ZONE"  # all starts are off by the same whole quarter hours
    UNWATCHED = "UNWATCHED"  # jobs are expected, and no monitor looks


class ProblemState(StrEnum):
    """Whether the job of a problem still fails because of it."""

    BROKEN = "still broken"
    RECOVERED = "recovered"
    UNKNOWN = "unknown"


class ReviewStatus(StrEnum):
    """What somebody has made of an alert. Other programs may have written other words."""

    AUTO = "AUTO"  # nobody has looked at it
    ACKNOWLEDGED = "ACKNOWLEDGED"
    IN_PROGRESS = "IN_PROGRESS"
    FALSE_ALARM = "FALSE_ALARM"
    DONE = "DONE"
