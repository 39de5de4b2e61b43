"""How pages use the screen: lines stay whole, tables stay tables, and paper shows the same."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from runguard._web.report import report_page
from tests.support.browser import violations
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.browser import Reader

# Texts that stand in more than one line though they are short.
BROKEN = """() => [...document.querySelectorAll(
  "main time, .pill, .jobs .reason, .jobs td.alerts, button")]
  .filter((one) => one.offsetParent && one.getClientRects().length > 1
    || one.matches(".reason") && one.offsetHeight > 30
    || one.matches("td.alerts") && getComputedStyle(one).display === "table-cell"
      && one.querySelectorAll("a, .pill").length > 1
      && one.children[0].offsetTop + 9 < one.children[1].offsetTop)
  .map((one) => one.textContent)"""


@pytest.mark.parametrize("path", ["/", "/runs", "/jobs/enrolment_sync", "/alerts"])
def test_times_states_and_numbers_stand_in_one_line_on_any_screen(
    reader: Reader, path: str
) -> None:
    page = reader.open(path)
    for width in (360, 820, 1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})

        assert page.evaluate(BROKEN) == [], f"at {width} pixels"


def test_a_tablet_shows_tables_and_a_wide_screen_is_used(reader: Reader) -> None:
    page = reader.open("/")
    row = page.locator(".jobs tbody tr").first
    name, said = page.locator(".broken .strong").first, page.locator(".broken .said-last").first
    page.set_viewport_size({"width": 820, "height": 900})
    assert row.evaluate("(row) => getComputedStyle(row).display") == "table-row"
    assert row.evaluate("(row) => row.offsetHeight") < 90
    expect(page.get_by_role("columnheader", name="p95")).to_be_visible()

    page.set_viewport_size({"width": 1280, "height": 900})
    expect(page.get_by_role("columnheader", name="p50")).to_be_visible()
    boxes = [one.bounding_box() for one in (name, said)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 8


def test_a_phone_has_its_actions_in_one_line_and_the_error_before_the_charts(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, width=360).open("/alerts")
    bottoms = page.locator("[data-acts] :is(select, button)").evaluate_all(
        "(all) => all.map((one) => one.getBoundingClientRect().bottom)"
    )
    assert len(bottoms) == 2
    assert max(bottoms) - min(bottoms) < 3

    page = reader_of(site).open("/jobs/enrolment_sync")
    expect(page.locator("#error-text")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Resolve")).to_be_in_viewport()


def test_a_button_copies_also_without_a_secure_address_or_says_how_to(
    reader_of: Callable[..., Reader], site: str
) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    page = reader_of(site, permissions=permissions).open("/runs/318")
    page.evaluate("window.board = navigator.clipboard")
    button = page.locator("[data-copy=error-text]")
    button.click()
    expect(button).to_have_text("Copied: the message")
    assert page.evaluate("board.readText()") == "HTTP Error 503: Service Unavailable"

    page.evaluate(
        "board.writeText('').then(() =>"
        " Object.defineProperty(navigator, 'clipboard', { value: undefined }))"
    )
    button.evaluate("(one) => { one.firstChild.data = 'Copy'; one.click(); }")
    expect(button).to_have_text("Copied: the message")
    assert page.evaluate("board.readText()") == "HTTP Error 503: Service Unavailable"
    expect(button).to_be_focused()

    page.evaluate("document.execCommand = () => false")
    button.evaluate("(one) => { one.firstChild.data = 'Copy'; one.click(); }")
    expect(button).to_have_text("Press Ctrl+C: the message")
    assert page.evaluate("getSelection().toString()") == "HTTP Error 503: Service Unavailable"


def test_paper_keeps_the_colours_and_whole_rows(reader: Reader) -> None:
    page = reader.open("/")
    page.emulate_media(media="print", color_scheme="dark")
    style = page.locator(".jobs tbody tr").first.evaluate(
        "(row) => { const style = getComputedStyle(row);"
        " return [style.breakInside, style.printColorAdjust, style.colorScheme]; }"
    )

    assert style == ["avoid", "exact", "light"]
    expect(page.locator(".filters").first).to_be_hidden()


def test_the_report_can_be_read_on_a_phone_and_by_keyboard(
    reader: Reader, copy_of: Callable[[str], str], tmp_path: Path
) -> None:
    store, week = open_store(copy_of("nightly")), timedelta(days=7)
    text = report_page(store, store.failures_by_group(since=week), since=week, jobs=())
    store.close()
    (tmp_path / "report.html").write_text(text, encoding="utf-8")
    page = reader.page
    reader.expect_complaint("file://")
    page.goto((tmp_path / "report.html").as_uri())
    page.set_viewport_size({"width": 360, "height": 800})
    too_wide = page.locator(".scroll").evaluate_all(
        "(all) => all.filter((one) => one.scrollWidth > one.clientWidth).length"
    )

    assert too_wide == 0
    expect(page.get_by_role("region", name="Jobs")).to_contain_text("enrolment_sync")
    page.keyboard.press("Tab")
    expect(page.get_by_role("region", name="Failures by group")).to_be_focused()
    assert violations(page) == []
