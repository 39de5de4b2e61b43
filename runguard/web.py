"""The operator's pages inside your own application (extra `web`).

With your own login in front of it:

    from runguard.web import create_app

    app.mount("/runguard", create_app(access="host"))
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from . import _settings
from ._api import new_runtime, operator_store, runtime
from ._errors import ConfigurationError
from ._run.spool_count import SpoolCounter

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from starlette.applications import Starlette
    from starlette.requests import Request

__all__ = ["create_app"]

NEEDED: Final = {
    *("fastapi", "pydantic", "pydantic_core", "starlette", "anyio", "itsdangerous"),
    *("jinja2", "markupsafe", "uvicorn", "h11"),
}
MISSING_EXTRA: Final = (
    "the pages need FastAPI, Jinja2, itsdangerous and uvicorn, which come with the extra `web`:"
    " pip install 'runguard-runlog[web]'      (in a checkout: pip install '.[web]')"
)


def create_app(
    *,
    access: Literal["host", "login"] = "login",
    token: str | None = None,
    user: str | None = None,
    password: str | None = None,
    allow_hosts: Iterable[str] | None = None,
    read_only: bool = False,
    title: str = "runguard",
    secret: str | None = None,
    actor_of: Callable[[Request], str | None] | None = None,
    database_url: str | None = None,
    engine: Engine | None = None,
) -> Starlette:
    """Return the pages and the JSON API as an ASGI application, to serve or to mount.

    It works below any prefix. Without `database_url` and `engine`, it reads the store that
    `runguard.configure` names.

    Args:
        access: `login` asks for the token, or the user and the password. `host` asks nobody:
            everybody whom your application lets through may read and resolve.
        token: At least 16 characters. None: `RUNGUARD_WEB_TOKEN`.
        user: With `password`. None: `RUNGUARD_WEB_USER` and `RUNGUARD_WEB_PASSWORD`.
        password: At least 8 characters.
        allow_hosts: Host names that requests may use. None: any.
        read_only: Refuse every write.
        title: Title of the pages.
        secret: Signs sessions. Give one where several processes serve the same pages.
        actor_of: Returns who sends a request; it is recorded with what they resolve. None: the
            login's user, or the user that Starlette's authentication found.
        database_url: URL of another store.
        engine: SQLAlchemy engine of another store.

    Raises:
        ConfigurationError: No login is set, or a value cannot be used.

    Added in 0.1.
    """
    try:
        from ._web.app import build_app
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in NEEDED:
            raise
        raise ModuleNotFoundError(MISSING_EXTRA, name=missing.name) from missing
    from ._web.auth.access import Access, host_names

    hosts = None if allow_hosts is None else host_names(allow_hosts)
    if access == "host":
        if token is not None or user is not None or password is not None:
            raise ConfigurationError(
                "access: expected 'login' with a token or a password, found 'host', which uses"
                " none: leave them out, or write access='login'"
            )
        who = Access("host", hosts=hosts)
    elif access == "login":
        who = Access.by_login(hosts=hosts, **credentials(token=token, user=user, password=password))
    else:
        raise ConfigurationError(f"access: expected 'host' or 'login', found {access!r}")
    own, counter = runtime, SpoolCounter()
    if database_url is not None or engine is not None:
        own = new_runtime()
        own.configure({"database_url": database_url, "engine": engine})
    return build_app(
        partial(operator_store, own),
        read_only=read_only,
        access=who,
        title=title,
        secret=secret,
        actor_of=actor_of,
        events=runtime.events,
        count_waiting=lambda: counter.count(own.spool()),
    )


def credentials(
    *, token: str | None = None, user: str | None = None, password: str | None = None
) -> dict[str, Any]:
    """Return what was given; where nothing was, what the environment says.

    Raises:
        ConfigurationError: neither says anything.
    """
    given = {"token": token, "user": user, "password": password}
    if all(value is None for value in given.values()):
        given = web_credentials(os.environ)
    if all(value is None for value in given.values()):
        raise ConfigurationError(
            "expected a login, found none: set RUNGUARD_WEB_TOKEN, or RUNGUARD_WEB_USER and"
            " RUNGUARD_WEB_PASSWORD, or write create_app(access='host') in an application that has"
            " a login of its own"
        )
    return given


def web_credentials(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Return what the environment says of who may see the pages; None for what it does not."""
    names = {
        "token": _settings.WEB_TOKEN,
        "user": _settings.WEB_USER,
        "password": _settings.WEB_PASSWORD,
    }
    return {what: environ.get(name) or None for what, name in names.items()}
