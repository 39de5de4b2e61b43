"""An async job: fetch all pages of enrolments at once, and count them by course.

    python examples/upstream.py &
    export ENROLMENT_UPSTREAM_URL=http://127.0.0.1:8765
    python examples/async_sync.py       # algebra 40, biology 40, chemistry 40

`runguard runs` then shows four runs: one of the job, and one of each page. With the upstream in
mode `503` (or `slow`) the job fails, and its run is in the group HTTP_5XX (or TIMEOUT).
`ENROLMENT_DEADLINE_SECONDS` says how long all of it may take (default: 30).
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from typing import Any

import httpx

from runguard import current_run, run_scope, tracked_run


@tracked_run("course_count")
async def course_count() -> Counter[str]:
    """Count the enrolments by course. One page that fails fails the job."""
    deadline = float(os.environ.get("ENROLMENT_DEADLINE_SECONDS", "30"))
    upstream = os.environ["ENROLMENT_UPSTREAM_URL"]
    async with asyncio.timeout(deadline), httpx.AsyncClient(base_url=upstream) as client:
        first = await fetch(client, 1)
        async with asyncio.TaskGroup() as group:
            others = [
                group.create_task(fetch(client, page)) for page in range(2, first["pages"] + 1)
            ]
    answers = [first, *(task.result() for task in others)]
    courses = Counter(e["course"] for answer in answers for e in answer["enrolments"])
    if run := current_run():
        run.total_records = courses.total()
    return courses


async def fetch(client: httpx.AsyncClient, page: int) -> dict[str, Any]:
    """Fetch a page as a run of its own.

    The page that fails cancels the others: theirs are FAILED too, but not worth an alert.
    """
    async with run_scope("course_count.page", no_alert_on=asyncio.CancelledError) as run:
        response = await client.get("/enrolments", params={"page": page})
        answer: dict[str, Any] = response.raise_for_status().json()
        run.total_records = len(answer["enrolments"])
        return answer


async def main() -> None:
    """Print the counts."""
    for course, count in sorted((await course_count()).items()):
        print(course, count)


if __name__ == "__main__":
    asyncio.run(main())
