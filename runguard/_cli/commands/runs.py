"""`runguard runs`: what ran, the newest first."""

from __future__ import annotations

from ..._monitor.records import RunFilter, RunRecord
from ..lists import Found, bounded, explain_nothing, newest_runs, show_list, tell_unknown
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
    Status,
    Trigger,
    Until,
    Upstream,
    Version,
    Watch,
    WatchableCommand,
    command_app,
    form_of,
    help_end,
    refuse_together,
)
from ..output import columns_of
from ..stores import opened_store
from ..tables import runs_listing

app = command_app()


@app.command(
    cls=WatchableCommand,
    epilog=help_end(
        "runguard runs",
        "runguard runs --job payments --status failed --since 24h",
        "runguard runs --job 'pay*' --job invoices",
        "runguard runs --group timeout --trigger scheduler --limit 100 --csv",
        "runguard runs --reason refused --since 7d",
        "runguard runs --upstream api.example.org",
        "runguard runs --version 'd4e5f60*' --status failed",
        "runguard runs --environment staging",
        "runguard runs --since 2026-03-01T02:00 --until 1h --json",
    ),
)
def runs(
    *,
    limit: Limit = 20,
    job: Jobs = None,
    environment: Environment = None,
    status: Status = None,
    group: Group = None,
    reason: Reason = None,
    trigger: Trigger = None,
    version: Version = None,
    upstream: Upstream = None,
    since: Since = None,
    until: Until = None,
    watch: Watch = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List runs, the newest first."""
    refuse_together(watch=watch, json=as_json, csv=as_csv)
    form = form_of(as_json=as_json, as_csv=as_csv)
    wanted = RunFilter(
        jobs=tuple(job or ()),
        environment=environment,
        status=status,
        error_group=group,
        error_reason=reason,
        trigger_type=trigger,
        version=version,
        upstream=upstream,
    )
    with opened_store(database_url) as store:

        def find() -> Found[RunRecord]:
            return newest_runs(store, bounded(wanted, store, since, until), limit=limit)

        found = show_list(
            find,
            runs_listing,
            form=form,
            columns=columns_of(RunRecord),
            watch_seconds=watch,
            title="runguard runs",
        )
        if found is not None and found.rows:
            tell_unknown(store, job)
        elif found is not None:
            kinds = (status, group, reason, trigger, environment, version, upstream)
            filtered = any(kinds) or bool(since or until)
            explain_nothing("runs", store, job, filtered=filtered)
