"""Times in the reader's own zone, and UTC for who has to compare with a log."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/St_Johns", "UTC"])
def test_a_time_is_shown_in_the_zone_of_its_reader_and_utc_on_hover(
    reader_of: Callable[..., Reader], site: str, zone: str
) -> None:
    page = reader_of(site, timezone=zone).open("/runs/318")
    shown = page.get_by_role("main").locator("time").filter(has_text=re.compile(r"\d\d:\d\d")).first
    instant = datetime.fromisoformat(shown.get_attribute("datetime") or "")

    expect(shown).to_contain_text(f"{instant.astimezone(ZoneInfo(zone)):%H:%M}")
    assert f"{instant:%H:%M}" in (shown.get_attribute("title") or "")
    assert "UTC" in (shown.get_attribute("title") or "")


def test_without_scripts_times_are_in_utc_and_say_so(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, timezone="Asia/Seoul", scripts=False).open("/runs/318")
    shown = page.get_by_role("main").locator("time").filter(has_text=re.compile(r"\d\d:\d\d")).first
    instant = datetime.fromisoformat(shown.get_attribute("datetime") or "")

    expect(shown).to_contain_text(f"{instant:%H:%M}")
    expect(shown).to_contain_text("UTC")


def test_times_that_an_update_brings_are_in_the_zone_of_the_reader_too(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, timezone="Asia/Seoul").open("/runs")
    with page.expect_response(lambda response: "hx-request" in response.request.headers):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    shown = page.get_by_role("main").locator("time").filter(has_text=re.compile(r"\d\d:\d\d")).first
    instant = datetime.fromisoformat(shown.get_attribute("datetime") or "")

    expect(shown).to_contain_text(f"{instant.astimezone(ZoneInfo('Asia/Seoul')):%H:%M}")


def test_the_zone_is_named_and_charts_and_filters_are_in_it(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, timezone="Asia/Seoul").open("/?span=30d")
    expect(page.locator("footer")).to_contain_text("Times are in Asia/Seoul (GMT+9).")
    expect(page.locator("#failures")).to_have_attribute("data-zone", "Asia/Seoul")
    days = page.locator("#failures-table tbody time").evaluate_all(
        "(times) => times.map((one) => one.dateTime)"
    )
    assert days
    assert {one[10:] for one in days} == {"T15:00:00Z"}  # midnight in Seoul

    page = reader_of(site, timezone="Asia/Seoul").open("/runs")
    page.get_by_label("From (Seoul time)").fill("2026-01-31T12:00")
    page.get_by_label("To (Seoul time)").fill("2026-02-01T08:30")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**from=2026-01-31T03%3A00%3A00Z&to=2026-01-31T23%3A30%3A00Z")
    expect(page.get_by_label("From (Seoul time)")).to_have_value("2026-01-31T12:00")


def test_the_hour_that_comes_twice_names_its_zone(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, timezone="Europe/London").open("/alerts/18")
    said = page.evaluate(
        """(instants) => {
          const times = instants.map((instant) => {
            const time = document.createElement("time");
            time.dateTime = instant;
            time.dataset.form = "exact";
            return document.querySelector("main").appendChild(time);
          });
          document.dispatchEvent(new Event("htmx:afterSwap"));
          return times.map((time) => time.textContent);
        }""",
        [f"2026-{one}:30:00Z" for one in ("10-25T00", "10-25T01", "10-25T02", "03-29T01")],
    )

    assert said[0].endswith("01:30:00 BST")
    assert said[1].endswith("01:30:00 GMT")
    assert said[2].endswith("02:30:00")
    assert said[3].endswith("02:30:00")
