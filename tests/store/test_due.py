"""Whether a process that runs jobs is to have anybody told: one statement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from runguard._store.due import is_delivery_due

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

ALERT = (
    "insert into alert (source_type, source_id, alert_type, severity, title)"
    " values ('student', '17', 'NEW', 'low', 't')"
)
ROUTED = "update alert set dispatch = 'routed'"
FUTURE, PAST = "'2999-01-01 00:00:00'", "'2001-01-01 00:00:00'"
DELIVERY = (
    "insert into alert_delivery (alert_id, kind, channel, state, next_attempt_at, claim_expires_at)"
    " values (1, 'opened', 'ops', '{state}', {next}, {expires})"
)
GUARD = (
    "insert into alert_cooldown"
    " (source_type, source_id, alert_type, last_alert_at, open_alert_id)"
    f" values ('run_log', 'nightly:TIMEOUT', 'FAILED', {PAST}, {{open}})"
)
EXPECTED = (
    "insert into job (job_name, environment, expectation, declared_at)"
    " values ('nightly', '', '{{}}', {declared})"
)
RETIRED = "update job set retired_at = declared_at"
NOTHING_EXPECTED = "update job set expectation = null"
MONITOR = "insert into monitor (who, kind, last_round_at) values ('a:1', 'once', {last})"
UNWATCHED = (
    "insert into alert_cooldown"
    " (source_type, source_id, alert_type, last_alert_at, open_alert_id)"
    f" values ('job', 'runguard', 'UNWATCHED', {PAST}, 1)"
)
CHANNEL = "insert into channel_state (channel, {column}) values ('ops', {value})"


def delivery(state: str, *, next_attempt: str = "null", expires: str = "null") -> str:
    return DELIVERY.format(state=state, next=next_attempt, expires=expires)


CASES = {
    "nothing": ((), False),
    "an alert that waits": ((ALERT,), True),
    "an alert that was routed": ((ALERT, ROUTED), False),
    "a delivery": ((delivery("pending"),), True),
    "a delivery that is late": ((delivery("pending", next_attempt=PAST),), True),
    "a delivery that is not due": ((delivery("pending", next_attempt=FUTURE),), False),
    "a sender that died": ((delivery("sending", expires=PAST),), True),
    "a sender at work": ((delivery("sending", expires=FUTURE),), False),
    "a delivery that was sent": ((delivery("sent", next_attempt=PAST, expires=PAST),), False),
    "a channel that is held": (
        (delivery("pending"), CHANNEL.format(column="not_before", value=FUTURE)),
        False,
    ),
    "a channel that was held": (
        (delivery("pending"), CHANNEL.format(column="not_before", value=PAST)),
        True,
    ),
    "a disabled channel": (
        (delivery("pending"), CHANNEL.format(column="disabled_at", value=PAST)),
        False,
    ),
    "an open incident": ((GUARD.format(open="1"),), True),
    "jobs that nobody watches": ((EXPECTED.format(declared=PAST),), True),
    "jobs that nobody watches any more": (
        (EXPECTED.format(declared=PAST), MONITOR.format(last=PAST)),
        True,
    ),
    "jobs that a wrong clock says somebody watches": (
        (EXPECTED.format(declared=PAST), MONITOR.format(last=FUTURE)),
        True,
    ),
    "jobs that somebody watches": (
        (EXPECTED.format(declared=PAST), MONITOR.format(last="current_timestamp")),
        False,
    ),
    "jobs that were just declared": ((EXPECTED.format(declared=FUTURE),), False),
    "jobs that are retired": ((EXPECTED.format(declared=PAST), RETIRED), False),
    "jobs that only have an owner": ((EXPECTED.format(declared=PAST), NOTHING_EXPECTED), False),
    "jobs of which an alert says that nobody watches": (
        (EXPECTED.format(declared=PAST), UNWATCHED),
        False,
    ),
    "an incident that is over": ((GUARD.format(open="null"),), False),
}


@pytest.mark.parametrize(("rows", "expected"), CASES.values(), ids=CASES)
def test_somebody_is_to_be_told(
    store: OperatorStore, back_door: BackDoor, rows: tuple[str, ...], *, expected: bool
) -> None:
    for row in rows:
        back_door.rows(row)

    assert is_delivery_due(store, ["hourly", "nightly"], timeout=30) is expected


def test_another_jobs_incident_is_for_that_jobs_runs(
    store: OperatorStore, back_door: BackDoor
) -> None:
    back_door.rows(GUARD.format(open="1"))
    statements: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    assert is_delivery_due(store, ["night"], timeout=30) is False
    assert len([one for one in statements if "alert_delivery" in one]) == 1


def test_on_a_schema_that_watches_nothing_alerts_are_delivered(
    store: OperatorStore, back_door: BackDoor
) -> None:
    back_door.rows("drop table job")
    assert is_delivery_due(store, ["nightly"], timeout=30) is False

    back_door.rows(ALERT)

    assert is_delivery_due(store, ["nightly"], timeout=30) is True


def test_on_the_schema_before_nobody_is(store: OperatorStore, back_door: BackDoor) -> None:
    back_door.rows("drop table alert_delivery")

    assert is_delivery_due(store, ["hourly", "nightly"], timeout=30) is False


def test_an_open_incident_matters_to_its_own_environment(
    store: OperatorStore, back_door: BackDoor
) -> None:
    back_door.rows(GUARD.format(open="1").replace("nightly:TIMEOUT", "nightly:TIMEOUT@staging"))

    def is_due(environment: str | None) -> bool:
        return is_delivery_due(store, ["nightly"], timeout=30, environment=environment)

    assert [is_due(one) for one in ("staging", "production", None)] == [True, False, False]
