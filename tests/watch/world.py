"""A year of 200 made-up jobs: when their schedulers start them, and when a store knows of it.

What is true is known from how the starts are made, never from the judge's own schedule: ticks come
from `cronsim` and `oncalendar` with their own rules at changes of the clock, or from an interval;
each tick then begins on time, late within its grace, not at all, or after a pause of everything.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count, permutations
from zoneinfo import ZoneInfo

from cronsim import CronSim
from oncalendar import OnCalendar

from runguard._monitor.expectations import (
    Expectation,
    FindingType,
    Gap,
    JobFacts,
    JobRecord,
    OpenFinding,
    WatchedRun,
)
from runguard._watch.judge import judge

ZONES = (  # two changes in the north, two in the south, a half hour, none
    *("UTC", "Europe/Berlin", "America/New_York"),
    *("Australia/Sydney", "Asia/Kolkata", "Asia/Seoul"),
)
BEGIN, END = datetime(2026, 1, 5, tzinfo=UTC), datetime(2027, 1, 5, tzinfo=UTC)
ROUND = timedelta(seconds=15)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
SEEN_RUNS = 14


@dataclass(frozen=True)
class Stretch:
    """A stretch of time, with its end."""

    began: datetime
    ended: datetime

    def holds(self, moment: datetime) -> bool:
        return self.began <= moment < self.ended


def stretch(begin: str, length: timedelta) -> Stretch:
    began = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    return Stretch(began, began + length)


# Rounds stop in the first two. In the second, and where a host is cut off, rows come when it ends.
MONITOR_AWAY = [
    stretch("2026-02-11 01:10", timedelta(hours=2, minutes=30)),
    stretch("2026-03-29 00:30", 2 * HOUR),  # while clocks change
    stretch("2026-07-02 00:00", 3 * DAY),
]
STORE_AWAY = [stretch("2026-04-20 22:00", 9 * HOUR), stretch("2026-10-25 00:40", 45 * MINUTE)]
BLIND = sorted([*MONITOR_AWAY, *STORE_AWAY], key=lambda one: one.began)
# All schedulers stand still, and make up for one start each when they go on.
DEPLOYS = [
    stretch("2026-05-06 01:50", 20 * MINUTE),
    stretch("2026-09-09 13:00", 8 * MINUTE),
    stretch("2026-11-18 00:00", 5 * HOUR),
]
HOST_CUT_OFF = [
    stretch("2026-06-08 00:00", 4 * MINUTE),
    stretch("2026-06-15 06:00", 2 * HOUR),
    stretch("2026-08-24 00:00", 40 * HOUR),
]


@dataclass(frozen=True)
class Job:
    """A job of this world, and what is declared of it.

    Attributes:
        gap: The least time between two ticks.
        works_in: The zone its scheduler uses; the declared one where it is right.
    """

    name: str
    expectation: Expectation
    gap: timedelta
    works_in: str
    host: str = "a"
    begins: datetime = BEGIN
    ends: datetime = END
    misses: float = 0.004  # of its ticks, not counting long silences
    seldom_long: bool = False  # whether some of its runs take longer than its gap
    trigger: str = "SCHEDULER"  # or MANUAL, where its scheduler does not say that it is one

    @property
    def grace(self) -> timedelta:
        if self.expectation.grace is not None:
            return self.expectation.grace
        return min(max(10 * MINUTE, self.gap / 10), self.gap / 2)

    def ticks(self) -> Iterator[datetime]:
        """When its scheduler wants to start it."""
        wants, zone = self.expectation, ZoneInfo(self.works_in)
        if wants.every is not None:
            found: Iterator[datetime] = (
                self.begins + 7 * MINUTE + wants.every * number for number in count()
            )
        elif wants.cron is not None:
            found = CronSim(wants.cron, self.begins.astimezone(zone))
        else:
            found = OnCalendar(str(wants.calendar), self.begins.astimezone(zone))
        for one in found:
            tick = one.astimezone(UTC)
            if tick >= self.ends:
                return
            yield tick


@dataclass(frozen=True)
class Owed:
    """A tick that a start must cover, and when one did.

    Attributes:
        missed_from: When its grace is over, and one more where nobody looked.
        known_at: When the store learned of a start that covers it.
        was_covered: Whether one did within the grace, known or not.
        is_first: Whether nothing had started yet: then the job may be started in any zone.
    """

    tick: datetime
    missed_from: datetime
    known_at: datetime
    was_covered: bool
    is_first: bool


@dataclass
class History:
    """What a job really did: its runs with the times at which the store knows of each part."""

    job: Job
    runs: list[tuple[WatchedRun, datetime, datetime]] = field(default_factory=list)
    owed: list[Owed] = field(default_factory=list)


def history(job: Job, luck: random.Random, numbers: Iterator[int]) -> History:
    """Make up what a job does."""
    made, busy_until, silent_until = History(job), job.begins, job.begins
    pending: list[tuple[datetime, datetime]] = []  # ticks that no start covers yet, with their ends
    counts_from, previous = job.begins, None  # the last start, or the end of a long run
    for tick in job.ticks():
        if tick < busy_until:  # the scheduler leaves it out, and the run covers it
            continue
        due = tick if job.expectation.every is None else max(tick, counts_from + job.gap)
        deadline = due + job.grace
        more = time_for_a_change(tick, ZoneInfo(job.works_in))
        if more is not None:
            pending.append((tick, deadline + more))
        if tick >= silent_until and luck.random() < job.misses / 4:
            silent_until = tick + luck.uniform(0.5, 6.5) * job.gap
        if tick < silent_until or luck.random() < job.misses:
            continue
        start = tick + luck.uniform(0, 3) * SECOND
        if luck.random() < 0.03:
            start = tick + luck.uniform(0, 0.97) * job.grace
        elif luck.random() < 0.02:  # the clocks of host and database differ
            start = tick - luck.uniform(0, 14) * SECOND
        start = max(start, busy_until)
        for pause in DEPLOYS:
            if pause.holds(start):
                start = pause.ended + luck.uniform(0, 40) * SECOND
        if previous is not None and start <= previous:
            continue  # one start made up for several
        took = luck.uniform(1, 9) * SECOND
        if job.seldom_long and luck.random() < 0.02:
            took = luck.uniform(1.05, 3.4) * job.gap
        previous, busy_until = start, start + took
        counts_from = busy_until if took > job.gap / 2 else start
        _settle(made, pending, start, known_at(job, start))
        made.runs.append(
            (
                WatchedRun(
                    id=next(numbers),
                    status="SUCCESS" if luck.random() < 0.95 else "FAILED",
                    started_at=start,
                    finished_at=busy_until,
                    total_records=3,
                    host=job.host,
                    trigger_type=job.trigger,
                ),
                known_at(job, start),
                known_at(job, busy_until),
            )
        )
    _settle(made, pending, None, END)
    return made


def time_for_a_change(tick: datetime, zone: ZoneInfo) -> timedelta | None:
    """How much later a start may be where a clock changes; None where there need not be one."""
    wall = tick.astimezone(zone)
    other = wall.replace(fold=1 - wall.fold)
    if wall.utcoffset() != other.utcoffset():  # it comes twice
        return None if wall.fold else (other.astimezone(UTC) - tick)
    is_made_up = (tick - SECOND).astimezone(zone).utcoffset() != wall.utcoffset()
    return None if is_made_up else timedelta(0)  # for a time that the clock skipped


def _settle(
    made: History, pending: list[tuple[datetime, datetime]], start: datetime | None, known: datetime
) -> None:
    """A start covers all ticks before it."""
    for tick, deadline in pending:
        missed_from = deadline
        for blind in BLIND:
            if blind.ended > tick and blind.began <= missed_from:
                missed_from = max(missed_from, blind.ended + ROUND + made.job.grace)
        was_covered = start is not None and start <= deadline
        made.owed.append(Owed(tick, missed_from, known, was_covered, is_first=not made.runs))
    pending.clear()


def known_at(job: Job, moment: datetime) -> datetime:
    """When the store learns of what happens at a moment: at once, or by a spool."""
    away = [*STORE_AWAY, *(HOST_CUT_OFF if job.host == "cut-off" else [])]
    return next((one.ended + 5 * SECOND for one in away if one.holds(moment)), moment)


# The monitor -------------------------------------------------------------------------------------


@dataclass
class Watched:
    """What the monitor found of a job: when each finding was open."""

    found: dict[FindingType, list[list[datetime]]] = field(default_factory=dict)
    details: list[dict[str, object]] = field(default_factory=list)
    looks: list[datetime] = field(default_factory=list)


_ROUND_SECONDS = ROUND.total_seconds()
_GAPS = [Gap(began_at=one.began, ended_at=one.ended + ROUND) for one in BLIND]
_BLIND_BEGINS = [one.began for one in BLIND]


def next_round(moment: datetime) -> datetime:
    """The first round at a moment or after it."""
    rounds = -((BEGIN - moment).total_seconds() // _ROUND_SECONDS)
    at = BEGIN + rounds * ROUND
    index = bisect_right(_BLIND_BEGINS, at) - 1
    if index >= 0 and BLIND[index].holds(at):
        return next_round(BLIND[index].ended + SECOND)
    return at


def watch(made: History) -> Watched:
    """Look at a job as the monitor does: where it started or ended, and when a verdict says so."""
    job, result = made.job, Watched()
    row = JobRecord(
        job_name=job.name, expectation=job.expectation, declared_at=job.begins, judged_at=job.begins
    )
    number = count()
    events: list[tuple[datetime, int, WatchedRun | None]] = []
    for run, start_known, end_known in made.runs:
        events.append((end_known, next(number), run))
        if next_round(start_known) != next_round(end_known):
            running = run._replace(status="RUNNING", finished_at=None, total_records=0)
            events.append((start_known, next(number), running))
    heapify(events)
    heappush(events, (job.begins, next(number), None))
    rows: dict[int, WatchedRun] = {}
    opened: dict[FindingType, OpenFinding] = {}
    look_at: datetime | None = None
    while events or look_at is not None:
        times = [events[0][0]] if events else []
        now = next_round(min([*times, *([look_at] if look_at is not None else [])]))
        if result.looks and now <= result.looks[-1]:
            now = next_round(result.looks[-1] + SECOND)
        if now >= job.ends:
            break
        while events and events[0][0] <= now:
            _, _, seen = heappop(events)
            if seen is not None:
                rows[seen.id] = seen
        while len(rows) > SEEN_RUNS:
            rows.pop(next(iter(rows)))
        gaps = [one for one in _GAPS if one.ended_at <= now and now - one.ended_at < 35 * DAY]
        facts = JobFacts(job=row, runs=tuple(reversed(rows.values())), open=opened)
        verdict = judge(facts, now=now, gaps=gaps)
        result.looks.append(now)
        opened = dict(opened)
        for closing in verdict.closings:
            del opened[closing.type]
            result.found[closing.type][-1][1] = now
            result.details.append({"type": closing.type, **closing.detail})
        for finding in verdict.findings:
            if finding.type not in opened:
                result.found.setdefault(finding.type, []).append([now, job.ends])
            opened[finding.type] = OpenFinding(
                type=finding.type,
                incident=1,
                opened_at=now,
                last_alert_at=now,
                detail={**finding.detail, "mark": finding.mark},
            )
        look_at = verdict.look_at
        if opened and look_at is not None and look_at <= now:
            look_at = None  # what is open is looked at each round, and says the same until a start
    return result


# 200 jobs ----------------------------------------------------------------------------------------


def jobs() -> list[Job]:
    """The jobs of this world; the many are daily, as they are in any."""
    made: list[Job] = []

    def add(gap: timedelta, zone: str = "UTC", **more: object) -> None:
        expected = {
            key: more.pop(key) for key in ("cron", "calendar", "every", "grace") if key in more
        }
        tz = None if "every" in expected else zone
        made.append(
            Job(
                name=f"job_{len(made):03}",
                expectation=Expectation(tz=tz, **expected),  # type: ignore[arg-type]
                gap=gap,
                works_in=zone,
                trigger="SCHEDULER" if len(made) % 3 else "MANUAL",
                # A run that goes on when its host is cut off would be reaped: no part of this.
                host="a" if len(made) % 5 or more.get("seldom_long") else "cut-off",
                **more,  # type: ignore[arg-type]
            )
        )

    for number in range(36):
        zone, minute = ZONES[number % 6], (number * 7) % 60
        add(DAY, zone, cron=f"{minute} {number % 24} * * *", misses=0.01)
        add(DAY, zone, calendar=f"*-*-* {(number + 12) % 24:02}:{minute:02}:00", grace=30 * MINUTE)
    for number in range(24):
        zone = ZONES[number % 6]
        add(DAY, zone, cron=f"15 {number % 5} * * 1-5", seldom_long=number % 2 == 0)
        add(7 * DAY, zone, calendar=f"Sun *-*-* {number % 4:02}:30:00", misses=0.03)
    for zone in ZONES:
        add(6 * HOUR, zone, cron="30 2,8,14,20 * * *", seldom_long=True)
        add(28 * DAY, zone, cron="0 3 1 * *", misses=0.05)
    for number in range(52):
        add(DAY, every=DAY, seldom_long=number % 4 == 0)
    for number in range(12):
        add(12 * HOUR, every=12 * HOUR, seldom_long=number % 2 == 0)
    # Those that start often do so for a few weeks around each change of the clock.
    for begins, zone, cron, gap in (
        ("2026-03-25", "Europe/Berlin", "*/15 * * * *", 15 * MINUTE),
        ("2026-10-21", "America/New_York", "17 * * * *", HOUR),
        ("2026-10-21", "Europe/Berlin", "*/20 * * * *", 20 * MINUTE),
        ("2026-03-25", "Australia/Sydney", "*/10 * * * *", 10 * MINUTE),
    ):
        begin = datetime.fromisoformat(begins).replace(tzinfo=UTC)
        often = {"begins": begin, "ends": begin + 14 * DAY, "misses": 0.002}
        add(gap, zone, cron=cron, **often)
    return made


def misplaced_jobs() -> list[Job]:
    """Jobs without history whose schedulers use another zone than the declared one."""
    made = []
    spring, autumn = datetime(2026, 3, 7, tzinfo=UTC), datetime(2026, 10, 17, tzinfo=UTC)
    for number, (declared, works_in) in enumerate(permutations(ZONES, 2)):
        cron, gap = (("40 2 * * *", DAY), ("0 9-17 * * 1-5", HOUR), ("5 4,16 * * *", 12 * HOUR))[
            number % 3
        ]
        begins = (spring, autumn)[number % 2] + number * 79 * MINUTE
        made.append(
            Job(
                name=f"misplaced_{number:02}_in_{works_in}",
                expectation=Expectation(cron=cron, tz=declared, grace=min(30 * MINUTE, gap / 4)),
                gap=gap,
                works_in=works_in,
                begins=begins,
                ends=begins + 30 * DAY,
                misses=0,
                trigger="SCHEDULER" if number % 2 else "MANUAL",
            )
        )
    return made
