"""What changes while somebody looks: pages follow the store without being loaded again."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page, Response

    from tests.browser.conftest import Job
    from tests.support.browser import Reader, Website

    Serve = Callable[..., Website]
    Seat = Callable[..., Reader]
    Start = Callable[[str, str], Job]


def mark(page: Page) -> None:
    """Leave a mark in the page that does not survive its being loaded again."""
    page.evaluate("window.stillHere = true")


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("window.stillHere === true"))


# The tab is hidden, and has been for so long that it looks again each time.
HIDE = """() => {
  const real = Date.now.bind(Date);
  let later = 0;
  Date.now = () => real() + (later += 61000);
  Object.defineProperty(document, "hidden", { value: true });
}"""


def test_the_overview_shows_a_run_begin_and_fail_also_in_a_hidden_tab(
    migrated_pg_url: str, serve: Serve, reader_of: Seat, start_job: Start
) -> None:
    start_job(migrated_pg_url, "quiet").end()
    page = reader_of(serve("--database-url", migrated_pg_url).url).open("/")
    main = page.get_by_role("main")
    mark(page)
    expect(main).not_to_contain_text("night_sync")

    job = start_job(migrated_pg_url, "night_sync")
    come_back(page)
    row = page.get_by_role("row").filter(has_text="night_sync")
    expect(row).to_contain_text("running")

    expect(page).to_have_title("runguard")
    page.evaluate(HIDE)
    job.end("HTTP 503 Service Unavailable")
    page.evaluate("htmx.trigger(document.body, 'refresh')")
    expect(row).to_contain_text("failing")
    expect(row).to_contain_text("HTTP_5XX")
    expect(main).to_contain_text("1 job failing")
    expect(page).to_have_title("(1) failing – runguard")
    expect(page.locator("#icon")).to_have_attribute("href", re.compile("icon-bad"))
    assert is_marked(page)


def test_the_page_of_a_run_shows_it_end(
    copy_of: Callable[[str], str], serve: Serve, reader_of: Seat, start_job: Start
) -> None:
    url = copy_of("nightly")
    job = start_job(url, "enrolment_sync")
    page = reader_of(serve("--database-url", url).url).open(f"/runs/{job.run_id}")
    heading = page.get_by_role("heading", level=1)
    bar = page.get_by_role("progressbar", name=f"Progress of run {job.run_id}")
    mark(page)
    expect(heading).to_contain_text("running")
    for done in (100, 300):
        tell_progress(url, job.run_id, done, total=400)
        come_back(page)
        expect(bar).to_have_js_property("value", done / 400)
    expect(page.get_by_role("main")).to_contain_text("300 of 400 (75 %)")

    job.end()
    come_back(page)
    expect(heading).to_contain_text("success")
    assert is_marked(page)


def tell_progress(url: str, run_id: int, done: int, *, total: int) -> None:
    """Write what a heartbeat would."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "insert into run_note (run_key, created_at, done, total, progress_at) select run_key,"
            " started_at, ?, ?, strftime('%Y-%m-%d %H:%M:%f', 'now') from run_log where id = ?"
            " on conflict (run_key) do update set done = excluded.done",
            (done, total, run_id),
        )
        connection.commit()


def come_back(page: Page) -> None:
    """Do what a reader does who comes back to the tab: the page is then updated at once."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_what_was_ticked_and_focused_survives_an_update(
    copy_of: Callable[[str], str], serve: Serve, reader_of: Seat, start_job: Start
) -> None:
    url = copy_of("nightly")
    page = reader_of(serve("--database-url", url).url).open("/alerts")
    ticks = page.locator("table.alerts").get_by_role("checkbox")
    ticked = page.locator("input[name=alert_id][value='18']")
    ticked.check()
    ticked.focus()
    before = ticks.count()

    start_job(url, "night_sync").end("HTTP 503 Service Unavailable")
    come_back(page)
    expect(page.get_by_role("main")).to_contain_text("night_sync")
    assert ticks.count() == before + 1
    expect(ticked).to_be_checked()
    expect(ticked).to_be_focused()


def test_a_page_looks_again_by_the_clock_and_is_sent_nothing_where_nothing_changed(
    reader: Reader,
) -> None:
    page = reader.open("/runs")
    tag = page.locator("#live").get_attribute("data-tag")
    page.evaluate("document.querySelector('#live table').before('ours')")
    page.locator("#watch").evaluate("(watch) => watch.dataset.seconds = 1")
    page.locator("#away").evaluate("(away) => away.hidden = false")
    with page.expect_response(is_part) as first:
        come_back(page)
    with page.expect_response(is_part) as second:  # nobody asks for it but the clock
        pass

    for answer in (first.value, second.value):
        assert answer.status == 304
        assert answer.request.headers["if-none-match"] == tag
    assert first.value.request.headers["cache-control"] == "no-cache"
    assert second.value.request.headers["cache-control"] == "max-age=1"
    expect(page.locator("#away")).to_be_hidden()
    expect(page.locator("#live")).to_contain_text("ours")  # which a part would have taken away


def is_part(answer: Response) -> bool:
    """Whether it is one that the page has asked for by itself."""
    return "hx-request" in answer.request.headers


def test_a_page_says_when_it_can_no_longer_be_updated(
    copy_of: Callable[[str], str], serve: Serve, reader_of: Seat
) -> None:
    website = serve("--database-url", copy_of("nightly"))
    reader = reader_of(website.url)
    reader.expect_complaint("ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|htmx:")
    page = reader.open("/")
    expect(page.get_by_role("main")).to_contain_text("enrolment_sync")

    page.evaluate("document.getElementById('clock').value = '2026-01-02T03:04:05Z'")
    website.stop()
    come_back(page)
    expect(page.locator("#away")).to_contain_text("as of 2 Jan, 03:04")
    expect(page).to_have_title("no answer – (2) failing – runguard")
    assert float(page.locator("#live").evaluate("(one) => getComputedStyle(one).opacity")) < 1
