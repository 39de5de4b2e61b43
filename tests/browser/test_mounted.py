"""Inside another application, below a prefix: what a browser does with the addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Reader, Website

HOST = """
import socket, sys, uvicorn
from fastapi import FastAPI
from runguard.web import create_app
host = FastAPI()
host.mount("/ops/runs", create_app(access="host", database_url=sys.argv[1]))
listening = socket.create_server(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listening.getsockname()[1]}/ops/runs", flush=True)
uvicorn.Server(uvicorn.Config(host, log_level="error", lifespan="off")).run(sockets=[listening])
"""


def test_links_updates_and_forms_stay_below_the_prefix(
    serve: Callable[..., Website], reader_of: Callable[..., Reader], copy_of: Callable[[str], str]
) -> None:
    website = serve(copy_of("nightly"), program=("-c", HOST))
    page = reader_of(website.url).open("/")
    page.get_by_role("main").get_by_role("link", name="enrolment_sync").first.click()
    expect(page.locator("svg.durations")).to_be_visible()
    with page.expect_response(lambda response: "hx-request" in response.request.headers) as update:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    assert update.value.status in (200, 304)
    page.locator("main a[href$='/alerts/18']").first.click()
    page.get_by_role("button", name="Resolve").click()

    expect(page.get_by_role("main")).to_contain_text("1 alert resolved")
    done = re.escape(f"{website.url}/alerts/18?done=resolved.1.")
    expect(page).to_have_url(re.compile(done))
