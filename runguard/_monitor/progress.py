"""How far an open run is, how fast it goes, and how long it still takes. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from .._frozen import frozen
from .._models import RunStatus
from .records import JobOverview, NoteRecord
from .wording import age, duration, percent

STALE_AFTER: Final = timedelta(minutes=2)  # of one that is told again with each heartbeat
LONGEST_LEFT: Final = timedelta(days=365)  # a longer time left says nothing
_ROUGHLY: Final = ((600, 60), (60, 5))  # from so many seconds on, to which a time left is rounded
_PER: Final = (("s", 1), ("min", 60), ("h", 3600), ("d", 86_400))


@frozen
class Progress:
    """The progress of a run: `done` of `total`, which may be unknown.

    `per_second` is how fast it went on average since the run began, `left` how long the rest takes
    at that speed; both are None where nothing shows them. `told_at` is when the run told it last.
    """

    done: int
    total: int | None
    per_second: float | None
    left: timedelta | None
    told_at: datetime | None

    @property
    def share(self) -> float | None:
        """How much is done, from 0 to 1; None where the total is not known."""
        if self.total is None or self.total <= 0:
            return None
        return min(1.0, max(0.0, self.done / self.total))

    def is_stale(self, now: datetime) -> bool:
        """Whether the run has not told it for a while."""
        return self.told_at is not None and now - self.told_at >= STALE_AFTER


@frozen
class RunProgress:
    """The same for programs, with the time left in seconds."""

    done: int
    total: int | None
    per_second: float | None
    seconds_left: float | None
    told_at: datetime | None

    @classmethod
    def of(cls, progress: Progress | None) -> RunProgress | None:
        """Return it; None where there is none."""
        if progress is None:
            return None
        left = None if progress.left is None else round(progress.left.total_seconds(), 1)
        speed = progress.per_second
        return cls(progress.done, progress.total, speed, left, progress.told_at)


def progress_of(
    note: NoteRecord | None,
    *,
    started_at: datetime | None,
    finished_at: datetime | None = None,
    now: datetime,
) -> Progress | None:
    """Read the progress of a run; None where it told none. `now` is the database's clock."""
    if note is None or note.done is None:
        return None
    done, total, told_at = note.done, note.total, note.progress_at
    per_second = left = None
    until = told_at or finished_at
    if started_at is not None and until is not None and until > started_at and done > 0:
        per_second = done / (until - started_at).total_seconds()
    if per_second and finished_at is None and told_at is not None and total and total >= done:
        seconds = min((total - done) / per_second, LONGEST_LEFT.total_seconds())
        left = max(timedelta(), timedelta(seconds=seconds) - max(timedelta(), now - told_at))
    return Progress(done, total, per_second, left, told_at)


def job_progress(job: JobOverview, *, now: datetime) -> Progress | None:
    """Read the progress of a job's newest open run; None where none is open, or told none."""
    if not job.running:
        return None
    is_open = (cell for cell in job.strip if cell.status == RunStatus.RUNNING)
    newest = next(is_open, None)
    started_at = job.running_since if newest is None else newest.started_at
    return progress_of(job.progress, started_at=started_at, now=now)


def progress_words(progress: Progress, *, now: datetime | None = None) -> str:
    """Say how far a run is; with `now` of one that is open, so that an old word is told as one.

    >>> progress_words(Progress(1200, 5000, 40.0, timedelta(seconds=95), None))
    '1,200 of 5,000 (24 %), 40/s, about 1 min 35 s left'
    >>> progress_words(Progress(7, None, 0.05, None, None))
    '7 done, 3/min'
    """
    done = f"{progress.done:,}"
    if progress.total is None:
        words = [f"{done} done"]
    else:
        share = "" if progress.share is None else f" ({percent_of(progress)})"
        words = [f"{done} of {progress.total:,}{share}"]
    if progress.per_second:
        words.append(rate(progress.per_second))
    if now is not None and progress.told_at is not None and progress.is_stale(now):
        words.append(f"as of {age(progress.told_at, now)}")
    elif (left := time_left(progress)) is not None:
        words.append(left)
    return ", ".join(words)


def percent_of(progress: Progress) -> str:
    """Say the share, never 100 % before all is done."""
    return percent(min(max(progress.done, 0), progress.total or 0), progress.total or 0)


def time_left(progress: Progress) -> str | None:
    """Say roughly how long it still takes; None where nothing shows it, or where it is done.

    >>> [time_left(Progress(1, 9, 1.0, timedelta(seconds=one), None)) for one in (7, 98, 2476)]
    ['about 7 s left', 'about 1 min 40 s left', 'about 41 min left']
    """
    if progress.left is None or progress.done == progress.total:
        return None
    if progress.left >= LONGEST_LEFT:
        return "more than a year left"
    if progress.left < timedelta(seconds=1):
        return "about to end"
    seconds = progress.left.total_seconds()
    step = next((step for least, step in _ROUGHLY if seconds >= least), 1)
    return f"about {duration(float(round(seconds / step) * step))} left"


def rate(per_second: float) -> str:
    """Say how fast it goes, in the unit in which it is a number that one can picture.

    >>> rate(12_345.6), rate(2.5), rate(0.2), rate(0.001), rate(0.0000001)
    ('12,346/s', '2.5/s', '12/min', '3.6/h', 'less than 0.1/d')
    """
    for unit, seconds in _PER:
        count = per_second * seconds
        if count >= 1 or unit == "d":
            break
    if count < 0.1:
        return f"less than 0.1/{unit}"
    spelled = f"{count:,.0f}" if count >= 10 else f"{count:.1f}".removesuffix(".0")
    return f"{spelled}/{unit}"
