"""`runguard runs`, `alerts` and `report`: the operator's views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Annotated, Any

import typer

from .._errors import did_you_mean
from .._ports import OperatorViews
from .options import AsJson, DatabaseUrl, Job, Limit, Since, read_group, read_status
from .output import Listing, say, write_json, write_listing
from .stores import opened_store
from .tables import alerts_listing, groups_listing, runs_listing


def runs(
    *,
    limit: Limit = 20,
    job: Job = None,
    status: Annotated[
        str | None,
        typer.Option(
            parser=read_status,
            metavar="STATUS",
            help="Only RUNNING, SUCCESS or FAILED.",
            show_default=False,
        ),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(
            parser=read_group,
            metavar="GROUP",
            help="Only failures of this group: LOCK_CONFLICT, HTTP_409, HTTP_5XX, HTTP_4XX,"
            " TIMEOUT or UNKNOWN.",
            show_default=False,
        ),
    ] = None,
    since: Since = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List runs, the newest first."""
    with opened_store(database_url) as store:
        found = store.recent_runs(
            limit=limit, job_name=job, status=status, error_group=group, since=since
        )
        _write(found, runs_listing, as_json=as_json)
        if not found:
            _explain_nothing("runs", store, job, filtered=bool(status or group or since))


def alerts(
    *,
    limit: Limit = 20,
    job: Job = None,
    alert_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only alerts of this type, FAILED for those of failed runs.",
            show_default=False,
        ),
    ] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only what is not resolved.")] = False,
    since: Since = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List alerts, the newest first."""
    with opened_store(database_url) as store:
        found = store.recent_alerts(
            limit=limit, job_name=job, alert_type=alert_type, open_only=open_only, since=since
        )
        _write(found, alerts_listing, as_json=as_json)
        if not found:
            _explain_nothing("alerts", store, job, filtered=bool(alert_type or open_only or since))


def report(
    *,
    hours: Annotated[
        float, typer.Option(min=0.01, max=876_000, metavar="HOURS", help="How far back to look.")
    ] = 24,
    job: Job = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Count failures by group: one problem, or forty?"""
    with opened_store(database_url) as store:
        found = store.failures_by_group(since=timedelta(hours=hours), job_name=job)
        _write(found, groups_listing, as_json=as_json)
        if not found:
            _explain_nothing(f"failures in {hours:g} hours", store, job, filtered=False)


def _write(
    found: Sequence[Any], listing_of: Callable[[Sequence[Any]], Listing], *, as_json: bool
) -> None:
    if as_json:
        write_json(found)
    elif found:
        write_listing(listing_of(found))


def _explain_nothing(what: str, store: OperatorViews, job: str | None, *, filtered: bool) -> None:
    """Say why there may be nothing, and what to do next."""
    known = store.job_names()
    if not known:
        say(f"No {what}: no job was ever recorded here.")
        say("Decorate one with @runguard.tracked_run(…), or see `runguard demo` first.")
        say("`runguard doctor` says which store this is.")
    elif job is not None and job not in known:
        say(f"No {what}: no job {job!r} was ever recorded here{did_you_mean(job, known)}.")
        say(f"Known jobs: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}")
    elif filtered:
        say(f"No {what} match. Ask for less: leave out a filter, or take a longer --since.")
    else:
        say(f"No {what}{'' if job is None else f' of {job}'}. `runguard runs` lists what ran.")
