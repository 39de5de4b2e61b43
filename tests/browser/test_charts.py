"""Charts by their pixels: an element may be there and show nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import colour_of, coloured_pixels, is_colourful, near

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader

GROUPS = ("HTTP_5XX", "TIMEOUT", "UNKNOWN", "HTTP_4XX", "HTTP_409", "LOCK_CONFLICT")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_failures_are_drawn_in_the_colour_of_each_group(
    reader_of: Callable[..., Reader], site: str, dark: bool, scripts: bool
) -> None:
    page = reader_of(site, dark=dark, scripts=scripts).open("/?span=30d")
    chart = page.locator("svg.failures")
    picture = chart.screenshot()

    colours = {group: colour_of(chart.locator(f".g-{group}").first, "fill") for group in GROUPS}
    assert len(set(colours.values())) == len(GROUPS)
    for group, colour in colours.items():
        assert coloured_pixels(picture, near(colour)) > 40, group


def test_a_chart_without_failures_has_no_colour(reader: Reader) -> None:
    chart = reader.open("/jobs/mail_digest").locator("svg.failures")
    if chart.count():
        assert coloured_pixels(chart.screenshot(), is_colourful) == 0


def test_a_strip_shows_failures_apart(reader: Reader) -> None:
    page = reader.open("/")
    strip = page.get_by_role("row").filter(has_text="enrolment_sync").locator("svg.strip")
    picture = strip.screenshot()

    for name in (".c-ok", ".g-HTTP_5XX"):
        drawn = strip.locator(f"path{name}")
        assert coloured_pixels(picture, near(colour_of(drawn, "fill"))) > 40


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_durations_are_drawn_with_scripts_and_without(
    reader_of: Callable[..., Reader], site: str, scripts: bool
) -> None:
    chart = reader_of(site, scripts=scripts).open("/jobs/enrolment_sync").locator("svg.durations")

    assert coloured_pixels(chart.screenshot(), is_colourful) > 200


def test_pointing_at_a_bar_of_the_durations_tells_the_run_and_a_click_opens_it(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, timezone="Asia/Seoul").open("/jobs/enrolment_sync")
    bar = page.locator("svg.durations a").last
    run_id = str(bar.get_attribute("href")).rpartition("/")[2]
    bar.hover()

    said = page.locator("#durations .pointed")
    expect(said).to_contain_text(f"run {run_id} · ")
    expect(said).to_contain_text("UTC)")
    bar.click()
    page.wait_for_url(f"**/runs/{run_id}")


def test_what_is_said_of_a_bar_stays_said_when_the_page_is_updated(reader: Reader) -> None:
    page = reader.open("/jobs/enrolment_sync")
    page.set_extra_http_headers({"If-None-Match": "of another page"})  # so that it is sent anew
    page.locator("svg.durations a").last.hover()
    said = page.locator("#durations .pointed")
    expect(said).to_contain_text("run 318 · ")

    page.locator("#live h2").first.evaluate("(heading) => heading.append('old')")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#live h2").first).not_to_contain_text("old")
    expect(said).to_contain_text("run 318 · ")


def test_a_click_on_a_bar_lists_the_failures_behind_it(reader: Reader) -> None:
    page = reader.open("/?span=30d")
    page.locator("svg.failures .g-HTTP_409").first.click()

    page.wait_for_url("**/runs?*group=HTTP_409*")
    rows = page.get_by_role("main").get_by_role("row").filter(has_text="HTTP_409")
    expect(rows).not_to_have_count(0)
    expect(page.get_by_role("main").get_by_role("row").filter(has_text="TIMEOUT")).to_have_count(0)


def test_a_cell_of_a_strip_says_what_it_is_and_a_click_opens_its_run(reader: Reader) -> None:
    page = reader.open("/")
    strip = page.get_by_role("row").filter(has_text="enrolment_sync").locator("svg.strip")
    size = strip.bounding_box()
    assert size is not None
    newest = {"x": size["width"] - 3, "y": size["height"] / 2}
    expect(strip.locator("a")).to_have_count(0)

    strip.hover(position=newest)
    expect(strip.locator("a")).to_have_count(30)
    strip.hover(position={**newest, "y": 5})
    expect(strip.locator("a title").first).to_contain_text(
        re.compile("run 318 · failed · .*UTC\\)")
    )
    strip.click(position=newest)
    page.wait_for_url("**/runs/318")


def test_a_list_of_jobs_takes_few_elements(reader: Reader) -> None:
    page = reader.open("/")
    rows = page.locator("table.jobs tbody tr")

    assert rows.locator("*").count() < 40 * rows.count()
