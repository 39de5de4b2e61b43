"""Incidents of one job in several environments: none opens, closes or mutes another's."""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import TYPE_CHECKING

import pytest

from runguard._monitor.delivering import ClaimedDelivery
from runguard._monitor.notices import DeliveryRecord, DeliveryState, NoticeKind
from runguard._notify.subject import subject_of
from runguard._notify.texts import Times
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.incidents import dispatch

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

ENVIRONMENTS = (None, "production", "staging")


@pytest.fixture(params=["postgresql", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(store: OperatorStore, environment: str | None, *, fails: bool) -> int | None:
    """Let a run of the same job end; return the alert of its failure."""
    begun = new_run("sync")._replace(environment=environment)
    store.start_run(begun, timeout=TIMEOUT)
    ending = failure(begun, environment=environment) if fails else success(begun)
    return store.finish_run(ending, timeout=TIMEOUT).verdict.alert_id


def all_fail(store: OperatorStore, back_door: BackDoor) -> list[int | None]:
    alerts = [run(store, environment, fails=True) for environment in ENVIRONMENTS]
    dispatch(store)
    for column in ("started_at", "finished_at"):
        back_door.age(f"run_log.{column}", 3600)
    for column in ("alert.created_at", "alert_cooldown.last_alert_at", "alert_cooldown.opened_at"):
        back_door.age(column, 3600)
    return alerts


@pytest.mark.parametrize("recovering", ENVIRONMENTS)
def test_a_success_recovers_its_own_environment_only(
    store: OperatorStore, back_door: BackDoor, recovering: str | None
) -> None:
    alerts = all_fail(store, back_door)
    run(store, recovering, fails=False)

    [settled] = store.settle_incidents()

    assert settled.incident.id == alerts[ENVIRONMENTS.index(recovering)]
    assert {one.id for one in store.open_incidents()} == {*alerts} - {settled.incident.id}
    [told] = back_door.rows("select * from alert where alert_type = 'RECOVERED'")
    where = "" if recovering is None else f" in {recovering}"
    assert told["environment"] == recovering
    assert told["title"] == f"sync{where} recovered after 1 h"
    [failed] = back_door.rows("select * from alert where resolved and alert_type = 'FAILED'")
    assert failed["environment"] == recovering


def test_the_child_of_a_job_settles_what_is_of_its_environment(
    store: OperatorStore, back_door: BackDoor
) -> None:
    alerts = all_fail(store, back_door)
    for environment in ENVIRONMENTS:
        run(store, environment, fails=False)

    settled = store.settle_incidents(["sync"], environment="staging")

    assert [one.incident.id for one in settled] == [alerts[2]]
    [rest] = [store.settle_incidents(["sync"])]
    assert [one.incident.id for one in rest] == [alerts[0]]


def test_a_job_whose_name_looks_like_a_key_keeps_its_incident(store: OperatorStore) -> None:
    begun = new_run("sync:TIMEOUT@staging")
    store.start_run(begun, timeout=TIMEOUT)
    store.finish_run(failure(begun), timeout=TIMEOUT)
    dispatch(store)
    again = new_run("sync:TIMEOUT@staging")
    store.start_run(again, timeout=TIMEOUT)
    store.finish_run(success(again), timeout=TIMEOUT)

    assert store._have_moved() == {1}


def test_a_silence_until_it_recovers_goes_on_while_another_environment_fails(
    store: OperatorStore, back_door: BackDoor
) -> None:
    all_fail(store, back_door)
    now = store.now()
    both, staging = (
        store.add_silence(
            job=job,
            ends_at=now + timedelta(hours=2),
            reason="a new disk",
            created_by="ana",
            until_recovered=True,
        )
        for job in ("sync", "sync@staging")
    )
    run(store, "staging", fails=False)
    store.settle_incidents()

    assert [one.id for one in store.silences(active_at=store.now())] == [both.id]
    assert staging.id != both.id


def test_messages_name_the_environment_and_count_its_runs(
    store: OperatorStore, back_door: BackDoor
) -> None:
    alerts = all_fail(store, back_door)
    for environment in ("production", "production", "staging"):
        run(store, environment, fails=True)
    record = DeliveryRecord(
        id=1,
        alert_id=alerts[2] or 0,
        incident=alerts[2],
        kind=NoticeKind.REMINDER,
        channel="mail",
        state=DeliveryState.PENDING,
        attempts=0,
        created_at=store.now(),
    )

    facts = store.notice_facts(ClaimedDelivery(record=record), timeout=TIMEOUT)

    assert facts is not None
    assert (facts.environment, facts.failures, facts.recent) == ("staging", 2, (False, False))
    assert subject_of(facts, Times(UTC, store.now())).startswith(
        "STILL HTTP_5XX sync in staging: second, since "
    )
