"""What operators see of a job that runs in several environments: one job in each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runguard._models import ErrorGroup
from runguard._monitor.health import JobState, state_of
from runguard._monitor.records import AlertFilter, ProblemState, RunFilter
from runguard._store.queries.jobs import JobKey
from tests.store.drafts import TIMEOUT, failure, new_run, success

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore

FAILED, WELL = True, False


@pytest.fixture(params=["postgresql", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(store: OperatorStore, environment: str | None, *, fails: bool, job: str = "sync") -> int:
    begun = new_run(job)._replace(environment=environment)
    run_id = store.start_run(begun, timeout=TIMEOUT)
    ending = failure(begun, environment=environment) if fails else success(begun)
    store.finish_run(ending, timeout=TIMEOUT)
    return run_id


@pytest.fixture
def shared(store: OperatorStore) -> OperatorStore:
    """A store where production is well, staging fails, and what has no environment did both."""
    for environment, fails in [("staging", FAILED), ("production", WELL), (None, FAILED)] * 2:
        run(store, environment, fails=fails)
    run(store, None, fails=WELL)
    run(store, "production", fails=WELL, job="only there")
    return store


def test_each_environment_of_a_job_has_a_health_of_its_own(shared: OperatorStore) -> None:
    found = {JobKey(one.job_name, one.environment): one for one in shared.overview(strip=9)}

    assert {key: state_of(one) for key, one in found.items()} == {
        JobKey("only there", "production"): JobState.OK,
        JobKey("sync", None): JobState.OK,
        JobKey("sync", "production"): JobState.OK,
        JobKey("sync", "staging"): JobState.FAILING,
    }
    assert [one.succeeded for one in found.values()] == [1, 1, 2, 0]
    assert [one.open_alerts for one in found.values()] == [0, 1, 0, 1]
    assert shared.environments() == ["production", "staging"]


@pytest.mark.parametrize(("asked", "runs"), [("staging", 2), ("none", 3), ("test", 0)])
def test_lists_are_narrowed_to_an_environment(shared: OperatorStore, asked: str, runs: int) -> None:
    for job_name in (None, "sync"):
        wanted = RunFilter(environment=asked, job_name=job_name)
        assert len(shared.run_page(wanted, limit=50).runs) == runs
        alerts = AlertFilter(environment=asked, job_name=job_name)
        assert len(shared.alert_page(alerts, limit=50).alerts) == bool(runs)
    named = None if asked == "none" else asked
    jobs = shared.overview(strip=2, environment=asked)
    assert [(one.job_name, one.environment) for one in jobs] == ([("sync", named)] if runs else [])
    assert [one.environment for one in shared.overview(strip=2, job_name="sync")] == [
        *(None, "production", "staging"),
    ]


def test_alerts_of_a_job_or_a_group_are_found_in_all_environments(shared: OperatorStore) -> None:
    for wanted in (
        AlertFilter(job_name="sync"),
        AlertFilter(jobs=("sy*",)),
        AlertFilter(error_group=ErrorGroup.HTTP_5XX),
        AlertFilter(job_name="sync", error_group=ErrorGroup.HTTP_5XX),
    ):
        assert len(shared.alert_page(wanted, limit=9).alerts) == 2, wanted


def test_a_problem_is_over_where_its_own_environment_has_recovered(shared: OperatorStore) -> None:
    page = shared.problem_page(AlertFilter(), limit=9)

    assert {one.environment: one.state for one in page.found} == {
        "staging": ProblemState.BROKEN,
        None: ProblemState.RECOVERED,
    }
    [one] = shared.problem_page(AlertFilter(environment="staging"), limit=9).found
    assert (one.job_name, one.environment, one.alerts) == ("sync", "staging", 1)


def test_a_run_is_told_beside_those_of_its_environment(shared: OperatorStore) -> None:
    [last] = shared.run_page(RunFilter(environment="staging"), limit=1).runs
    details = shared.run_details(last.id)

    assert details is not None
    assert details.run.environment == "staging"
    assert (details.failures_in_row, details.previous_success, details.recovered) == (2, None, None)
    assert details.alert is not None
    assert details.alert.source_id == "sync:HTTP_5XX@staging"
    assert details.cooldown is not None
    assert details.cooldown.covered == 1
    assert [one.covered for one in shared.cooldowns("sync", "staging")] == [1]
    assert [one.id for one in shared.last_runs("sync", "staging", limit=1)] == [last.id]
