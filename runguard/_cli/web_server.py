"""Serves the operator's pages for `runguard web` and `runguard demo --web`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

import typer

from .._errors import ConfigurationError
from .._events import Events
from .._run.spool_count import SpoolCounter
from ..web import MISSING_EXTRA, NEEDED, web_credentials
from .stores import OpenedStore, opened_with_settings
from .talk import say

if TYPE_CHECKING:
    from .._store.operator import OperatorStore


def serve(
    database_url: str | None,
    *,
    host: str = "127.0.0.1",
    port: int,
    read_only: bool = False,
    token: str | None = None,
    allow_hosts: Sequence[str] = (),
    proxies: Sequence[str] = (),
    root_path: str = "",
    open_browser: bool = False,
    monitor: bool = False,
) -> None:
    """Serve the pages until Ctrl-C; port 0 takes a free one.

    With `monitor`, rounds run meanwhile, unless the pages are `read_only`.

    Raises:
        ConfigurationError: what was asked for cannot be served.
        StoreUnavailable: the store cannot be reached.
        SchemaOutOfDate: it is not the one that the pages read.
        typer.Exit: the extra `web` is missing, which was said.
    """
    try:
        from .._web import server
        from .._web.app import build_app
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in NEEDED:
            raise
        say(f"runguard: {MISSING_EXTRA}")
        raise typer.Exit(2) from missing
    credentials = web_credentials(os.environ)
    if token is not None:
        credentials["token"] = token
    if root_path and not root_path.startswith("/"):
        raise ConfigurationError(f"--root-path: expected a path such as /x, found {root_path!r}")
    with opened_with_settings(database_url) as opened, server.bind(host, port) as bound:
        store = opened.store
        access = server.access_for(bound, **credentials, allow_hosts=allow_hosts)
        read_only = _prove_usable(store) or read_only
        app = build_app(
            lambda: store,
            read_only=read_only,
            access=access,
            count_waiting=partial(SpoolCounter().count, opened.spool),
        )
        if access.kind == "open" and allow_hosts:
            say(
                f"There is no login: whoever reaches this as {', '.join(allow_hosts)}"
                " can read everything and resolve alerts."
            )
        url = server.url_of(bound, root_path)
        with _rounds(opened) if monitor and not read_only else nullcontext():
            server.serve(
                app,
                bound,
                root_path=root_path,
                proxies=proxies,
                on_ready=_greeting(url, read_only=read_only, open_browser=open_browser),
            )


def _rounds(opened: OpenedStore) -> AbstractContextManager[None]:
    from .._rounds.loop import rounds_in_background
    from .._rounds.round import Rounds

    events = Events(lambda: opened.settings.redactor)
    return rounds_in_background(
        Rounds(opened.store, opened.settings, opened.spool, events, kind="web")
    )


def _prove_usable(store: OperatorStore) -> bool:
    """Return whether the store takes no writes.

    Raises:
        StoreUnavailable: it cannot be reached.
        SchemaOutOfDate: it is not the one that the pages read.
    """
    report = store.inspect()
    if not report.is_current and report.dialect != "sqlite":
        raise store.schema_error()
    return store.diagnose().read_only


def _greeting(url: str, *, read_only: bool, open_browser: bool) -> Callable[[], None]:
    def greet() -> None:
        say(f"runguard web: {url}{' (read-only)' if read_only else ''}   Ctrl-C ends it.")
        if open_browser:
            import threading
            import webbrowser

            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    return greet
