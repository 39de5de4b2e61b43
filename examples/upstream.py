"""A small real upstream: pages of enrolments over HTTP, and trouble on demand.

    python examples/upstream.py                       # prints http://127.0.0.1:8765
    curl 'http://127.0.0.1:8765/enrolments?page=1'    # 40 of 120 enrolments, as JSON
    curl -X POST http://127.0.0.1:8765/mode/503       # from now on every page answers 503

The modes are `ok`, `401`, `409` and `503`, which are the answers, and `slow`, which holds every
request back until the mode changes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MODES = ("ok", "401", "409", "503", "slow")
PAGE_SIZE = 40
LONGEST_WAIT_SECONDS = 60
COURSES = ("algebra", "biology", "chemistry")


class Upstream(ThreadingHTTPServer):
    """Serves while its `with` block is open. `enrolments` may be changed meanwhile."""

    daemon_threads = True

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        """Listen on the loopback interface, or where `host` says; port 0 takes a free one."""
        super().__init__((host, port), _Answers)
        self.url = f"http://{host}:{self.server_port}"
        self.enrolments = [
            {"id": n, "student": f"S-{n:04}", "course": COURSES[n % 3], "status": "active"}
            for n in range(1, 121)
        ]
        self._mode = "ok"
        self._held = 0
        self._change = threading.Condition()

    def __enter__(self) -> Upstream:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.answer("ok")  # nobody is left waiting
        self.shutdown()
        self.server_close()

    def answer(self, mode: str) -> None:
        """Answer in this mode from now on, the requests that are held back too."""
        if mode not in MODES:
            raise ValueError(f"mode: expected one of {', '.join(MODES)}, found {mode!r}")
        with self._change:
            self._mode = mode
            self._change.notify_all()

    def wait_until_held(self) -> None:
        """Return when a request is being held back by `slow`."""
        with self._change:
            if not self._change.wait_for(lambda: self._held, LONGEST_WAIT_SECONDS):
                raise TimeoutError("no request came")

    def current_answer(self) -> str:
        """Return the mode to answer in, once it is another than `slow`."""
        with self._change:
            self._held += 1
            self._change.notify_all()
            self._change.wait_for(lambda: self._mode != "slow", LONGEST_WAIT_SECONDS)
            self._held -= 1
            return self._mode

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about clients that gave up waiting."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Answers(BaseHTTPRequestHandler):
    server: Upstream
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        page = parse_qs(url.query).get("page", ["1"])[0]
        if url.path != "/enrolments" or not page.isdecimal():
            self._send(HTTPStatus.NOT_FOUND, {"detail": "try /enrolments?page=1"})
            return
        mode = self.server.current_answer()
        if mode in ("ok", "slow"):
            self._send(HTTPStatus.OK, self._page(int(page)))
        else:
            status = HTTPStatus(int(mode))
            self._send(status, {"detail": status.phrase})

    def do_POST(self) -> None:
        mode = self.path.removeprefix("/mode/")
        try:
            self.server.answer(mode)
        except ValueError as error:
            self._send(HTTPStatus.NOT_FOUND, {"detail": str(error)})
        else:
            self._send(HTTPStatus.OK, {"mode": mode})

    def _page(self, number: int) -> dict[str, Any]:
        enrolments = self.server.enrolments
        first = (number - 1) * PAGE_SIZE
        return {
            "page": number,
            "pages": -(-len(enrolments) // PAGE_SIZE),
            "enrolments": enrolments[max(first, 0) : first + PAGE_SIZE],
        }

    def _send(self, status: HTTPStatus, answer: dict[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing: the terminal is the job's."""


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=8765, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 in a container")
    given = parser.parse_args()
    with Upstream(given.port, given.host) as upstream:
        print(upstream.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
