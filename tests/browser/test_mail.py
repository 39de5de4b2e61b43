"""The HTML of a mail, as a browser draws it: readable in light and in dark, also on a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from axe_playwright_python.sync_playwright import Axe

from runguard._notify.config import NotifyConfig
from runguard._notify.message import build_message
from tests.notify.facts import NOW, notice

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OVERFLOWS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"


def test_a_mail_is_readable_in_light_and_dark_on_a_narrow_screen(browser: Browser) -> None:
    facts = notice(message="e" * 2_000, log_tail="page 3", runbook="https://wiki.example/x")
    message = build_message(facts, NotifyConfig(web_url="https://ops.example"), now=NOW)
    backgrounds = set()
    with browser.new_context(viewport={"width": 360, "height": 640}) as context:
        page = context.new_page()
        page.set_content(message.html or "")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            backgrounds.add(page.evaluate(BACKGROUND))
            found = Axe().run(page, options={"runOnly": ["color-contrast"]})
            assert found.violations_count == 0, found.generate_report()
        assert not page.evaluate(OVERFLOWS)

    assert backgrounds == {"rgb(243, 244, 246)", "rgb(22, 24, 28)"}
