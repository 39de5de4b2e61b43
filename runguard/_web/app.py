"""The web application: its addresses, and what stands in front of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from .._errors import ConfigurationError
from .._events import Events
from .._store.operator import OperatorStore
from . import api, pages
from .auth import login
from .auth.access import Access
from .auth.actor import actor_finder
from .auth.middleware import HEALTH, STATIC, AuthMiddleware
from .auth.session import Signer
from .auth.throttle import Throttle
from .middleware import AnswerMiddleware, BodyMiddleware
from .problems import Problem
from .sharing import COMPRESSION, SharingMiddleware
from .state import AppState

STATIC_FOLDER: Final = Path(__file__).with_name("static")


def build_app(
    open_store: Callable[[], OperatorStore],
    *,
    read_only: bool,
    access: Access,
    title: str = "runguard",
    secret: str | None = None,
    actor_of: Callable[[Request], str | None] | None = None,
    events: Events | None = None,
    throttle: Throttle | None = None,
    count_waiting: Callable[[], int | None] = lambda: None,
) -> FastAPI:
    """Build the application; the store is opened by the first request that needs it.

    `secret` signs sessions, for applications of several processes; `actor_of` names who sends a
    request, where the application around this one knows; `events` logs what goes wrong;
    `throttle` lets guessers wait; `count_waiting` counts the records that wait on this machine.
    """
    events = events or Events()
    state = AppState(
        open_store=_reporting_settings(open_store, events),
        actor_of=actor_finder(access, actor_of),
        access=access,
        signer=Signer(access, secret),
        throttle=throttle or Throttle(),
        read_only=read_only,
        title=title,
        events=events,
        count_waiting=count_waiting,
    )
    app = FastAPI(
        title=title,
        # As they are: including a router makes the schemas of its routes anew for each application.
        routes=[*pages.ROUTES, *login.router.routes, *api.router.routes],
        # The API describes itself; the pages that FastAPI makes of it load scripts from elsewhere.
        openapi_url=None,
        middleware=[
            Middleware(AnswerMiddleware),
            Middleware(AuthMiddleware, state=state),
            Middleware(BodyMiddleware),
            Middleware(SharingMiddleware),
            Middleware(GZipMiddleware, minimum_size=1024, compresslevel=COMPRESSION),
        ],
        exception_handlers={HTTPException: _pass_on, RequestValidationError: _pass_on},
    )
    app.state.runguard = state
    app.add_api_route(HEALTH, _health, include_in_schema=False)
    app.mount(STATIC.rstrip("/"), _Static(directory=STATIC_FOLDER, check_dir=False))
    return app


def _reporting_settings(
    open_store: Callable[[], OperatorStore], events: Events
) -> Callable[[], OperatorStore]:
    def opened() -> OperatorStore:
        try:
            return open_store()
        except ConfigurationError as error:  # of our own settings, not of what was asked
            events.internal_error("web", error)
            raise Problem(
                500,
                str(error),
                title="runguard is not set up here",
                remedy="Correct the setting, and start the program again.",
            ) from error

    return opened


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


async def _health() -> PlainTextResponse:
    return PlainTextResponse("ok\n")


async def _pass_on(_request: Request, error: Exception) -> Response:
    raise error  # the outermost layer answers
