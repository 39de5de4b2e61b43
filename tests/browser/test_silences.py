"""Silences and acknowledgements, while a channel fails."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.support.browser import violations, wider_than_the_screen
from tests.support.told import LONG_AGO, deliver, look, open_incident

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader, Website


@pytest.fixture
def url(copy_of: Callable[[str], str]) -> str:
    """A store in which an incident is open, and one of two channels fails."""
    url = copy_of("nightly")
    open_incident(url, 18)
    deliver(url, 18, attempts=2)
    deliver(url, 18, channel="hook", state="pending", attempts=3, last_error="HTTP 503")
    look(url, "hook", failures=3, failing_since=LONG_AGO, last_error="HTTP 503")
    return url


def test_an_alert_is_acknowledged_and_its_job_silenced_until_a_time(
    serve: Callable[..., Website], reader_of: Callable[..., Reader], url: str
) -> None:
    website = serve("--database-url", url, USER="oncall", LOGNAME="oncall")
    page = reader_of(website.url, timezone="Asia/Seoul").open("/alerts/18")
    main, banner = (
        page.get_by_role("main"),
        page.get_by_role("region", name="Channels that do not deliver"),
    )
    expect(main).to_contain_text("oncall was told at")
    expect(banner).to_contain_text("Channel hook has been failing since")
    look(url, "hook")
    page.evaluate("htmx.trigger(document.body, 'refresh')")
    expect(banner).to_have_count(0)

    form = page.locator("#acknowledge")
    form.get_by_label("Reason").fill("the vendor is told")
    form.get_by_role("button", name="Acknowledge").click()
    expect(main).to_contain_text("Acknowledged by oncall until")
    page.get_by_role("button", name="Take back the acknowledgement").click()
    expect(main).not_to_contain_text("Acknowledged by oncall until")

    look(url, "hook", failures=3, failing_since=LONG_AGO, last_error="HTTP 503")
    page.get_by_role("link", name="Silence…").click()
    form = page.locator("#add")
    expect(form.get_by_role("textbox", name="Job")).to_have_value("enrolment_sync")
    until = datetime.now() + timedelta(days=2)
    form.get_by_label("or until").fill(f"{until:%Y-%m-%dT%H:%M}")
    form.get_by_label("Reason").fill("database upgrade")
    form.get_by_role("button", name="Silence").click()

    row = page.get_by_role("row").filter(has_text="database upgrade")
    expect(row).to_contain_text("by oncall")
    meant = until - timedelta(hours=9)  # what was typed is of the reader's zone
    expect(row.locator("time").nth(1)).to_have_attribute("datetime", f"{meant:%Y-%m-%dT%H:%M}:00Z")
    for width, scheme in ((1400, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        assert wider_than_the_screen(page) == []
        assert violations(page) == []
    row.get_by_role("button", name="End silence 1 now").click()
    expect(page.get_by_role("region", name="Active")).to_contain_text("No notice is muted now.")
