"""The timeline on the overview: what is drawn, what the table says, and how large it may be."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import create_engine

from runguard._monitor.records import RunCell
from runguard._monitor.timeline import (
    MOST_BARS,
    MOST_LANES,
    ZOOMS,
    BarKind,
    Lane,
    LaneBar,
    LaneFacts,
    MissedStarts,
    Stretch,
    Window,
    lane_of,
    window_of,
)
from runguard._web import lanes
from tests.store.conftest import BackDoor
from tests.store.drafts import TIMEOUT, new_run
from tests.store.test_operator_queries import foreign_alert, spelled
from tests.web.reading import Page

if TYPE_CHECKING:
    from collections.abc import Callable

    from runguard._store.operator import OperatorStore
    from tests.web.conftest import Client

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = Window(NOON - 24 * HOUR, NOON, timedelta(minutes=10))
FRAME = lanes.frame_of(DAY, now=NOON, tick=2 * HOUR, zone=UTC)


def bar(kind: BarKind, hour: float, took: float = 1, **values: object) -> LaneBar:
    start = DAY.since + hour * HOUR
    known = {"runs": 1, "of": 1, **values}
    return LaneBar(kind, start, start + took * HOUR, **known)  # type: ignore[arg-type]


def drawn(*bars: LaneBar, room: int = 0, **values: object) -> str:
    lane = Lane("job", bars, **values)  # type: ignore[arg-type]
    return lanes.lane(lane, FRAME, href_of=lambda one: f"/runs/{one.run_id}", room=room)


def test_a_bar_stands_where_its_time_does() -> None:
    assert '<path class="c-ok" d="M250 7h125v12h-125z"/>' in drawn(bar(BarKind.SUCCESS, 6, 3))


def test_a_failure_has_the_colour_of_its_group_and_a_cap() -> None:
    svg = drawn(bar(BarKind.FAILED, 12, 3, error_group="TIMEOUT"))

    assert '<path class="g-TIMEOUT" d="M500 7h125v12h-125z"/>' in svg
    assert '<path class="cap" d="M500 3h125v3h-125z"/>' in svg


def test_some_failures_among_many_runs_are_as_high_as_their_share() -> None:
    assert "v6h-125z" in drawn(bar(BarKind.FAILED, 12, 3, runs=5, of=10))
    assert "v4h-125z" in drawn(bar(BarKind.FAILED, 12, 3, runs=1, of=1000))


def test_what_is_rare_is_told_where_there_is_room_for_some_only() -> None:
    bars = [bar(BarKind.SUCCESS, hour, 0.5, run_id=hour) for hour in range(20)]
    svg = drawn(*bars, bar(BarKind.FAILED, 3, run_id=77), room=2)

    assert re.findall(r'href="([^#"]+)"', svg) == ["/runs/19", "/runs/77"]
    assert "<title>run 77 · failed · no group · 1 h from 2026-02-28 15:00:00 UTC</title>" in svg


def test_overlaps_missed_starts_and_the_next_start_are_marked() -> None:
    svg = drawn(
        overlaps=(Stretch(NOON - 12 * HOUR, NOON - 6 * HOUR),),
        missed=(NOON - 12 * HOUR,),
        next_due_at=NOON - 6 * HOUR,
    )

    assert '<path class="lane-overlap" d="M500 20h250v2h-250z"/>' in svg
    assert '<use href="#lane-missed" x="50.00%"/>' in svg
    assert '<use href="#lane-late" x="75.00%"/>' in svg
    frame = lanes.frame_of(DAY, now=NOON - 7 * HOUR, tick=HOUR, zone=UTC)
    assert "#lane-next" in lanes.lane(Lane("job", next_due_at=NOON - 6 * HOUR), frame)


def test_starts_missed_in_a_row_are_one_stretch_that_says_how_many() -> None:
    outage = MissedStarts(NOON - 12 * HOUR, NOON - 6 * HOUR, 1000)
    svg = drawn(outages=(outage,))

    said = "missed 1,000 or more starts between 2026-03-01 00:00 UTC and 2026-03-01 06:00 UTC"
    assert f'<title>{said}</title><path class="lane-outage" d="M500 8h250v7h-250z"/>' in svg
    assert lanes.summary_of([Lane("job", outages=(outage,))]).endswith(
        "0 failed. 1,000 expected starts missed."
    )


def test_the_table_says_between_which_times_starts_were_missed(
    filled_file: str, file_client: Client
) -> None:
    due = datetime.now(UTC).replace(microsecond=0) - HOUR
    engine = create_engine(filled_file)
    back_door = BackDoor(engine)
    foreign_alert(
        back_door,
        source_type="job",
        source_id="payments",
        alert_type="MISSED",
        detail=json.dumps({"first_due": f"{due - HOUR}", "due": f"{due}", "missed": 12}),
        created_at=spelled(back_door, due),
    )
    engine.dispose()

    text = Page(timeline_of(file_client)).text

    assert "missed 12 starts between" in text
    assert "12 expected starts missed." in text


def test_ticks_are_whole_hours_and_days_of_the_readers_zone() -> None:
    zone = ZoneInfo("Asia/Kathmandu")
    frame = lanes.frame_of(DAY, now=NOON, tick=2 * HOUR, zone=zone)
    said = [lanes.label_of(edge, frame) for edge in frame.edges[1:-1]]

    assert said == [
        *(f"{h}:00" for h in (18, 20, 22)),
        "Mar 1",
        *(f"{h:02}:00" for h in range(2, 18, 2)),
    ]
    assert frame.edges[0] == DAY.since
    assert frame.edges[-1] == DAY.until


def test_a_title_says_how_many_of_how_many() -> None:
    failed = bar(BarKind.FAILED, 1, runs=5, of=250, is_all=False, error_group="TIMEOUT")

    assert lanes.title_of(failed).startswith("5 of 250 or more runs failed · TIMEOUT · 1 h from ")
    assert lanes.title_of(bar(BarKind.SUCCESS, 1, runs=9)).startswith("9 runs · success · ")


@pytest.mark.parametrize("every", [timedelta(hours=4, minutes=30), timedelta(hours=9)])
def test_fifty_lanes_of_a_month_stay_small(every: timedelta) -> None:
    window = window_of(ZOOMS[-1], now=NOON)
    frame = lanes.frame_of(window, now=NOON, tick=ZOOMS[-1].tick, zone=UTC)
    runs = [
        RunCell(
            *(number, "FAILED" if number % 20 == 0 else "SUCCESS"),
            *(None, NOON - number * every, NOON - number * every + HOUR / 2),
        )
        for number in range(160)
    ]
    most, room = MOST_BARS // MOST_LANES, lanes.room_for(MOST_LANES)
    lane = lane_of(LaneFacts("a_usual_name", tuple(runs)), window, now=NOON, most_bars=most)
    svg = lanes.lane(lane, frame, href_of=lambda one: f"/runs/{one.run_id}", room=room)

    assert len(svg) * MOST_LANES < 100_000 - 25_000  # the table and the names take the rest


def timeline_of(client: Client, query: str = "") -> str:
    page = client.get(f"/{query}").text
    return page[page.index('id="timeline"') : page.index('id="jobs"')]


def test_the_overview_shows_a_lane_for_each_job_of_its_list_and_the_same_as_a_table(
    client: Client,
) -> None:
    part = timeline_of(client)

    names = re.findall(r'class="lane-name plain"[^>]*>([^<]+)<', part)
    assert sorted(names) == ["invoices/monthly", "nightly", "payments", "주문 동기화"]
    assert "4 jobs: 7 runs, 5 failed." in part
    [row] = re.findall(r'<tr><th scope="row"><a href="/jobs/payments">.*?</tr>', part, re.DOTALL)
    assert re.findall("<td>([^<]*)</td>", row)[:3] == ["4", "3", "0"]
    assert "4, 3 failed" in row


def test_the_lanes_are_those_of_the_list_that_is_searched(file_client: Client) -> None:
    part = timeline_of(file_client, "?find=pay")

    assert re.findall(r'class="lane-name plain"[^>]*>([^<]+)<', part) == ["payments"]


def test_zoom_and_place_are_kept_in_the_address_beside_the_list_s(file_client: Client) -> None:
    page = file_client.get("/?timeline=7d&find=pay&sort=name").text

    assert 'href="/?find=pay&amp;sort=name&amp;timeline=30d#timeline"' in page
    assert 'href="/?find=pay&amp;sort=last&amp;timeline=7d"' in page
    assert '<input type="hidden" name="timeline" value="7d">' in page


def test_earlier_leads_into_the_past_and_later_back_to_now(file_client: Client) -> None:
    part = timeline_of(file_client)
    assert "later" not in part
    [earlier] = re.findall(r'href="/([^"]+)" rel="prev"', part)

    past = timeline_of(file_client, earlier.replace("&amp;", "&"))

    assert "who ran from" in past
    assert "4 jobs: 0 runs, 0 failed." in past
    [later] = re.findall(r'href="([^"]+)" rel="next"', past)
    assert later == "/?timeline=24h#timeline"


def test_what_is_live_shows_a_run_that_has_begun(
    filled_file: str, file_client: Client, open_store_at: Callable[[str], OperatorStore]
) -> None:
    open_store_at(filled_file).start_run(new_run("payments"), timeout=TIMEOUT)

    part = file_client.get("/?timeline=1h", headers={"HX-Request": "true"}).text

    assert "<html" not in part
    assert '<path class="c-run"' in part[part.index('id="timeline"') : part.index("lane-legend")]


@pytest.mark.parametrize("query", ["?timeline=2h", "?at=yesterday", "?at=2026-03-01T02:00"])
def test_what_cannot_be_read_is_said(file_client: Client, query: str) -> None:
    answer = file_client.get(f"/{query}")

    assert answer.status_code == 422
    assert "expected" in Page(answer.text).text


def test_a_time_far_away_is_an_empty_timeline(file_client: Client) -> None:
    for instant in ("0001-01-01T00:00Z", "9999-12-31T23:59Z"):
        assert "4 jobs: " in timeline_of(file_client, f"?timeline=30d&at={instant}")
