"""When a job usually starts, and what could be expected of it. Pure.

`cadence_of` says the usual cadence for people: it takes a few starts, and may be wrong. `suggest`
answers only where the history proves the rule, since an alarm may come of it.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from operator import eq, sub
from typing import Final

from .._frozen import frozen
from . import wording
from .expectations import Expectation
from .health import FEWEST_STARTS
from .records import JobOverview
from .times_of_day import DAY_NAMES, EARLY, WEEKDAYS, times_of_day

DAY: Final = timedelta(days=1)
LOOKS_BACK: Final = timedelta(days=60)  # of starts that `suggest` can make use of
MOST_STARTS: Final = 90_000  # of them: one a minute

# The usual cadence
_MOST_ALIKE: Final = 0.8  # of the gaps, or of the times of day
_SLACK: Final = timedelta(seconds=90)
_SAME_TIME: Final = 180  # seconds that starts at one time of day may be apart
_NEWEST: Final = 10  # starts whose times of day are compared: clocks change twice a year

# The proof
_WEEKS: Final = 3
_SHORT_WEEKS: Final = 2  # where a gap takes less than half a day
_FEWEST_GAPS: Final = 20
_MOST_SHORT: Final = 0.1  # of the gaps
_LEAST_GRACE: Final = timedelta(minutes=10)
_CRON_FROM: Final = timedelta(minutes=55)  # shorter cadences need no time of day


@frozen
class Cadence:
    """When a job usually starts: `words` say "every hour at :17", or "irregular".

    `gap_seconds` is the usual time between two starts, None where it is irregular;
    `longest_seconds` is the longest that was seen. `last_at` is the newest start.
    """

    words: str
    gap_seconds: float | None
    longest_seconds: float
    last_at: datetime


@frozen
class Suggestion:
    """What could be expected of a job, and why.

    Attributes:
        words: The rule for people: "every day at 02:00 (Asia/Seoul)".
        evidence: What the history shows, a sentence.
    """

    job_name: str
    expectation: Expectation
    words: str
    evidence: str


def cadence_of(starts: Iterable[datetime], *, zone: tzinfo = UTC) -> Cadence | None:
    """Say when a job usually starts; None of fewer than four starts.

    >>> begin = datetime(2026, 3, 2, 0, 17, tzinfo=UTC)
    >>> cadence_of(begin + timedelta(hours=number) for number in range(8)).words
    'every hour at :17'
    """
    ordered = _distinct(starts)
    if len(ordered) < FEWEST_STARTS:
        return None
    gaps = _gaps(ordered)
    by_length = sorted(gaps)
    usual, longest = by_length[len(by_length) // 2], by_length[-1]
    slack = max(usual / 10, min(_SLACK, usual / 4))
    alike = bisect_right(by_length, usual + slack) - bisect_left(by_length, usual - slack)
    is_regular = alike / len(gaps) >= _MOST_ALIKE
    words: str = "irregular"
    gap: timedelta | None = None
    if is_regular or by_length[0] > DAY / 2:
        newest = [one.astimezone(zone) for one in ordered[-_NEWEST:]]
        if _skips_weekends(ordered, gaps, zone) and (at := _time_of_day(newest)) is not None:
            words, gap = f"weekdays at {at}", DAY
        elif is_regular:
            words, gap = _words_of_gap(usual, newest), usual
    gap_seconds = None if gap is None else gap.total_seconds()
    return Cadence(words, gap_seconds, longest.total_seconds(), ordered[-1])


def usual_cadence(job: JobOverview) -> Cadence | None:
    """Return when a job usually starts, by its last runs; None where these are too few."""
    return cadence_of(cell.started_at for cell in job.strip if cell.started_at is not None)


def suggest(
    job_name: str,
    starts: Iterable[datetime],
    *,
    now: datetime | None = None,
    zones: Sequence[tzinfo] = (UTC,),
) -> Suggestion | None:
    """Return what could be expected of a job; None where its starts prove no rule.

    A rule at times of day needs a start at each of them in each of three weeks (in each of two
    weeks, where a week has 42 or more); a rule of gaps needs two weeks (three, where a gap takes
    half a day or more) without a longer one. Of all starts, at most a tenth may be outside of the
    rule, and none may be later than half of the grace. Days on which clocks change prove nothing.

    Args:
        job_name: The job.
        starts: When it started, in any order; `LOOKS_BACK` is enough.
        now: Where it is given, a job that is late by it gets no suggestion.
        zones: In which times of day are looked for; the first one that fits best is taken.
    """
    ordered = sorted(set(starts))[-MOST_STARTS:]
    if len(ordered) < _WEEKS:
        return None
    found = _gap_rule(ordered) if _median(_gaps(ordered)) < _CRON_FROM else None
    if found is None:
        fitting = [rule for zone in zones if (rule := _times_rule(ordered, zone)) is not None]
        found = max(fitting, key=lambda rule: rule.held, default=None) or _gap_rule(ordered)
    if found is None or (now is not None and now - ordered[-1] > found.longest + found.grace):
        return None
    return Suggestion(job_name, found.expectation, found.words, found.evidence)


def learned(
    expectation: Expectation, starts: Iterable[datetime], *, zone: tzinfo = UTC
) -> Expectation:
    """Return an expectation with the schedule that the starts prove, where it is to be learned."""
    if not expectation.learn or expectation.has_schedule:
        return expectation
    found = suggest("", starts, zones=(zone,))
    if found is None:
        return expectation
    known = found.expectation
    return replace(
        expectation,
        every=known.every,
        cron=known.cron,
        tz=known.tz,
        grace=expectation.grace or known.grace,
    )


def as_toml(suggestion: Suggestion) -> str:
    """Return a suggestion as a table of the configuration, its evidence in a comment above it."""
    document = suggestion.expectation.as_document()
    lengths = {"every": suggestion.expectation.every, "grace": suggestion.expectation.grace}
    values = {
        name: _quoted(_length_text(length) if (length := lengths.get(name)) else str(value))
        for name, value in document.items()
    }
    lines = (f"{name} = {value}" for name, value in values.items())
    return "\n".join(
        [
            f"# {suggestion.words}: {suggestion.evidence}",
            f"[jobs.{_key(suggestion.job_name)}]",
            *lines,
            "",
        ]
    )


# The usual cadence -------------------------------------------------------------------------------


def _words_of_gap(usual: timedelta, newest: Sequence[datetime]) -> str:
    """Say a gap, and the time of the hour or day where the newest starts agree on one."""
    hours, days = round(usual / timedelta(hours=1)), round(usual / DAY)
    if usual < _CRON_FROM:
        return f"every {_of_length(usual)}"
    if days >= 1 and abs(usual - days * DAY) <= timedelta(hours=2):
        at = _time_of_day(newest)
        if days == 7 and at is not None:
            return f"every {DAY_NAMES[newest[-1].weekday()]} at {at}"
        told = "every day" if days == 1 else "every week" if days == 7 else f"every {days} days"
        return told if at is None else f"{told} at {at}"
    if abs(usual - hours * timedelta(hours=1)) > timedelta(minutes=5):
        return f"every {_of_length(usual)}"
    told = "every hour" if hours == 1 else f"every {hours} hours"
    minute = _agreed([one.minute * 60 + one.second for one in newest], 3600)
    return told if minute is None else f"{told} at :{minute // 60:02}"


def _of_length(length: timedelta) -> str:
    """Say a length behind "every".

    >>> [_of_length(timedelta(seconds=one)) for one in (30, 61, 601, 3720)]
    ['30 s', 'minute', '10 minutes', '62 minutes']
    """
    seconds = length.total_seconds()
    if seconds < 55:
        return wording.duration(seconds)
    minutes = round(seconds / 60)
    if minutes < 120:
        return "minute" if minutes == 1 else f"{minutes} minutes"
    return wording.duration(round(seconds / 60) * 60)


def _skips_weekends(ordered: Sequence[datetime], gaps: Sequence[timedelta], zone: tzinfo) -> bool:
    """Whether starts a day apart came on Mondays to Fridays only, for a week or more."""
    is_daily = min(gaps) > DAY / 2 and _median(gaps) < 1.5 * DAY
    if not is_daily or ordered[-1] - ordered[0] < 6 * DAY:
        return False
    return {one.astimezone(zone).weekday() for one in ordered} <= WEEKDAYS


def _time_of_day(newest: Sequence[datetime]) -> str | None:
    """Return the time of day that starts agree on, with its zone; None where they do not."""
    second = _agreed([one.hour * 3600 + one.minute * 60 + one.second for one in newest], 86_400)
    if second is None:
        return None
    return f"{second // 3600:02}:{second % 3600 // 60:02} {_name_of(newest[-1].tzinfo)}"


def _agreed(seconds: Sequence[int], around: int) -> int | None:
    """Return the second of the hour or day that most starts come at, or soon after."""
    shifted = [(one + int(EARLY.total_seconds())) % around for one in seconds]
    best = max(
        shifted, key=lambda first: sum((one - first) % around <= _SAME_TIME for one in shifted)
    )
    share = _share((one - best) % around <= _SAME_TIME for one in shifted)
    return best if share >= _MOST_ALIKE else None


# The proof ---------------------------------------------------------------------------------------


@frozen
class _Rule:
    """A schedule that a history proves."""

    expectation: Expectation
    words: str
    evidence: str
    longest: timedelta  # between two due times
    grace: timedelta
    held: int = 0  # starts of the whole history that came at its times


def _default_grace(gap: timedelta) -> timedelta:
    return min(max(_LEAST_GRACE, gap / 10), gap / 2)


def _gap_rule(ordered: Sequence[datetime]) -> _Rule | None:
    """Find the longest time between two starts, where it is nearly the usual one."""
    weeks = _SHORT_WEEKS if _median(_gaps(ordered)) < DAY / 2 else _WEEKS
    recent = [one for one in ordered if one >= ordered[-1] - 7 * weeks * DAY]
    gaps = _gaps(recent)
    if len(gaps) < _FEWEST_GAPS:
        return None
    usual = _median(gaps)
    every = _round_up(usual)
    grace = _default_grace(every)
    is_short = usual <= 1.05 * DAY and recent[-1] - recent[0] >= 7 * weeks * DAY - every - grace
    if not is_short or max(gaps) > every + grace / 2:
        return None
    if _share(gap < 0.7 * usual for gap in gaps) > _MOST_SHORT:
        return None
    evidence = (
        f"{len(recent):,} starts in the last {weeks} weeks, never more than"
        f" {wording.duration(max(gaps))} apart"
    )
    return _Rule(Expectation(every=every), f"every {_of_length(every)}", evidence, every, grace)


def _round_up(usual: timedelta) -> timedelta:
    """Return a length that people would write, at least about as long.

    >>> [_round_up(timedelta(seconds=one)).total_seconds() for one in (29.9, 600.4, 631, 3605)]
    [30.0, 600.0, 660.0, 3600.0]
    """
    seconds = usual.total_seconds()
    unit = 10 if seconds < 55 else 60
    below = int(seconds // unit) * unit
    is_near = below and seconds - below <= 0.02 * seconds
    return timedelta(seconds=below if is_near else below + unit)


def _times_rule(ordered: Sequence[datetime], zone: tzinfo) -> _Rule | None:
    """Find the times of day at which a job starts without fail."""
    times = times_of_day(ordered, zone)
    if times is None:
        return None
    gaps = times.gaps
    grace, own = _default_grace(min(gaps)), None
    if times.latest > grace / 2:
        own = grace = _round_up(2 * times.latest)
    if grace > min(gaps) / 2:
        return None
    evidence = (
        f"all {times.in_a_week * times.weeks:,} starts due in the last {times.weeks} weeks came,"
        f" the latest {wording.duration(times.latest)} after its time"
    )
    return _Rule(
        Expectation(cron=times.cron(), tz=_name_of(zone), grace=own),
        f"{times.words()} ({_name_of(zone)})",
        evidence,
        max(gaps),
        grace,
        times.held(ordered, zone, within=grace),
    )


def _distinct(starts: Iterable[datetime]) -> list[datetime]:
    """Order instants; a set only where two are the same, since their hashes take long."""
    ordered = sorted(starts)
    return sorted(set(ordered)) if any(map(eq, ordered, ordered[1:])) else ordered


def _gaps(ordered: Sequence[datetime]) -> list[timedelta]:
    return list(map(sub, ordered[1:], ordered))


def _median(lengths: Sequence[timedelta]) -> timedelta:
    return sorted(lengths)[len(lengths) // 2]


def _share(these: Iterable[bool]) -> float:
    found = list(these)
    return sum(found) / len(found) if found else 0.0


def _name_of(zone: tzinfo | None) -> str:
    return str(getattr(zone, "key", None) or zone or "UTC")


# TOML --------------------------------------------------------------------------------------------


def _key(name: str) -> str:
    """Return a name as a key of TOML, quoted where it must be."""
    is_bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
    return name if is_bare else _quoted(name)


def _quoted(text: str) -> str:
    """Return a text as a string of TOML, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _length_text(length: timedelta) -> str:
    """Write a length as the configuration takes it.

    >>> [_length_text(timedelta(seconds=one)) for one in (90, 600, 7200, 86400)]
    ['90s', '10m', '2h', '1d']
    """
    seconds = round(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
