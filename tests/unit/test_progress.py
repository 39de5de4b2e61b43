"""How far a run is, and how long it still takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runguard._monitor.progress import Progress, RunProgress, progress_of, progress_words
from runguard._monitor.records import NoteRecord

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
BEGAN = NOON - timedelta(minutes=5)


def words(done: int | None, total: int | None, **given: Any) -> str:
    """What is said of a run that began five minutes ago and told its progress just now."""
    told_at = given.pop("told_at", NOON)
    note = NoteRecord(done=done, total=total, progress_at=told_at)
    progress = progress_of(note, now=NOON, **{"started_at": BEGAN, **given})
    assert progress is not None
    return progress_words(progress, now=NOON)


def test_a_run_that_told_nothing_has_no_progress() -> None:
    assert progress_of(None, started_at=BEGAN, now=NOON) is None
    assert progress_of(NoteRecord(context={"a": 1}), started_at=BEGAN, now=NOON) is None


def test_an_open_run_tells_its_speed_and_the_time_left() -> None:
    assert words(300, 1200) == "300 of 1,200 (25 %), 1/s, about 15 min left"


def test_what_has_passed_since_it_was_told_is_not_left_any_more() -> None:
    told_at = NOON - timedelta(minutes=1)

    assert words(240, 480, told_at=told_at) == "240 of 480 (50 %), 1/s, about 3 min left"


def test_an_old_word_is_told_as_one() -> None:
    told_at = NOON - timedelta(minutes=3)

    assert words(120, 480, told_at=told_at) == "120 of 480 (25 %), 1/s, as of 3 min ago"


def test_without_a_total_there_is_no_time_left() -> None:
    assert words(10, None) == "10 done, 2/min"


@pytest.mark.parametrize(
    ("done", "total", "said"),
    [
        (0, 500, "0 of 500 (0 %)"),
        (0, 0, "0 of 0"),
        (500, 500, "500 of 500 (100 %), 1.7/s"),
        (999, 1000, "999 of 1,000 (99 %), 3.3/s, about to end"),
        (600, 500, "600 of 500 (100 %), 2/s"),
        (-3, 500, "-3 of 500 (0 %)"),
        (3, -500, "3 of -500, 36/h"),
        (1, 2**63 - 1, "1 of 9,223,372,036,854,775,807 (0 %), 12/h, more than a year left"),
    ],
)
def test_odd_counts_are_said_as_they_are(done: int, total: int, said: str) -> None:
    assert words(done, total) == said


def test_a_run_that_ended_tells_how_far_it_came_and_how_fast() -> None:
    ended = progress_of(
        NoteRecord(done=300, total=1200, progress_at=NOON),
        started_at=BEGAN,
        finished_at=NOON,
        now=NOON + timedelta(days=1),
    )

    assert ended is not None
    assert progress_words(ended) == "300 of 1,200 (25 %), 1/s"


def test_a_run_that_was_lost_went_as_fast_as_it_told_last() -> None:
    note = NoteRecord(done=60, total=120, progress_at=BEGAN + timedelta(minutes=1))
    lost = progress_of(note, started_at=BEGAN, finished_at=NOON, now=NOON)

    assert lost is not None
    assert progress_words(lost) == "60 of 120 (50 %), 1/s"


def test_times_that_go_backwards_show_no_speed() -> None:
    assert words(5, 10, started_at=NOON + timedelta(minutes=1)) == "5 of 10 (50 %)"
    assert words(5, 10, started_at=None) == "5 of 10 (50 %)"


def test_a_share_stays_between_nothing_and_all() -> None:
    shares = [Progress(done, 10, None, None, None).share for done in (-5, 5, 50)]

    assert shares == [0.0, 0.5, 1.0]


def test_programs_get_the_time_left_in_seconds() -> None:
    note = NoteRecord(done=300, total=1200, progress_at=NOON)
    progress = RunProgress.of(progress_of(note, started_at=BEGAN, now=NOON))

    assert progress == RunProgress(300, 1200, 1.0, 900.0, NOON)
    assert RunProgress.of(None) is None
