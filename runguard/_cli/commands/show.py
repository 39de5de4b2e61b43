"""`runguard show`: one run, and everything that is recorded of it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..._models import RunStatus
from ..._monitor.cadence import cadence_of
from ..._monitor.explanation import explain
from ..._monitor.records import RunDetails
from ..._monitor.visible import visible
from ..lists import STRIP
from ..named_run import found_run
from ..noted import has_folded_frames
from ..options import (
    AsJson,
    DatabaseUrl,
    Environment,
    RunName,
    command_app,
    help_end,
    refuse_together,
)
from ..output import exact_moment, stdout_console, write_json, write_table
from ..stores import opened_store
from ..tables import run_sheet
from ..talk import say

app = command_app()


@app.command(
    epilog=help_end(
        "runguard show 1",
        "runguard show failed:payments",
        "runguard show last --json",
    )
)
def show(
    run: RunName,
    *,
    environment: Environment = None,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Print its traceback alone, as Python printed it.")
    ] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show everything that is recorded about one run."""
    refuse_together(traceback=traceback, json=as_json)
    with opened_store(database_url) as store:
        details = found_run(store, run, environment)
        if traceback:
            _print_traceback(details)
            return
        if as_json:
            write_json([details])
            return
        now = store.now()
        told = explain(details, now=now)
        headline = told.headline.text(lambda then: exact_moment(then, now=now, with_age=False))
        its = details.run
        cells = store.last_runs(its.job_name, its.environment, limit=STRIP)
        cadence = cadence_of(one.started_at for one in cells if one.started_at is not None)
        write_table(run_sheet(details, headline=headline, cadence=cadence, now=now))
        if details.run.status == RunStatus.FAILED:
            say(f"`runguard explain {details.run.id}` says why.")
        if stdout_console().is_terminal and has_folded_frames(details.note):
            say(f"`runguard show {details.run.id} --traceback` prints the frames of libraries too.")


def _print_traceback(details: RunDetails) -> None:
    text = details.note.traceback if details.note is not None else None
    if not text:
        say(f"No traceback of run {details.run.id} is kept.")
        raise typer.Exit(1)
    sys.stdout.write(f"{visible(text, lines=True)}\n")
