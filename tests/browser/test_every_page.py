"""What holds for each page: it fits, everybody can read it, and it calls nobody else.

That nothing goes wrong on the console, and no other host is asked, each test of this folder
proves at its end: see `reader_of`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import (
    colour_of,
    luminance,
    pixels,
    violations,
    wider_than_the_screen,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader, Website

PAGES = {
    "overview": "/?span=30d",
    "job": "/jobs/enrolment_sync",
    "runs": "/runs",
    "failed runs": "/runs?status=FAILED",
    "no runs": "/runs?job=cleanup&status=FAILED",
    "failed run": "/runs/318",
    "success": "/runs/300",
    "running": "/runs/319",
    "alerts": "/alerts",
    "alert": "/alerts/18",
    "silences": "/silences?job=enrolment_sync",
    "unknown job": "/jobs/enrolment_sink",
}
WIDTHS = (360, 800, 1400)
OF_MISSING_PAGES = "status of 404"
# Whether the element that has the focus shows that; what lies over it counts as hidden.
LOOK_OF_THE_FOCUS = """() => {
  const element = document.activeElement;
  if (element === document.body) return "the end";
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const outlined = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1;
  return outlined && box.width && box.bottom > 0 && box.top < innerHeight ? "seen"
    : element.outerHTML.slice(0, 200);
}"""


@pytest.fixture(params=PAGES.values(), ids=PAGES)
def path(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def test_it_fits_every_screen_and_axe_finds_nothing_in_light_and_in_dark(
    reader: Reader, path: str
) -> None:
    reader.expect_complaint(OF_MISSING_PAGES)
    page = reader.open(path)
    assert violations(page) == [], "in light, on a wide screen"

    page.emulate_media(color_scheme="dark")
    for width in sorted(WIDTHS, reverse=True):
        page.set_viewport_size({"width": width, "height": 640})
        assert wider_than_the_screen(page) == [], f"at {width} pixels"
    assert violations(page) == [], "in dark, on a phone"


def test_the_keyboard_sees_where_it_is_and_can_skip_to_the_content(
    reader: Reader, path: str
) -> None:
    reader.expect_complaint(OF_MISSING_PAGES)
    page = reader.open(path)
    assert page.title().strip()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    stops = [page.evaluate(LOOK_OF_THE_FOCUS)]
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    for _ in range(20):
        stops.append(page.evaluate(LOOK_OF_THE_FOCUS))
        page.keyboard.press("Tab")

    assert set(stops) <= {"seen", "the end"}


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
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, dark=True).open("/")
    corner = pixels(page.screenshot()).getpixel((1390, 890))
    assert isinstance(corner, tuple)
    background, text = luminance(corner), luminance(colour_of(page.locator("body"), "color"))

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
