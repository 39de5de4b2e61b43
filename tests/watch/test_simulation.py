"""Never a false alarm: 200 jobs over a year, judged as the monitor does, against what is true."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from itertools import count

from runguard._monitor.expectations import FindingType

from .world import ROUND, History, Watched, history, jobs, misplaced_jobs, next_round, watch

SEED = 20260105
ANY_ZONE = timedelta(hours=26)  # between the first and the last zone of the world


def check(made: History, watched: Watched) -> tuple[list[str], Counter[str]]:
    """Compare what was found with what is true; say each difference, and count."""
    job, wrong, counts = made.job, [], Counter[str]()
    about = f"{job.name} ({job.expectation}, works in {job.works_in})"
    opened = watched.found.get(FindingType.MISSED, [])
    missed = [one for one in made.owed if next_round(one.missed_from) < one.known_at]
    for begin, _ in opened:
        causes = [one for one in missed if one.missed_from <= begin <= next_round(one.known_at)]
        if not causes:
            wrong.append(f"{about}: false MISSED at {begin}")
        elif all(one.was_covered for one in causes):
            counts["reported late"] += 1
        else:
            counts["alerts"] += 1
    for one in missed:
        latest = one.missed_from
        if one.is_first and job.expectation.every is None:
            latest += job.gap + ANY_ZONE
            counts["before a first start"] += 1
        first_round = next_round(latest)
        if first_round >= min(one.known_at, job.ends):
            continue
        if not any(begin <= first_round + ROUND and first_round <= end for begin, end in opened):
            wrong.append(f"{about}: {one.tick} was missed, and not found")
        counts["missed"] += 1
    others = watched.found.keys() - {FindingType.MISSED, FindingType.SLOW}
    wrong += [f"{about}: {kind} at {watched.found[kind][0][0]}" for kind in others]
    return wrong, counts


def test_a_year_of_200_jobs_gives_no_false_alarm_and_hides_no_missed_start() -> None:
    luck, numbers, counts = random.Random(SEED), count(1), Counter[str]()
    wrong: list[str] = []

    made = jobs()
    for job in made:
        past = history(job, luck, numbers)
        differences, counted = check(past, watch(past))
        wrong += differences
        counts += counted

    assert len(made) == 200
    assert not wrong, "\n".join(wrong[:20])
    # Starts of a host that was cut off for longer than their grace: as if it were dead, until it
    # is there again. Each alert is closed as "started on time, and was reported late".
    assert 0 < counts["reported late"] < counts["alerts"] < counts["missed"]


def test_each_schedule_in_a_wrong_zone_is_one_finding_and_no_missed_start() -> None:
    luck, numbers = random.Random(SEED), count(1)

    found = {job: watch(history(job, luck, numbers)).found for job in misplaced_jobs()}

    assert [
        f"{job.name} ({job.expectation}): {kinds}"
        for job, kinds in found.items()
        if {kind: len(times) for kind, times in kinds.items()} != {FindingType.WRONG_ZONE: 1}
    ] == []
