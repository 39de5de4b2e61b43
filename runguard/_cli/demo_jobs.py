"""The jobs of `runguard demo`, and the small HTTP server that they pull from.

They use the public API as any job would.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.request import ProxyHandler, build_opener

from .. import JobLockActive, current_run, run_scope, tracked_run
from .._frozen import frozen
from .._monitor.wording import duration

SYNC: Final = "demo.enrolment_sync"
REPORT: Final = "demo.nightly_report"
IMPORT: Final = "demo.invoice_import"
TIMEOUT_SECONDS: Final = 0.15

# Its lines are kept beside a failed run; nowhere else do they stand in the way of the story.
_log: Final = logging.getLogger("demo")
_log.setLevel(logging.INFO)
_log.propagate = False
_log.addHandler(logging.NullHandler())

# A proxy of the environment must not stand between a job and this very process.
_opener: Final = build_opener(ProxyHandler({}))


@tracked_run(SYNC)
def enrolment_sync(url: str, *, timeout: float = 5.0) -> None:
    """Pull enrolments from upstream."""
    _log.info("asking %s, at most %s", url, duration(timeout))
    with _opener.open(url, timeout=timeout) as answer:
        enrolments = json.load(answer)
    _log.info("read %d enrolments", len(enrolments))
    if run := current_run():
        run.total_records = len(enrolments)
        run.changed_records = sum(enrolment["changed"] for enrolment in enrolments)


@tracked_run(IMPORT)
def invoice_import(amount: str) -> float:
    """Read an amount as a job reads what people typed."""
    return float(amount)


def nightly_report() -> None:
    """Start while another run of the same job is inside: refused, since it holds the lock."""
    with run_scope(REPORT, lock=True), suppress(JobLockActive), run_scope(REPORT, lock=True):
        pass


@frozen
class Act:
    """One thing that is done to a job, in words and in deed."""

    job_name: str
    told: str
    do: Callable[[], object]


def acts(upstream: str) -> Sequence[Act]:
    """Return six failures, one for each group."""
    return (
        Act(REPORT, "it starts while it is running", nightly_report),
        Act(SYNC, "upstream answers 409", lambda: enrolment_sync(f"{upstream}/409")),
        Act(SYNC, "upstream answers 503", lambda: enrolment_sync(f"{upstream}/503")),
        Act(SYNC, "upstream answers 404", lambda: enrolment_sync(f"{upstream}/404")),
        Act(
            SYNC,
            f"upstream takes over {duration(TIMEOUT_SECONDS)}",
            lambda: enrolment_sync(f"{upstream}/slow", timeout=TIMEOUT_SECONDS),
        ),
        Act(IMPORT, "an amount is no number", lambda: invoice_import("12,50 EUR")),
    )


class _Answers(BaseHTTPRequestHandler):
    """An upstream: a path that is a status is answered with it, `/slow` not in time."""

    closing = threading.Event()

    def do_GET(self) -> None:
        word = self.path.strip("/")
        if word == "slow":
            self.closing.wait(10 * TIMEOUT_SECONDS)
        elif word.isdigit():
            self.send_error(HTTPStatus(int(word)))
        else:
            enrolments = [{"id": number, "changed": number % 14 == 0} for number in range(512)]
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(json.dumps(enrolments).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        """Keep out of the demo's output."""


@contextmanager
def running_upstream() -> Iterator[str]:
    _Answers.closing = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            _Answers.closing.set()
            server.shutdown()
