"""`runguard spool status` and `flush`: the records that wait for the store on this machine."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from ..options import AsJson, DatabaseUrl, command_app, help_end
from ..stores import found_spool, opened_with_settings, quiet_log
from ..talk import say

app = command_app(
    help="Records that wait on this machine for the store.",
    epilog=help_end("runguard spool status", "runguard spool flush"),
    no_args_is_help=True,
)

FLUSH_SECONDS = 3600.0


@app.command(epilog=help_end("runguard spool status", "runguard spool status --json"))
def status(*, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Show how many records wait on this machine, since when, and where."""
    with quiet_log(), found_spool(database_url) as spool:
        files = spool.waiting()
        oldest = spool.waiting_since()
        since = oldest and oldest.isoformat()
        if as_json:
            row = {"waiting": len(files), "since": since, "folder": str(spool.folder)}
            sys.stdout.write(json.dumps([row], indent=2) + "\n")
        elif files:
            noun = "record waits" if len(files) == 1 else "records wait"
            sys.stdout.write(f"{len(files)} {noun} since {since} in {spool.folder}\n")
            say("`runguard spool flush` replays them; so does any later run.")
        else:
            sys.stdout.write(f"No record waits in {spool.folder}\n")


@app.command(epilog=help_end("runguard spool flush", "runguard spool flush --seconds 60"))
def flush(
    *,
    seconds: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Stop after so many seconds.")
    ] = FLUSH_SECONDS,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the waiting records into the store. Exits with 3 if some remain."""
    with opened_with_settings(database_url) as opened:
        spool = opened.spool
        total = len(spool.waiting())
        if not total:
            say("No record waits.")
            return
        done = 0
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("replaying", total=total)
            for replayed in spool.replay(opened.store, seconds=seconds):
                progress.advance(task)
                if replayed.trouble is None:
                    done += 1
                else:
                    say(f"{replayed.path.name} was not replayed: {replayed.trouble}")
        left = len(spool.waiting())
        say(f"{done} of {total} replayed, {left} wait in {spool.folder}.")
        if left:
            raise typer.Exit(3)
