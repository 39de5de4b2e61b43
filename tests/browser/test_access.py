"""Who gets in, who may change things, and what is shown while there is nothing to show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from tests.browser.stories import tell
from tests.support.browser import violations
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader, Website

    Serve = Callable[..., Website]
    Seat = Callable[..., Reader]

TOKEN = "a token that nobody guesses"
NOT_LET_IN = "status of 401"


def test_a_reader_with_the_token_gets_to_the_page_that_was_asked_for(
    serve: Serve, reader_of: Seat, copy_of: Callable[[str], str]
) -> None:
    website = serve("--database-url", copy_of("nightly"), RUNGUARD_WEB_TOKEN=TOKEN)
    reader = reader_of(website.url)
    reader.expect_complaint(NOT_LET_IN)

    page = reader.open("/runs?status=FAILED")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")

    expect(page).to_have_url(f"{website.url}/runs?status=FAILED")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Runs")
    assert TOKEN not in page.content()


def test_a_wrong_token_is_refused_and_shown_nowhere(
    serve: Serve, reader_of: Seat, copy_of: Callable[[str], str]
) -> None:
    website = serve("--database-url", copy_of("nightly"), RUNGUARD_WEB_TOKEN=TOKEN)
    reader = reader_of(website.url)
    reader.expect_complaint(NOT_LET_IN)

    page = reader.open("/")
    page.get_by_label("Token").fill("a wrong token")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Token")).to_have_value("")
    assert "a wrong token" not in page.content()
    assert "enrolment_sync" not in page.content()


def test_one_who_logs_out_is_asked_again(
    serve: Serve, reader_of: Seat, copy_of: Callable[[str], str]
) -> None:
    website = serve(
        *("--database-url", copy_of("nightly")),
        RUNGUARD_WEB_USER="oncall",
        RUNGUARD_WEB_PASSWORD="correct horse battery",
    )
    reader = reader_of(website.url)
    reader.expect_complaint(NOT_LET_IN)
    page = reader.open("/")
    page.get_by_label("User").fill("oncall")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("enrolment_sync")

    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    reader.open("/runs")
    expect(page.get_by_label("Password")).to_be_visible()


def test_read_only_pages_offer_nothing_that_would_change_something(
    serve: Serve, reader_of: Seat, copy_of: Callable[[str], str]
) -> None:
    reader = reader_of(serve("--read-only", "--database-url", copy_of("nightly")).url)

    for path in ("/", "/alerts", "/alerts/18", "/runs/318"):
        page = reader.open(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator("form[method=post]")).to_have_count(0)
        expect(page.get_by_role("button", name="Resolve")).to_have_count(0)
        expect(page.get_by_role("main").get_by_role("checkbox")).to_have_count(0)


def test_an_empty_store_shows_how_to_begin(site_of: Callable[[str], str], reader_of: Seat) -> None:
    page = reader_of(site_of("empty")).open("/")

    expect(page.get_by_role("main")).to_contain_text("tracked_run")
    expect(page.locator("table")).to_have_count(0)


def test_the_lists_of_an_empty_store_say_that_they_are_empty(
    site_of: Callable[[str], str], reader_of: Seat
) -> None:
    reader = reader_of(site_of("empty"))
    for path, text in (("/runs", "No run"), ("/alerts", "No alert")):
        expect(reader.open(path).get_by_role("main")).to_contain_text(text)


def test_a_job_that_was_mistyped_is_found_by_a_link(reader: Reader) -> None:
    reader.expect_complaint("status of 404")
    page = reader.open("/jobs/enrolment_sink")

    page.get_by_role("link", name="enrolment_sync").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("enrolment_sync")


def test_a_store_that_is_away_is_told_and_its_page_works_when_it_is_back(
    serve: Serve, reader_of: Seat, migrated_pg_url: str
) -> None:
    tell(migrated_pg_url, "hostile")
    with ProtocolProxy(migrated_pg_url) as proxy:
        reader = reader_of(serve("--database-url", proxy.url).url)
        reader.expect_complaint("status of 503")
        expect(reader.open("/").get_by_role("main")).to_contain_text("calm")

        proxy.refuse()
        page = reader.open("/runs")
        expect(page.get_by_role("heading", level=1)).to_contain_text("store cannot be reached")
        assert violations(page) == []

        proxy.resume()
        page.reload()
        expect(page.get_by_role("main")).to_contain_text("calm")
