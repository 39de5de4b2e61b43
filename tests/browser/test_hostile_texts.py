"""What jobs write is shown as it is: it runs nothing, and breaks no page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.stories import HOSTILE_JOB, SCRIPT
from tests.support.browser import violations, wider_than_the_screen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader

PAGES = {
    "overview": "/",
    "runs": "/runs",
    "alerts": "/alerts",
    "hostile run": "/runs/5",
    "suppressed": "/runs/6",
    "dump": "/runs/3",
    "one word of 40,000 letters": "/runs/4",
    "long name": "/runs/2",
    "alert": "/alerts/4",
    "dump's alert": "/alerts/2",
}


@pytest.fixture
def hostile(reader_of: Callable[..., Reader], site_of: Callable[[str], str]) -> Reader:
    return reader_of(site_of("hostile"))


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_it_neither_runs_nor_breaks_the_page(hostile: Reader, path: str) -> None:
    page = hostile.open(path)

    assert page.title() != "broken in"
    expect(page.locator("img[src=x]")).to_have_count(0)
    expect(page.locator("main script")).to_have_count(0)
    for width in (360, 800, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert wider_than_the_screen(page) == [], f"at {width} pixels"
    if path in ("/", "/runs/5"):
        assert violations(page) == []


def test_it_is_shown_as_text(hostile: Reader) -> None:
    page = hostile.open("/runs/5")
    main = page.get_by_role("main")

    expect(main).to_contain_text(SCRIPT)
    expect(main).to_contain_text("onerror=")
    for place in (main, main.locator(".traceback .own").last, main.locator("#log-text")):
        expect(place).to_contain_text("</title></textarea> ' \" & &amp; 한국어")


def test_marks_that_turn_text_around_and_colours_of_terminals_have_no_effect(
    hostile: Reader,
) -> None:
    page = hostile.open("/runs/5")
    text = page.get_by_role("main").inner_text()

    assert "\x1b" not in text
    outside = page.evaluate(
        """() => [...document.querySelectorAll("main *")]
             .filter((element) => [...element.childNodes].some(
               (node) => node.nodeType === 3 && node.data.includes("\\u202e")))
             .filter((element) => {
               return !/isolate|plaintext/.test(getComputedStyle(element).unicodeBidi);
             }).map((element) => element.outerHTML.slice(0, 100))"""
    )
    assert outside == []


def test_a_job_of_any_name_has_a_page_that_links_lead_to(hostile: Reader) -> None:
    page = hostile.open("/")
    page.get_by_role("main").get_by_role("link", name=HOSTILE_JOB, exact=True).first.click()

    expect(page.get_by_role("heading", level=1)).to_contain_text(HOSTILE_JOB)
    expect(page.get_by_role("main").locator("a[href$='/runs/6']")).not_to_have_count(0)


def test_a_long_message_can_be_read_to_its_end(hostile: Reader) -> None:
    page = hostile.open("/runs/3")

    expect(page.get_by_role("main")).to_contain_text("a line of a dump")
    expect(page.get_by_role("main")).to_contain_text("[cut: 4,080 more characters]")
