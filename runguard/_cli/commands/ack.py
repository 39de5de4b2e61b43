"""`runguard ack`: somebody knows, and wants no reminders for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from ..._monitor.wording import iso
from ..actor import By, Why, actor
from ..completion import open_alerts
from ..options import AsJson, DatabaseUrl, command_app, help_end, read_duration
from ..output import write_json
from ..stores import opened_store
from ..talk import say

HOURS: Final = timedelta(hours=4)

app = command_app()


@app.command(
    epilog=help_end(
        "runguard ack 1 --reason 'the vendor is told'",
        "runguard ack 1 --for 12h --reason 'looked at on Monday' --by night-shift",
        "runguard ack 1 --undo",
    )
)
def ack(
    alert: Annotated[
        int,
        typer.Argument(
            metavar="ALERT",
            help="Id of an alert, as `runguard alerts` shows it.",
            autocompletion=open_alerts,
        ),
    ],
    *,
    lasting: Annotated[
        Any,  # a timedelta
        typer.Option(
            "--for",
            parser=read_duration,
            metavar="LENGTH",
            help="Send no reminder for 90m, 4h, 2d … Default: 4h.",
            show_default=False,
        ),
    ] = None,
    reason: Why = None,
    undo: Annotated[bool, typer.Option("--undo", help="Send reminders again instead.")] = False,
    by: By = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Acknowledge an alert: no reminders of its incident until a time.

    A recovery and failures of another cause are told all the same.
    """
    if not undo and not (reason or "").strip():
        raise typer.BadParameter("--reason: expected why, found nothing")
    who = actor(by)
    with opened_store(database_url) as store:
        if undo:
            found = store.unacknowledge(alert, by=who)
        else:
            until = store.now() + (lasting or HOURS)
            found = store.acknowledge(alert, until=until, by=who, reason=str(reason))
    if found is None:
        say(
            f"Alert {alert} has no open incident: it has recovered, is not a failure of a run, or"
            " does not exist. `runguard alerts --open` lists what is open."
        )
        raise typer.Exit(1)
    if as_json:
        write_json([found])
    elif found.acked_until is None:
        say(f"Reminders of {found.source_id} go out again.")
    else:
        until = found.acked_until.replace(microsecond=0)
        say(f"No reminders of {found.source_id} until {iso(until)}.")
