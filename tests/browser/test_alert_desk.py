"""Resolving and reviewing alerts, by pointer, by keyboard and without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Locator, Page

    from tests.support.browser import Reader, Website


@pytest.fixture
def desk(serve: Callable[..., Website], copy_of: Callable[[str], str]) -> str:
    """The address of pages over a store of the test's own, read by somebody with a name."""
    return serve("--database-url", copy_of("nightly"), USER="oncall", LOGNAME="oncall").url


@pytest.fixture(params=[True, False], ids=["scripts", "no scripts"])
def reader(request: pytest.FixtureRequest, reader_of: Callable[..., Reader], desk: str) -> Reader:
    return reader_of(desk, scripts=request.param)


def row_of(page: Page, alert_id: int) -> Locator:
    tick = page.locator(f"input[name=alert_id][value='{alert_id}']")
    return page.get_by_role("row").filter(has=tick)


def test_one_alert_is_resolved_on_its_page_and_keeps_who_and_when(reader: Reader) -> None:
    page = reader.open("/alerts/18")
    page.get_by_role("button", name="Resolve").click()

    main = page.get_by_role("main")
    expect(main).to_contain_text("1 alert resolved")
    expect(main).to_contain_text("oncall")
    expect(main).to_contain_text("by oncall")
    page.get_by_role("button", name="Reopen").click()
    expect(page.get_by_role("button", name="Resolve")).to_be_visible()


def test_many_alerts_are_resolved_at_once(reader: Reader) -> None:
    page = reader.open("/alerts?resolved=false")
    for alert_id in (18, 17, 16):
        page.locator(f"input[name=alert_id][value='{alert_id}']").check()
    page.get_by_role("button", name="Apply").click()

    expect(page.get_by_role("main")).to_contain_text("3 alerts resolved")
    for alert_id in (18, 17, 16):
        expect(row_of(page, alert_id)).to_have_count(0)
    page = reader.open("/alerts")
    for alert_id in (18, 17, 16):
        expect(row_of(page, alert_id)).to_contain_text("oncall")


def test_the_review_status_is_set_and_shown(reader: Reader) -> None:
    page = reader.open("/alerts")
    page.locator("input[name=alert_id][value='12']").check()
    page.get_by_label("With the chosen").select_option("Review: in progress")
    page.get_by_role("button", name="Apply").click()

    expect(row_of(page, 12)).to_contain_text("in progress by")
    expect(reader.open("/alerts/12").get_by_role("main")).to_contain_text("in progress by")


def test_an_alert_is_resolved_by_keyboard_alone(
    reader_of: Callable[..., Reader], desk: str
) -> None:
    page = reader_of(desk).open("/alerts/18")
    button = page.get_by_role("button", name="Resolve")
    for _ in range(30):
        page.keyboard.press("Tab")
        if button.evaluate("(button) => button === document.activeElement"):
            break
    expect(button).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_role("main")).to_contain_text("1 alert resolved")


def test_all_on_a_page_are_chosen_by_one_tick_and_counted(
    reader_of: Callable[..., Reader], desk: str
) -> None:
    page = reader_of(desk).open("/alerts?type=FAILED")
    page.get_by_label("all on this page").check()
    expect(page.get_by_text("18 chosen")).to_be_visible()
    page.get_by_role("button", name="Apply").click()

    expect(page.get_by_role("main")).to_contain_text("18 alerts resolved")


def test_nothing_chosen_changes_nothing_and_says_so(reader: Reader) -> None:
    page = reader.open("/alerts")
    page.get_by_role("button", name="Apply").click()

    expect(page.locator(".done")).to_contain_text("Nothing was ticked, so nothing was changed.")


def test_enter_in_the_name_does_what_is_chosen_and_a_problem_is_resolved_and_undone(
    reader: Reader,
) -> None:
    page = reader.open("/alerts")
    page.locator("input[name=alert_id][value='12']").check()
    page.get_by_label("With the chosen").select_option("Review: done")
    page.get_by_label("Your name").fill("min-ji")
    page.get_by_label("Your name").press("Enter")
    expect(row_of(page, 12)).to_contain_text("done by min-ji")
    expect(row_of(page, 12)).not_to_contain_text("resolved")

    page.locator(".problems").get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Apply").click()
    done = page.locator(".done")
    expect(done).to_contain_text("resolved.")
    done.get_by_role("button", name="Undo").click()
    expect(done).to_contain_text("open again.")
