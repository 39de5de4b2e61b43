"""Conformance: the job lock."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runguard._models import Lease, LockHolder, lock_owner
from runguard._run.reaper import reap
from runguard._settings import Settings
from tests.store.drafts import TIMEOUT, new_run

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

TTL = timedelta(seconds=900)


def take(store: OperatorStore, owner: str) -> Lease:
    taken = store.acquire_lock("enrolment_sync", owner, TTL, timeout=TIMEOUT)
    assert isinstance(taken, Lease)
    return taken


def expire(back_door: BackDoor) -> None:
    back_door.age("job_lock.lock_expires_at", 901)


def test_a_missing_row_is_free(store: OperatorStore, back_door: BackDoor) -> None:
    lease = take(store, "one")

    row = back_door.row("select * from job_lock")
    assert (row["job_name"], row["locked_by"]) == ("enrolment_sync", "one")
    assert row["fence"] == lease.fence


def test_a_held_lock_says_who_holds_it_and_until_when(store: OperatorStore) -> None:
    take(store, "one")
    refused = store.acquire_lock("enrolment_sync", "two", TTL, timeout=TIMEOUT)

    assert isinstance(refused, LockHolder)
    assert refused.locked_by == "one"
    assert refused.lock_expires_at is not None
    assert refused.lock_expires_at.utcoffset() == timedelta(0)


def test_two_jobs_have_two_locks(store: OperatorStore) -> None:
    take(store, "one")

    assert isinstance(store.acquire_lock("other", "two", TTL, timeout=TIMEOUT), Lease)


def test_an_expired_lock_is_taken_over_with_a_greater_fence(
    store: OperatorStore, back_door: BackDoor
) -> None:
    first = take(store, "one")
    expire(back_door)

    assert take(store, "two").fence > first.fence


def test_a_released_lock_is_free_at_once(store: OperatorStore) -> None:
    first = take(store, "one")

    assert store.release_lock(first, timeout=TIMEOUT)
    assert take(store, "two").fence > first.fence


def test_a_fence_never_repeats_though_the_row_was_deleted(
    store: OperatorStore, back_door: BackDoor
) -> None:
    first = take(store, "one")
    back_door.rows("delete from job_lock")

    assert take(store, "two").fence > first.fence


def test_only_the_owner_releases(store: OperatorStore) -> None:
    lease = take(store, "one")
    stranger = Lease(lease.job_name, "two", lease.fence)

    assert not store.release_lock(stranger, timeout=TIMEOUT)
    assert isinstance(store.acquire_lock("enrolment_sync", "two", TTL, timeout=TIMEOUT), LockHolder)


def test_a_late_release_does_not_free_the_next_holder(
    store: OperatorStore, back_door: BackDoor
) -> None:
    first = take(store, "one")
    expire(back_door)
    take(store, "two")

    assert not store.release_lock(first, timeout=TIMEOUT)
    assert isinstance(
        store.acquire_lock("enrolment_sync", "three", TTL, timeout=TIMEOUT), LockHolder
    )


def test_an_owner_at_an_old_fence_neither_renews_nor_releases(store: OperatorStore) -> None:
    first = take(store, "one")
    again = take(store, "one")

    assert not store.renew_lock(first, TTL, timeout=TIMEOUT)
    assert not store.release_lock(first, timeout=TIMEOUT)
    assert store.renew_lock(again, TTL, timeout=TIMEOUT)


def test_renewing_moves_the_expiry(store: OperatorStore, back_door: BackDoor) -> None:
    lease = take(store, "one")
    back_door.age("job_lock.lock_expires_at", 600)

    assert store.renew_lock(lease, TTL, timeout=TIMEOUT)
    back_door.age("job_lock.lock_expires_at", 600)
    assert isinstance(store.acquire_lock("enrolment_sync", "two", TTL, timeout=TIMEOUT), LockHolder)


def test_an_expired_lease_is_not_renewed(store: OperatorStore, back_door: BackDoor) -> None:
    lease = take(store, "one")
    expire(back_door)

    assert not store.renew_lock(lease, TTL, timeout=TIMEOUT)


@pytest.mark.parametrize("freed_by", ["release", "reaper"])
def test_a_lock_that_was_freed_is_free_for_a_clock_that_steps_back(
    store: OperatorStore, back_door: BackDoor, freed_by: str
) -> None:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    lease = take(store, lock_owner(run.host, run.pid, run.key))
    if freed_by == "release":
        assert store.release_lock(lease, timeout=TIMEOUT)
    else:
        back_door.age("run_log.started_at", 600)
        assert list(reap(store, Settings()))
    back_door.age("job_lock.lock_expires_at", -3600)  # what an hour back makes of every time

    assert isinstance(store.acquire_lock("enrolment_sync", "two", TTL, timeout=TIMEOUT), Lease)


def test_a_dead_holders_lock_is_not_held_longer_for_a_clock_that_steps_back(
    store: OperatorStore, back_door: BackDoor
) -> None:
    take(store, "dead")
    step_back_an_hour(back_door)

    refused = store.acquire_lock("enrolment_sync", "two", TTL, timeout=TIMEOUT)
    assert isinstance(refused, LockHolder)
    assert refused.locked_by == "dead"
    expire(back_door)

    assert take(store, "two")


def test_a_living_holder_keeps_its_lock_when_the_clock_steps_back(
    store: OperatorStore, back_door: BackDoor
) -> None:
    lease = take(store, "alive")
    back_door.age("job_lock.locked_at", 600)  # it has held the lock for ten minutes
    step_back_an_hour(back_door)
    for _ in range(2):  # the first dates the lease anew, the next must not do so again
        assert isinstance(
            store.acquire_lock("enrolment_sync", "two", TTL, timeout=TIMEOUT), LockHolder
        )
    back_door.age("job_lock.lock_expires_at", 300)  # the time until it renews

    assert store.renew_lock(lease, TTL, timeout=TIMEOUT)


def step_back_an_hour(back_door: BackDoor) -> None:
    for column in ("locked_at", "lock_expires_at"):
        back_door.age(f"job_lock.{column}", -3600)
