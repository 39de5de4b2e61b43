"""Where an alert goes, and when nobody is told of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runguard._monitor.notices import PendingAlert, Standing
from runguard._notify.quiet import QuietWindow, quiet_window
from runguard._notify.routes import Route, channels_for

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)  # a Sunday
CHANNELS = ("mail", "chat", "pager")
ALERT = PendingAlert(
    id=7,
    source_type="run_log",
    source_id="billing.daily:TIMEOUT",
    alert_type="FAILED",
    severity="high",
    title="billing.daily failed",
    created_at=NOON,
    detail={},
    job_name="billing.daily",
    error_group="TIMEOUT",
    error_reason="connect",
    upstream=None,
    standing=Standing.FIRST,
    incident=7,
    opened_at=NOON,
    owner="payments",
)


def way(*routes: Route, alert: PendingAlert = ALERT, now: datetime = NOON) -> tuple[str, ...]:
    return channels_for(routes, CHANNELS, alert, now=now)


def test_without_a_route_every_channel_is_told() -> None:
    assert way() == CHANNELS
    assert way(Route(to=("pager",), job=("etl.*",))) == CHANNELS


def test_the_first_route_that_matches_wins() -> None:
    assert way(Route(to=("pager",), job=("billing.*",)), Route(to=("mail",))) == ("pager",)


def test_a_route_that_continues_lets_the_next_ones_add_theirs_once() -> None:
    first = Route(to=("pager", "chat"), goes_on=True)

    assert way(first, Route(to=("chat", "mail"))) == ("pager", "chat", "mail")
    assert way(first) == ("pager", "chat")


def test_a_route_and_a_window_may_be_for_an_environment() -> None:
    staging = replace(ALERT, environment="staging")
    to_chat = Route(to=("chat",), environment=("stag*", "dev"))

    assert way(to_chat, alert=staging) == ("chat",)
    assert way(to_chat) == way(to_chat, alert=replace(ALERT, environment="production")) == CHANNELS
    window = QuietWindow(
        cron="0 12 * * *", length=timedelta(hours=1), reason="", environment=("staging",)
    )
    assert quiet_window([window], staging, now=NOON) is not None
    assert quiet_window([window], ALERT, now=NOON) is None


def test_a_route_to_nobody_tells_nobody() -> None:
    assert way(Route(to=())) == ()


@pytest.mark.parametrize(
    "given",
    [
        {"job": ("etl.*", "billing.*")},
        {"group": ("TIME*",)},
        {"reason": ("connect",)},
        {"alert_type": ("FAILED",)},
        {"owner": ("pay*",)},
        {"severity": ("medium", "high")},
    ],
)
def test_a_route_matches_by_each_thing_that_is_known(given: dict[str, tuple[str, ...]]) -> None:
    nothing = replace(
        ALERT,
        job_name=None,
        error_group=None,
        error_reason=None,
        alert_type="NEW",
        owner=None,
        severity="low",
    )

    assert way(Route(to=("pager",), **given)) == ("pager",)
    assert way(Route(to=("pager",), **given), alert=nothing) == CHANNELS


def test_everything_that_is_given_has_to_match() -> None:
    assert way(Route(to=("pager",), job=("billing.*",), severity=("low",))) == CHANNELS


def test_a_route_for_long_incidents_takes_their_reminders_only() -> None:
    route = Route(to=("pager",), after=timedelta(hours=4))
    open_one = replace(ALERT, standing=Standing.OPEN, opened_at=NOON - timedelta(hours=4))

    assert way(route, alert=open_one) == ("pager",)
    assert way(route, alert=open_one, now=NOON - timedelta(seconds=1)) == CHANNELS
    assert way(route, alert=replace(open_one, standing=Standing.FIRST)) == CHANNELS


def window(cron: str, hours: float, **more: object) -> QuietWindow:
    return QuietWindow(cron=cron, length=timedelta(hours=hours), reason="upgrade", **more)  # type: ignore[arg-type]


def test_a_window_is_open_from_its_tick_until_its_length_is_over() -> None:
    sunday = window("0 2 * * 0", 2)

    assert sunday.open_until(NOON.replace(hour=1, minute=59)) is None
    assert sunday.open_until(NOON.replace(hour=2)) == NOON.replace(hour=4)
    assert sunday.open_until(NOON.replace(hour=3, minute=59)) == NOON.replace(hour=4)
    assert sunday.open_until(NOON.replace(hour=4)) is None
    assert sunday.open_until(NOON.replace(hour=3) + timedelta(days=1)) is None


def test_a_window_is_one_of_its_own_zone() -> None:
    seoul = window("0 2 * * 0", 2, timezone=ZoneInfo("Asia/Seoul"))

    assert seoul.open_until(datetime(2026, 2, 28, 17, tzinfo=UTC)) is not None
    assert seoul.open_until(NOON.replace(hour=2)) is None


def test_a_window_stays_open_in_the_hour_that_the_clocks_repeat() -> None:
    berlin = window("30 2 * * *", 2, timezone=ZoneInfo("Europe/Berlin"))
    tick = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30, for the first time

    for minutes in range(0, 120, 10):
        now = tick + timedelta(minutes=minutes)
        assert berlin.open_until(now) == tick + timedelta(hours=2)
    for minutes in range(120, 240, 10):
        assert berlin.open_until(tick + timedelta(minutes=minutes)) is None


def test_a_window_mutes_only_what_it_is_for() -> None:
    etl, billing = window("* * * * *", 1, job=("etl.*",)), window("* * * * *", 2, job=("b*",))

    assert quiet_window([etl], ALERT, now=NOON) is None
    found = quiet_window([etl, billing], ALERT, now=NOON)
    assert found is not None
    assert found[0] is billing
