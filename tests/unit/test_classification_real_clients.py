"""The exceptions that real clients raise, against a real server on loopback."""

from __future__ import annotations

import socket
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import aiohttp
import httpx
import pytest
import requests
import requests.adapters
import urllib3

from runguard._failure.classify import classify
from runguard._models import ErrorGroup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATUSES = [400, 401, 403, 404, 408, 409, 418, 422, 429, 500, 502, 503, 504]
BRIEFLY = 0.2


class Upstream(BaseHTTPRequestHandler):
    """`/503` answers 503; `/never` does not answer while the server lives."""

    closing = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/never":
            self.closing.wait()
            return
        self.send_response(int(self.path.lstrip("/")))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Upstream.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def refused() -> Iterator[str]:
    """An address where nobody listens, and nobody else can."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/"


def by_httpx(url: str) -> None:
    httpx.get(url, timeout=BRIEFLY, trust_env=False).raise_for_status()


def by_requests(url: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, timeout=BRIEFLY).raise_for_status()


def by_requests_with_retries(url: str) -> None:
    retries = urllib3.Retry(total=1, status_forcelist=STATUSES, backoff_factor=0)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        session.get(url, timeout=BRIEFLY)


def by_urllib(url: str) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=BRIEFLY).close()
    except urllib.error.HTTPError as error:
        error.close()
        raise


def by_urllib3_with_retries(url: str) -> None:
    retries = urllib3.Retry(total=1, status_forcelist=STATUSES, backoff_factor=0)
    with urllib3.PoolManager(retries=retries, timeout=BRIEFLY) as pool:
        pool.request("GET", url)


CLIENTS = [by_httpx, by_requests, by_requests_with_retries, by_urllib, by_urllib3_with_retries]


def raised_by(client: Callable[[str], None], url: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is the client's affair
        client(url)
    return caught.value


def expected_group(status: int) -> ErrorGroup:
    if status == 409:
        return ErrorGroup.HTTP_409
    return ErrorGroup.HTTP_5XX if status >= 500 else ErrorGroup.HTTP_4XX


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", STATUSES)
def test_every_client_and_status(upstream: str, client: Callable[[str], None], status: int) -> None:
    failure = classify(raised_by(client, f"{upstream}/{status}"), clean=str)

    assert (failure.error_group, failure.http_status_code) == (expected_group(status), status)


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_that_gives_up_waiting(upstream: str, client: Callable[[str], None]) -> None:
    failure = classify(raised_by(client, f"{upstream}/never"), clean=str)

    assert failure.error_group is ErrorGroup.TIMEOUT


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refused_connection_is_no_timeout(refused: str, client: Callable[[str], None]) -> None:
    failure = classify(raised_by(client, refused), clean=str)

    assert failure.error_group is ErrorGroup.UNKNOWN


@pytest.mark.parametrize("client", CLIENTS)
def test_an_unknown_host_is_no_timeout(client: Callable[[str], None]) -> None:
    failure = classify(raised_by(client, "http://no-such-host.invalid/"), clean=str)

    assert failure.error_group is ErrorGroup.UNKNOWN


@pytest.mark.parametrize("status", STATUSES)
async def test_aiohttp(upstream: str, status: int) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientResponseError) as caught:
            async with session.get(f"{upstream}/{status}") as response:
                response.raise_for_status()
    failure = classify(caught.value, clean=str)

    assert (failure.error_group, failure.http_status_code) == (expected_group(status), status)


async def test_aiohttp_that_gives_up_waiting(upstream: str) -> None:
    timeout = aiohttp.ClientTimeout(total=BRIEFLY)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        with pytest.raises(TimeoutError) as caught:
            await session.get(f"{upstream}/never")

    assert classify(caught.value, clean=str).error_group is ErrorGroup.TIMEOUT


async def test_aiohttp_that_is_refused(refused: str) -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientError) as caught:
            await session.get(refused)

    assert classify(caught.value, clean=str).error_group is ErrorGroup.UNKNOWN


def test_a_wrapped_failure_of_a_client(upstream: str) -> None:
    def sync() -> None:
        try:
            by_httpx(f"{upstream}/503")
        except httpx.HTTPError as error:
            raise RuntimeError("sync failed") from error

    failure = classify(raised_by(lambda _: sync(), ""), clean=str)

    assert failure.error_group is ErrorGroup.HTTP_5XX
    assert failure.error_message == "sync failed"


def test_a_pool_without_a_free_connection(upstream: str) -> None:
    limits = httpx.Limits(max_connections=1)
    timeout = httpx.Timeout(5, pool=BRIEFLY)
    with (
        httpx.Client(limits=limits, timeout=timeout, trust_env=False) as client,
        client.stream("GET", f"{upstream}/200"),
        pytest.raises(httpx.PoolTimeout) as caught,
    ):
        client.get(f"{upstream}/200")

    failure = classify(caught.value, clean=str)
    assert failure.error_group is ErrorGroup.TIMEOUT
    assert failure.error_message == "httpx.PoolTimeout"
