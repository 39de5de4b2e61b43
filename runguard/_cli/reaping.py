"""`runguard reap`: close the runs whose process died, and tell."""

from __future__ import annotations

from .._run.reaper import reap as reap_lost_runs
from .options import AsJson, DatabaseUrl, Job
from .output import say, write_json, write_listing
from .stores import opened_with_settings
from .tables import lost_listing


def reap(*, job: Job = None, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Close runs of which nothing was heard for too long, as FAILED, with an alert.

    Their processes died, or hang. Only silence counts, never age; a run that comes back after all
    takes its real ending. Any start of the same job does this too: run it from cron for jobs
    that start seldom.
    """
    with opened_with_settings(database_url) as opened:
        lost = list(reap_lost_runs(opened.store, opened.settings, job_name=job))
        if as_json:
            write_json(lost)
        elif lost:
            write_listing(lost_listing(lost))
        else:
            say("No run was lost.")
