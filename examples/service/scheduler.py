"""The clock of the service: short jobs run here, and what takes long is put into the queue.

    python -m examples.service.scheduler

The monitor learns from here when the count is due. When a sync is due stands in `runguard.toml`: it
runs in another process.
"""

from __future__ import annotations

import signal
from datetime import UTC, datetime

from apscheduler.schedulers.blocking import BlockingScheduler

from examples.service import jobs, tasks
from runguard.integrations.apscheduler import install


def make_scheduler() -> BlockingScheduler:
    """Return the scheduler with its jobs; it is not started yet."""
    scheduler = BlockingScheduler(timezone=UTC)
    install(scheduler, skip=["queue_*"])  # the worker's run is the one that counts
    scheduler.add_job(
        jobs.count_enrolments,
        "interval",
        minutes=15,
        id="enrolment_count",
        next_run_time=datetime.now(UTC),  # and once at the start
        misfire_grace_time=60,
    )
    scheduler.add_job(
        tasks.enrolment_sync.delay,
        "cron",
        hour=2,
        id="queue_enrolment_sync",
    )
    return scheduler


if __name__ == "__main__":
    scheduler = make_scheduler()
    signal.signal(signal.SIGTERM, lambda *_: scheduler.shutdown(wait=False))
    scheduler.start()
