"""What holds for each page: it fits, everybody can read it, and it calls nobody else.

That nothing goes wrong on the console, and no other host is asked, each test of this folder
proves at its end: see `reader_of`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import colour_of, luminance, violations, wider_than_the_screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader, Website

PAGES = {
    "overview": "/",
    "month": "/?days=30",
    "job": "/jobs/enrolment_sync",
    "korean job": "/jobs/주문_동기화",
    "calm job": "/jobs/warehouse/stock",
    "runs": "/runs",
    "failed runs": "/runs?status=FAILED",
    "no runs": "/runs?job=cleanup&status=FAILED",
    "failed run": "/runs/318",
    "success": "/runs/300",
    "running": "/runs/319",
    "alerts": "/alerts",
    "alert": "/alerts/18",
    "unknown run": "/runs/999999",
    "unknown job": "/jobs/enrolment_sink",
}
WIDTHS = (360, 800, 1400)
OF_MISSING_PAGES = "status of 404"


@pytest.fixture(params=PAGES.values(), ids=PAGES)
def path(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def test_it_needs_no_scrolling_sideways_on_any_screen(reader: Reader, path: str) -> None:
    reader.expect_complaint(OF_MISSING_PAGES)
    page = reader.open(path)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})

        assert wider_than_the_screen(page) == [], f"at {width} pixels"


@pytest.mark.parametrize("width", [360, 1400])
def test_axe_finds_nothing_in_light_and_in_dark(reader: Reader, path: str, width: int) -> None:
    reader.expect_complaint(OF_MISSING_PAGES)
    page = reader.open(path)
    page.set_viewport_size({"width": width, "height": 900})
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)

        assert violations(page) == [], f"in {scheme}"


def test_it_has_a_title_and_one_heading_that_say_where_one_is(reader: Reader, path: str) -> None:
    reader.expect_complaint(OF_MISSING_PAGES)
    page = reader.open(path)

    assert page.title().strip()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("main")).to_have_count(1)


def test_the_first_tab_skips_to_the_content(reader: Reader, path: str) -> None:
    reader.expect_complaint(OF_MISSING_PAGES)
    page = reader.open(path)
    page.keyboard.press("Tab")
    skip = page.locator(":focus")

    expect(skip).to_be_in_viewport()
    assert (skip.get_attribute("href") or "").startswith("#")
    page.keyboard.press("Enter")
    target = page.locator(skip.get_attribute("href") or "")
    expect(target).to_be_in_viewport()
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_each_stop_of_the_tab_key_can_be_seen(reader: Reader, path: str) -> None:
    reader.expect_complaint(OF_MISSING_PAGES)
    page = reader.open(path)
    for _ in range(25):
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
              const style = getComputedStyle(document.activeElement);
              return document.activeElement === document.body ? "the end" :
                style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1 ? "outlined" :
                style.boxShadow !== "none" ? "outlined" : document.activeElement.outerHTML;
            }"""
        )
        if seen == "the end":
            break
        assert seen == "outlined"


def test_it_can_be_read_without_scripts(
    reader_of: Callable[..., Reader], site: str, path: str
) -> None:
    with_scripts, without = reader_of(site), reader_of(site, scripts=False)
    for reader in (with_scripts, without):
        reader.expect_complaint(OF_MISSING_PAGES)

    heading = with_scripts.open(path).get_by_role("heading", level=1).inner_text()
    page = without.open(path)
    assert page.get_by_role("heading", level=1).inner_text() == heading
    links = page.get_by_role("main").get_by_role("link").count()
    assert links == with_scripts.page.get_by_role("main").get_by_role("link").count()


def test_it_is_dark_where_the_reader_likes_it_dark(
    reader_of: Callable[..., Reader], site: str, path: str
) -> None:
    reader = reader_of(site, dark=True)
    reader.expect_complaint(OF_MISSING_PAGES)
    page = reader.open(path)

    background, text = (luminance(colour_of(page, name)) for name in ("backgroundColor", "color"))
    assert background < 0.05
    assert (text + 0.05) / (background + 0.05) >= 7


def test_the_login_page_can_be_used_by_everybody(
    serve: Callable[..., Website], reader_of: Callable[..., Reader], copy_of: Callable[[str], str]
) -> None:
    website = serve("--database-url", copy_of("empty"), RUNGUARD_WEB_TOKEN="t" * 24)
    reader = reader_of(website.url)
    reader.expect_complaint("status of 401")
    page = reader.open("/")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        assert wider_than_the_screen(page) == []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert violations(page) == []
