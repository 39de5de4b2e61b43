"""`runguard runs` and `alerts`: the operator's views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Annotated, Any, TypeVar

import typer

from .._errors import did_you_mean
from .._monitor.filters import When, instant_of
from .._monitor.records import AlertFilter, AlertRecord, RunFilter, RunRecord
from .._store.operator import OperatorStore
from .options import (
    AsCsv,
    AsJson,
    DatabaseUrl,
    Group,
    Job,
    Limit,
    Since,
    Status,
    Trigger,
    Until,
    Watch,
    form_of,
    refuse_together,
)
from .output import Listing, columns_of, say, shown_on, write_records
from .stores import opened_store
from .tables import alerts_listing, runs_listing
from .watching import watch as watch_frames

Filter = TypeVar("Filter", RunFilter, AlertFilter)


def runs(
    *,
    limit: Limit = 20,
    job: Job = None,
    status: Status = None,
    group: Group = None,
    trigger: Trigger = None,
    since: Since = None,
    until: Until = None,
    watch: Watch = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List runs, the newest first."""
    refuse_together(watch=watch, json=as_json, csv=as_csv)
    with opened_store(database_url) as store:

        def find() -> Sequence[RunRecord]:
            wanted = RunFilter(job_name=job, status=status, error_group=group, trigger_type=trigger)
            return store.run_page(bounded(wanted, store, since, until), limit=limit).runs

        if watch is not None:
            watch_listing(find, runs_listing, seconds=watch, title="runguard runs")
            return
        found = find()
        form = form_of(as_json=as_json, as_csv=as_csv)
        write_records(found, form, columns=columns_of(RunRecord), listing_of=runs_listing)
        if not found:
            filtered = bool(status or group or trigger or since or until)
            explain_nothing("runs", store, job, filtered=filtered)


def alerts(
    *,
    limit: Limit = 20,
    job: Job = None,
    group: Group = None,
    alert_type: Annotated[
        str | None,
        typer.Option(
            "--type",
            metavar="TYPE",
            help="Only alerts of this type, FAILED for those of failed runs.",
            show_default=False,
        ),
    ] = None,
    severity: Annotated[
        str | None,
        typer.Option(
            metavar="SEVERITY", help="Only alerts as loud as that: high …", show_default=False
        ),
    ] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only what is not resolved.")] = False,
    since: Since = None,
    until: Until = None,
    watch: Watch = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List alerts, the newest first."""
    refuse_together(watch=watch, json=as_json, csv=as_csv)
    with opened_store(database_url) as store:

        def find() -> Sequence[AlertRecord]:
            wanted = AlertFilter(
                job_name=job,
                error_group=group,
                alert_type=alert_type,
                severity=severity,
                resolved=False if open_only else None,
            )
            return store.alert_page(bounded(wanted, store, since, until), limit=limit).alerts

        if watch is not None:
            watch_listing(find, alerts_listing, seconds=watch, title="runguard alerts")
            return
        found = find()
        form = form_of(as_json=as_json, as_csv=as_csv)
        write_records(found, form, columns=columns_of(AlertRecord), listing_of=alerts_listing)
        if not found:
            filtered = bool(alert_type or open_only or since or until or group or severity)
            explain_nothing("alerts", store, job, filtered=filtered)


def bounded(wanted: Filter, store: OperatorStore, since: When | None, until: When | None) -> Filter:
    """Return a filter with its bounds; the database's clock is asked only where it matters."""
    if since is None and until is None:
        return wanted
    now = store.now()
    return replace(wanted, since=instant_of(since, now=now), until=instant_of(until, now=now))


def explain_nothing(what: str, store: OperatorStore, job: str | None, *, filtered: bool) -> None:
    """Say why there may be nothing, and what to do next.

    Raises:
        typer.Exit: no job has the name that was given.
    """
    known = store.job_names()
    if job is not None and job not in known:
        tell_unknown_job(f"No {what}: no", job, known)
        raise typer.Exit(1)
    if not known:
        say(f"No {what}: no job was ever recorded here.")
        say("Decorate one with @runguard.tracked_run(…), or see `runguard demo` first.")
        say("`runguard doctor` says which store this is.")
    elif filtered:
        say(f"No {what} match. Ask for less: leave out a filter, or take a longer --since.")
    else:
        say(f"No {what}{'' if job is None else f' of {job}'}. `runguard runs` lists what ran.")


def tell_unknown_job(beginning: str, job: str, known: Sequence[str]) -> None:
    """Say that a job was never recorded, and which ones were."""
    say(f"{beginning} job {job!r} was ever recorded here{did_you_mean(job, known)}.")
    if known:
        say(f"Known jobs: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}")
    else:
        say("`runguard doctor` says which store this is.")


def watch_listing(
    find: Callable[[], Sequence[Any]],
    listing_of: Callable[[Sequence[Any]], Listing],
    *,
    seconds: float,
    title: str,
) -> None:
    """Show what is found again and again."""
    watch_frames(
        lambda console: shown_on(listing_of(find()), console), seconds=seconds, title=title
    )
