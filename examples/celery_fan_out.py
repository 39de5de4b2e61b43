"""A thousand tasks on Celery workers: each a run, each failure sorted, each problem told once.

    export RUNGUARD_DATABASE_URL=postgresql://app@db.internal/prod
    export FAN_OUT_FOLDER=/tmp/fan_out        # the queue: files, so that no broker is needed
    celery --app examples.celery_fan_out worker --concurrency 4 &
    python -m examples.celery_fan_out 1000

Every tenth course answers 503 and every twenty-fifth not at all, so `runguard report` then shows
140 failures, and `runguard alerts` two alerts.

`@app.task` stands above `@tracked_run`: what the worker calls is then the tracked function. The
other way round, the worker would call the bare one, and `delay` would be gone. `self.retry()`
inside the function is a FAILED run without an alert, since the last attempt alerts; `autoretry_for`
works outside of it, so there every attempt counts as a failure (one alert in a cooldown, as
always). A soft time limit is a TIMEOUT. A hard one kills the process: such a run is closed as lost,
by the next run of its job or by `runguard reap`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from celery import Celery, Task

from runguard import current_run, tracked_run

FOLDER = Path(os.environ.get("FAN_OUT_FOLDER", "fan_out"))
MOST_RETRIES = 2

app = Celery("fan_out", broker="filesystem://")
app.conf.update(
    broker_transport_options={
        "data_folder_in": str(FOLDER / "queue"),
        "data_folder_out": str(FOLDER / "queue"),
        "control_folder": str(FOLDER / "control"),
        "polling_interval": 0.05,
    },
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)
for folder in ("queue", "control"):
    (FOLDER / folder).mkdir(parents=True, exist_ok=True)


class UpstreamError(Exception):
    """The upstream answered, but not with what was asked for."""

    def __init__(self, status_code: int) -> None:
        super().__init__(f"the upstream answered {status_code}")
        self.status_code = status_code


@app.task(name="sync_course")
@tracked_run("sync_course", trigger_type="SCHEDULER")
def sync_course(course: int) -> None:
    """Sync one course; the number of students is the run's `total_records`."""
    students = students_of(course)
    if run := current_run():
        run.total_records = students


@app.task(name="sync_stubborn_course", bind=True, max_retries=MOST_RETRIES)
@tracked_run("sync_stubborn_course", trigger_type="SCHEDULER")
def sync_stubborn_course(self: Task, course: int) -> None:
    """The same, tried again: only the last attempt alerts."""
    if run := current_run():
        run.retry_count = self.request.retries
    try:
        students_of(course)
    except UpstreamError as error:
        if self.request.retries == MOST_RETRIES:
            raise
        raise self.retry(exc=error, countdown=0) from error


def students_of(course: int) -> int:
    """Ask the upstream, which has its bad days."""
    if course % 25 == 7:
        raise TimeoutError(f"no answer about course {course} within 5 s")
    if course % 10 == 3:
        raise UpstreamError(503)
    return course


if __name__ == "__main__":
    for course in range(int(sys.argv[1])):
        sync_course.delay(course)
