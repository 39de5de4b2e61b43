"""The upstream that the other examples sync from."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from examples.upstream import Upstream


def test_its_pages_hold_every_enrolment_once(upstream: Upstream) -> None:
    answers = [
        httpx.get(f"{upstream.url}/enrolments", params={"page": page}).json() for page in (1, 2, 3)
    ]

    assert [answer["pages"] for answer in answers] == [3, 3, 3]
    assert [e for answer in answers for e in answer["enrolments"]] == upstream.enrolments


@pytest.mark.parametrize("mode", ["401", "409", "503"])
def test_it_answers_as_it_was_told(upstream: Upstream, mode: str) -> None:
    httpx.post(f"{upstream.url}/mode/{mode}").raise_for_status()

    assert httpx.get(f"{upstream.url}/enrolments").status_code == int(mode)


def test_it_recovers(upstream: Upstream) -> None:
    upstream.answer("503")

    httpx.post(f"{upstream.url}/mode/ok").raise_for_status()

    assert httpx.get(f"{upstream.url}/enrolments").status_code == 200


def test_slow_holds_a_request_until_the_mode_changes(upstream: Upstream) -> None:
    upstream.answer("slow")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(httpx.get, f"{upstream.url}/enrolments")
        upstream.wait_until_held()
        assert not answer.done()

        upstream.answer("409")

        assert answer.result().status_code == 409


def test_a_client_that_gives_up_leaves_no_noise(
    upstream: Upstream, capfd: pytest.CaptureFixture[str]
) -> None:
    upstream.answer("slow")
    with pytest.raises(httpx.TimeoutException):
        httpx.get(f"{upstream.url}/enrolments", timeout=0.2)

    upstream.answer("ok")

    assert httpx.get(f"{upstream.url}/enrolments").status_code == 200
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("path", ["/mode/teapot", "/other"])
def test_an_unknown_mode_is_refused_with_the_known_ones(upstream: Upstream, path: str) -> None:
    response = httpx.post(upstream.url + path)

    assert response.status_code == 404
    assert "ok, 401, 409, 503, slow" in response.json()["detail"]


@pytest.mark.parametrize("path", ["/", "/enrolments?page=last"])
def test_an_unknown_page_is_not_found(upstream: Upstream, path: str) -> None:
    assert httpx.get(upstream.url + path).status_code == 404


def test_as_a_script_it_prints_where_it_listens() -> None:
    command = [sys.executable, "examples/upstream.py", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert len(httpx.get(f"{url}/enrolments").json()["enrolments"]) == 40
        finally:
            process.terminate()
