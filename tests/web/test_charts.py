"""Charts as they are drawn: heights, colours, gaps, and texts that are hostile."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard._monitor.records import FailureBucket, RunCell
from runguard._monitor.visible import visible
from runguard._web import charts

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def cell(
    number: int, seconds: float | None, status: str = "SUCCESS", group: str | None = None
) -> RunCell:
    finished = None if seconds is None else NOON + timedelta(seconds=seconds)
    return RunCell(number, status, group, NOON, finished)


def rectangles(svg: str) -> list[dict[str, str]]:
    """The drawn ones, from left to right."""
    found = [dict(one.attrib) for one in ET.fromstring(svg).iter("rect")]
    return sorted((one for one in found if one["class"] != "hit"), key=lambda one: float(one["x"]))


BAR = re.compile(rf"M(\d+) ([\d.]+)h6V{charts.CELL_HEIGHT}h-6z")


def bars(svg: str) -> list[tuple[float, str]]:
    """How high each bar of a strip is, and its class, from left to right."""
    found = [
        (int(x), charts.CELL_HEIGHT - float(top), path.attrib["class"])
        for path in ET.fromstring(svg).iter("path")
        for x, top in BAR.findall(path.attrib["d"])
    ]
    return [(height, name) for _, height, name in sorted(found)]


def test_a_longer_run_is_taller_and_the_newest_stands_at_the_right() -> None:
    drawn = bars(charts.strip([cell(3, 100), cell(2, 1, "FAILED", "TIMEOUT"), cell(1, 25)]))

    assert [name for _, name in drawn] == ["c-ok", "g-TIMEOUT", "c-ok"]
    assert [height for height, _ in drawn] == pytest.approx([16.0, 6.4, 28.0])


def test_a_strip_shows_no_more_than_it_has_places_for() -> None:
    drawn = charts.strip([cell(one, 1) for one in range(99)], to="/runs/{}")

    assert len(bars(drawn)) == charts.STRIP_CELLS
    assert len(ET.fromstring(drawn).attrib["data-cells"].split("\n")) == charts.STRIP_CELLS


def test_a_strip_takes_an_element_a_colour_and_not_one_a_run() -> None:
    cells = [cell(one, 1, "FAILED" if one % 2 else "SUCCESS", "TIMEOUT") for one in range(30)]

    assert len(list(ET.fromstring(charts.strip(cells, to="/runs/{}")))) == 3  # with the line below


@pytest.mark.parametrize(
    ("status", "group", "drawn_as"),
    [
        ("SUCCESS", None, "c-ok"),
        ("RUNNING", None, "c-run"),
        ("FAILED", "HTTP_5XX", "g-HTTP_5XX"),
        ("FAILED", None, "g-other"),
        ("FAILED", '"><script>', "g-other"),
        ("DONE", None, "g-other"),
    ],
)
def test_the_colour_is_that_of_status_and_group(
    status: str, group: str | None, drawn_as: str
) -> None:
    [(_, name)] = bars(charts.strip([cell(1, 2, status, group)]))

    assert name == drawn_as


def test_stretches_without_failures_are_bars_without_height() -> None:
    buckets = [FailureBucket(NOON - 2 * HOUR, "TIMEOUT", 3), FailureBucket(NOON, "HTTP_5XX", 1)]
    series = charts.series_of(buckets, since=NOON - 3 * HOUR, until=NOON, bucket=HOUR)

    assert [bar.total for bar in series.bars] == [0, 3, 0, 1]
    assert list(series.totals.items()) == [("HTTP_5XX", 1), ("TIMEOUT", 3)]


def test_groups_are_stacked_without_a_gap_up_to_their_sum() -> None:
    buckets = [FailureBucket(NOON, group, 2) for group in ("TIMEOUT", "HTTP_5XX", None)]
    series = charts.series_of(buckets, since=NOON, until=NOON, bucket=HOUR)
    drawn = rectangles(charts.failures(series).svg)
    tops = sorted(float(one["y"]) for one in drawn)

    assert series.totals == {"HTTP_5XX": 2, "TIMEOUT": 2, charts.NO_GROUP: 2}
    assert charts.failures(series).top == "6"
    assert tops == pytest.approx([0, 200 / 3, 400 / 3], abs=0.1)


def test_the_bar_of_a_failure_has_a_cap_for_those_who_see_no_colour() -> None:
    drawn = rectangles(
        charts.durations([cell(2, 10, "FAILED", "TIMEOUT"), cell(1, 10), cell(0, 0.001)]).svg
    )

    assert [one["class"] for one in drawn] == ["c-ok", "c-ok", "g-TIMEOUT", "cap"]
    assert drawn[-1]["y"] == drawn[-2]["y"]
    assert float(drawn[-1]["height"]) == charts.CAP


def test_the_line_of_what_is_usual_stands_at_its_height() -> None:
    chart = charts.durations([cell(1, 40), cell(2, 10)], usual=15)

    assert chart.top == "1 min"
    assert 'class="usual" d="M0 150.0H1000"' in chart.svg


@pytest.mark.parametrize(
    "cells", [[], [cell(1, None, "RUNNING")], [RunCell(1, "X", None, None, None)]]
)
def test_without_a_finished_run_there_is_a_sentence_instead(cells: list[RunCell]) -> None:
    assert charts.durations(cells).summary == "No run has finished yet."
    ET.fromstring(charts.strip(cells))


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@given(group=texts, status=texts, href=texts)
def test_whatever_a_store_holds_the_picture_stays_one(group: str, status: str, href: str) -> None:
    cells = [cell(1, 2, status, group), cell(2, 1, "FAILED", group)]
    series = charts.series_of([FailureBucket(NOON, group, 1)], since=NOON, until=NOON, bucket=HOUR)
    for svg in (
        charts.durations(cells, href_of=lambda _cell: href).svg,
        charts.failures(series, href_of=lambda _bar, _group: href).svg,
    ):
        picture = ET.fromstring(svg)
        assert {one.tag for one in picture.iter()} <= {"svg", "path", "rect", "a", "title"}
        assert {one.attrib["href"] for one in picture.iter("a")} == {href}
        said = [re.sub("[\u2068\u2069]", "", one.text or "") for one in picture.iter("title")]
        assert any(visible(group) in one for one in said)
        assert "style" not in re.findall(r" (\w+)=", svg)
    for svg in (charts.strip(cells), charts.strip(cells, to=href)):
        picture = ET.fromstring(svg)
        assert {one.tag for one in picture.iter()} <= {"svg", "path", "g", "rect", "title"}
        said = "".join([*picture.attrib.values(), *picture.itertext()])
        assert visible(group) in re.sub("[\u2068\u2069]", "", said)
    assert picture.attrib["data-to"] == href


@given(st.integers(0, 10**9))
def test_an_axis_of_counts_ends_at_or_above_the_most(most: int) -> None:
    top = charts.round_count(most)

    assert most <= top <= max(2, 2.5 * most)


@given(st.floats(0, 1e8))
def test_an_axis_of_durations_ends_at_or_above_the_longest(longest: float) -> None:
    top = charts.round_seconds(longest)

    assert longest <= top <= max(0.001, 2.5 * longest)


def test_days_are_those_of_the_readers_clock_also_where_it_changes() -> None:
    london = ZoneInfo("Europe/London")
    since, until = datetime(2026, 10, 23, 12, tzinfo=UTC), datetime(2026, 10, 26, 12, tzinfo=UTC)
    day = timedelta(days=1)
    counted = charts.counted_in(day, since=since, until=until, zone=london)
    late = datetime(2026, 10, 25, 23, tzinfo=UTC)  # still Sunday, which has 25 hours
    buckets = [FailureBucket(late, "TIMEOUT", 2)]
    series = charts.series_of(buckets, since=since, until=until, bucket=day, zone=london)
    starts = [bar.starts_at.astimezone(london).isoformat() for bar in series.bars]

    assert counted == HOUR
    assert [one[:16] for one in starts] == [f"2026-10-{one}T00:00" for one in (23, 24, 25, 26)]
    assert [bar.total for bar in series.bars] == [0, 0, 2, 0]
    assert series.bars[2].ends_at - series.bars[2].starts_at == 25 * HOUR


def test_the_labels_below_bars_say_the_times_of_their_places() -> None:
    for hours, middle in ((3, NOON - HOUR), (4, NOON - 1.5 * HOUR)):
        since = NOON - hours * HOUR
        chart = charts.failures(charts.series_of([], since=since, until=NOON, bucket=HOUR))

        assert chart.instants == (since, middle, NOON + HOUR)


def test_a_flag_stands_before_the_first_run_of_another_version() -> None:
    runs = [
        replace(cell(number, 1), version=version)
        for number, version in (
            (6, None),
            (5, "2.0"),
            (4, "2.0"),
            (3, None),
            (2, "1.9"),
            (1, "1.8"),
        )
    ]
    drawn = ET.fromstring(charts.strip(runs, to="/runs/{}"))
    flags = drawn.find("path[@class='new']")
    titles = [one for one in drawn.attrib["data-cells"].split("\n") if "new version" in one]

    assert flags is not None
    assert re.findall(r"M([\d.]+) ", flags.attrib["d"]) == ["215.5", "199.5"]
    assert [one.split(" · ")[0] for one in titles] == ["run 4", "run 2"]
    assert titles[0].endswith("new version 2.0, before 1.9")
    assert charts.strip_summary(runs) == (
        "Last 6 runs: 0 failed. Run 4 was the first on version 2.0, before it 1.9 ran, the last of"
        " 2 changes."
    )
    assert charts.durations(runs).svg.count('class="new"') == 2
