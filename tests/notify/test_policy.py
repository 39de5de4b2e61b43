"""What becomes of a delivery after an attempt, and which deliveries an alert gets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runguard._monitor.delivering import ClaimedDelivery, DispatchContext
from runguard._monitor.notices import (
    ChannelState,
    DeliveryRecord,
    DeliveryState,
    NoticeKind,
    Outcome,
    PendingAlert,
    SendResult,
    Standing,
)
from runguard._notify.config import NotifyConfig
from runguard._notify.policy import plan_deliveries, settlement_of
from runguard._notify.quiet import QuietWindow
from runguard._notify.routes import Route

NOW = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
RETRY = Outcome(SendResult.RETRY, error="no route")


def claimed(attempts: int = 1, *, age: timedelta = timedelta(0), again: bool = False) -> Any:
    record = DeliveryRecord(
        id=1,
        alert_id=1,
        incident=1,
        kind=NoticeKind.OPENED,
        channel="mail",
        state=DeliveryState.SENDING,
        attempts=attempts,
        created_at=NOW - age,
    )
    return ClaimedDelivery(record=record, may_have_arrived=again)


def settled(delivery: ClaimedDelivery, outcome: Outcome, *, idempotent: bool = False) -> Any:
    return settlement_of(delivery, outcome, is_idempotent=idempotent, now=NOW, jitter=lambda: 0.5)


def test_the_pauses_grow_until_the_day_is_over() -> None:
    pauses = []
    age = timedelta(0)
    for attempt in range(1, 20):
        how = settled(claimed(attempt, age=age), RETRY)
        if how.state is DeliveryState.DEAD:
            break
        pauses.append(how.retry_in)
        age += how.retry_in

    seconds = [pause.total_seconds() for pause in pauses]
    assert seconds[:7] == [10, 60, 300, 900, 3600, 10800, 21600]
    assert age == timedelta(hours=24), "the last try comes when the day is over"


@pytest.mark.parametrize(("jitter", "seconds"), [(0.0, 8), (1.0, 12)])
def test_a_pause_varies_by_a_fifth(jitter: float, seconds: int) -> None:
    how = settlement_of(claimed(), RETRY, is_idempotent=True, now=NOW, jitter=lambda: jitter)

    assert how.retry_in == timedelta(seconds=seconds)


def test_a_request_to_wait_is_kept_for_an_hour_at_most() -> None:
    how = settled(claimed(), replace(RETRY, retry_after=timedelta(days=3)))

    assert (how.hold, how.retry_in) == (timedelta(hours=1), timedelta(hours=1))


@pytest.mark.parametrize(("attempts", "state"), [(1, "pending"), (2, "pending"), (3, "dead")])
def test_a_refusal_is_tried_three_times(attempts: int, state: str) -> None:
    assert settled(claimed(attempts), Outcome(SendResult.REFUSED)).state == state


def test_an_answer_that_never_came_is_asked_for_again_where_a_repeat_is_harmless() -> None:
    unknown = Outcome(SendResult.UNKNOWN)

    again = settled(claimed(5, again=True), unknown, idempotent=True)

    assert (again.state, again.may_have_arrived) == (DeliveryState.PENDING, True)
    assert settled(claimed(2, again=True), unknown).state is DeliveryState.UNKNOWN


def test_an_error_is_bounded() -> None:
    how = settled(claimed(), replace(RETRY, error="x" * 9999))

    assert len(how.error) == 1024


def alert(number: int = 1, **more: Any) -> PendingAlert:
    values: dict[str, Any] = {
        "id": number,
        "source_type": "run_log",
        "source_id": f"job_{number}:TIMEOUT",
        "alert_type": "FAILED",
        "severity": "high",
        "title": "x",
        "created_at": NOW,
        "detail": {},
        "job_name": f"job_{number}",
        "error_group": "TIMEOUT",
        "error_reason": None,
        "upstream": None,
        "standing": Standing.FIRST,
        "incident": number,
        "opened_at": NOW,
    }
    return PendingAlert(**{**values, **more})


def planned(*alerts: PendingAlert, config: NotifyConfig | None = None, **known: Any) -> list[Any]:
    context = DispatchContext(now=NOW, alerts=alerts, **known)
    plan = plan_deliveries(context, config or NotifyConfig(), ["mail", "chat"])
    return [(one.alert_id, one.channel, str(one.kind), str(one.state)) for one in plan.deliveries]


def test_an_alert_goes_where_the_routes_lead() -> None:
    config = NotifyConfig(routes=(Route(to=("chat", "gone"), job=("job_*",)),))

    assert planned(alert(), config=config) == [(1, "chat", "opened", "pending")]


def test_an_alert_that_goes_nowhere_gets_no_delivery() -> None:
    assert planned(alert(), config=NotifyConfig(routes=(Route(to=()),))) == []


def test_a_maintenance_window_mutes_and_says_why() -> None:
    window = QuietWindow(cron="0 2 * * *", length=timedelta(hours=1), reason="upgrade")
    context = DispatchContext(now=NOW, alerts=(alert(),))

    plan = plan_deliveries(context, NotifyConfig(quiet=(window,)), ["mail"])

    [one] = plan.deliveries
    assert one.state is DeliveryState.SKIPPED
    assert "maintenance window until" in (one.reason or "")
    assert "upgrade" in (one.reason or "")


def test_what_was_over_before_a_channel_was_configured_is_no_news_there() -> None:
    hour = timedelta(hours=1)
    old = alert(created_at=NOW - hour, opened_at=NOW - hour)
    channels = {"chat": ChannelState(channel="chat", added_at=NOW)}

    closed = planned(old, channels=channels)
    still_open = planned(old, channels=channels, open_incidents=frozenset({1}))

    assert closed == [(1, "mail", "opened", "pending"), (1, "chat", "opened", "skipped")]
    assert still_open == [(1, "mail", "opened", "pending"), (1, "chat", "opened", "pending")]


def test_a_failure_and_its_recovery_that_wait_together_make_one_message() -> None:
    recovery = alert(2, alert_type="RECOVERED", incident=1, standing=Standing.OPEN)

    assert planned(alert(), recovery) == [
        (1, "mail", "opened", "replaced"),
        (1, "chat", "opened", "replaced"),
        (2, "chat", "recovered", "pending"),
        (2, "mail", "recovered", "pending"),
    ]


def test_an_unknown_cause_is_never_taken_for_another_job_s() -> None:
    alerts = [alert(number, error_group="UNKNOWN") for number in (1, 2)]

    assert {state for *_, state in planned(*alerts)} == {"pending"}


def test_another_upstream_is_another_cause() -> None:
    alerts = [alert(number, upstream=f"host-{number}") for number in (1, 2)]

    assert {state for *_, state in planned(*alerts)} == {"pending"}


def test_a_test_goes_to_the_channels_that_it_names_whatever_the_routes_say() -> None:
    asked = alert(alert_type="TEST", standing=Standing.ALONE, detail={"channels": ["mail"]})

    assert planned(asked, config=NotifyConfig(routes=(Route(to=()),))) == [
        (1, "mail", "test", "pending")
    ]
