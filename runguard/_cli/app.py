"""The application: its commands, and what its exit codes mean."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, Final

import typer
from typer.core import TyperGroup

from .._errors import ConfigurationError, RunguardError, SchemaOutOfDate, StoreUnavailable
from . import (
    database,
    doctor,
    executing,
    jobs,
    playing,
    pruning,
    reading,
    reaping,
    reporting,
    resolving,
    serving,
    showing,
    spooling,
    strips,
)
from .options import WatchableCommand, help_end
from .output import say

EXIT_CODE_OF: Final[dict[type[RunguardError], int]] = {
    ConfigurationError: 2,
    StoreUnavailable: 3,
    SchemaOutOfDate: 4,
}


class _Commands(TyperGroup):
    """Turns every error of runguard's own into one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RunguardError as error:
            say(f"runguard: {error}")
            raise typer.Exit(EXIT_CODE_OF.get(type(error), 1)) from error


app = typer.Typer(
    name="runguard",
    cls=_Commands,
    help="Every run of a job leaves a trace; every kind of failure raises exactly one alert.",
    epilog=help_end("runguard jobs", "runguard explain failed").strip(),
    no_args_is_help=True,
    rich_markup_mode=None,  # help is plain text: quick, and the same in a pipe
    pretty_exceptions_enable=False,
)

app.command(epilog=help_end("runguard demo", "runguard demo --database-url postgresql://…"))(
    playing.demo
)
app.command(
    epilog=help_end(
        "runguard doctor", "runguard doctor --json | jq '.[] | select(.remedy != \"\")'"
    )
)(doctor.doctor)
app.command(
    cls=WatchableCommand,
    epilog=help_end(
        "runguard jobs",
        "runguard jobs --failing --watch",
        "runguard jobs --json | jq '.[] | select(.state == \"failing\") | .job_name'",
        notes=strips.LEGEND,
    ),
)(jobs.jobs)
app.command(
    cls=WatchableCommand,
    epilog=help_end(
        "runguard runs",
        "runguard runs --job payments --status failed --since 24h",
        "runguard runs --group timeout --trigger scheduler --limit 100 --csv",
        "runguard runs --since 2026-03-01T02:00 --until 1h --json",
    ),
)(reading.runs)
app.command(
    cls=WatchableCommand,
    epilog=help_end(
        "runguard alerts --open",
        "runguard alerts --job payments --since 7d",
        "runguard alerts --type FAILED --severity high --csv",
    ),
)(reading.alerts)
app.command(
    epilog=help_end("runguard show 1", "runguard show failed:payments", "runguard show last --json")
)(showing.show)
app.command(
    epilog=help_end(
        "runguard explain 2", "runguard explain failed", "runguard explain failed:payments --json"
    )
)(showing.explain)
app.command(
    epilog=help_end(
        "runguard resolve 1",
        "runguard resolve 1 2 --review confirmed --by night-shift",
        "runguard resolve 1 --reopen",
    )
)(resolving.resolve)
app.command(
    cls=WatchableCommand,
    epilog=help_end(
        "runguard report",
        "runguard report --since 7d --job payments",
        "runguard report --format html -o report.html",
        "runguard report --csv",
    ),
)(reporting.report)

app.command(epilog=help_end("runguard reap", "runguard reap --job enrolment_sync --json"))(
    reaping.reap
)
app.command(
    epilog=help_end(
        "runguard prune --older-than 90d --dry-run",
        "runguard prune --older-than 90d",
        "runguard prune --older-than 52w --all --json",
    )
)(pruning.prune)

app.command(
    epilog=help_end(
        "runguard web",
        "runguard web --port 0 --read-only",
        "runguard web --host 0.0.0.0 --token-file /etc/runguard/token",
    )
)(serving.web)
app.command("exec", cls=executing.ExecCommand, epilog=executing.EPILOG)(executing.execute)

spool = typer.Typer(
    help="Records that wait on this machine for a store that was away.",
    epilog=help_end("runguard spool status", "runguard spool flush"),
    no_args_is_help=True,
)
spool.command(epilog=help_end("runguard spool status", "runguard spool status --json"))(
    spooling.status
)
spool.command(epilog=help_end("runguard spool flush", "runguard spool flush --seconds 60"))(
    spooling.flush
)
app.add_typer(spool, name="spool")

db = typer.Typer(
    help="The schema of the store.",
    epilog=help_end("runguard db upgrade", "runguard db check"),
    no_args_is_help=True,
)
db.command(
    epilog=help_end(
        "runguard db upgrade",
        "runguard db upgrade --sql > upgrade.sql",
        "runguard db upgrade --sql --dialect postgresql",
    )
)(database.upgrade)
db.command(epilog=help_end("runguard db downgrade base --sql", "runguard db downgrade base --yes"))(
    database.downgrade
)
db.command(epilog=help_end("runguard db current"))(database.current)
db.command(epilog=help_end("runguard db check && echo ready"))(database.check)
app.add_typer(db, name="db")


def run() -> int:
    """Run the application on this process's arguments; returns its exit code."""
    # A terminal that cannot show a letter gets its code instead of a traceback.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="runguard")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        _flush()
    return 0


def _flush() -> None:
    """Write what is buffered; a reader that has left early, as `head` does, is no error.

    Nor is a stderr that takes nothing any more: talk that nobody hears changes no exit code.
    """
    for stream, nobody_minds in ((sys.stdout, BrokenPipeError), (sys.stderr, OSError)):
        try:
            stream.flush()
        except nobody_minds:
            # The interpreter flushes once more at its end: nobody shall hear of that either.
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
