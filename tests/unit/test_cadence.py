"""The usual cadence of a job, and the rule that its history must prove before one is suggested."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from runguard._monitor.cadence import as_toml, cadence_of, learned, suggest
from runguard._monitor.expectations import Expectation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
BERLIN, SEOUL = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Seoul")


def every(gap: timedelta, *, days: float = 30, jitter: float = 0, seed: int = 1) -> list[datetime]:
    """Starts at whole gaps, each so many seconds late at most."""
    chance = Random(seed)
    count = int(days * DAY / gap)
    return [MONDAY + n * gap + timedelta(seconds=chance.uniform(0, jitter)) for n in range(count)]


def at(
    hour: int,
    minute: int = 0,
    *,
    zone: Any = UTC,
    weekdays: Sequence[int] = range(7),
    begin: datetime = MONDAY,
    days: int = 30,
    jitter: float = 5,
) -> list[datetime]:
    """Starts at a time of day."""
    chance = Random(days)
    midnights = (begin.replace(tzinfo=None) + number * DAY for number in range(days))
    return [
        midnight.replace(hour=hour, minute=minute, tzinfo=zone).astimezone(UTC)
        + timedelta(seconds=chance.uniform(0, jitter))
        for midnight in midnights
        if midnight.weekday() in weekdays
    ]


@pytest.mark.parametrize(
    ("starts", "words"),
    [
        (every(HOUR, days=1, jitter=20)[3:], "every hour at :00"),
        ([one + 17 * MINUTE for one in every(HOUR, days=1, jitter=40)], "every hour at :17"),
        (every(10 * MINUTE, days=0.2, jitter=50), "every 10 minutes"),
        (every(MINUTE, days=0.02, jitter=3), "every minute"),
        (every(timedelta(seconds=30), days=0.01), "every 30 s"),
        (every(6 * HOUR, days=7, jitter=30), "every 6 hours at :00"),
        (at(2, days=9), "every day at 02:00 UTC"),
        (at(7, 30, weekdays=range(5)), "weekdays at 07:30 UTC"),
        (at(7, 30, weekdays=[0]), "every Monday at 07:30 UTC"),
        (at(2, zone=BERLIN, begin=datetime(2026, 10, 1, tzinfo=UTC)), "every day"),
        ([MONDAY + n * n * MINUTE for n in range(30)], "irregular"),
    ],
)
def test_the_usual_cadence_is_said_in_words(starts: list[datetime], words: str) -> None:
    found = cadence_of(reversed(starts))

    assert found is not None
    assert found.words == words
    assert found.last_at == starts[-1]


def test_starts_at_one_instant_count_once_for_a_cadence() -> None:
    starts = every(HOUR, days=1, jitter=20)

    assert cadence_of([*starts, *starts]) == cadence_of(starts)
    assert cadence_of([MONDAY] * 10) is None


def test_three_starts_are_no_cadence() -> None:
    assert cadence_of(every(HOUR, days=3 / 24)) is None


def test_a_time_of_day_is_told_in_the_zone_that_is_asked_for() -> None:
    found = cadence_of(at(2, zone=SEOUL, days=9), zone=SEOUL)

    assert found is not None
    assert found.words == "every day at 02:00 Asia/Seoul"


@pytest.mark.parametrize(
    ("starts", "expected"),
    [
        (every(MINUTE, days=15, jitter=4), Expectation(every=MINUTE)),
        (every(10 * MINUTE, jitter=120), Expectation(every=10 * MINUTE)),
        (every(30 * MINUTE, jitter=240), Expectation(every=30 * MINUTE)),
        (
            [one + 17 * MINUTE for one in every(HOUR, days=15, jitter=100)],
            Expectation(cron="17 * * * *", tz="UTC"),
        ),
        (every(6 * HOUR, jitter=60), Expectation(cron="0 */6 * * *", tz="UTC")),
        (at(2), Expectation(cron="0 2 * * *", tz="UTC")),
        (at(2, jitter=1500), Expectation(cron="0 2 * * *", tz="UTC")),
        (at(7, 30, weekdays=range(5)), Expectation(cron="30 7 * * 1-5", tz="UTC")),
        (at(7, 30, weekdays=[6]), Expectation(cron="30 7 * * 0", tz="UTC")),
        (sorted(at(6) + at(18)), Expectation(cron="0 6,18 * * *", tz="UTC")),
        (
            sorted(one for hour in range(9, 17) for one in at(hour, weekdays=range(5))),
            Expectation(cron="0 9-16 * * 1-5", tz="UTC"),
        ),
    ],
    ids=lambda value: str(value.cron or value.every) if isinstance(value, Expectation) else "",
)
def test_a_regular_history_is_suggested(starts: list[datetime], expected: Expectation) -> None:
    found = suggest("nightly", starts, now=starts[-1] + MINUTE)

    assert found is not None
    assert found.expectation == expected


@pytest.mark.parametrize("change", [datetime(2026, 3, 29), datetime(2026, 10, 25)])
@pytest.mark.parametrize("after", [2, 10, 18])
def test_a_change_of_clocks_tells_the_zone_of_a_job(change: datetime, after: int) -> None:
    begin = (change - timedelta(days=40)).replace(tzinfo=UTC)
    starts = at(2, 30, zone=BERLIN, begin=begin, days=40 + after)

    found = suggest("nightly", starts, zones=(UTC, BERLIN, SEOUL))

    assert found is not None
    assert found.expectation == Expectation(cron="30 2 * * *", tz="Europe/Berlin")


def test_a_loop_that_drifts_gets_the_longest_gap() -> None:
    found = suggest("loop", every(timedelta(minutes=62, seconds=10), jitter=30))

    assert found is not None
    assert found.expectation == Expectation(every=62 * MINUTE)


def test_starts_by_hand_beside_the_schedule_do_not_hide_it() -> None:
    by_hand = [MONDAY + number * DAY + 9 * HOUR for number in (12, 19)]

    found = suggest("nightly", [*at(2), *by_hand])

    assert found is not None
    assert found.expectation.cron == "0 2 * * *"


@pytest.mark.parametrize(
    "starts",
    [
        [],
        at(2, days=20),  # two weeks and six days
        at(7, weekdays=[2], days=15),
        every(HOUR, days=13),
        every(10 * MINUTE, days=13),
        [one for number, one in enumerate(at(2)) if number != 20],  # one is lacking
        sorted(at(2) + at(4, weekdays=[6])),  # which one line of cron cannot say
    ],
    ids=["none", "20 days", "two Wednesdays", "hourly", "often", "one lacking", "two rules"],
)
def test_what_is_not_proven_is_not_suggested(starts: list[datetime]) -> None:
    assert suggest("nightly", starts) is None


def test_a_job_that_has_stopped_is_not_suggested() -> None:
    starts = every(10 * MINUTE)

    assert suggest("sync", starts, now=starts[-1] + 10 * MINUTE) is not None
    assert suggest("sync", starts, now=starts[-1] + 19 * DAY) is None


def test_a_suggestion_is_a_table_of_the_configuration_with_its_evidence() -> None:
    found = suggest('billing "new".sync', at(2, zone=SEOUL, jitter=0), zones=(SEOUL,))

    assert found is not None
    text = as_toml(found)
    assert text == (
        "# every day at 02:00 (Asia/Seoul): all 21 starts due in the last 3 weeks came, the latest"
        " 5 s after its time\n"
        '[jobs."billing \\"new\\".sync"]\n'
        'cron = "0 2 * * *"\n'
        'tz = "Asia/Seoul"\n'
    )
    assert tomllib.loads(text)["jobs"] == {
        'billing "new".sync': {"cron": "0 2 * * *", "tz": "Asia/Seoul"}
    }


def test_lengths_of_a_suggestion_are_written_as_the_configuration_takes_them() -> None:
    found = suggest("sync", every(10 * MINUTE))

    assert found is not None
    assert tomllib.loads(as_toml(found))["jobs"] == {"sync": {"every": "10m"}}


def test_a_grace_is_suggested_where_the_usual_one_is_too_short() -> None:
    late = [one + (number % 5) * 3 * MINUTE for number, one in enumerate(every(HOUR))]

    found = suggest("hourly", late)

    assert found is not None
    assert found.expectation == Expectation(cron="0 * * * *", tz="UTC", grace=24 * MINUTE)


def test_what_is_to_be_learned_is_a_schedule_as_soon_as_it_is_proven() -> None:
    wanted = Expectation(learn=True, max_runtime=HOUR)

    assert learned(wanted, at(2, days=9)) == wanted
    assert learned(wanted, at(2)) == Expectation(
        cron="0 2 * * *", tz="UTC", learn=True, max_runtime=HOUR
    )


def test_nothing_is_learned_where_nobody_asked_or_a_schedule_is_declared() -> None:
    for declared in (Expectation(max_runtime=HOUR), Expectation(every=HOUR, learn=True)):
        assert learned(declared, at(2)) == declared


# No false suggestion -----------------------------------------------------------------------------


def irregular(chance: Random) -> Iterator[datetime]:
    """Somebody, or another system, starts it now and then."""
    mean = chance.choice([20 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, DAY]).total_seconds()
    instant = MONDAY
    while instant < MONDAY + 25 * DAY:
        instant += timedelta(seconds=chance.expovariate(1 / mean))
        yield instant


def office_hours(chance: Random) -> Iterator[datetime]:
    """People start it at work, each day some times, at the times when they come to it."""
    for number in range(25):
        day = MONDAY + number * DAY
        if day.weekday() < 5:
            for _ in range(chance.randint(1, 12)):
                yield day + 8 * HOUR + timedelta(seconds=chance.triangular(0, 36_000))


def backing_off(chance: Random) -> Iterator[datetime]:
    """A loop that waits longer after each failure, and some days have one."""
    pause = chance.choice([20 * MINUTE, 30 * MINUTE, HOUR])
    wait, instant = pause, MONDAY
    while instant < MONDAY + 25 * DAY:
        yield instant
        fails = chance.random() < (0.8 if wait > pause else 3 * pause / DAY)
        wait = min(2 * wait, 64 * pause) if fails else pause
        instant += wait


def bursts(chance: Random) -> Iterator[datetime]:
    """A queue's worker: many within a minute, and then none for hours."""
    gap = chance.choice([4 * HOUR, DAY]).total_seconds()
    instant = MONDAY
    while instant < MONDAY + 25 * DAY:
        instant += timedelta(seconds=chance.uniform(0.2 * gap, 1.8 * gap))
        for _ in range(chance.randint(1, 12)):
            yield instant + timedelta(seconds=chance.uniform(0, 60))


def test_no_history_without_a_rule_gets_a_suggestion() -> None:
    kinds: tuple[Callable[[Random], Iterator[datetime]], ...]
    kinds = (irregular, office_hours, backing_off, bursts)

    found = [
        suggestion
        for seed in range(1000)
        if (suggestion := suggest("job", kinds[seed % 4](Random(seed)), zones=(BERLIN, UTC)))
    ]

    assert found == []
