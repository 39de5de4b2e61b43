"""Conformance: what an operator does about alerts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from runguard import ConfigurationError
from tests.store.drafts import TIMEOUT, own_alert
from tests.support.stores import newest_alerts

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor


@pytest.fixture
def alerts(store: OperatorStore) -> list[int]:
    """Three open alerts, the oldest first."""
    ids = []
    for number in range(3):
        verdict = store.raise_alert(own_alert(f"student-{number}"), timeout=TIMEOUT)
        assert verdict.alert_id is not None
        ids.append(verdict.alert_id)
    return ids


def test_alerts_are_resolved_with_who_and_when(
    store: OperatorStore, back_door: BackDoor, alerts: list[int]
) -> None:
    before = store.now()

    done = store.resolve_alerts([alerts[2], alerts[0]], by=" 영희 ")

    assert [alert.id for alert in done] == [alerts[2], alerts[0]]
    for alert in done:
        assert (alert.resolved, alert.resolved_by) == (True, "영희")
        assert alert.resolved_at is not None
        assert before <= alert.resolved_at <= store.now()
    assert [bool(row["resolved"]) for row in back_door.rows("select * from alert order by id")] == [
        True,
        False,
        True,
    ]


def test_who_resolved_it_first_stays(store: OperatorStore, alerts: list[int]) -> None:
    [first] = store.resolve_alerts(alerts[:1], by="ana")

    again, new = store.resolve_alerts(alerts[:2], by="bob")

    assert again == first
    assert new.resolved_by == "bob"


def test_an_alert_is_opened_again(store: OperatorStore, alerts: list[int]) -> None:
    store.resolve_alerts(alerts[:1], by="ana")

    [alert, untouched] = store.resolve_alerts(alerts[:2], by="bob", resolved=False)

    assert (alert.resolved, alert.resolved_at, alert.resolved_by) == (False, None, None)
    assert (untouched.resolved, untouched.resolved_by) == (False, None)


def test_an_alert_is_reviewed_with_who_and_when(store: OperatorStore, alerts: list[int]) -> None:
    before = store.now()

    [alert] = store.review_alerts(alerts[:1], by="ana", review_status="FALSE_ALARM")

    assert (alert.review_status, alert.reviewed_by) == ("FALSE_ALARM", "ana")
    assert alert.reviewed_at is not None
    assert before <= alert.reviewed_at <= store.now()
    assert (alert.resolved, alert.resolved_by) == (False, None)


def test_the_same_review_again_changes_nothing(store: OperatorStore, alerts: list[int]) -> None:
    [first] = store.review_alerts(alerts[:1], by="ana", review_status="IN_PROGRESS")

    assert store.review_alerts(alerts[:1], by="bob", review_status="IN_PROGRESS") == [first]
    [other] = store.review_alerts(alerts[:1], by="bob", review_status="DONE")
    assert (other.review_status, other.reviewed_by) == ("DONE", "bob")


@pytest.mark.parametrize("status", ["", "done", "DONE ", "REVIEWED", "DONE\n", "É", "'; --"])
def test_a_review_status_is_one_of_five(
    store: OperatorStore, alerts: list[int], status: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        store.review_alerts(alerts, by="ana", review_status=status)

    assert str(caught.value).startswith(
        "review_status: expected one of AUTO, ACKNOWLEDGED, IN_PROGRESS, FALSE_ALARM, DONE;"
        f" found {status!r}"
    )


def test_a_mistyped_review_status_is_answered_with_the_one_that_was_meant(
    store: OperatorStore, alerts: list[int]
) -> None:
    with pytest.raises(ConfigurationError, match=r"did you mean 'ACKNOWLEDGED'\?"):
        store.review_alerts(alerts, by="ana", review_status="acknowledge")


@pytest.mark.parametrize("by", ["", "  "])
def test_nobody_does_nothing(store: OperatorStore, alerts: list[int], by: str) -> None:
    with pytest.raises(ConfigurationError, match="by: expected a name"):
        store.resolve_alerts(alerts, by=by)
    with pytest.raises(ConfigurationError, match="by: expected a name"):
        store.review_alerts(alerts, by=by, review_status="DONE")


def test_unknown_ids_are_left_out_and_the_rest_told_once(
    store: OperatorStore, alerts: list[int]
) -> None:
    asked = [10**30, alerts[1], -1, 0, 2**63 - 1, alerts[1], 4711]

    assert [alert.id for alert in store.resolve_alerts(asked, by="ana")] == [alerts[1]]
    assert store.resolve_alerts([], by="ana") == []


def test_very_many_are_resolved_at_once(
    store: OperatorStore, back_door: BackDoor, alerts: list[int]
) -> None:
    done = store.resolve_alerts([*range(10_000, 12_000), *alerts], by="ana")

    assert [alert.id for alert in done] == alerts


def test_a_hostile_name_is_only_data(store: OperatorStore, alerts: list[int]) -> None:
    [alert] = store.resolve_alerts(alerts[:1], by="a\0\ud800'; drop table alert; --%s")

    assert alert.resolved_by == "a\ufffd\ufffd'; drop table alert; --%s"


def test_the_texts_of_an_alert_stay_as_they_are(store: OperatorStore, alerts: list[int]) -> None:
    before = newest_alerts(store, limit=1)[0]

    [after] = store.resolve_alerts([before.id], by="ana")

    kept = ("source_type", "source_id", "severity", "title", "message", "detail", "created_at")
    assert [getattr(after, name) for name in kept] == [getattr(before, name) for name in kept]


def test_resolving_does_not_reopen_the_cooldown(store: OperatorStore, alerts: list[int]) -> None:
    store.resolve_alerts(alerts, by="ana")

    verdict = store.raise_alert(own_alert("student-0"), timeout=TIMEOUT)

    assert verdict.outcome == "suppressed"


def test_an_alert_whose_state_nobody_noted_is_open(
    store: OperatorStore, back_door: BackDoor
) -> None:
    if back_door.engine.dialect.name == "postgresql":  # as in an adopted table
        back_door.rows("alter table alert alter resolved drop not null")
        back_door.rows("alter table alert alter review_status drop not null")
    else:
        pytest.skip("a SQLite file is never adopted")
    verdict = store.raise_alert(own_alert(), timeout=TIMEOUT)
    back_door.rows("update alert set resolved = null, review_status = null")
    assert verdict.alert_id is not None

    store.review_alerts([verdict.alert_id], by="ana", review_status="DONE")
    [alert] = store.resolve_alerts([verdict.alert_id], by="ana")

    assert (alert.resolved, alert.review_status) == (True, "DONE")


def test_a_minute_of_an_operator_is_not_lost(store: OperatorStore, back_door: BackDoor) -> None:
    verdict = store.raise_alert(own_alert(cooldown=timedelta()), timeout=TIMEOUT)
    assert verdict.alert_id is not None
    store.resolve_alerts([verdict.alert_id], by="ana")
    back_door.age("alert.resolved_at", 60)

    [alert] = store.resolve_alerts([verdict.alert_id], by="bob")

    assert alert.resolved_at is not None
    assert store.now() - alert.resolved_at >= timedelta(seconds=60)
