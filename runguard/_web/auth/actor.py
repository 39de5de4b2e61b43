"""Who does something, for what is kept beside an alert."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Final

from starlette.requests import Request

from ..state import visitor_of
from .access import Access

LONGEST_NAME: Final = 128


def actor_finder(
    access: Access, given: Callable[[Request], str | None] | None
) -> Callable[[Request, str | None], str]:
    """Return what names who sent a request.

    The login's user; what `given` says, or Starlette's authentication of the host application;
    the name that the request itself holds; on this machine its user.
    """

    def actor_of(request: Request, named: str | None) -> str:
        name = visitor_of(request).user or (given(request) if given is not None else None)
        if name is None and access.kind == "host":
            name = _user_of_the_host(request)
        name = name or (named or "").strip() or None
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


def _os_user() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # a process of a user without a name
        return None
