"""The lanes of a timeline: equal neighbours merge, a gap and a failure never vanish."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from runguard._monitor.records import RunCell
from runguard._monitor.timeline import (
    DEFAULT_ZOOM,
    ZOOMS,
    BarKind,
    Lane,
    LaneFacts,
    MissedStarts,
    RunSlice,
    Stretch,
    Window,
    lane_of,
    window_of,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = Window(NOON - 24 * HOUR, NOON + HOUR, 10 * MINUTE)
HOURS = [NOON + hour * HOUR for hour in range(-24, 2)]


def cell(
    run_id: int,
    minute: float,
    took: float | None = 1,
    status: str = "SUCCESS",
    group: str | None = None,
) -> RunCell:
    """A run that began so many minutes after noon, and took so many."""
    start = NOON + minute * MINUTE
    return RunCell(run_id, status, group, start, None if took is None else start + took * MINUTE)


def failed(run_id: int, minute: float, group: str = "TIMEOUT") -> RunCell:
    return cell(run_id, minute, status="FAILED", group=group)


def lane(*runs: RunCell) -> Lane:
    return lane_of(LaneFacts("job", runs), DAY, now=NOON, ticks=HOURS)


def slice_at(minute: int, runs: int, *, last: float = 9, **values: object) -> RunSlice:
    start = NOON + minute * MINUTE
    ended = start + last * MINUTE
    return RunSlice(start, runs, True, ended, ended, **values)  # type: ignore[arg-type]


def slices(*some: RunSlice, runs: tuple[RunCell, ...] = ()) -> Lane:
    return lane_of(LaneFacts("job", runs, some), DAY, now=NOON, ticks=HOURS)


def kinds(drawn: Lane) -> list[tuple[str, int, int]]:
    return [(bar.kind, bar.runs, bar.of) for bar in drawn.bars]


def test_many_short_successes_become_one_bar_with_their_number() -> None:
    [bar] = lane(*(cell(number, -600 + 10 * number) for number in range(20))).bars

    assert (bar.kind, bar.runs, bar.run_id) == (BarKind.SUCCESS, 20, None)
    assert (bar.starts_at, bar.ends_at) == (NOON - 600 * MINUTE, NOON - 409 * MINUTE)


def test_a_gap_that_an_eye_can_see_divides_bars() -> None:
    bars = lane(cell(1, -100), cell(2, -90), cell(3, -60)).bars

    assert [(bar.runs, bar.run_id) for bar in bars] == [(2, None), (1, 3)]


def test_bars_further_apart_merge_where_there_would_be_too_many() -> None:
    facts = LaneFacts("job", tuple(cell(number, -1200 + 30 * number) for number in range(40)))

    assert len(lane_of(facts, DAY, now=NOON, most_bars=40).bars) == 40
    [merged] = lane_of(facts, DAY, now=NOON, most_bars=39).bars
    assert merged.runs == 40


def test_a_failure_is_never_hidden_in_a_merge() -> None:
    drawn = lane(*(cell(number, -200 + 5 * number) for number in range(20)), failed(99, -152))

    assert kinds(drawn) == [("success", 20, 21), ("failed", 1, 1)]
    failure = drawn.bars[-1]
    assert (failure.starts_at, failure.run_id) == (NOON - 152 * MINUTE, 99)
    assert failure.error_group == "TIMEOUT"


def test_failures_of_one_group_merge_and_say_of_how_many_runs_they_are() -> None:
    drawn = lane(failed(1, -60), cell(2, -55), failed(3, -50), failed(4, -45, "HTTP_5XX"))

    assert kinds(drawn)[1:] == [("failed", 2, 3), ("failed", 1, 1)]
    assert drawn.bars[1].share == pytest.approx(2 / 3)


def test_a_run_that_is_not_over_reaches_to_now() -> None:
    [running] = lane(cell(1, -300, None, "RUNNING")).bars

    assert (running.kind, running.ends_at, running.run_id) == (BarKind.RUNNING, NOON, 1)


def test_a_status_of_another_program_is_a_kind_of_its_own() -> None:
    assert kinds(lane(cell(1, -300, 5, "PAUSED"))) == [("other", 1, 1)]


def test_runs_that_overlap_are_told() -> None:
    drawn = lane(cell(1, -300, 60), cell(2, -290, 5), cell(3, -260, 60), cell(4, -100, 5))

    assert drawn.overlaps == (
        Stretch(NOON - 290 * MINUTE, NOON - 285 * MINUTE),
        Stretch(NOON - 260 * MINUTE, NOON - 240 * MINUTE),
    )


def test_a_run_that_ends_as_the_next_one_begins_overlaps_nothing() -> None:
    assert lane(cell(1, -300, 10), cell(2, -290, 10)).overlaps == ()


def test_cells_count_what_began_between_ticks_and_tell_what_went_on() -> None:
    drawn = lane(cell(1, -1500, 90), cell(2, -130, 130), failed(3, -30), cell(4, -20))

    assert drawn.cells[0].runs == 0
    assert drawn.cells[0].is_busy
    assert (drawn.cells[21].runs, drawn.cells[22].is_busy) == (1, True)
    assert (drawn.cells[23].runs, drawn.cells[23].failures) == (2, 1)
    assert (drawn.runs, drawn.failures, drawn.is_all) == (3, 1, True)
    assert len(drawn.cells) == 25


def test_slices_without_a_gap_become_one_bar() -> None:
    drawn = slices(slice_at(-60, 10), slice_at(-50, 10), slice_at(-30, 4, last=2))

    assert kinds(drawn) == [("success", 20, 20), ("success", 4, 4)]
    assert drawn.bars[0].ends_at == NOON - 41 * MINUTE
    assert drawn.bars[1].ends_at == NOON - 28 * MINUTE


def test_failures_in_a_slice_stand_out_with_their_share() -> None:
    drawn = slices(
        slice_at(-60, 10, failures={"TIMEOUT": 4, None: 1}),
        slice_at(-50, 10, failures={"TIMEOUT": 1}),
        slice_at(-40, 10),
    )

    assert kinds(drawn) == [("success", 24, 30), ("failed", 5, 20), ("failed", 1, 10)]
    assert (drawn.runs, drawn.failures) == (30, 6)


def test_runs_whose_failures_nobody_looked_for_are_not_called_good() -> None:
    drawn = slices(slice_at(-60, 10, is_judged=False), slice_at(-50, 10))

    assert kinds(drawn) == [("success", 10, 10), ("other", 10, 10)]


def test_more_failures_than_were_counted_are_all_told() -> None:
    crowded = RunSlice(NOON - HOUR, 250, False, NOON, NOON, {"TIMEOUT": 900})
    drawn = slices(crowded)

    assert kinds(drawn) == [("failed", 900, 900)]
    assert not drawn.is_all


def test_an_open_run_of_a_job_that_runs_often_is_drawn_by_itself() -> None:
    open_run = cell(7, -58, None, "RUNNING")
    each = [
        RunSlice(NOON - m * MINUTE, 10, True, NOON - (m - 8) * MINUTE, NOON - (m - 9) * MINUTE)
        for m in (60, 50)
    ]
    drawn = slices(*each, runs=(open_run,))

    assert kinds(drawn) == [("success", 19, 20), ("running", 1, 1)]
    assert drawn.overlaps == (Stretch(NOON - 52 * MINUTE, NOON - 41 * MINUTE),)
    assert drawn.runs == 20


def test_a_long_run_closes_the_gap_after_its_slice() -> None:
    long = RunSlice(NOON - HOUR, 1, True, NOON - 55 * MINUTE, NOON - 10 * MINUTE)

    assert kinds(slices(long, slice_at(-10, 3))) == [("success", 4, 4)]


def test_a_job_that_never_ran_has_an_empty_lane() -> None:
    drawn = lane()

    assert (drawn.bars, drawn.overlaps, drawn.runs) == ((), (), 0)
    assert len(drawn.cells) == 25


def test_missed_starts_outside_of_the_window_are_left_out() -> None:
    missed = [MissedStarts(due, due) for due in (NOON, NOON - 48 * HOUR, NOON - HOUR)]
    drawn = lane_of(LaneFacts("job"), DAY, now=NOON, missed=missed)

    assert drawn.missed == (NOON - HOUR, NOON)
    assert (drawn.outages, drawn.missed_starts) == ((), 2)


def test_starts_missed_in_a_row_are_one_outage_also_where_it_reaches_out_of_the_window() -> None:
    inside = MissedStarts(NOON - 5 * HOUR, NOON - 4 * HOUR, 12)
    around = MissedStarts(NOON - 48 * HOUR, NOON + 48 * HOUR, 400)
    before = MissedStarts(NOON - 48 * HOUR, NOON - 47 * HOUR, 7)
    alone = MissedStarts(NOON, NOON)
    drawn = lane_of(LaneFacts("job"), DAY, now=NOON, missed=[inside, around, before, alone])

    assert drawn.missed == (NOON - 5 * HOUR, NOON - 4 * HOUR, NOON)
    assert drawn.outages == (around, inside)
    assert drawn.missed_starts == 413


@pytest.mark.parametrize("zoom", ZOOMS, ids=lambda zoom: zoom.text)
def test_a_window_shows_now_and_a_little_of_what_comes(zoom: object) -> None:
    now = NOON + 123 * timedelta(seconds=1)
    window = window_of(zoom, now=now)  # type: ignore[arg-type]

    assert window.since < now < window.until
    assert timedelta() < window.until - now <= 8 * window.slice
    assert window.starts()[-1] + window.slice == window.until


def test_a_window_of_the_past_ends_where_it_is_asked_to() -> None:
    assert window_of(DEFAULT_ZOOM, now=NOON, until=NOON - HOUR).until == NOON - HOUR
