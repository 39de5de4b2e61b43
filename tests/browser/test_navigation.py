"""From what is broken to why, by links; and lists that can be narrowed and shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import pixels

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.support.browser import Reader


def test_from_the_first_line_to_the_run_and_back(reader: Reader) -> None:
    page = reader.open("/")
    main = page.get_by_role("main")
    expect(main).to_contain_text("2 jobs failing")
    main.get_by_role("link", name="enrolment_sync").first.click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("enrolment_sync")
    page.locator("main a[href$='/runs/318']").locator("visible=true").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("318")
    expect(page.get_by_role("main")).to_contain_text("HTTP Error 503: Service Unavailable")
    page.locator("main a[href$='/alerts/18']").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("upstream is broken (503)")
    page.get_by_role("navigation").get_by_role("link", name="Overview").first.click()
    expect(page.get_by_role("main")).to_contain_text("2 jobs failing")


def test_the_worst_stands_first(reader: Reader) -> None:
    rows = reader.open("/").get_by_role("table").first.locator("tbody tr")

    expect(rows.nth(0)).to_contain_text("failing")
    expect(rows.nth(1)).to_contain_text("failing")
    expect(rows.last).not_to_contain_text("failing")


def test_the_first_screen_of_a_phone_says_what_is_broken(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, width=360, height=640).open("/")

    expect(page.get_by_text("2 jobs failing").first).to_be_in_viewport()
    for name in ("enrolment_sync", "invoice_import"):
        expect(page.get_by_role("link", name=name).first).to_be_in_viewport()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
def test_runs_are_narrowed_by_a_form_whose_address_can_be_shared(
    reader_of: Callable[..., Reader], site: str, scripts: bool
) -> None:
    reader = reader_of(site, scripts=scripts)
    page = reader.open("/runs")
    page.get_by_label("Status").select_option("FAILED")
    page.get_by_label("Group").select_option("TIMEOUT")
    page.get_by_role("main").get_by_role("button", name="Filter").click()
    page.wait_for_url("**/runs?*group=TIMEOUT*")
    rows = page.get_by_role("table").locator("tbody tr")
    expect(rows).to_have_count(5)

    shared = reader_of(site).open(page.url.removeprefix(site))
    expect(shared.get_by_role("table").locator("tbody tr")).to_have_count(5)
    expect(shared.get_by_label("Group")).to_have_value("TIMEOUT")


def test_older_runs_are_reached_page_by_page_without_doubles(reader: Reader) -> None:
    page = reader.open("/runs")
    seen: list[str] = []
    while True:
        page.get_by_role("table").wait_for()
        seen += page.locator("tbody tr").evaluate_all(
            "(rows) => rows.map((row) => row.querySelector('a[href*=\"/runs/\"]').href)"
        )
        older = page.get_by_role("link", name="older")
        if not older.count():
            break
        older.click()
        page.wait_for_load_state()

    assert len(seen) == len(set(seen)) == 319


def test_alerts_are_narrowed_to_those_that_are_open(reader: Reader) -> None:
    page = reader.open("/alerts")
    expect(page.locator("table.alerts tbody tr")).to_have_count(18)
    page.get_by_label("Group").select_option("HTTP_409")
    page.get_by_role("main").get_by_role("button", name="Filter").click()

    expect(page.locator("table.alerts tbody tr")).to_have_count(3)


def test_the_choice_of_colours_is_kept(reader: Reader) -> None:
    page = reader.open("/")
    toggle = page.get_by_role("button", name="Theme")
    before = corner_of(page)
    toggle.click()
    toggle.click()  # from the system's choice over light to dark
    after = corner_of(page)
    assert after != before

    page = reader.open("/runs")
    assert corner_of(page) == after


def corner_of(page: Page) -> object:
    return pixels(page.screenshot()).getpixel((1390, 890))


def test_korean_names_and_messages_are_shown_and_found(reader: Reader) -> None:
    page = reader.open("/")
    page.get_by_role("main").get_by_role("link", name="주문_동기화").first.click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("주문_동기화")
    expect(page.get_by_role("main")).to_contain_text("재고 서버가 30초 안에 응답하지 않았습니다")


def test_a_page_that_leads_back_to_itself_leaves_its_reader_in_place(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, height=500).open("/jobs/enrolment_sync?status=FAILED")
    page.get_by_role("navigation", name="Time of the chart").scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    page.get_by_role("link", name="7 days").click()
    page.wait_for_url("**status=FAILED&span=7d")
    expect(page.get_by_role("link", name="7 days")).to_be_focused()
    assert before > 200
    assert abs(page.evaluate("scrollY") - before) < 40

    page.get_by_role("link", name="Overview").first.click()
    page.wait_for_url("**/?span=7d")
    page.get_by_role("columnheader").get_by_role("link", name="p95").click()
    page.wait_for_url("**sort=p95**")
    expect(page.get_by_role("columnheader").get_by_role("link", name="p95")).to_be_focused()


def test_from_a_run_the_list_is_where_it_was_left(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, height=500).open("/runs?status=FAILED&group=HTTP_5XX")
    page.evaluate("scrollTo(0, 150)")
    page.locator("#live tbody a[href*='/runs/']").locator("visible=true").nth(5).click()
    page.wait_for_url("**/runs/*")
    page.get_by_role("navigation").get_by_role("link", name="Runs").click()

    page.wait_for_url("**/runs?status=FAILED&group=HTTP_5XX")
    page.wait_for_function("scrollY > 0")
    assert page.evaluate("scrollY") == 150

    page.get_by_role("navigation").get_by_role("link", name="Runs").click()
    page.wait_for_url("**/runs")
    assert page.evaluate("location.search") == ""
