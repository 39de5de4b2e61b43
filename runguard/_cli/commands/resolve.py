"""`runguard resolve`: what an operator does about alerts."""

from __future__ import annotations

import getpass
import os
from typing import Annotated

import typer

from ..._models import ReviewStatus
from ..._monitor.records import AlertRecord
from ..options import AlertIds, AsCsv, AsJson, DatabaseUrl, command_app, form_of, help_end
from ..output import columns_of, write_records
from ..stores import opened_store
from ..tables import alerts_listing
from ..talk import say

app = command_app()


@app.command(
    epilog=help_end(
        "runguard resolve 1",
        "runguard resolve 1 2 --review done --by night-shift",
        "runguard resolve 1 --reopen",
    )
)
def resolve(
    alerts: AlertIds,
    *,
    reopen: Annotated[bool, typer.Option("--reopen", help="Mark them open again instead.")] = False,
    review: Annotated[
        ReviewStatus | None,
        typer.Option(
            case_sensitive=False,
            help="Set their review status too.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Who does it; stored with the alert. Default: your user name on this machine.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Mark alerts resolved, and show them. Alerts that are resolved already do not change."""
    form = form_of(as_json=as_json, as_csv=as_csv)
    who = _user() if by is None else by
    with opened_store(database_url) as store:
        # The review comes first: a status that cannot be used is refused before any change.
        if review is not None:
            store.review_alerts(alerts, by=who, review_status=review)
        changed = store.resolve_alerts(alerts, by=who, resolved=not reopen)
        write_records(changed, form, columns=columns_of(AlertRecord), listing_of=alerts_listing)
    missing = sorted(set(alerts) - {alert.id for alert in changed})
    if missing:
        say(f"There is no alert {', '.join(map(str, missing))}. `runguard alerts` lists them.")
        raise typer.Exit(1)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"
