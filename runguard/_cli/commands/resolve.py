"""`runguard resolve`: what an operator does about alerts."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from ..._monitor.filters import When
from ..._monitor.records import AlertFilter, AlertRecord, ChangedAlerts, ReviewStatus
from ..._monitor.wording import counted, iso
from ..actor import By, actor
from ..lists import explain_nothing
from ..options import (
    AlertIds,
    AsCsv,
    AsJson,
    DatabaseUrl,
    Environment,
    Form,
    Group,
    Jobs,
    Reason,
    command_app,
    form_of,
    help_end,
    read_when,
)
from ..output import columns_of, csv_text, json_text, write_records
from ..stores import opened_store
from ..tables import alerts_listing
from ..talk import say

if TYPE_CHECKING:
    from ..._store.operator import OperatorStore

MOST_UNDONE: Final = 1_000_000

app = command_app()


@app.command(
    epilog=help_end(
        "runguard resolve 1",
        "runguard resolve 1 2 --review done --by night-shift",
        "runguard resolve 1 --reopen",
        "runguard resolve --job payments --group http_5xx --all",
    )
)
def resolve(
    alerts: AlertIds = None,
    *,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="All alerts that match --job, --environment, --group and --reason."
        ),
    ] = False,
    job: Jobs = None,
    environment: Environment = None,
    group: Group = None,
    reason: Reason = None,
    undo: Annotated[
        Any,  # a datetime
        typer.Option(
            "--undo",
            parser=read_when,
            metavar="TIME",
            help="Open again what --all resolved, by the time that it printed.",
            show_default=False,
        ),
    ] = None,
    reopen: Annotated[bool, typer.Option("--reopen", help="Mark them open again instead.")] = False,
    review: Annotated[
        ReviewStatus | None,
        typer.Option(
            case_sensitive=False,
            help="Set their review status too.",
            show_default=False,
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Mark alerts resolved, and show them. Alerts that are resolved already do not change.

    --all resolves the open alerts that match, at most 10,000 at once, and prints how to take it
    back.
    """
    form = form_of(as_json=as_json, as_csv=as_csv)
    who = actor(by)
    wanted = AlertFilter(
        jobs=tuple(job or ()), environment=environment, error_group=group, error_reason=reason
    )
    if wanted != AlertFilter() and not everything:
        raise typer.BadParameter(
            "--job, --environment, --group and --reason: expected --all beside them"
        )
    if [bool(alerts), everything, undo is not None].count(True) != 1:
        raise typer.BadParameter("expected ids of alerts, or --all, or --undo TIME")
    with opened_store(database_url) as store:
        if undo is not None:
            _undo(store, undo)
        elif everything:
            changed = _change_all(store, wanted, who=who, reopen=reopen, review=review)
            _tell(store, changed, wanted, reopen=reopen, form=form, url=database_url)
        else:
            _change(store, alerts or [], who=who, reopen=reopen, review=review, form=form)


def _change(
    store: OperatorStore,
    alerts: list[int],
    *,
    who: str,
    reopen: bool,
    review: ReviewStatus | None,
    form: Form,
) -> None:
    # The review comes first: a status that cannot be used is refused before any change.
    if review is not None:
        store.review_alerts(alerts, by=who, review_status=review)
    changed = store.resolve_alerts(alerts, by=who, resolved=not reopen)
    write_records(changed, form, columns=columns_of(AlertRecord), listing_of=alerts_listing)
    missing = sorted(set(alerts) - {alert.id for alert in changed})
    if missing:
        say(f"There is no alert {', '.join(map(str, missing))}. `runguard alerts` lists them.")
        raise typer.Exit(1)


def _change_all(
    store: OperatorStore,
    wanted: AlertFilter,
    *,
    who: str,
    reopen: bool,
    review: ReviewStatus | None,
) -> ChangedAlerts:
    if review is not None:
        store.review_matching(replace(wanted, resolved=reopen), by=who, review_status=review)
    return store.resolve_matching(wanted, by=who, resolved=not reopen)


def _tell(
    store: OperatorStore,
    changed: ChangedAlerts,
    wanted: AlertFilter,
    *,
    reopen: bool,
    form: Form,
    url: str | None,
) -> None:
    if form is Form.JSON:
        typer.echo(json_text([changed]), nl=False)
    elif form is Form.CSV:
        typer.echo(csv_text([changed], columns_of(ChangedAlerts)), nl=False)
    if not changed.count:
        what = "resolved alerts" if reopen else "open alerts"
        filtered = wanted != AlertFilter()
        explain_nothing(what, store, wanted.jobs, filtered=filtered, by_time=False)
        return
    say(f"{counted(changed.count, 'alert')} {'open again' if reopen else 'resolved'}.")
    if not changed.is_all:
        say("More alerts match: run the command again.")
    if not reopen:
        same_store = "" if url is None else " --database-url …"  # it may hold a password
        say(f"To take it back: runguard resolve --undo {iso(changed.at)}{same_store}")


def _undo(store: OperatorStore, resolved_at: When) -> None:
    if not isinstance(resolved_at, datetime):
        raise typer.BadParameter("--undo: expected the time that --all printed, found a duration")
    undone = store.undo_resolution(resolved_at, count=MOST_UNDONE)
    say(f"{counted(undone.count, 'alert')} open again.")
    if not undone.count:
        raise typer.Exit(1)
