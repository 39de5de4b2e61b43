"""What every handler finds at `request.app.state.runguard`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request

from .._events import Events
from .._store.operator import OperatorStore

FIELD_OF_CSRF: Final = "csrf_token"
HEADER_OF_CSRF: Final = "X-CSRF-Token"


@dataclass(frozen=True, slots=True)
class Site:
    """One web application: its store, and what it may do.

    `store_of` opens the store when first called; call it, and the store, off the event loop only.
    `actor_of` names who sent a request, for what is kept beside an alert. `events` logs what goes
    wrong.
    """

    store_of: Callable[[], OperatorStore]
    read_only: bool
    actor_of: Callable[[Request], str]
    title: str
    events: Events = field(default_factory=Events)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sent a request, at `request.state.visitor`.

    `user` is None where nobody asked for a name. `csrf_token` belongs into each form, as the field
    `csrf_token`, or into the header `X-CSRF-Token`. `logged_in` is whether there is a session that
    can be left.
    """

    user: str | None
    csrf_token: str
    logged_in: bool = False


def site_of(request: Request) -> Site:
    """Return the site that a request came to."""
    site: Site = request.app.state.runguard
    return site


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
