"""The endpoint, served by a real server: every answer, and the rows behind it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from examples.web_endpoint import app
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from examples.upstream import Upstream

    Ask = Callable[[str], list[tuple[Any, ...]]]

FAILURES = "select status, error_group, http_status_code from run_log order by id"
PATH = "/jobs/enrolment-sync"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that takes connections from now on, whenever the server comes to answer them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.fixture
def post(listener: socket.socket) -> Iterator[Callable[[], httpx.Response]]:
    """Serve the endpoint in this process, and ask it."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield lambda: httpx.post(endpoint(listener), timeout=30)
    server.should_exit = True
    thread.join()


def endpoint(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}{PATH}"


def test_a_good_run_answers_with_its_id_and_counts(
    upstream: Upstream, url: str, post: Callable[[], httpx.Response], sql: Ask
) -> None:
    response = post()

    [(run_id, *columns)] = sql(
        "select id, job_name, trigger_type, status, total_records, changed_records from run_log"
    )
    assert columns == ["enrolment_sync", "MANUAL", "SUCCESS", 120, 120]
    assert response.status_code == 200
    assert response.json() == {"run_id": run_id, "total_records": 120, "changed_records": 120}


@pytest.mark.parametrize(
    ("mode", "group"), [("401", "HTTP_4XX"), ("409", "HTTP_409"), ("503", "HTTP_5XX")]
)
def test_an_upstream_error_is_a_bad_gateway_with_its_group(
    upstream: Upstream,
    url: str,
    post: Callable[[], httpx.Response],
    sql: Ask,
    *,
    mode: str,
    group: str,
) -> None:
    upstream.answer(mode)

    response = post()

    [(run_id,)] = sql("select id from run_log")
    assert response.status_code == 502
    assert response.json() == {
        "run_id": run_id,
        "error_group": group,
        "upstream_status": int(mode),
    }
    assert sql(FAILURES) == [("FAILED", group, int(mode))]
    assert sql("select source_id, detail->>'error_group' from alert") == [
        (f"enrolment_sync:{group}", group)
    ]


@pytest.mark.usefixtures("impatient")
def test_a_slow_upstream_is_a_gateway_timeout(
    upstream: Upstream, url: str, post: Callable[[], httpx.Response], sql: Ask
) -> None:
    upstream.answer("slow")

    response = post()

    assert response.status_code == 504
    assert response.json()["error_group"] == "TIMEOUT"
    assert sql(FAILURES) == [("FAILED", "TIMEOUT", None)]


def test_a_second_request_meanwhile_is_a_conflict_that_says_who_and_until_when(
    upstream: Upstream, url: str, post: Callable[[], httpx.Response], sql: Ask
) -> None:
    upstream.answer("slow")
    with ThreadPoolExecutor() as pool:
        first = pool.submit(post)
        upstream.wait_until_held()
        second = post()
        upstream.answer("ok")

    answer = second.json()
    assert second.status_code == 409
    assert answer["error_group"] == "LOCK_CONFLICT"
    [(holder,)] = sql("select run_key from run_log where status = 'SUCCESS'")
    assert str(holder).replace("-", "") in answer["locked_by"].replace("-", "")
    assert datetime.fromisoformat(answer["lock_expires_at"]) > datetime.now(UTC)
    assert first.result().status_code == 200
    assert sql(FAILURES) == [("SUCCESS", None, None), ("FAILED", "LOCK_CONFLICT", 409)]
    assert sql("select source_id, severity from alert") == [("enrolment_sync:LOCK_CONFLICT", "low")]


def test_any_other_failure_is_an_internal_error_with_its_group(
    sqlite_url: str, post: Callable[[], httpx.Response], sql: Ask
) -> None:
    response = post()  # nobody said where the upstream is

    assert response.status_code == 500
    assert response.json() == {"run_id": 1, "error_group": "UNKNOWN", "upstream_status": None}
    assert sql(FAILURES) == [("FAILED", "UNKNOWN", None)]


def test_without_a_store_the_job_is_not_run(
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    sqlite_url: str,
    post: Callable[[], httpx.Response],
) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", "postgresql://job:s3cret@127.0.0.1:1/none")

    response = post()

    assert response.status_code == 503
    assert response.json() == {"detail": "not run: no store to take the lock in"}


def test_no_secret_of_the_upstream_is_answered_or_stored(
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    sqlite_url: str,
    post: Callable[[], httpx.Response],
    sql: Ask,
) -> None:
    address = upstream.url.replace("://", "://reader:open-sesame@")
    monkeypatch.setenv("ENROLMENT_UPSTREAM_URL", address)
    upstream.answer("401")

    response = post()

    assert response.status_code == 502
    assert "sesame" not in response.text
    [(message, detail)] = sql("select run_log.error_message, detail from run_log, alert")
    assert "401 Unauthorized" in message
    assert "sesame" not in message + detail


def test_uvicorn_serves_it_by_its_name(
    upstream: Upstream, sqlite_url: str, listener: socket.socket
) -> None:
    command = [sys.executable, "-m", "uvicorn", "examples.web_endpoint:app"]
    fd = listener.fileno()
    with subprocess.Popen(
        [*command, "--fd", str(fd)], cwd=ROOT, pass_fds=[fd], stderr=subprocess.DEVNULL
    ) as server:
        try:
            assert httpx.post(endpoint(listener), timeout=30).json()["total_records"] == 120
        finally:
            server.terminate()


def test_as_a_script_it_serves_on_the_port_it_is_given(upstream: Upstream, sqlite_url: str) -> None:
    with subprocess.Popen(
        [sys.executable, "examples/web_endpoint.py"],
        cwd=ROOT,
        env={**os.environ, "PORT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stderr is not None
            base = next(
                found[1] for line in server.stderr if (found := re.search(r"on (http\S+)", line))
            )
            assert httpx.post(base + PATH, timeout=30).json()["total_records"] == 120
        finally:
            server.terminate()
