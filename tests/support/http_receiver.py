"""An HTTP server on loopback that records what is posted to it, and answers as it is told to."""

from __future__ import annotations

import base64
import contextlib
import json
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Literal, Self

from standardwebhooks.webhooks import Webhook

if TYPE_CHECKING:
    from collections.abc import Mapping
    from email.message import Message

    import trustme

SECRET = "whsec_" + base64.b64encode(b"a key of these tests, and of nobody else").decode()
"""A key in the form that Standard Webhooks gives to secrets."""

Manner = Literal["answer", "hang", "drip", "hang up"]


@dataclass(frozen=True, slots=True)
class Received:
    """One request."""

    method: str
    path: str
    headers: Message
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)

    def verified(self, secret: str = SECRET) -> Any:
        """Its body, once the reference library finds the signature good; else its error."""
        return Webhook(secret).verify(self.body, {k.lower(): v for k, v in self.headers.items()})


@dataclass(frozen=True, slots=True)
class Answer:
    """How one request is answered.

    `hang` reads the request and says nothing, `drip` sends headers a byte at a time without an
    end, `hang up` closes the connection after the request.
    """

    status: int = 204
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    manner: Manner = "answer"


class HttpReceiver:
    """Stands while the `with` block lasts; `requests` is what came in, the newest last.

    Args:
        certificate: With it, the server speaks TLS.
    """

    def __init__(self, *, certificate: trustme.LeafCert | None = None) -> None:
        self.requests: list[Received] = []
        self._answer = Answer()
        self._over = threading.Event()
        self._server = _Server(self)
        self._scheme = "http"
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._scheme = "https"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="http receiver"
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()  # waits for the requests that are still answered

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def url(self, path: str = "/hook") -> str:
        """An address to post to."""
        return f"{self._scheme}://{self.address}{path}"

    def behave(
        self,
        status: int = 204,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        manner: Manner = "answer",
    ) -> None:
        """Forget what came in, let go of who hangs, and answer as told from now on."""
        self.requests.clear()
        over, self._over = self._over, threading.Event()
        over.set()
        self._answer = Answer(status, headers or {}, body, manner)

    def take(self, request: _Handler) -> None:
        """Record and answer one request."""
        answer, over = self._answer, self._over
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        self.requests.append(Received(request.command, request.path, request.headers, body))
        if answer.manner == "answer":
            request.send_response(answer.status)
            for name, value in answer.headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(answer.body)))
            request.end_headers()
            request.wfile.write(answer.body)
        elif answer.manner == "hang":
            over.wait()
        elif answer.manner == "drip":
            request.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
            while not over.wait(0.05):
                request.wfile.write(b".")


class _Server(ThreadingHTTPServer):
    daemon_threads = False

    def __init__(self, receiver: HttpReceiver) -> None:
        self.receiver = receiver
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that gives up is what tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):  # the client gave up
            self.server.receiver.take(self)

    do_GET = do_PUT = do_HEAD = do_POST  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""
