"""A job as cron runs it: copy every enrolment from an HTTP upstream into a table.

    python examples/upstream.py &
    export ENROLMENT_UPSTREAM_URL=http://127.0.0.1:8765
    python examples/enrolment_sync.py                   # run 1: 120 enrolments read, 120 changed
    curl -X POST http://127.0.0.1:8765/mode/503
    python examples/enrolment_sync.py                   # the traceback, and one alert
    python examples/enrolment_sync.py                   # the traceback, and no second alert
    runguard runs; runguard alerts

`RUNGUARD_DATABASE_URL` says where the runs are kept (without it a warning names the file),
`ENROLMENT_DATABASE_URL` where the table is (default: `enrolments.db` in the current folder),
`ENROLMENT_TIMEOUT_SECONDS` how long to wait for the upstream (default: 10).
It exits with 0 when it is done, 75 when another run holds the lock, 1 when it failed.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import httpx
from sqlalchemy import NullPool, create_engine, text

from runguard import JobLockActive, current_run, tracked_run

if TYPE_CHECKING:
    from collections.abc import Iterator

CREATE = text("""
    create table if not exists enrolment (
        id bigint primary key, student text not null, course text not null, status text not null
    )
""")
UPSERT = text("""
    insert into enrolment (id, student, course, status)
    values (:id, :student, :course, :status)
    on conflict (id) do update
    set student = excluded.student, course = excluded.course, status = excluded.status
    where (enrolment.student, enrolment.course, enrolment.status)
        <> (excluded.student, excluded.course, excluded.status)
""")


@tracked_run("enrolment_sync", lock=True, trigger_type="SCHEDULER")
def enrolment_sync() -> None:
    """Copy the enrolments, one run at a time."""
    copy_enrolments()
    if run := current_run():
        print(f"run {run.id}: {run.total_records} enrolments read, {run.changed_records} changed")


def copy_enrolments() -> None:
    """Upsert page by page, so that a run that fails has counted and kept what it got."""
    url = os.environ.get("ENROLMENT_DATABASE_URL", "sqlite:///enrolments.db")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(CREATE)
    for enrolments in pages_of_enrolments():
        with engine.begin() as connection:
            changed = connection.execute(UPSERT, enrolments).rowcount
        if run := current_run():
            run.total_records += len(enrolments)
            run.changed_records += changed


def pages_of_enrolments() -> Iterator[list[dict[str, Any]]]:
    """Ask the upstream for one page after the other. What it answers in error is raised."""
    timeout = float(os.environ.get("ENROLMENT_TIMEOUT_SECONDS", "10"))
    with httpx.Client(base_url=os.environ["ENROLMENT_UPSTREAM_URL"], timeout=timeout) as client:
        page, pages = 0, 1
        while page < pages:
            page += 1
            response = client.get("/enrolments", params={"page": page}).raise_for_status()
            answer = response.json()
            pages = answer["pages"]
            yield answer["enrolments"]


def main() -> int:
    """Return the exit code; a failure is left to Python, which prints it and exits with 1."""
    try:
        enrolment_sync()
    except JobLockActive as conflict:
        print(f"nothing done, {conflict}", file=sys.stderr)
        return os.EX_TEMPFAIL
    return 0


if __name__ == "__main__":
    sys.exit(main())
