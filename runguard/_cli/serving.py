"""`runguard web`: the operator's pages, served from here."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from .. import _settings
from .._errors import ConfigurationError, SchemaOutOfDate
from .._store.operator import OperatorStore
from ..web import MISSING_EXTRA, NEEDED
from .options import DatabaseUrl
from .output import say
from .stores import opened_store


def web(
    *,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen. Any other than this machine's own needs RUNGUARD_WEB_TOKEN, or"
            " RUNGUARD_WEB_USER and RUNGUARD_WEB_PASSWORD.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="PORT", help="0 takes a free one.")
    ] = 8722,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show everything, and change nothing.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A file with the token, instead of RUNGUARD_WEB_TOKEN.",
            show_default=False,
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Another name by which it may be called, as behind a proxy. May be repeated.",
            show_default=False,
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The prefix that a proxy takes away, as /runguard.",
            show_default=False,
        ),
    ] = "",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show jobs, runs and alerts in the browser, until Ctrl-C."""
    try:
        from .._web import serving
        from .._web.application import build_application
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in NEEDED:
            raise
        say(f"runguard: {MISSING_EXTRA}")
        raise typer.Exit(2) from missing
    credentials = _settings.web_credentials(os.environ)
    if token_file is not None:
        credentials["token"] = _read_token(token_file)
    if root_path and not root_path.startswith("/"):
        raise ConfigurationError(f"--root-path: expected a path such as /x, found {root_path!r}")
    with opened_store(database_url) as store, serving.bind(host, port) as bound:
        access = serving.access_for(bound, **credentials, allow_hosts=allow_host or ())
        read_only = _prove_usable(store) or read_only
        application = build_application(lambda: store, read_only=read_only, access=access)
        if access.kind == "open" and allow_host:
            say(
                f"Nobody is asked for a token: whoever reaches this as {', '.join(allow_host)}"
                " may read everything and resolve alerts."
            )
        url = serving.url_of(bound, root_path)
        serving.serve(
            application,
            bound,
            root_path=root_path,
            on_ready=_greeting(url, read_only=read_only, open_browser=open_browser),
        )


def _prove_usable(store: OperatorStore) -> bool:
    """Return whether the store takes no writes.

    Raises:
        StoreUnavailable: it cannot be reached.
        SchemaOutOfDate: it is not the one that the pages read.
    """
    report = store.inspect()
    if not report.is_current and report.dialect != "sqlite":
        raise SchemaOutOfDate(found=report.found, needed=report.needed)
    return store.diagnose().read_only


def _greeting(url: str, *, read_only: bool, open_browser: bool) -> Callable[[], None]:
    def greet() -> None:
        say(f"runguard web: {url}{' (read-only)' if read_only else ''}   Ctrl-C ends it.")
        if open_browser:
            import threading
            import webbrowser

            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    return greet


def _read_token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(
            f"--token-file: expected a file with a token, found {str(file)!r}: {why}"
        ) from None
