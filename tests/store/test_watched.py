"""Conformance: what is expected of jobs stands beside how they do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from runguard._monitor.expectations import Declarer, FindingType
from runguard._monitor.health import JobState, state_of
from runguard._monitor.records import AlertFilter
from tests.store.test_operator_queries import GOOD, foreign_run, play
from tests.support.findings import close, expect, find

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor


def test_a_job_is_shown_with_what_is_expected_and_found(store: OperatorStore) -> None:
    play(store, "sync", GOOD)
    expect(store, "sync", owner="ops")
    incident = find(store, "sync")
    find(store, "sync", FindingType.SLOW)

    [job] = store.overview(strip=3)

    assert job.expected is not None
    assert (job.expected.every_seconds, job.expected.owner) == (3600.0, "ops")
    assert [one.type for one in job.expected.findings] == ["MISSED", "SLOW"]
    assert job.expected.findings[0].incident == incident
    assert job.expected.findings[0].detail["since"] == "2026-03-01T02:00:00Z"
    assert state_of(job) is JobState.MISSED


def test_a_job_that_never_ran_is_shown_where_it_is_expected(store: OperatorStore) -> None:
    play(store, "sync", GOOD)
    for name in ("a backup", "z report"):
        expect(store, name)

    jobs = store.overview(strip=3)

    assert [job.job_name for job in jobs] == ["a backup", "sync", "z report"]
    assert [len(job.strip) for job in jobs] == [0, 1, 0]
    assert [job.job_name for job in store.overview(strip=3, job_name="a backup")] == ["a backup"]
    assert [job.job_name for job in store.overview(strip=3, jobs=["z*"])] == ["z report"]
    assert store.overview(strip=3, job_name="nobody") == []


def test_a_job_that_is_retired_or_withdrawn_is_shown_only_where_it_ran(
    store: OperatorStore,
) -> None:
    play(store, "old", GOOD)
    for name in ("old", "never", "gone"):
        expect(store, name)
    store.retire("old")
    store.retire("never")
    store.withdraw("gone", None, by=Declarer.PERSON, who="ana")

    [job] = store.overview(strip=3)

    assert job.job_name == "old"
    assert job.expected is not None
    assert job.expected.retired_at is not None


def test_what_is_found_in_one_environment_is_shown_there(store: OperatorStore) -> None:
    for environment in ("production", "staging", None):
        expect(store, "sync", environment=environment)
    find(store, "sync", environment="staging")

    jobs = {job.environment: job.expected for job in store.overview(strip=3)}

    assert list(jobs) == [None, "production", "staging"]
    found = {name: [one.type for one in its.findings] for name, its in jobs.items() if its}
    assert found == {None: [], "production": [], "staging": ["MISSED"]}


def test_who_waits_is_found_by_a_few_runs_and_judged_by_all_of_a_strip(
    store: OperatorStore, back_door: BackDoor
) -> None:
    now = store.now()

    def runs(job_name: str, *ages: timedelta) -> None:
        for age in ages:
            started_at = f"{now - age:%Y-%m-%d %H:%M:%S}"
            values = {"started_at": started_at, "finished_at": started_at, "status": "SUCCESS"}
            foreign_run(back_door, job_name=job_name, **values)

    often = [timedelta(hours=5 + 0.1 * number) for number in range(6)]
    runs("quiet", *often)
    runs("was quiet before", *often, timedelta(days=9))
    runs("well", timedelta(minutes=1), *often)
    for name in ("missed", "retired", "on time"):
        expect(store, name)
        find(store, name) if name != "on time" else None
    store.retire("retired")

    waiting = store.waiting(strip=30, now=now)

    known = {job.job_name: job for job in store.overview(strip=30)}
    assert [job.job_name for job in waiting] == ["missed", "quiet", "was quiet before"]
    assert all(job == known[job.job_name] for job in waiting if job.job_name != "missed")
    assert [state_of(job, now=now) for job in waiting] == [
        *(JobState.MISSED, JobState.QUIET, JobState.OK),
    ]
    assert [job.job_name for job in store.waiting(strip=30, now=now, jobs=["q*"])] == ["quiet"]


def test_a_problem_that_was_found_is_over_when_the_finding_is(store: OperatorStore) -> None:
    for name in ("sync", "backup"):
        expect(store, name)
        find(store, name)
    close(store, "backup")

    problems = store.problem_page(AlertFilter(), limit=9).found

    assert {one.source_id: str(one.state) for one in problems} == {
        "sync": "still broken",
        "backup": "recovered",
    }
    assert {one.source_id: one.since for one in problems} == {
        "sync": datetime(2026, 3, 1, 2, tzinfo=UTC),
        "backup": None,
    }
