"""`runguard reap`: close the runs whose process died, and tell."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ..._models import RunStatus
from ..._monitor.records import RunFilter
from ..._monitor.wording import counted
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

SPARE_SECONDS: Final = 5.0  # for the heartbeat itself


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

    On SQLite, a step of this machine's clock looks like silence. So a silent run whose process is
    still here gets the time of a heartbeat to show that it is alive.
    """
    with opened_with_settings(database_url) as opened:
        names = [None] if job is None else _jobs_with_open_runs(opened.store, job)
        wait = _Wait(opened.settings.heartbeat_interval, quiet=quiet)
        lost = [
            run
            for name in names
            for run in reap_lost_runs(
                opened.store, opened.settings, job_name=name, await_beat=wait.for_heartbeat
            )
        ]
        if as_json:
            write_json(lost)
        elif lost:
            write_listing(lost_listing(lost))
        elif not quiet:
            say("No run was lost.")
            tell_unknown(opened.store, job)


class _Wait:
    """Waits once for all jobs: a process that lives has sent its heartbeat then."""

    def __init__(self, interval: timedelta, *, quiet: bool) -> None:
        self._seconds = interval.total_seconds() + SPARE_SECONDS
        self._quiet = quiet

    def for_heartbeat(self, runs: int) -> None:
        if self._seconds and not self._quiet:
            say(
                f"{counted(runs, 'silent run')}, whose process is still here:"
                f" waiting {self._seconds:.0f} s for a heartbeat."
            )
        time.sleep(self._seconds)
        self._seconds = 0.0


def _jobs_with_open_runs(store: OperatorStore, jobs: Sequence[str]) -> Sequence[str]:
    wanted = RunFilter(jobs=tuple(jobs), status=RunStatus.RUNNING)
    return sorted({run.job_name for run in newest_runs(store, wanted, limit=MOST_ROWS).rows})
