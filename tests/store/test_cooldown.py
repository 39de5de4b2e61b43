"""Conformance: the cooldown, one failure at a time. `test_races.py` has the crowds."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runguard._models import AlertOutcome, AlertVerdict, ErrorGroup
from tests.store.drafts import HALF_AN_HOUR, TIMEOUT, failure, new_run, own_alert
from tests.support.stores import newest_alerts, newest_runs

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

FOREIGN_ALERT = (
    "insert into alert (source_type, source_id, alert_type, severity, title, created_at)"
    " values ('run_log', 'enrolment_sync:HTTP_5XX', 'FAILED', 'high', 'by another program', {now})"
)
NOW = {"postgresql": "now()", "sqlite": "strftime('%Y-%m-%d %H\\:%M\\:%f', 'now')"}


@pytest.fixture(params=["postgresql", "pgbouncer", "sqlite", "sqlite-core"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def fail(
    store: OperatorStore,
    job_name: str = "enrolment_sync",
    *,
    group: ErrorGroup = ErrorGroup.HTTP_5XX,
    cooldown: timedelta = HALF_AN_HOUR,
) -> AlertVerdict:
    run = new_run(job_name)
    store.start_run(run, timeout=TIMEOUT)
    return store.finish_run(failure(run, group=group, cooldown=cooldown), timeout=TIMEOUT).verdict


def test_a_repeat_inside_the_window_is_suppressed_and_recorded(store: OperatorStore) -> None:
    first = fail(store)
    second = fail(store)

    assert (first.outcome, second.outcome) == (AlertOutcome.RAISED, AlertOutcome.SUPPRESSED)
    [record, _] = newest_runs(store)
    assert (record.status, record.alert_outcome) == ("FAILED", "suppressed")
    assert record.covered_by == first.alert_id
    assert record.created_alerts == 0
    assert len(newest_alerts(store)) == 1


def test_a_suppressed_failure_learns_who_covers_it_and_until_when(store: OperatorStore) -> None:
    first = fail(store)
    second = fail(store)

    [alert] = newest_alerts(store)
    assert second == AlertVerdict(
        AlertOutcome.SUPPRESSED, first.alert_id, alert.created_at + HALF_AN_HOUR
    )


@pytest.mark.parametrize(
    ("age_seconds", "outcome"),
    [(1795, AlertOutcome.SUPPRESSED), (1801, AlertOutcome.RAISED)],
    ids=["seconds before the window ends", "a second after"],
)
def test_the_window_ends_when_it_says(
    store: OperatorStore, back_door: BackDoor, age_seconds: int, outcome: AlertOutcome
) -> None:
    fail(store)
    back_door.age_alerts(age_seconds)

    assert fail(store).outcome is outcome


def test_a_window_of_a_second_counts_fractions(store: OperatorStore, back_door: BackDoor) -> None:
    fail(store)
    back_door.age_alerts(60)

    assert fail(store, cooldown=timedelta(seconds=60.5 + 30)).outcome is AlertOutcome.SUPPRESSED
    assert fail(store, cooldown=timedelta(seconds=59.5)).outcome is AlertOutcome.RAISED


def test_each_alert_opens_a_window_of_its_own(store: OperatorStore, back_door: BackDoor) -> None:
    fail(store)
    back_door.age_alerts(1801)
    second = fail(store)

    assert fail(store).alert_id == second.alert_id


def test_cooldown_0_always_writes(store: OperatorStore) -> None:
    verdicts = [fail(store, cooldown=timedelta(0)) for _ in range(3)]

    assert {verdict.outcome for verdict in verdicts} == {AlertOutcome.RAISED}
    assert len(newest_alerts(store)) == 3


def test_what_cooldown_0_wrote_counts_for_others(store: OperatorStore) -> None:
    fail(store, cooldown=timedelta(0))

    assert fail(store).outcome is AlertOutcome.SUPPRESSED


def test_what_cooldown_0_wrote_and_somebody_deleted_still_counts(
    store: OperatorStore, back_door: BackDoor
) -> None:
    fail(store, cooldown=timedelta(0))
    back_door.rows("delete from alert")

    assert fail(store).outcome is AlertOutcome.SUPPRESSED


def test_deleting_an_alert_by_hand_does_not_reopen_the_window(
    store: OperatorStore, back_door: BackDoor
) -> None:
    fail(store)
    back_door.rows("delete from alert")
    verdict = fail(store)

    assert verdict.outcome is AlertOutcome.SUPPRESSED
    assert verdict.alert_id is None
    assert verdict.window_ends_at is not None


@pytest.mark.parametrize("change", ["resolved = true", "review_status = 'IGNORED'"])
def test_what_a_reviewer_does_with_an_alert_does_not_matter(
    store: OperatorStore, back_door: BackDoor, change: str
) -> None:
    fail(store)
    back_door.rows(f"update alert set {change}")

    assert fail(store).outcome is AlertOutcome.SUPPRESSED


def test_a_recent_alert_of_another_program_counts(
    store: OperatorStore, back_door: BackDoor
) -> None:
    back_door.rows(FOREIGN_ALERT.format(now=NOW[back_door.engine.dialect.name]))
    foreign = back_door.row("select id from alert")["id"]

    verdict = fail(store)
    assert (verdict.outcome, verdict.alert_id) == (AlertOutcome.SUPPRESSED, foreign)


def test_an_old_alert_of_another_program_does_not(
    store: OperatorStore, back_door: BackDoor
) -> None:
    back_door.rows(FOREIGN_ALERT.format(now=NOW[back_door.engine.dialect.name]))
    back_door.age_alerts(1801)

    assert fail(store).outcome is AlertOutcome.RAISED


def test_different_groups_of_one_job_alert_apart(store: OperatorStore) -> None:
    outcomes = {fail(store, group=group).outcome for group in ErrorGroup}

    assert outcomes == {AlertOutcome.RAISED}
    assert len(newest_alerts(store)) == 6


def test_the_same_group_of_two_jobs_alerts_apart(store: OperatorStore) -> None:
    assert fail(store, "one").outcome is AlertOutcome.RAISED
    assert fail(store, "two").outcome is AlertOutcome.RAISED


def test_a_jobs_own_alerts_have_the_same_cooldown(
    store: OperatorStore, back_door: BackDoor
) -> None:
    first = store.raise_alert(own_alert(), timeout=TIMEOUT)
    second = store.raise_alert(own_alert(), timeout=TIMEOUT)
    other_source = store.raise_alert(own_alert("student-2"), timeout=TIMEOUT)
    other_type = store.raise_alert(own_alert(alert_type="CHANGED"), timeout=TIMEOUT)
    back_door.age_alerts(1801)
    later = store.raise_alert(own_alert(), timeout=TIMEOUT)

    assert first.outcome is AlertOutcome.RAISED
    assert (second.outcome, second.alert_id) == (AlertOutcome.SUPPRESSED, first.alert_id)
    assert other_source.outcome is AlertOutcome.RAISED
    assert other_type.outcome is AlertOutcome.RAISED
    assert later.outcome is AlertOutcome.RAISED


def test_a_shorter_cooldown_asks_for_less_silence(
    store: OperatorStore, back_door: BackDoor
) -> None:
    fail(store)
    back_door.age_alerts(600)

    assert fail(store).outcome is AlertOutcome.SUPPRESSED
    assert fail(store, cooldown=timedelta(minutes=5)).outcome is AlertOutcome.RAISED


@pytest.mark.parametrize(
    ("ahead_seconds", "outcome"),
    [(30, AlertOutcome.SUPPRESSED), (120, AlertOutcome.RAISED), (10**8, AlertOutcome.RAISED)],
)
def test_an_alert_of_the_future_suppresses_nothing_beyond_a_minute(
    store: OperatorStore, back_door: BackDoor, ahead_seconds: int, outcome: AlertOutcome
) -> None:
    """A server's clock stepped back, or was ahead once: the alert and its guard are of later."""
    fail(store)
    back_door.age_alerts(-ahead_seconds)

    assert fail(store).outcome is outcome


def test_after_a_step_back_the_next_window_is_as_long_as_any(
    store: OperatorStore, back_door: BackDoor
) -> None:
    fail(store)
    back_door.age_alerts(-3600)
    assert fail(store).outcome is AlertOutcome.RAISED
    assert fail(store).outcome is AlertOutcome.SUPPRESSED
    back_door.age_alerts(31 * 60)

    assert fail(store).outcome is AlertOutcome.RAISED


def test_an_alert_of_another_program_for_a_later_year_suppresses_nothing(
    store: OperatorStore, back_door: BackDoor
) -> None:
    back_door.rows(FOREIGN_ALERT.format(now="'2038-01-19 03\\:14\\:07'"))

    assert fail(store).outcome is AlertOutcome.RAISED
    assert fail(store).outcome is AlertOutcome.SUPPRESSED


def test_no_cooldown_leaves_no_guard_in_the_future(
    store: OperatorStore, back_door: BackDoor
) -> None:
    fail(store)
    back_door.age_alerts(-3600)
    fail(store, cooldown=timedelta(0))

    assert fail(store).outcome is AlertOutcome.SUPPRESSED
