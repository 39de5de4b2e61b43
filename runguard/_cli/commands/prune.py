"""`runguard prune`: delete what is old."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from ..._frozen import frozen
from ..._monitor.records import Prunable
from ..._monitor.wording import duration
from ..._store.operator import OperatorStore
from ..._store.retention import PrunePlan, count_prunable, plan_pruning
from ..._store.retention import prune as prune_old_rows
from ..options import AsJson, DatabaseUrl, Environment, Quiet, command_app, help_end, read_duration
from ..output import plain_table, progress_bar, write_json, write_table
from ..stores import opened_with_settings
from ..talk import say

app = command_app()


@frozen
class Pruned:
    """What was deleted of a table, or would be."""

    table: str
    rows: int
    older_than_seconds: int
    dry_run: bool


@app.command(
    epilog=help_end(
        "runguard prune --older-than 90d --dry-run",
        "runguard prune --older-than 90d --quiet",
        "runguard prune --older-than 52w --all --json",
    )
)
def prune(
    *,
    older_than: Annotated[
        timedelta,
        typer.Option(
            "--older-than",
            parser=read_duration,
            metavar="DURATION",
            help="Delete what ended, or was raised, longer ago than this: 90d …",
        ),
    ],
    environment: Environment = None,
    include_foreign: Annotated[
        bool,
        typer.Option("--all", help="Delete runs and alerts of other programs too."),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only; delete nothing.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Delete old runs with notes, alerts, deliveries and cooldown state.

    Alerts go whether they are resolved or not. It keeps open runs, the newest run of each job, what
    a cooldown still needs, and what belongs to an open incident. It deletes in small batches, so
    that jobs can run meanwhile. You can stop it and start it again at any time.
    """
    with opened_with_settings(database_url) as opened:
        store = opened.store
        plan = plan_pruning(
            store,
            older_than=older_than,
            cooldown=opened.settings.cooldown,
            include_foreign=include_foreign,
            environment=environment,
        )
        if plan.alerts_older_than > older_than and not quiet:
            say(
                f"A run had a cooldown of {duration(plan.alerts_older_than)}:"
                " alerts stay that long."
            )
        counts = {what: count_prunable(store, plan, what) for what in Prunable}
        if not dry_run:
            counts = _delete(store, plan, counts, quiet=quiet)
    pruned = [
        Pruned(what.value, rows, int(plan.age_of(what).total_seconds()), dry_run)
        for what, rows in counts.items()
    ]
    if as_json:
        write_json(pruned)
        return
    if quiet and not dry_run:
        return
    table = plain_table("table", "would be deleted" if dry_run else "deleted")
    table.columns[1].justify = "right"
    for one in pruned:
        table.add_row(one.table, str(one.rows))
    write_table(table)


def _delete(
    store: OperatorStore, plan: PrunePlan, counts: dict[Prunable, int], *, quiet: bool
) -> dict[Prunable, int]:
    deleted = dict.fromkeys(counts, 0)
    with progress_bar(quiet=quiet) as progress:
        for what, total in counts.items():
            task = progress.add_task(what.value, total=total)
            for rows in prune_old_rows(store, plan, what):
                deleted[what] += rows
                progress.advance(task, rows)
    return deleted
