"""`runguard alerts`: what was raised, the newest first."""

from __future__ import annotations

from typing import Annotated

import typer

from ..._monitor.records import AlertFilter, AlertRecord, ToldAlert
from ..lists import (
    Found,
    bounded,
    explain_nothing,
    newest_alerts,
    show_list,
    tell_unknown,
    told_alerts,
)
from ..options import (
    AsCsv,
    AsJson,
    DatabaseUrl,
    Environment,
    Group,
    Jobs,
    Limit,
    Reason,
    Since,
    Until,
    Watch,
    WatchableCommand,
    command_app,
    form_of,
    help_end,
    refuse_together,
)
from ..output import columns_of
from ..stores import opened_store
from ..tables import told_alerts_listing

app = command_app()


@app.command(
    cls=WatchableCommand,
    epilog=help_end(
        "runguard alerts --open",
        "runguard alerts --job payments --since 7d",
        "runguard alerts --type FAILED --severity high --csv",
    ),
)
def alerts(
    *,
    limit: Limit = 20,
    job: Jobs = None,
    environment: Environment = None,
    group: Group = None,
    reason: Reason = None,
    alert_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only alerts of this type: FAILED for those of failed runs.",
            show_default=False,
        ),
    ] = None,
    severity: Annotated[
        str | None,
        typer.Option(
            metavar="SEVERITY",
            help="Only alerts of this severity: high, medium or low.",
            show_default=False,
        ),
    ] = None,
    open_only: Annotated[
        bool, typer.Option("--open", help="Only alerts that are not resolved.")
    ] = False,
    since: Since = None,
    until: Until = None,
    watch: Watch = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List alerts, the newest first."""
    refuse_together(watch=watch, json=as_json, csv=as_csv)
    form = form_of(as_json=as_json, as_csv=as_csv)
    wanted = AlertFilter(
        jobs=tuple(job or ()),
        environment=environment,
        error_group=group,
        error_reason=reason,
        alert_type=alert_type,
        severity=severity,
        resolved=False if open_only else None,
    )
    with opened_store(database_url) as store:

        def find() -> Found[ToldAlert]:
            found = newest_alerts(store, bounded(wanted, store, since, until), limit=limit)
            return told_alerts(store, found)

        found = show_list(
            find,
            told_alerts_listing,
            form=form,
            columns=columns_of(AlertRecord),
            watch_seconds=watch,
            title="runguard alerts",
        )
        if found is not None and found.rows:
            tell_unknown(store, job)
        elif found is not None:
            filtered = any(
                (alert_type, open_only, since, until, group, reason, severity, environment)
            )
            explain_nothing("alerts", store, job, filtered=filtered)
