"""A page of another site has a real browser send writes to ours: none is taken."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.browser import Reader, Website

FORM = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="referrer" content="{policy}"><title>elsewhere</title>
<form method="post" action="{site}/alerts/resolve"><input name="alert_id" value="18">
<input name="resolved" value="true"><button>win</button></form></html>"""
FETCH = """<!doctype html><html lang="en"><meta charset="utf-8"><title>elsewhere</title><script>
fetch("{site}/api/v1/alerts/resolve", {{method: "POST", mode: "{mode}", headers: {{"Content-Type":
"{kind}"}}, body: '{{"alert_ids": [18]}}'}}).then((answer) => answer.type, (error) => error.name)
.then((said) => {{ document.title = "done: " + said; }});
</script></html>"""


class ForeignSite:
    """A server of another origin, which shows whatever page it is told to."""

    def __init__(self) -> None:
        outer = self
        self.page = ""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(outer.page.encode())

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever)
        self._thread.start()
        self.port = self._server.server_port

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def foreign() -> Iterator[ForeignSite]:
    site = ForeignSite()
    yield site
    site.close()


@pytest.fixture
def victim(serve: Callable[..., Website], copy_of: Callable[[str], str]) -> str:
    return serve("--database-url", copy_of("nightly")).url


def is_resolved(reader: Reader, victim: str) -> bool:
    answer = reader.context.request.get(f"{victim}/api/v1/alerts/18").json()
    resolved: bool = answer["alert"]["resolved"]
    return resolved


# Of another port only, which is the same site; and of another name, which is another one.
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("policy", ["same-origin", "no-referrer", "unsafe-url"])
def test_a_form_of_another_page_changes_nothing(
    foreign: ForeignSite, victim: str, reader_of: Callable[..., Reader], host: str, policy: str
) -> None:
    foreign.page = FORM.format(site=victim, policy=policy)
    reader = reader_of(f"http://{host}:{foreign.port}")
    reader.expect_complaint("another host|status of 403")
    page = reader.open("/")
    with page.expect_response("**/alerts/resolve") as caught:
        page.get_by_role("button").click()
    sent = caught.value.request.all_headers()

    assert caught.value.status == 403
    assert "origin" in sent
    assert not is_resolved(reader, victim)


@pytest.mark.parametrize(
    ("mode", "kind"), [("cors", "application/json"), ("no-cors", "text/plain")]
)
def test_a_script_of_another_page_changes_nothing(
    foreign: ForeignSite, victim: str, reader_of: Callable[..., Reader], mode: str, kind: str
) -> None:
    foreign.page = FETCH.format(site=victim, mode=mode, kind=kind)
    reader = reader_of(f"http://localhost:{foreign.port}")
    reader.expect_complaint("another host|CORS|ERR_|status of")
    page = reader.open("/")
    page.wait_for_function("document.title.startsWith('done: ')")

    assert not is_resolved(reader, victim)
