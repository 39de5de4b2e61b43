"""`runguard web`: the operator's pages, served from here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..._errors import ConfigurationError
from ..options import DatabaseUrl, command_app, help_end
from ..web_server import serve

app = command_app()


@app.command(
    epilog=help_end(
        "runguard web",
        "runguard web --port 0 --read-only",
        "runguard web --host 0.0.0.0 --token-file /etc/runguard/token",
    )
)
def web(
    *,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on. One that other machines can reach needs RUNGUARD_WEB_TOKEN,"
            " or RUNGUARD_WEB_USER and RUNGUARD_WEB_PASSWORD.",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0, max=65535, metavar="PORT", help="Port to listen on; 0 picks a free one."
        ),
    ] = 8722,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Show everything, and allow no change.")
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
            help="Another host name to answer to, as behind a proxy. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS",
            help="A proxy, by its address or network, whose X-Forwarded-For names the client and"
            " whose X-Forwarded-Proto says that it uses HTTPS. Can be repeated.",
            show_default=False,
        ),
    ] = None,
    root_path: Annotated[
        str,
        typer.Option(
            metavar="PATH",
            help="The path prefix that a proxy removes, such as /runguard.",
            show_default=False,
        ),
    ] = "",
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
    no_monitor: Annotated[
        bool,
        typer.Option("--no-monitor", help="Do not run the rounds of `runguard monitor` meanwhile."),
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show jobs, runs and alerts in the browser, until Ctrl-C.

    Meanwhile it does what `runguard monitor` does, unless --read-only or --no-monitor is given.
    """
    serve(
        database_url,
        host=host,
        port=port,
        read_only=read_only,
        token=None if token_file is None else _read_token(token_file),
        allow_hosts=allow_host or (),
        proxies=proxy or (),
        root_path=root_path,
        open_browser=open_browser,
        monitor=not no_monitor,
    )


def _read_token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigurationError(
            f"--token-file: expected a file with a token, found {str(file)!r}: {why}"
        ) from None
