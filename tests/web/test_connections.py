"""What clients that hurry nobody can take from the others: places, time, and lines of the log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from runguard import ConfigurationError
from runguard._web.app import build_app
from runguard._web.auth.access import Access
from runguard._web.connections import Limits, RepeatFilter
from runguard._web.server import bind, server_for
from tests.web.conftest import OPEN, TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLOW_HEADER = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
SLOW_BODY = (
    b"POST /login HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 100\r\n\r\ntoken="
)
WHOLE = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def serving() -> Iterator[Callable[..., int]]:
    """Serves an application from a thread; returns the port."""
    with contextlib.ExitStack() as stack:

        def start(application: Any, **options: Any) -> int:
            bound = stack.enter_context(bind("127.0.0.1", 0))
            ready = threading.Event()
            server = server_for(application, on_ready=ready.set, **options)
            thread = threading.Thread(
                target=lambda: asyncio.run(server.serve(sockets=[bound])), daemon=True
            )
            thread.start()

            def stop() -> None:
                server.should_exit = server.force_exit = True
                thread.join(20)

            stack.callback(stop)
            assert ready.wait(20)
            port: int = bound.getsockname()[1]
            return port

        yield start


@pytest.fixture
def sockets() -> Iterator[Callable[[int, bytes], socket.socket]]:
    """Connects to a port, and sends something."""
    with contextlib.ExitStack() as stack:

        def connect(port: int, sent: bytes) -> socket.socket:
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            client.sendall(sent)
            return client

        yield connect


def plain() -> Any:
    return build_app(list, read_only=False, access=Access.by_login(token=TOKEN))  # type: ignore[arg-type]


def is_closed(client: socket.socket) -> bool:
    """Whether the server closes a connection without an answer; waits for it."""
    try:
        return client.recv(1) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("sent", [SLOW_HEADER, SLOW_BODY], ids=["header", "body"])
def test_hundreds_of_slow_connections_leave_room_for_others(
    serving: Callable[..., int],
    sockets: Callable[[int, bytes], socket.socket],
    sent: bytes,
) -> None:
    port = serving(plain(), limits=Limits(connections=40, request_seconds=60))
    slow = [sockets(port, sent) for _ in range(300)]
    began = time.monotonic()
    answers = [
        httpx.get(f"http://127.0.0.1:{port}/health", timeout=60).status_code for _ in range(5)
    ]
    took = time.monotonic() - began
    closed = sum(map(is_closed, slow[:200]))

    assert answers == [200] * 5
    assert took < 5
    assert closed == 200


@pytest.mark.parametrize("sent", [b"", SLOW_HEADER, SLOW_BODY], ids=["silent", "header", "body"])
def test_a_request_that_does_not_arrive_is_given_up(
    serving: Callable[..., int],
    sockets: Callable[[int, bytes], socket.socket],
    sent: bytes,
) -> None:
    port = serving(plain(), limits=Limits(request_seconds=0.2))

    assert is_closed(sockets(port, sent))


def test_a_trickle_is_no_request_either(
    serving: Callable[..., int], sockets: Callable[[int, bytes], socket.socket]
) -> None:
    port = serving(plain(), limits=Limits(request_seconds=0.3))
    client = sockets(port, WHOLE)
    assert client.recv(1000).startswith(b"HTTP/1.1 200")
    ended = time.monotonic() + 20
    client.settimeout(0.02)
    trickle = iter(SLOW_HEADER + b"x" * 2000)
    with pytest.raises(ConnectionError):
        while time.monotonic() < ended:
            client.sendall(bytes([next(trickle)]))
            with contextlib.suppress(TimeoutError):
                if client.recv(1) == b"":
                    raise ConnectionResetError


def test_an_answer_that_nobody_reads_is_given_up(
    serving: Callable[..., int], sockets: Callable[[int, bytes], socket.socket]
) -> None:
    gone = threading.Event()

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            body = b"x" * 1_000_000
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await receive()
        gone.set()

    port = serving(large, limits=Limits(request_seconds=0.2))
    client = sockets(port, WHOLE)

    assert gone.wait(20)
    client.close()


def test_where_every_place_is_answered_a_newcomer_is_told_to_come_again(
    serving: Callable[..., int], sockets: Callable[[int, bytes], socket.socket]
) -> None:
    asked, release = threading.Semaphore(0), threading.Event()

    async def held(scope: Any, receive: Any, send: Any) -> None:
        asked.release()
        await asyncio.to_thread(release.wait, 20)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    port = serving(held, limits=Limits(connections=3))
    first = [sockets(port, WHOLE) for _ in range(3)]
    for _ in first:
        assert asked.acquire(timeout=20)
    newcomer = sockets(port, b"").recv(1000)
    release.set()

    assert newcomer.startswith(b"HTTP/1.1 503")
    assert b"Retry-After" in newcomer
    assert all(one.recv(1000).startswith(b"HTTP/1.1 204") for one in first)


def test_the_limit_stays_below_the_files_that_a_process_may_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _kind: (256, 1024))

    assert Limits(connections=1000).within_open_files().connections == 64
    assert Limits(connections=40).within_open_files().connections == 40


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_message_that_comes_again_and_again_is_written_once_a_minute() -> None:
    clock, written = Clock(), []
    bound = RepeatFilter(clock=clock)

    def log(text: str) -> None:
        record = logging.LogRecord("uvicorn.error", 30, "", 0, "%s", (text,), None)
        if bound.filter(record):
            written.append(record.getMessage())

    for number in range(1000):
        log(f"Invalid HTTP request received.\nfrom {number}")
    log("something else")
    clock.now = 60.0
    log("Invalid HTTP request received.")

    assert [one.partition("\n")[0] for one in written[:2]] == [
        "Invalid HTTP request received.",
        "something else",
    ]
    assert written[2] == "Invalid HTTP request received. (999 more like this left out)"
    for number in range(2000):
        log(f"another {number}")
    assert len(bound._seen) == 256


@pytest.mark.parametrize(
    ("proxies", "named"), [((), None), (["127.0.0.0/8"], "203.0.113.9")], ids=["none", "named"]
)
def test_only_a_named_proxy_says_who_the_client_is(
    serving: Callable[..., int], proxies: list[str], named: str | None
) -> None:
    async def who(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        said = f"{scope['client'][0]} {scope['scheme']}".encode()
        await send({"type": "http.response.body", "body": said})

    port = serving(who, proxies=proxies)
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    said = httpx.get(f"http://127.0.0.1:{port}/", headers=headers, timeout=60).text

    assert said == (f"{named} https" if named else "127.0.0.1 http")


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--proxy: expected an address or a network"):
        server_for(build_app(list, read_only=True, access=OPEN), proxies=["proxy.example"])  # type: ignore[arg-type]
