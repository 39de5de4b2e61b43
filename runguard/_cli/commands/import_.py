"""`runguard import pg-cron`: what another scheduler ran, as runs."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from contextlib import closing
from typing import Annotated

import typer

from ..._errors import ConfigurationError
from ..._events import Events
from ..._monitor.wording import counted
from ..._notify.secret_refs import SecretReader
from ..._rounds.pg_cron import ImportFailed, PgCronImport, source_from
from ..._settings import PG_CRON_URL
from ..options import AsJson, DatabaseUrl, Quiet, command_app, help_end
from ..stores import opened_with_settings
from ..talk import say

app = command_app(
    help="Take over what another scheduler ran.",
    epilog=help_end("runguard import pg-cron --url store"),
    no_args_is_help=True,
)


@app.callback()
def main() -> None:
    """Take over what another scheduler ran."""


@app.command(
    "pg-cron",
    epilog=help_end(
        "runguard import pg-cron --url store",
        "runguard import pg-cron --url env:PG_CRON_URL --json",
        notes=("Exits with 1 if pg_cron's tables cannot be read.",),
    ),
)
def pg_cron(
    *,
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="The database in which pg_cron is installed: env:NAME, file:/path, or store for"
            f" the store's own. Default: {PG_CRON_URL}.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Make runs of what pg_cron ran, each once, and expect its jobs to run as scheduled.

    It reads the runs of the last day at first, those that go on too. What failed is classified from
    the server's message and raises alerts as any run does. `runguard monitor` does the same in
    every round where RUNGUARD_PG_CRON_URL is set.
    """
    text = (url or os.environ.get(PG_CRON_URL, "")).strip()
    if not text:
        raise ConfigurationError(
            f"expected --url or {PG_CRON_URL}, found neither: name the database in which pg_cron is"
        )
    with opened_with_settings(database_url) as opened:
        source = source_from(SecretReader(os.environ)(text), store_url=opened.settings.database_url)
        events = Events(lambda: opened.settings.redactor)
        with closing(PgCronImport(source, opened.store, opened.settings, events)) as importing:
            try:
                done = importing.run()
            except ImportFailed as error:
                say(f"runguard: {error}")
                raise typer.Exit(1) from error
    if as_json:
        sys.stdout.write(json.dumps(dataclasses.asdict(done)) + "\n")
    elif not quiet:
        say(
            f"{counted(done.succeeded, 'run')} succeeded, {done.failed} failed, {done.started}"
            f" began; {counted(done.declared, 'schedule')} declared, {done.withdrawn} withdrawn."
        )
