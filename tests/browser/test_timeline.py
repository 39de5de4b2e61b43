"""The timeline and the calendar in a browser: where things stand, keys, and what is live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playwright.sync_api import expect

from tests.support.browser import (
    colour_of,
    coloured_pixels,
    near,
    violations,
    wider_than_the_screen,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.support.browser import Reader

JOB = "enrolment_sync"  # its last six runs failed, one every ten minutes
# Where the marks of a lane stand, as shares of its width.
PLACES = """(line) => {
  const all = line.getBoundingClientRect();
  const share = (one) => {
    const box = one.getBoundingClientRect();
    return [(box.left - all.left) / all.width, (box.right - all.left) / all.width];
  };
  return [...line.querySelectorAll("a > path:first-of-type")].map(share);
}"""


def lane_of(page: Page, job_name: str) -> Any:
    return page.locator(".lane").filter(has=page.get_by_text(job_name, exact=True))


def test_failures_stand_out_by_colour_and_cap_and_say_what_they_are(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, timezone="Asia/Seoul", dark=True).open("/?timeline=6h")
    line = lane_of(page, JOB).locator(".lane-line")
    picture = line.screenshot()
    for name in (".c-ok", ".g-HTTP_5XX", ".cap"):
        colour = colour_of(line.locator(name).first, "fill")
        assert coloured_pixels(picture, near(colour)) > 20, name

    said = page.locator("#timeline .pointed")
    line.locator("a").last.hover()
    expect(said).to_contain_text("failed · HTTP_5XX")
    expect(said).to_contain_text("UTC)")
    lane_of(page, "invoice_import").locator(".lane-line").hover()
    expect(said).to_contain_text("invoice_import · ")


def test_bars_stand_below_the_hour_at_which_they_ran_without_scripts_too(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, scripts=False).open("/?timeline=6h")
    line = lane_of(page, JOB).locator(".lane-line")
    [*_, last] = sorted(line.evaluate(PLACES))
    now = line.locator("use[href='#lane-now']").evaluate(
        "(use) => { const line = use.closest('.lane-line').getBoundingClientRect();"
        " return (use.getBoundingClientRect().right - line.left) / line.width; }"
    )

    # The last failure was minutes ago, when the story was told: within the last hour of six.
    assert now - 1 / 6 < last[1] <= now
    assert 0.94 < now < 0.99
    page.get_by_role("link", name="7 days").first.click()
    expect(page.get_by_text("who ran in the last 7 days")).to_be_visible()
    assert "timeline=7d" in page.url


def test_the_table_has_what_the_lanes_show(reader: Reader) -> None:
    page = reader.open("/?timeline=6h")
    page.get_by_text("The same as a table").first.click()
    region = page.get_by_role("region", name="Runs of each job by time")
    row = region.get_by_role("row").filter(has_text=JOB)
    cells = row.get_by_role("cell").all_inner_texts()

    expect(region.get_by_role("row")).to_have_count(page.locator(".lane").count())
    runs, failed = (int(text) for text in cells[:2])
    assert sum(int(text.split(",")[0]) for text in cells[3:] if text != "goes on") == runs
    assert sum(int(text.split(", ")[1].split()[0]) for text in cells[3:] if ", " in text) == failed
    assert failed >= 6
    for width in (390, 800, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert wider_than_the_screen(page) == []
    assert violations(page) == []


def test_a_time_of_the_axis_zooms_in_there(reader: Reader) -> None:
    page = reader.open("/?timeline=7d&find=sync")
    page.get_by_text("The same as a table").first.click()
    page.locator(".lane-axis a").nth(2).click()

    page.wait_for_url("**timeline=24h**")
    assert "find=sync" in page.url
    expect(page.get_by_role("link", name="later ›")).to_be_visible()
    expect(page.locator("#timeline-table")).to_have_attribute("open", "")
    expect(page.locator(".lane-axis .now")).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 900})
    heights = page.locator("#timeline .choice a").evaluate_all(
        "(links) => links.map((link) => link.offsetHeight)"
    )
    assert max(heights) < 1.5 * min(heights)  # no word is broken
    page.get_by_role("link", name="now", exact=True).click()
    expect(page.locator(".lane-axis .now")).to_have_count(1)


def test_the_keyboard_goes_through_a_calendar_day_by_day(reader: Reader) -> None:
    page = reader.open("/jobs/invoice_import")  # every day for a month
    days = page.locator(".days a")
    assert days.count() > 25
    expect(page.locator(".days a[tabindex='0'], .days a:not([tabindex])")).to_have_count(1)

    days.first.focus()
    first = page.locator(":focus").get_attribute("aria-label")
    page.keyboard.press("ArrowRight")
    second = page.locator(":focus").get_attribute("aria-label")
    assert first != second
    page.keyboard.press("ArrowLeft")
    assert page.locator(":focus").get_attribute("aria-label") == first
    page.keyboard.press("Enter")
    page.wait_for_url("**since=*until=*#runs")
    expect(page.locator("#runs tbody tr")).to_have_count(1)
