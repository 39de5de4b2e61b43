"""`runguard reap`: close the runs whose process died, and tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..._models import RunStatus
from ..._monitor.records import RunFilter
from ..._run.reaper import reap as reap_lost_runs
from ..lists import newest_runs, tell_unknown
from ..options import (
    MOST_ROWS,
    AsJson,
    DatabaseUrl,
    Jobs,
    Quiet,
    command_app,
    help_end,
)
from ..output import write_json, write_listing
from ..stores import opened_with_settings
from ..tables import lost_listing
from ..talk import say

if TYPE_CHECKING:
    from ..._store.operator import OperatorStore

app = command_app()


@app.command(epilog=help_end("runguard reap --quiet", "runguard reap --job enrolment_sync --json"))
def reap(
    *,
    job: Jobs = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Close lost runs as FAILED, with an alert.

    A run is lost when it sends no heartbeat for too long: its process died, or hangs. A long run
    that sends one is never lost. A run that comes back later takes its real ending. Every start of
    the same job does this too; call it from cron for jobs that start rarely.
    """
    with opened_with_settings(database_url) as opened:
        names = [None] if job is None else _jobs_with_open_runs(opened.store, job)
        lost = [
            run
            for name in names
            for run in reap_lost_runs(opened.store, opened.settings, job_name=name)
        ]
        if as_json:
            write_json(lost)
        elif lost:
            write_listing(lost_listing(lost))
        elif not quiet:
            say("No run was lost.")
            tell_unknown(opened.store, job)


def _jobs_with_open_runs(store: OperatorStore, jobs: Sequence[str]) -> Sequence[str]:
    wanted = RunFilter(jobs=tuple(jobs), status=RunStatus.RUNNING)
    return sorted({run.job_name for run in newest_runs(store, wanted, limit=MOST_ROWS).rows})
