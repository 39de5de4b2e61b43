"""The days of a job: counted in a zone, shown as a table that leads to each day's runs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from runguard._monitor.timeline import DayRuns, days_of, midnights
from runguard._web.pages.calendar import Cell, months_of
from tests.web.reading import Page

if TYPE_CHECKING:
    from tests.web.conftest import Client

SEOUL = ZoneInfo("Asia/Seoul")
DAY = timedelta(days=1)


def test_days_count_runs_failures_and_missed_starts() -> None:
    edges = midnights(date(2026, 3, 1), date(2026, 3, 3), SEOUL)
    noon = edges[1] + DAY / 2

    days = days_of(
        edges,
        runs={edges[0]: 7, edges[1]: 500},
        failures=[(noon, 3), (edges[1], 2), (edges[2], 4)],
        missed=[noon, noon],
        most=500,
    )

    assert days == [
        DayRuns(edges[0], edges[1], 7),
        DayRuns(edges[1], edges[2], 500, 5, is_all=False, missed=2),
        DayRuns(edges[2], edges[3], 4, 4),  # no fewer runs than failed
    ]


def test_a_year_is_twelve_months_with_the_newest_first() -> None:
    edges = midnights(date(2027, 12, 30), date(2028, 3, 2), UTC)
    days = days_of(edges, runs={edges[-2]: 400, edges[-3]: 4, edges[0]: 1}, most=500)

    months = months_of(days, UTC)

    assert [month.words for month in months] == ["Mar 2028", "Feb 2028", "Jan 2028", "Dec 2027"]
    assert all(len(month.cells) == 31 for month in months)
    assert [cell is not None for cell in months[1].cells].count(True) == 29
    march = [cell and cell.level for cell in months[0].cells]
    assert march == [1, 4, *[None] * 29]


def test_a_day_says_all_of_it() -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    day = DayRuns(start, start + DAY, 500, 2, is_all=False, missed=1)
    cell = Cell(day, start.date(), 4)

    assert cell.said == "1 Mar: 500 runs or more, 2 failed, 1 start missed"
    assert (cell.runs, cell.failed, cell.tone) == ("500+", "2", "bad")
    assert cell.asked == {"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"}


def test_the_page_of_a_job_has_a_table_of_its_days_that_leads_to_their_runs(
    client: Client,
) -> None:
    page = Page(client.get("/jobs/payments").text)
    table = page.by_id("calendar").all("table")[0]
    [day] = table.all("a")

    assert len(table.all("tr")[1].all("td")) == 31
    assert day.attributes["aria-label"].endswith(": 4 runs, 3 failed")
    listed = Page(client.get(day.attributes["href"].partition("#")[0]).text)
    assert len(listed.by_id("runs").all("tbody")[0].all("tr")) == 4


def test_the_days_are_those_of_the_readers_zone(file_client: Client) -> None:
    file_client.cookies.set("runguard_zone", "Pacific/Kiritimati")
    page = Page(file_client.get("/jobs/payments").text)

    assert "each day of Pacific/Kiritimati" in page.by_id("calendar").text
    [day] = page.by_id("calendar").all("a")
    assert "T10%3A00%3A00Z&until=" in day.attributes["href"]  # 14 hours before UTC


def test_what_is_live_does_not_count_the_days_again(file_client: Client) -> None:
    part = file_client.get("/jobs/payments", headers={"HX-Request": "true"}).text

    assert '<section id="calendar" data-kept></section>' in part


def test_programs_read_who_ran_when(client: Client) -> None:
    answer = client.get("/api/v1/timeline?zoom=1h&find=pay").json()

    [lane] = answer["lanes"]
    assert (lane["job_name"], lane["runs"], lane["failures"]) == ("payments", 4, 3)
    assert [(bar["kind"], bar["runs"]) for bar in lane["bars"]] == [("success", 1), ("failed", 3)]
    assert lane["bars"][1]["error_group"] == "HTTP_5XX"
    assert (answer["slice_seconds"], answer["left_out"]) == (30, 0)
    assert client.get("/api/v1/timeline?limit=1").json()["left_out"] == 3


def test_programs_read_the_days_of_a_job(client: Client) -> None:
    answer = client.get("/api/v1/jobs/payments/calendar?zone=Asia/Seoul").json()

    counted = [day for day in answer["days"] if day["runs"]]
    assert [(day["runs"], day["failures"], day["missed"]) for day in counted] == [(4, 3, 0)]
    assert all(day["starts_at"].endswith("T15:00:00+00:00") for day in answer["days"])
    assert (answer["job_name"], answer["zone"]) == ("payments", "Asia/Seoul")


def test_a_job_and_a_zone_that_nobody_knows_are_said(file_client: Client) -> None:
    unknown = file_client.get("/api/v1/jobs/paiments/calendar")
    assert unknown.status_code == 404
    assert "payments" in unknown.json()["detail"]

    zone = file_client.get("/api/v1/jobs/payments/calendar?zone=Asia/Soul")
    assert zone.status_code == 422
    assert "expected a time zone" in zone.json()["detail"]
