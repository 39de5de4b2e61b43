"""`runguard problems`: alerts by their cause, and whether each job recovered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from ..._monitor import wording
from ..._monitor.records import AlertFilter, Problem
from ..lists import bounded, explain_nothing, tell_late, told_problems
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
    command_app,
    form_of,
    help_end,
)
from ..output import columns_of, write_records
from ..stores import opened_store
from ..tables import problems_listing
from ..talk import say

app = command_app()

# A spreadsheet's cell holds no list of runs.
_COLUMNS: Final = [name for name in columns_of(Problem) if name not in ("strip", "recovered_by")]


@app.command(
    epilog=help_end(
        "runguard problems --open",
        "runguard problems --job 'pay*' --since 7d",
        "runguard problems --reason refused --json",
    )
)
def problems(
    *,
    limit: Limit = 20,
    job: Jobs = None,
    environment: Environment = None,
    group: Group = None,
    reason: Reason = None,
    open_only: Annotated[
        bool, typer.Option("--open", help="Only alerts that are not resolved.")
    ] = False,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List alerts by their cause, one row for each problem.

    A problem is a job, a group and a reason. It has recovered if a run that began after its last
    failure succeeded. `runguard resolve --job J --group G --reason R --all` resolves its alerts.
    """
    form = form_of(as_json=as_json, as_csv=as_csv)
    wanted = AlertFilter(
        jobs=tuple(job or ()),
        environment=environment,
        error_group=group,
        error_reason=reason,
        resolved=False if open_only else None,
    )
    with opened_store(database_url) as store:
        page = store.problem_page(bounded(wanted, store, since, until), limit=limit)
        found = told_problems(store, page.found)
        write_records(found, form, columns=_COLUMNS, listing_of=problems_listing)
        if not page.found and page.looked_to is None:
            filtered = any((group, reason, open_only, since, until, environment))
            explain_nothing("alerts", store, job, filtered=filtered)
        elif page.following is not None:
            say(f"{limit} shown, {page.problems - limit:,} more: -n {page.problems}")
        if page.looked_to is not None:
            oldest = wording.iso(page.looked_to.instant)
            say(f"Older alerts were not looked at. To see them: --until {oldest}")
        _sum_up(page.found, alerts=page.alerts, is_open=page.open_alerts)
        tell_late(store, job, environment)


def _sum_up(found: Sequence[Problem], *, alerts: int, is_open: int) -> None:
    if found:
        say(f"{wording.counted(alerts, 'alert')}, {is_open:,} open.")
