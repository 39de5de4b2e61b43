"""Conformance: what operators read."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from runguard._models import ErrorGroup, Severity
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.stores import newest_runs

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

DAY = timedelta(hours=24)


def play(store: OperatorStore) -> None:
    """Two jobs: a success and two failures of one group, and a failure of another."""
    for job_name, group in [
        ("one", None),
        ("one", ErrorGroup.HTTP_5XX),
        ("one", ErrorGroup.HTTP_5XX),
        ("two", ErrorGroup.TIMEOUT),
    ]:
        run = new_run(job_name)
        store.start_run(run, timeout=TIMEOUT)
        ending = success(run) if group is None else failure(run, group=group)
        store.finish_run(ending, timeout=TIMEOUT)


def test_runs_come_newest_first(store: OperatorStore) -> None:
    play(store)

    ids = [record.id for record in newest_runs(store, limit=3)]
    assert len(ids) == 3
    assert ids == sorted(ids, reverse=True)


def test_failures_are_counted_by_group(store: OperatorStore) -> None:
    play(store)

    [most, least] = store.failures_by_group(since=DAY)
    assert (most.error_group, most.severity) == ("HTTP_5XX", Severity.HIGH)
    assert (most.failures, most.alerts, most.jobs) == (2, 1, 1)
    assert (least.error_group, least.failures) == ("TIMEOUT", 1)
    assert [c.error_group for c in store.failures_by_group(since=DAY, jobs=["two"])] == ["TIMEOUT"]


def test_old_failures_are_not_counted(store: OperatorStore, back_door: BackDoor) -> None:
    play(store)
    back_door.age("run_log.started_at", 86_401)

    assert store.failures_by_group(since=DAY) == []


def test_a_failed_run_stands_beside_the_alert_that_it_raised_or_that_covers_it(
    store: OperatorStore,
) -> None:
    play(store)

    [timeout, repeat, first] = store.failed_runs_with_alerts(limit=9)
    assert first.alert is not None
    assert repeat.alert is not None
    assert timeout.alert is not None
    assert first.run.alert_outcome == "raised"
    assert repeat.run.alert_outcome == "suppressed"
    assert first.alert.id == repeat.alert.id
    assert timeout.alert.source_id == "two:TIMEOUT"


def test_a_failed_run_without_an_alert_stands_alone(store: OperatorStore) -> None:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    store.finish_run(failure(run, alerts=False), timeout=TIMEOUT)

    [row] = store.failed_runs_with_alerts(limit=9)
    assert row.alert is None


def test_a_store_says_what_it_is_and_which_schema_it_has(
    store: OperatorStore, back_door: BackDoor
) -> None:
    report = store.inspect()

    assert report.dialect == back_door.engine.dialect.name
    assert report.is_current
    assert report.server_version
