"""What every request finds: the application's state, and who sent it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fastapi import Depends
from starlette.requests import Request

from .._events import Events
from .._frozen import frozen
from .._store.operator import OperatorStore
from .auth.access import Access
from .auth.session import Signer
from .auth.throttle import Throttle

ZONE_COOKIE: Final = "runguard_zone"


@frozen
class AppState:
    """One web application, at `request.app.state.runguard`.

    `open_store` opens the store when first called; call it, and the store, off the event loop
    only. `actor_of` names who sent a request, to be kept beside an alert; it is given the name
    that the request itself holds. `events` logs what goes wrong.
    `count_waiting` counts the records that wait on this machine; None where nobody knows.
    """

    open_store: Callable[[], OperatorStore]
    actor_of: Callable[[Request, str | None], str]
    access: Access
    signer: Signer
    throttle: Throttle
    read_only: bool
    title: str
    events: Events
    count_waiting: Callable[[], int | None]


@frozen
class Visitor:
    """Who sent a request, at `request.state.visitor`.

    `user` is None where nobody asked for a name. `session` is what logging out ends, None where
    there is no session.
    """

    user: str | None = None
    session: str | None = None


def state_of(request: Request) -> AppState:
    """Return the state of the application that a request came to."""
    state: AppState = request.app.state.runguard
    return state


def visitor_of(request: Request) -> Visitor:
    """Return who sent a request."""
    visitor: Visitor = request.state.visitor
    return visitor


def path_of(request: Request) -> str:
    """Return the path below the prefix under which the application is mounted."""
    path: str = request.scope["path"]
    prefix = request.scope.get("root_path", "").rstrip("/")
    if prefix and (path == prefix or path.startswith(f"{prefix}/")):
        path = path[len(prefix) :]
    return path or "/"


def zone_of(request: Request) -> ZoneInfo:
    """Return the reader's time zone, which a script of ours keeps in a cookie; otherwise UTC."""
    try:
        return ZoneInfo(request.cookies.get(ZONE_COOKIE) or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):  # of a machine that knows fewer of them
        return ZoneInfo("UTC")


def prefix_of(request: Request) -> str:
    """Return the prefix under which the application is mounted, without a slash at its end."""
    prefix: str = request.scope.get("root_path", "")
    return prefix.rstrip("/")


def _opened(request: Request) -> OperatorStore:
    return state_of(request).open_store()


CurrentState = Annotated[AppState, Depends(state_of)]
OpenStore = Annotated[OperatorStore, Depends(_opened)]
