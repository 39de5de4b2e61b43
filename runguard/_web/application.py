"""The web application: its addresses, and what stands in front of them."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from .._errors import ConfigurationError
from .._events import Events
from .._store.operator import OperatorStore
from . import api, pages
from .gate import HEALTH, LOGIN, LOGOUT, Doors, Gate
from .problems import Problem
from .security import Access, Seal, Throttle
from .site import Site, visitor_of

STATIC_FOLDER: Final = Path(__file__).with_name("static")
LONGEST_NAME: Final = 128

ActorOf = Callable[[Request], str | None]


def build_application(
    store_of: Callable[[], OperatorStore],
    *,
    read_only: bool,
    access: Access,
    title: str = "runguard",
    secret: str | None = None,
    actor_of: ActorOf | None = None,
    events: Events | None = None,
) -> Starlette:
    """Build the application; the store is opened by the first request that needs it.

    `secret` signs sessions and forms, for applications of several processes; `actor_of` names who
    sends a request, where the application around this one knows; `events` logs what goes wrong.
    """
    events = events or Events()
    seal, throttle = Seal(access, secret), Throttle()
    doors = Doors(access=access, seal=seal, throttle=throttle)
    application = Starlette(
        routes=[
            Route("/", pages.overview),
            Route("/jobs/{job_name:path}", pages.job),
            Route("/runs", pages.runs),
            Route("/runs/{run_id:int}", pages.run),
            Route("/alerts", pages.alerts),
            Route("/alerts/{alert_id:int}", pages.alert),
            Route("/alerts/resolve", pages.resolve_alerts, methods=["POST"]),
            Route("/alerts/review", pages.review_alerts, methods=["POST"]),
            Route(LOGIN, doors.ask),
            Route(LOGIN, doors.enter, methods=["POST"]),
            Route(LOGOUT, doors.leave, methods=["POST"]),
            Route(HEALTH, _health),
            Mount("/api/v1", routes=api.routes()),
            Mount("/static", _Static(directory=STATIC_FOLDER, check_dir=False)),
        ],
        middleware=[
            Middleware(Gate, access=access, seal=seal, throttle=throttle),
            Middleware(_PackedUpdates, minimum_size=1024, compresslevel=4),
        ],
        exception_handlers={HTTPException: _pass_on},
    )
    application.state.runguard = Site(
        store_of=_telling_what_is_not_set(store_of, events),
        read_only=read_only,
        actor_of=_actor_finder(access, actor_of),
        title=title,
        events=events,
    )
    return application


def _telling_what_is_not_set(
    store_of: Callable[[], OperatorStore], events: Events
) -> Callable[[], OperatorStore]:
    def opened() -> OperatorStore:
        try:
            return store_of()
        except ConfigurationError as error:  # of our own settings, not of what was asked
            events.internal_error("web", error)
            raise Problem(
                500,
                str(error),
                title="runguard is not set up here",
                remedy="Correct the setting, and start the program again.",
            ) from error

    return opened


class _PackedUpdates(GZipMiddleware):
    """Compresses what a page fetches again every few seconds.

    Only that: a whole page holds the token of its forms, which must not stand in one compressed
    text with what somebody else can put into an address.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and "hx-request" in Headers(scope=scope):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class _Static(StaticFiles):
    """Our own files; their addresses change with their content."""

    def file_response(self, *args: object, **kwargs: object) -> Response:
        response = super().file_response(*args, **kwargs)  # type: ignore[arg-type]
        scope: Scope = next(one for one in (*args, *kwargs.values()) if isinstance(one, dict))
        versioned = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if versioned else "no-cache"
        )
        return response


async def _health(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


def _pass_on(_request: Request, error: Exception) -> Response:
    raise error  # the gate answers


def _actor_finder(access: Access, given: ActorOf | None) -> Callable[[Request], str]:
    def actor_of(request: Request) -> str:
        name = visitor_of(request).user or (given(request) if given is not None else None)
        if name is None and access.kind == "host":
            name = _user_of_the_host(request)
        if name is None:
            name = _named_in_the_request(request)
        if name is None and access.kind == "open":
            name = _os_user()
        return (name or "web")[:LONGEST_NAME]

    return actor_of


def _user_of_the_host(request: Request) -> str | None:
    """Return the user that Starlette's authentication found, where the host uses it."""
    user = request.scope.get("user")
    if user is None or not getattr(user, "is_authenticated", False):
        return None
    return str(getattr(user, "display_name", "")) or None


def _named_in_the_request(request: Request) -> str | None:
    """Return what the form, or the JSON, says in `by`."""
    for where in ("form", "json"):
        sent = getattr(request.state, where, None)
        by = sent.get("by") if isinstance(sent, Mapping) else None
        if isinstance(by, str) and by.strip():
            return by.strip()
    return None


def _os_user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a process of a user without a name
        return None
