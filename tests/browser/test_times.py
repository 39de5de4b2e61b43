"""Times in the reader's own zone, and UTC for who has to compare with a log."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader


@pytest.mark.parametrize("zone", ["Asia/Seoul", "America/St_Johns", "UTC"])
def test_a_time_is_shown_in_the_zone_of_its_reader_and_utc_on_hover(
    reader_of: Callable[..., Reader], site: str, zone: str
) -> None:
    page = reader_of(site, timezone=zone).open("/runs/318")
    shown = page.get_by_role("main").locator("time").filter(has_text=re.compile(r"\d\d:\d\d")).first
    instant = datetime.fromisoformat(shown.get_attribute("datetime") or "")

    expect(shown).to_contain_text(f"{instant.astimezone(ZoneInfo(zone)):%H:%M}")
    assert f"{instant:%H:%M}" in (shown.get_attribute("title") or "")
    assert "UTC" in (shown.get_attribute("title") or "")


def test_without_scripts_times_are_in_utc_and_say_so(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, timezone="Asia/Seoul", scripts=False).open("/runs/318")
    shown = page.get_by_role("main").locator("time").filter(has_text=re.compile(r"\d\d:\d\d")).first
    instant = datetime.fromisoformat(shown.get_attribute("datetime") or "")

    expect(shown).to_contain_text(f"{instant:%H:%M}")
    expect(shown).to_contain_text("UTC")


def test_times_that_an_update_brings_are_in_the_zone_of_the_reader_too(
    reader_of: Callable[..., Reader], site: str
) -> None:
    page = reader_of(site, timezone="Asia/Seoul").open("/runs")
    with page.expect_response(lambda response: "hx-request" in response.request.headers):
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    shown = page.get_by_role("main").locator("time").filter(has_text=re.compile(r"\d\d:\d\d")).first
    instant = datetime.fromisoformat(shown.get_attribute("datetime") or "")

    expect(shown).to_contain_text(f"{instant.astimezone(ZoneInfo('Asia/Seoul')):%H:%M}")
