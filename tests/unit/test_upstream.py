"""Host and port of the service that failed, with the exceptions of the real clients."""

from __future__ import annotations

import asyncio
import socket
import urllib.request
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import psycopg
import pytest
import redis
import requests
import sqlalchemy
import urllib3

from runguard import classify
from runguard._failure.upstream import upstream_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def closed_port() -> int:
    """A port of this host that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def failed(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except Exception as error:
        return error
    raise AssertionError("expected an exception")


async def _aiohttp(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        await session.get(url)


async def _open_connection(port: int) -> None:
    await asyncio.open_connection("127.0.0.1", port)


CLIENTS: dict[str, Callable[[int], object]] = {
    "httpx": lambda port: httpx.get(f"http://app:hunter2@127.0.0.1:{port}/secret/path?token=x"),
    "requests": lambda port: requests.get(f"http://app:hunter2@127.0.0.1:{port}/x", timeout=9),
    "urllib3": lambda port: urllib3.PoolManager(retries=False).request(
        "GET", f"http://127.0.0.1:{port}/secret"
    ),
    "urllib3 with retries": lambda port: urllib3.PoolManager(
        retries=urllib3.Retry(1, backoff_factor=0)
    ).request("GET", f"http://127.0.0.1:{port}/secret"),
    "aiohttp": lambda port: asyncio.run(_aiohttp(f"http://127.0.0.1:{port}/secret")),
    "asyncio": lambda port: asyncio.run(_open_connection(port)),
    "psycopg": lambda port: psycopg.connect(
        f"postgresql://app:hunter2@127.0.0.1:{port}/sales", connect_timeout=9
    ),
    "sqlalchemy": lambda port: (
        sqlalchemy.create_engine(f"postgresql+psycopg://app:hunter2@127.0.0.1:{port}/x")
        .connect()
        .close()
    ),
    "redis": lambda port: redis.Redis("127.0.0.1", port, password="hunter2").ping(),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_refused_connection_names_the_service(client: str, closed_port: int) -> None:
    error = failed(lambda: CLIENTS[client](closed_port))

    assert upstream_of(error) == f"127.0.0.1:{closed_port}"
    assert classify(error).upstream == f"127.0.0.1:{closed_port}"


def test_an_answer_names_the_service_with_the_port_of_its_scheme() -> None:
    request = httpx.Request("GET", "https://app:hunter2@api.example.org/secret?token=x")
    error = httpx.HTTPStatusError(
        "503", request=request, response=httpx.Response(503, request=request)
    )

    assert upstream_of(error) == "api.example.org:443"


def test_urllibs_answer_names_it_too() -> None:
    error = urllib.request.HTTPError("http://api.example.org:8080/x", 503, "x", None, None)  # type: ignore[arg-type, attr-defined]

    assert upstream_of(error) == "api.example.org:8080"


def test_the_nearest_in_the_chain_is_named() -> None:
    request = httpx.Request("GET", "https://api.example.org/")
    error = RuntimeError("page 3")
    error.__cause__ = httpx.ConnectError("refused", request=request)

    assert upstream_of(error) == "api.example.org:443"
    assert upstream_of(ExceptionGroup("pages", [ValueError("x"), error])) == "api.example.org:443"


def of_type(name: str, **attributes: Any) -> BaseException:
    """An exception of a library that is not installed here."""
    module, _, short = name.rpartition(".")
    made = type(short, (Exception,), {"__module__": module})
    error: BaseException = made("x")
    vars(error).update(attributes)
    return error


def test_libraries_that_are_not_installed_are_known_by_name() -> None:
    botocore = of_type(
        "botocore.exceptions.BotoCoreError", kwargs={"endpoint_url": "https://s3.example.org/key"}
    )
    paramiko = of_type(
        "paramiko.ssh_exception.NoValidConnectionsError", errors={("10.0.0.7", 22): OSError()}
    )

    assert upstream_of(botocore) == "s3.example.org:443"
    assert upstream_of(paramiko) == "10.0.0.7:22"


@pytest.mark.parametrize(
    "url",
    ["/only/a/path", "http://[::1", "http://a b/", "http://x:99999/", "", None, 3, b"x", object()],
)
def test_what_is_no_address_names_nothing(url: Any) -> None:
    error = of_type("client.Failed", request=of_type("client.Request", url=url))

    assert upstream_of(error) is None


def test_a_socket_file_and_a_text_of_anybody_name_nothing() -> None:
    driver = of_type("psycopg.Error", pgconn=of_type("x.y", host=b"/run/postgresql", port=b"5432"))

    assert upstream_of(driver) is None
    assert upstream_of(ValueError("Connect call failed ('10.0.0.1', 5)")) is None


def test_an_address_of_ipv6_is_bracketed() -> None:
    error = of_type("client.Failed", request=of_type("client.Request", url="http://[::1]:81/x"))

    assert upstream_of(error) == "[::1]:81"
    assert upstream_of(OSError(111, "Connect call failed ('::1', 5432, 0, 0)")) == "[::1]:5432"


class Hostile(Exception):
    def __getattribute__(self, name: str) -> Any:
        raise KeyboardInterrupt


def test_a_hostile_exception_names_nothing() -> None:
    assert upstream_of(Hostile()) is None
    assert classify(Hostile()).upstream is None
