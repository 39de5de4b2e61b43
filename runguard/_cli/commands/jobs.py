"""`runguard jobs`: how every job stands, the worst first."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.console import Console, Group, RenderableType
from rich.text import Text

from ..._monitor.cadence import usual_cadence
from ..._monitor.expectation_words import everything
from ..._monitor.garbage import collecting_no_garbage
from ..._monitor.health import UNWELL, JobState, state_against_schedule, state_of, worst_first
from ..._monitor.progress import RunProgress, job_progress
from ..._monitor.records import JobOverview
from ..._monitor.watched import ExpectedJob
from ..._monitor.wording import job_state
from ..._store.operator import OperatorStore
from .. import sparkline
from ..lists import explain_nothing, named, tell_unknown
from ..options import (
    AsCsv,
    AsJson,
    DatabaseUrl,
    Environment,
    Form,
    Jobs,
    Watch,
    WatchableCommand,
    command_app,
    form_of,
    help_end,
    refuse_together,
)
from ..output import Listing, columns_of, plain, shown_on, stdout_console, write_records
from ..stores import opened_store
from ..tables import jobs_listing
from ..talk import say
from ..watch import watch as watch_frames

app = command_app()

STRIP: Final = 30  # runs that the rates and durations count over, whatever the window shows
_COLUMNS: Final = (
    *("job_name", "environment", "state", "failing_since", "running", "running_since", "refused"),
    *("done", "total", "seconds_left"),
    "last_success_at",
    *("open_alerts", "severity", "finished", "succeeded", "median_seconds", "p95_seconds", "runs"),
    *("last_start_at", "expected_state", "next_due_at", "expected", "usually", "found"),
    *("owner", "runbook", "description"),
)


@app.command(
    cls=WatchableCommand,
    epilog=help_end(
        "runguard jobs",
        "runguard jobs --failing --watch",
        "runguard jobs --json | jq '.[] | select(.state == \"failing\") | .job_name'",
        notes=sparkline.LEGEND,
    ),
)
def jobs(
    *,
    job: Jobs = None,
    environment: Environment = None,
    failing: Annotated[
        bool,
        typer.Option(
            "--failing",
            help="Only jobs that are not well: failing, missed, late, running too long, unusual or"
            " flapping.",
        ),
    ] = False,
    length: Annotated[
        int | None,
        typer.Option(
            "--strip",
            min=1,
            max=STRIP,
            metavar="N",
            help=f"Show so many of a job's last {STRIP} runs; otherwise as many as fit.",
            show_default=False,
        ),
    ] = None,
    watch: Watch = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the state of every job and its last runs, the worst first."""
    refuse_together(watch=watch, json=as_json, csv=as_csv)
    form = form_of(as_json=as_json, as_csv=as_csv)
    asked: Any = {"jobs": job or (), "environment": environment}
    with opened_store(database_url) as store:

        def find() -> tuple[Sequence[JobOverview], datetime]:
            now = store.now()
            with collecting_no_garbage():
                found = worst_first(store.overview(strip=STRIP, **asked), now=now)
            if failing:
                found = [one for one in found if state_of(one, now=now) in UNWELL]
            return found, now

        def listing(found: Sequence[JobOverview], now: datetime, console: Console) -> Listing:
            return jobs_listing(found, now=now, console=console, shown=length)

        def frame(console: Console) -> RenderableType:
            found, now = find()
            return Group(
                Text(_summary(found, now)), Text(), shown_on(listing(found, now, console), console)
            )

        if watch is not None:
            watch_frames(frame, seconds=watch, title="runguard jobs")
            return
        console = stdout_console()
        with collecting_no_garbage():
            found, now = find()
            gc.freeze()  # it stays to the end: a look for garbage would go over all of it
            if form is Form.TABLE:
                columns: Sequence[str] = ()
                rows: Sequence[Any] = found
            else:
                columns = _COLUMNS
                rows = [_row(one, now, as_csv=as_csv) for one in found]
            write_records(
                rows, form, columns=columns, listing_of=lambda them: listing(them, now, console)
            )
        if not found:
            _explain_no_jobs(store, job, environment, failing=failing)
            return
        if form is Form.TABLE:
            say(_summary(found, now))
        tell_unknown(store, job)


def _explain_no_jobs(
    store: OperatorStore, jobs: Sequence[str] | None, environment: str | None, *, failing: bool
) -> None:
    if failing and store.overview(strip=1, jobs=jobs or (), environment=environment):
        which = f" of {named(jobs)}" if jobs else ""
        say(f"No job{which} is failing, missed, late or otherwise unwell.")
    else:
        explain_nothing("jobs", store, jobs, filtered=environment is not None, by_time=False)


def _row(job: JobOverview, now: datetime, *, as_csv: bool) -> dict[str, Any]:
    against, cadence = state_against_schedule(job, now=now), usual_cadence(job)
    progress = RunProgress.of(job_progress(job, now=now))
    row = {
        # The letters of the strip are what CSV has of it.
        **(
            plain(job)
            if not as_csv
            else {name: getattr(job, name) for name in columns_of(JobOverview)}
        ),
        "progress": progress and plain(progress),
        "state": str(state_of(job, now=now)),
        "last_start_at": job.last_start_at,
        "expected_state": against,
    }
    if not as_csv:
        return {**row, "cadence": plain(cadence)}
    expected = job.expected or ExpectedJob()
    return {
        **row,
        "done": progress and progress.done,
        "total": progress and progress.total,
        "seconds_left": progress and progress.seconds_left,
        "runs": sparkline.letters(job.strip),
        "next_due_at": expected.next_due_at,
        "expected": everything(job.expected.expectation) if job.expected else None,
        "usually": cadence and cadence.words,
        "found": " ".join(one.type for one in expected.findings),
        "owner": expected.owner,
        "runbook": expected.runbook,
        "description": expected.description,
    }


def _summary(found: Sequence[JobOverview], now: datetime) -> str:
    """Say in one line what a tired reader asks first."""
    states = Counter(state_of(job, now=now) for job in found)
    told = [f"{states[state]} {job_state(state).word}" for state in JobState if states[state]]
    return f"{len(found)} jobs: {', '.join(told)}." if len(found) != 1 else f"1 job: {told[0]}."
