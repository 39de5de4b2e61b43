"""One answer for all tabs that ask the same, made once for each poll; none where nothing changed.

The script that keeps a page current says how old its next part may be (`Cache-Control: max-age`)
and which one it shows (`If-None-Match`). It comes back when what it got is as old as that, which
`Age` tells: so all tabs come together, one of them has the answer made, and none shows anything
older than it would on its own. Who asks without `max-age` gets an answer of their own.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .auth.login import LOGIN
from .auth.middleware import HEALTH, STATIC
from .rendering import is_part
from .state import ZONE_COOKIE, Visitor, path_of, visitor_of, zone_of

OLDEST_SECONDS: Final = 30.0  # the oldest answer that is given, whatever max-age allows
MOST_ANSWERS: Final = 32
COMPRESSION: Final = 4
KEPT_HEADERS: Final = ("content-type", "etag", "location")
# A program gets answers of its own; and what needs no login must not push out shared answers.
NOT_SHARED: Final = ("/api/", HEALTH, LOGIN, STATIC)

_MAX_AGE: Final = re.compile(r"max-age=(\d{1,6})")


class _Asked(NamedTuple):
    """All that a shared answer is made of: the request that makes it holds nothing else."""

    root_path: str
    path: str
    query: bytes
    zone: str
    user: str | None
    is_logged_in: bool

    @classmethod
    def by(cls, request: Request) -> _Asked:
        scope, visitor = request.scope, visitor_of(request)
        return cls(
            root_path=scope.get("root_path", ""),
            path=scope["path"],
            query=scope["query_string"],
            zone=zone_of(request).key,
            user=visitor.user,
            is_logged_in=visitor.session is not None,
        )

    def scope(self, like: Scope) -> Scope:
        """Return the scope of such a request, of the same application and server."""
        zone = f"{ZONE_COOKIE}={self.zone}".encode("latin-1")
        kept = ("type", "asgi", "http_version", "scheme", "app")
        return {
            **{name: like[name] for name in kept if name in like},
            "method": "GET",
            "root_path": self.root_path,
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": self.query,
            "headers": [(b"hx-request", b"true"), (b"cookie", zone)],
            "state": {"visitor": Visitor(self.user, "any" if self.is_logged_in else None)},
        }


@dataclass(frozen=True)
class _Answer:
    """An answer that several may get."""

    status: int
    headers: Mapping[str, str]
    packed: bytes

    @classmethod
    def of(cls, status: int, given: Headers, body: bytes) -> _Answer:
        headers = {name: given[name] for name in KEPT_HEADERS if name in given}
        return cls(status, headers, gzip.compress(body, COMPRESSION, mtime=0))

    def response(self, request: Request, *, age: float) -> Response:
        """Answer a request: with nothing, where it knows this answer."""
        headers = {**self.headers, "age": str(int(age)), "vary": "Accept-Encoding"}
        if self.status == 200 and request.headers.get("if-none-match", "") == headers.get("etag"):
            return Response(status_code=304, headers=headers)
        body = self.packed
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
        else:
            body = gzip.decompress(body)
        return Response(body, self.status, headers)


class _Making(NamedTuple):
    """An answer that is there, or soon will be; and when, and after how many writes, it began."""

    answer: asyncio.Task[_Answer]
    began_at: float
    writes: int


class SharingMiddleware:
    """Makes a live part once for all who may share it."""

    def __init__(self, app: ASGIApp, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._clock = clock
        self._writes = 0
        self._known: OrderedDict[_Asked, _Making] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        if scope["method"] != "GET":
            await self._write(scope, receive, send)
        elif not is_part(request) or path_of(request).startswith(NOT_SHARED):
            await self._app(scope, receive, send)
        else:
            answer = await self._answer(request)
            await answer(scope, receive, send)

    async def _write(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a write on; before anybody hears that it is done, no older answer is taken."""

        async def sender(message: Message) -> None:
            self._writes += 1
            await send(message)

        try:
            await self._app(scope, receive, sender)
        finally:
            self._writes += 1

    async def _answer(self, request: Request) -> Response:
        asked, now = _Asked.by(request), self._clock()
        found = self._known.get(asked)
        if found is None or not self._is_fresh(found, now - _accepted_age(request)):
            found = self._make(asked, now, request.scope)
        # Shielded: who leaves takes the answer away from nobody.
        answer = await asyncio.shield(found.answer)
        return answer.response(request, age=self._clock() - found.began_at)

    def _is_fresh(self, made: _Making, since: float) -> bool:
        return made.began_at > since and made.writes == self._writes

    def _make(self, asked: _Asked, now: float, like: Scope) -> _Making:
        task = asyncio.create_task(self._made(asked.scope(like)))
        making = self._known[asked] = _Making(task, now, self._writes)
        self._known.move_to_end(asked)
        while len(self._known) > MOST_ANSWERS:
            self._known.popitem(last=False)

        def forget_failure(task: asyncio.Task[_Answer]) -> None:
            failed = task.cancelled() or task.exception() is not None
            if (failed or task.result().status != 200) and self._known.get(asked) is making:
                del self._known[asked]

        task.add_done_callback(forget_failure)
        return making

    async def _made(self, scope: Scope) -> _Answer:
        body = bytearray()
        start: dict[str, Any] = {}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            else:
                body.extend(message.get("body", b""))

        await self._app(scope, receive, send)
        headers = Headers(raw=start["headers"])
        return await run_in_threadpool(_Answer.of, start["status"], headers, bytes(body))


def _accepted_age(request: Request) -> float:
    found = _MAX_AGE.search(request.headers.get("cache-control", ""))
    return 0.0 if found is None else min(float(found[1]), OLDEST_SECONDS)
