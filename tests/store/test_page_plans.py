"""No question of a page reads a whole table, whatever was asked for and however rare it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from runguard._monitor.records import AlertFilter, AlertOrder, Cause, Cursor, RunFilter
from runguard._monitor.timeline import DEFAULT_ZOOM, ZOOMS, window_of
from runguard._store.queries import strip_memory, timeline
from runguard._store.queries.jobs import JobKey
from tests.store.test_query_plans import (  # the fixtures too
    Sent,
    assert_no_table_is_read_whole,
    await_no_other_session,
    filled,
    libpq,
    sent,
    store,
    whole_reads,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from runguard._store.operator import OperatorStore

__all__ = ["filled", "sent", "store"]

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def a_failed_run(store: OperatorStore) -> int:
    return store.run_page(RunFilter(status="FAILED", job_name="job_7"), limit=1).runs[0].id


def a_failure_alert(store: OperatorStore) -> int:
    return store.alert_page(AlertFilter(alert_type="FAILED"), limit=1).alerts[0].id


def halfway(store: OperatorStore) -> Cursor:
    return Cursor(store.now() - 45 * DAY, 20_000)


def runs(**wanted: object) -> Callable[[OperatorStore], object]:
    return lambda store: store.run_page(RunFilter(**wanted), limit=50)  # type: ignore[arg-type]


def alerts(**wanted: object) -> Callable[[OperatorStore], object]:
    return lambda store: store.alert_page(AlertFilter(**wanted), limit=50)  # type: ignore[arg-type]


def problems(**wanted: object) -> Callable[[OperatorStore], object]:
    return lambda store: store.problem_page(AlertFilter(**wanted), limit=50)  # type: ignore[arg-type]


NOW = datetime.now(UTC)
MONTH, DAY_NOW = (window_of(zoom, now=NOW) for zoom in (ZOOMS[-1], DEFAULT_ZOOM))


def keys(*numbers: int) -> list[JobKey]:
    return [JobKey(f"job_{number}") for number in numbers]


def often(store: OperatorStore) -> None:
    """A timeline of jobs that are counted slice by slice."""
    with pytest.MonkeyPatch.context() as world:
        world.setattr(timeline, "MOST_RUNS", 0)
        facts = store.timeline(keys(*range(5)), MONTH)
    assert any(one.slices for one in facts)


def remembered(store: OperatorStore) -> None:
    """A second look, and a third one that reads some strips anew."""
    for _ in range(3):
        store.overview(strip=30)
        with pytest.MonkeyPatch.context() as world:
            world.setattr(strip_memory, "FEWEST_JOBS", 2)
            world.setattr(strip_memory, "EACH_AFTER", 1000)
            store.overview(strip=30)


CAUSE = Cause("run_log", "job_7:TIMEOUT", "FAILED", None)
QUESTIONS: dict[str, Callable[[OperatorStore], object]] = {
    "overview": lambda store: store.overview(strip=30),
    "overview that remembers": remembered,
    "overview with a look further back": lambda store: store.overview(strip=1),
    "jobs that wait": lambda store: store.waiting(strip=30, now=store.now()),
    "overview of a job": lambda store: store.overview(strip=30, job_name="job_7"),
    "environments": lambda store: store.environments(),
    "overview of an environment": lambda store: store.overview(strip=30, environment="staging"),
    "overview of no environment": lambda store: store.overview(strip=30, environment="none"),
    "failures of a day": lambda store: store.failure_buckets(since=store.now() - DAY, bucket=HOUR),
    "failures of a job": lambda store: store.failure_buckets(
        since=store.now() - 30 * DAY, bucket=DAY, job_name="job_7"
    ),
    "runs": runs(),
    "older runs": lambda store: store.run_page(RunFilter(), limit=50, older_than=halfway(store)),
    "newer runs": lambda store: store.run_page(RunFilter(), limit=50, newer_than=halfway(store)),
    "runs of a job": runs(job_name="job_7"),
    "runs of an environment": runs(environment="staging"),
    "runs of a job in an environment": runs(job_name="job_7", environment="staging"),
    "runs of some jobs": runs(jobs=("job_7", "job_1*")),
    "runs of jobs that nobody has": runs(jobs=("nobody*",)),
    "failed runs of some jobs": runs(status="FAILED", jobs=("job_1?",)),
    "runs that follow": lambda store: store.count_runs(RunFilter(), older_than=halfway(store)),
    "good runs that follow": lambda store: store.count_runs(
        RunFilter(status="SUCCESS"), older_than=halfway(store)
    ),
    "overview of some jobs": lambda store: store.overview(strip=30, jobs=["job_1*"]),
    "failed runs": runs(status="FAILED"),
    "failed runs of a job": runs(status="FAILED", job_name="job_190"),
    "failed runs of nobody": runs(status="FAILED", job_name="nobody"),
    "runs of a group": runs(error_group="TIMEOUT"),
    "runs of a group of a job": runs(error_group="TIMEOUT", job_name="job_190"),
    "open runs": runs(status="RUNNING"),
    "good runs": runs(status="SUCCESS"),
    "runs of a rare trigger": runs(trigger_type="RETRY"),
    "runs of a rare trigger of a job": runs(trigger_type="RETRY", job_name="job_7"),
    "runs of a version": runs(version="d4e5f60"),
    "failed runs of an upstream": runs(upstream="api.example.org"),
    "alerts": alerts(),
    "oldest alerts": lambda store: store.alert_page(
        AlertFilter(), limit=50, order=AlertOrder.OLDEST
    ),
    "later alerts": lambda store: store.alert_page(
        AlertFilter(), limit=50, following=halfway(store)
    ),
    "alerts of a job": alerts(job_name="job_7"),
    "alerts of an environment": alerts(environment="staging"),
    "alerts of some jobs": alerts(jobs=("job_7", "job_1*")),
    "alerts that follow": lambda store: store.count_alerts(AlertFilter(), following=halfway(store)),
    "alerts of a group": alerts(error_group="TIMEOUT"),
    "failure alerts": alerts(alert_type="FAILED"),
    "alerts of a rare type": alerts(alert_type="RARE"),
    "open alerts": alerts(resolved=False),
    "open failure alerts": alerts(resolved=False, alert_type="FAILED"),
    "resolved alerts": alerts(resolved=True),
    "alerts of a rare severity": alerts(severity="critical"),
    "reviewed alerts": alerts(review_status="DONE"),
    "alerts that nobody reviewed": alerts(review_status="AUTO"),
    "alerts of a reason": alerts(error_reason="refused"),
    "alerts of a cause": alerts(cause=CAUSE),
    "alerts of another cause": alerts(cause=Cause("student", None, "NEW", None)),
    "problems": problems(),
    "open problems": problems(resolved=False),
    "problems of a job": problems(job_name="job_7"),
    "problems of a reason": problems(error_reason="refused"),
    "problems of older alerts": lambda store: store.problem_page(
        AlertFilter(), limit=50, older_than=halfway(store)
    ),
    "resolving a cause": lambda store: store.resolve_matching(AlertFilter(cause=CAUSE), by="ana"),
    "reviewing some": lambda store: store.review_matching(
        AlertFilter(job_name="job_7"), by="ana", review_status="DONE", most=5
    ),
    "undoing": lambda store: store.undo_resolution(store.now(), count=5),
    "a run": lambda store: store.run_details(a_failed_run(store)),
    "an alert": lambda store: store.alert_details(a_failure_alert(store)),
    "who ran when in a month": lambda store: store.timeline(keys(7, 8), MONTH),
    "who ran when in a day": lambda store: store.timeline(keys(*range(50)), DAY_NOW),
    "who ran when of jobs that run often": often,
    "a year of a job": lambda store: store.runs_between(
        JobKey("job_7"), [store.now() - days * DAY for days in range(365, -1, -1)]
    ),
    "failures of a year of a job": lambda store: store.failures_between(
        JobKey("job_7"), store.now() - 365 * DAY, store.now(), bucket=DAY
    ),
    "a job's first run": lambda store: store.first_start_of("job_7"),
    "missed starts": lambda store: store.missed_starts(
        ["job_7", "job_8"], since=store.now() - 30 * DAY, until=store.now()
    ),
    "last runs": lambda store: store.last_runs("job_7", limit=200),
    "starts": lambda store: store.starts("job_7", since=store.now() - timedelta(days=60)),
    "cooldowns": lambda store: store.cooldowns("job_7"),
    "a lock": lambda store: store.lock_state("job_7"),
    "resolving": lambda store: store.resolve_alerts([a_failure_alert(store)], by="ana"),
    "opening again": lambda store: store.resolve_alerts(
        [a_failure_alert(store)], by="ana", resolved=False
    ),
    "reviewing": lambda store: store.review_alerts(
        [a_failure_alert(store)], by="ana", review_status="DONE"
    ),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_an_answer_comes_from_an_index(
    store: OperatorStore, sent: list[Sent], filled: str, question: str
) -> None:
    QUESTIONS[question](store)

    assert sent
    for statement in sent:
        assert_no_table_is_read_whole(filled, statement)


def test_an_answer_comes_from_an_index_however_often_it_is_asked_for(
    store: OperatorStore, filled: str
) -> None:
    """A statement that is prepared gets a plan for all parameters after five times."""
    with psycopg.connect(libpq(filled), autocommit=True) as connection:
        before = whole_reads(connection)
        for ask in QUESTIONS.values():
            for _ in range(8):
                ask(store)
        store.close()

        await_no_other_session(connection)
        assert whole_reads(connection) == before
