"""What every request passes: the headers of every answer, errors as answers, bounded bodies."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problems import Problem, answer_problem, problem_of
from .state import Visitor, path_of

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: with that, a browser sends our own forms with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
MOST_BODY_BYTES: Final = 64 * 1024
JSON: Final = "application/json"
FORM: Final = "application/x-www-form-urlencoded"


class AnswerMiddleware:
    """The outermost layer: puts the headers on every answer, and turns errors into answers."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sender = _Sender(send, without_body=scope["method"] == "HEAD")
        # A copy: where we are mounted, the state is also that of the application around us.
        state = {**scope.get("state", {}), "visitor": Visitor()}
        # FastAPI's routes know no HEAD: it is a GET whose answer has no body.
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        scope = {**scope, "state": state, "method": method}
        request = Request(scope, receive)
        try:
            # A copy again: below, a mount moves the paths of its own.
            await self._app({**scope}, receive, sender)
        except ClientDisconnect:
            pass
        except Exception as error:
            if sender.started:
                raise
            answer = await run_in_threadpool(_answer_to, request, error)
            await answer(scope, receive, sender)


class BodyMiddleware:
    """Reads the body of a write, within bounds, and hands it on."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand in front of `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request.

        Raises:
            Problem: its body is too large, or of another type than expected.
        """
        if scope["type"] == "http" and scope["method"] == "POST":
            request = Request(scope, receive)
            _refuse_other_types(request)
            receive = _replayed(await _body_of(request), receive)
        await self._app(scope, receive, send)


class _Sender:
    """Puts the headers on an answer, and takes the body off that of a HEAD."""

    def __init__(self, send: Send, *, without_body: bool) -> None:
        self._send = send
        self._without_body = without_body
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        elif self._without_body:
            message = {**message, "body": b""}
        await self._send(message)


def _answer_to(request: Request, error: Exception) -> Response:
    return answer_problem(request, problem_of(error, request))


def _refuse_other_types(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    expected = JSON if path_of(request).startswith("/api/") else FORM
    if kind != expected:
        raise Problem(
            415,
            f"expected Content-Type {expected}, found {kind or 'none'!r}",
            remedy=f"Send the header Content-Type: {expected}.",
        )


async def _body_of(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_BODY_BYTES:
            raise Problem(
                413,
                f"expected at most {MOST_BODY_BYTES} bytes, found more",
                remedy="Choose fewer alerts at once.",
            )
    return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again
