"""An operator's role reads all that a page shows and writes into alerts alone; a replica's less."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runguard import StoreUnavailable
from runguard._monitor.expectations import Declarer, JobDeclaration
from runguard._monitor.records import AlertFilter, RunFilter
from runguard._store.due import is_delivery_due
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.incidents import dispatch
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._monitor.records import LockState
    from runguard._store.operator import OperatorStore
    from tests.faults.privileges.conftest import World

DAY = timedelta(days=1)


@pytest.fixture
def job(world: World) -> Iterator[OperatorStore]:
    """A job's store with a success, an alert and a failure that it covers."""
    store = open_store(world.url("job"))
    for ending_of in (success, failure, failure):
        run = new_run()
        store.start_run(run, timeout=TIMEOUT)
        store.finish_run(ending_of(run), timeout=TIMEOUT)
    lease = store.acquire_lock("enrolment_sync", "one", DAY, timeout=TIMEOUT)
    assert lease is not None
    yield store
    store.close()


@pytest.fixture
def operator(world: World, job: OperatorStore) -> Iterator[OperatorStore]:
    store = open_store(world.url("operator"))
    yield store
    store.close()


def read_everything(store: OperatorStore) -> LockState:
    """Each question of a page, once, with an answer to each; return the last one."""
    [overview] = store.overview(strip=9)
    assert (overview.finished, overview.open_alerts) == (3, 1)
    assert store.overview(strip=1)[0].last_success_at is not None
    [bucket] = store.failure_buckets(since=store.now() - DAY, bucket=DAY * 9999)
    assert bucket.failures == 2
    [covered, raised, _good] = store.run_page(RunFilter(), limit=9).runs
    [alert] = store.alert_page(AlertFilter(), limit=9).alerts
    details = store.run_details(covered.id)
    assert details is not None
    assert details.alert == alert
    told = store.alert_details(alert.id)
    assert told is not None
    assert told.raised_by == raised
    assert told.covered_runs == (covered,)
    assert len(store.last_runs("enrolment_sync", limit=9)) == 3
    [cooldown] = store.cooldowns("enrolment_sync")
    assert cooldown.covered == 1
    lock = store.lock_state("enrolment_sync")
    assert lock is not None
    return lock


def test_an_operator_reads_all_that_a_page_shows(operator: OperatorStore) -> None:
    assert read_everything(operator).held
    told = operator.alert_details(1)
    assert told is not None
    assert told.trail is not None


def test_a_job_reads_who_was_told_of_its_alerts(job: OperatorStore) -> None:
    told = job.alert_details(1)

    assert told is not None
    assert told.trail is not None
    assert told.trail.deliveries == ()


def test_a_role_that_may_not_read_deliveries_reads_its_alerts_all_the_same(
    job: OperatorStore, world: World
) -> None:
    world.run("revoke all on alert_delivery, channel_state, silence from runguard_job", "migrator")
    told = job.alert_details(1)

    assert told is not None
    assert told.trail is None
    assert job.trail([1]) == job.channel_states() == job.active_silences(job.now()) == ()


def test_a_job_that_may_not_see_who_watches_has_its_alerts_delivered(
    job: OperatorStore, world: World
) -> None:
    world.run("revoke all on job, monitor from runguard_job", "migrator")

    assert is_delivery_due(job, ["enrolment_sync"], timeout=TIMEOUT)


def test_what_was_possible_before_anything_was_expected_needs_no_right_to_it(
    operator: OperatorStore, world: World
) -> None:
    world.run("revoke all on job, monitor, monitor_gap from runguard_operator", "migrator")

    assert read_everything(operator).held
    assert operator.alert_page(AlertFilter(job_name="enrolment_sync"), limit=9).alerts


def test_an_operator_resolves_and_reviews(operator: OperatorStore) -> None:
    [alert] = operator.alert_page(AlertFilter(), limit=9).alerts

    operator.resolve_alerts([alert.id], by="ana")
    [done] = operator.review_alerts([alert.id], by="ana", review_status="DONE")

    assert (done.resolved, done.resolved_by, done.reviewed_by) == (True, "ana", "ana")
    operator.resolve_alerts([alert.id], by="ana", resolved=False)


def test_an_operator_acknowledges_and_silences(operator: OperatorStore) -> None:
    until = operator.now() + DAY

    found = operator.acknowledge(1, until=until, by="ana", reason="on it")
    silence = operator.add_silence(job="*", ends_at=until, reason="deploy", created_by="ana")

    assert found is not None
    assert operator.silences() == (silence,)
    assert operator.end_silence(silence.id, by="ana") is not None


def test_an_operator_says_what_is_expected_of_a_job(operator: OperatorStore) -> None:
    said = JobDeclaration(job_name="nightly", owner="ops", by=Declarer.PERSON, who="ana")

    operator.declare(said)
    operator.retire("nightly")
    operator.unretire("nightly")

    assert [one.owner for one in operator.expected_jobs()] == ["ops"]
    assert (operator.monitors(), operator.open_findings()) == ([], {})
    assert operator.withdraw("nightly", None, by=Declarer.PERSON, who="ana") is not None


def test_a_notifier_settles_incidents(world: World, job: OperatorStore) -> None:
    store = open_store(world.url("notifier"))
    try:
        for table, time in (
            *(("run_log", "started_at"), ("run_log", "finished_at"), ("alert", "created_at")),
        ):
            world.run(f"update {table} set {time} = {time} - interval '1 hour'")
        dispatch(store)
        run = new_run()
        job.start_run(run, timeout=TIMEOUT)
        job.finish_run(success(run), timeout=TIMEOUT)

        assert [one.alert_type for one in store.settle_incidents()] == ["RECOVERED"]
    finally:
        store.close()


def test_a_replica_answers_everything_and_changes_nothing(world: World, job: OperatorStore) -> None:
    world.run("alter role runguard_operator set default_transaction_read_only = on")
    store = open_store(world.url("operator"))
    try:
        assert read_everything(store).held
        with pytest.raises(StoreUnavailable, match="read-only transaction"):
            store.resolve_alerts([1], by="ana")
    finally:
        store.close()
        world.run("alter role runguard_operator reset default_transaction_read_only")


def test_a_role_that_may_only_select_reads_everything(
    world: World, operator: OperatorStore
) -> None:
    world.run(
        "revoke update (resolved, resolved_at, resolved_by, review_status, reviewed_at,"
        " reviewed_by) on alert from runguard_operator",
        "migrator",
    )

    assert read_everything(operator).held
    with pytest.raises(StoreUnavailable, match="permission denied for table alert"):
        operator.review_alerts([1], by="ana", review_status="DONE")


def test_a_job_s_role_resolves_nothing(job: OperatorStore) -> None:
    with pytest.raises(StoreUnavailable, match="permission denied for table alert"):
        job.resolve_alerts([1], by="ana")
