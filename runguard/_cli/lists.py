"""Lists of runs and alerts: read to the end, and what is said of them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from .._errors import StoreUnavailable, did_you_mean
from .._frozen import frozen
from .._models import named_in
from .._monitor.expectations import FindingType
from .._monitor.filters import When, fits, instant_of, is_pattern
from .._monitor.garbage import collecting_no_garbage
from .._monitor.health import JobState, is_quiet, state_of, worst_first
from .._monitor.paging import followed
from .._monitor.records import (
    AlertFilter,
    AlertRecord,
    Cursor,
    JobOverview,
    Problem,
    Remaining,
    RunFilter,
    RunRecord,
    ToldAlert,
    ToldProblem,
)
from .._monitor.remarks import waiting_remarks
from .._monitor.trail import by_alert
from .._monitor.watched import found_since
from .._monitor.wording import age, counted, job_state
from .options import MOST_ROWS, Form
from .output import Listing, shown_on, write_records
from .talk import say
from .watch import watch

if TYPE_CHECKING:
    from .._store.operator import OperatorStore

STRIP: Final = 30  # runs that show how a job usually does
MOST_TOLD: Final = 10  # jobs in one sentence

Filter = TypeVar("Filter", RunFilter, AlertFilter)
Row = TypeVar("Row")


@frozen
class Found(Generic[Row]):
    """The first rows of a list, and how many follow; None where these are all."""

    rows: Sequence[Row]
    more: Remaining | None = None

    @property
    def note(self) -> str:
        """What to say of a list that is cut; empty where nothing is left out."""
        if self.more is None:
            return ""
        shown, more = len(self.rows), self.more
        left = f"{more.count:,}" if more.is_all else f"at least {more.count:,}"
        return f"{shown:,} shown, {left} more: -n {min(shown + more.count, MOST_ROWS)}"


def newest_runs(store: OperatorStore, wanted: RunFilter, *, limit: int) -> Found[RunRecord]:
    """Find the newest runs, however far back the rare ones are."""
    runs, is_cut = _read_runs(store, wanted, limit)
    if not is_cut or runs[-1].started_at is None:
        return Found(runs)
    last = Cursor(runs[-1].started_at, runs[-1].id)
    return Found(runs, store.count_runs(wanted, older_than=last))


def newest_run(store: OperatorStore, wanted: RunFilter) -> RunRecord | None:
    """Find the newest run, however far back it is."""
    runs, _ = _read_runs(store, wanted, 1)
    return runs[0] if runs else None


def _read_runs(
    store: OperatorStore, wanted: RunFilter, limit: int
) -> tuple[Sequence[RunRecord], bool]:
    def read(cursor: Cursor | None, rows: int) -> tuple[Sequence[RunRecord], Cursor | None]:
        page = store.run_page(wanted, limit=rows, older_than=cursor)
        return page.runs, page.older

    return followed(read, limit)


def newest_alerts(store: OperatorStore, wanted: AlertFilter, *, limit: int) -> Found[AlertRecord]:
    """Find the newest alerts, however far back the rare ones are."""

    def read(cursor: Cursor | None, rows: int) -> tuple[Sequence[AlertRecord], Cursor | None]:
        page = store.alert_page(wanted, limit=rows, following=cursor)
        return page.alerts, page.following

    alerts, is_cut = followed(read, limit)
    if not is_cut:
        return Found(alerts)
    last = Cursor(alerts[-1].created_at, alerts[-1].id)
    return Found(alerts, store.count_alerts(wanted, following=last))


def told_alerts(store: OperatorStore, found: Found[AlertRecord]) -> Found[ToldAlert]:
    """Add to each alert of a list who was told of it."""
    its = by_alert(store.trail([alert.id for alert in found.rows]))
    rows = (ToldAlert(**_values(one), deliveries=tuple(its.get(one.id, ()))) for one in found.rows)
    return Found(tuple(rows), found.more)


def told_problems(store: OperatorStore, problems: Sequence[Problem]) -> Sequence[ToldProblem]:
    """Add to each problem who was told of its last alert."""
    its = by_alert(store.trail([one.alert_id for one in problems]))
    return tuple(
        ToldProblem(**_values(one), deliveries=tuple(its.get(one.alert_id, ()))) for one in problems
    )


def _values(record: AlertRecord | Problem) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def bounded(wanted: Filter, store: OperatorStore, since: When | None, until: When | None) -> Filter:
    """Return a filter with its bounds; the database's clock is asked only where it matters."""
    if since is None and until is None:
        return wanted
    now = store.now()
    return replace(wanted, since=instant_of(since, now=now), until=instant_of(until, now=now))


def show_list(
    find: Callable[[], Found[Row]],
    listing_of: Callable[[Sequence[Row]], Listing],
    *,
    form: Form,
    columns: Sequence[str],
    watch_seconds: float | None,
    title: str,
) -> Found[Row] | None:
    """Write what is found, once or again and again; say if it was cut. None after watching."""
    if watch_seconds is not None:

        def frame(console: Console) -> RenderableType:
            found = find()
            shown = shown_on(listing_of(found.rows), console)
            return Group(shown, Text(found.note, "dim")) if found.note else shown

        watch(frame, seconds=watch_seconds, title=title)
        return None
    found = find()
    write_records(found.rows, form, columns=columns, listing_of=listing_of)
    if found.note:
        say(found.note)
    return found


def explain_nothing(
    what: str,
    store: OperatorStore,
    jobs: Sequence[str] | None,
    *,
    filtered: bool,
    by_time: bool = True,
) -> None:
    """Say why there may be nothing, and what to do next.

    Raises:
        typer.Exit: no job has a name that was given.
    """
    known = store.job_names()
    if jobs and not any(fits(name, job) for name in known for job in jobs):
        tell_unknown_jobs(store, f"No {what}: no", jobs, known)
        raise typer.Exit(1)
    if not known:
        say(f"No {what}: no job was ever recorded here.")
        say("Decorate one with @runguard.tracked_run(…), or see `runguard demo` first.")
        say("`runguard doctor` says which store this is.")
    elif filtered:
        longer = ", or take a longer --since" if by_time else ""
        say(f"No {what} match. Leave out a filter{longer}.")
    else:
        say(f"No {what}{f' of {named(jobs)}' if jobs else ''}. `runguard runs` lists what ran.")


def named(jobs: Sequence[str]) -> str:
    """Name some jobs in a sentence."""
    return " or ".join(jobs)


def tell_unknown(store: OperatorStore, jobs: Sequence[str] | None) -> None:
    """Say which of several asked jobs no run has ever had."""
    if jobs is None or len(jobs) < 2:
        return
    known = store.job_names()
    unknown = [job for job in jobs if not any(fits(name, job) for name in known)]
    if unknown:
        tell_unknown_jobs(store, "No", unknown, known)


def tell_late(
    store: OperatorStore, jobs: Sequence[str] | None, environment: str | None = None
) -> None:
    """Say which jobs did not start, are due or quiet, which no list of failures shows."""
    now = store.now()
    with collecting_no_garbage():
        waiting = store.waiting(strip=STRIP, now=now, jobs=jobs or (), environment=environment)
        found = worst_first(waiting, now=now)
    for state in (JobState.MISSED, JobState.LATE, JobState.QUIET):
        those = [one for one in found if state_of(one, now=now) is state]
        told = ", ".join(
            f"{named_in(one.job_name, one.environment)} ({_due(one, now)})"
            for one in those[:MOST_TOLD]
        )
        more = f" and {len(those) - MOST_TOLD:,} more" if len(those) > MOST_TOLD else ""
        if those:
            say(f"{counted(len(those), 'job')} {job_state(state).word}: {told}{more}.")


def _due(job: JobOverview, now: datetime) -> str:
    if is_quiet(job, now=now):
        return "; ".join(waiting_remarks(job, now=now))
    missed = job.expected and job.expected.finding(FindingType.MISSED)
    due = found_since(missed) if missed else job.expected and job.expected.next_due_at
    last = f"last start {age(job.last_start_at, now)}" if job.last_start_at else "never ran"
    return f"due {age(due, now)}, {last}" if due else last


def _expected_names(store: OperatorStore, jobs: Sequence[str]) -> set[str]:
    """Return those of some jobs that are expected, as far as this role may read them."""
    try:
        return {one.job_name for one in store.expected_jobs(jobs)}
    except StoreUnavailable:
        return set()


def tell_unknown_jobs(
    store: OperatorStore, beginning: str, jobs: Sequence[str], known: Sequence[str]
) -> None:
    """Say that jobs were never recorded, and which ones were."""
    expected = _expected_names(store, jobs)
    for job in jobs:
        if job in expected:
            say(f"{beginning} run of {job!r} was ever recorded here, and it is expected to run:")
            say(f"`runguard expect {shlex.quote(job)}` says when.")
        elif is_pattern(job):
            say(f"{beginning} job that fits {job!r} was ever recorded here.")
        else:
            say(f"{beginning} job {job!r} was ever recorded here{did_you_mean(job, known)}.")
    if known:
        say(f"Known jobs: {', '.join(known[:10])}{', …' if len(known) > 10 else ''}")
    else:
        say("`runguard doctor` says which store this is.")
