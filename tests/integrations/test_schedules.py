"""What schedulers say of their jobs: the rule of a clock, and how the store hears of it."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import run_scope
from runguard._run.options import EXPECTED
from runguard.integrations._schedules import (
    CannotBeSaid,
    Schedules,
    allowing,
    announcer,
    clock_rule,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sql = Callable[..., list[dict[str, Any]]]

WORKDAYS = range(5)
NIGHTLY = {"cron": "0 2 * * *", "tz": "UTC"}


@pytest.fixture(autouse=True)
def _nothing_expected() -> Iterator[None]:
    yield
    EXPECTED.clear()


def settle() -> None:
    """Wait until the store was told."""
    while (thread := announcer()._thread) is not None:
        thread.join(60)


def expected(sql: Sql) -> dict[str, Any]:
    settle()
    rows = sql("select job_name, expectation from job")
    return {row["job_name"]: json.loads(row["expectation"] or "null") for row in rows}


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({}, {"cron": "* * * * *"}),
        ({"minutes": [0], "hours": [2, 14]}, {"cron": "0 2,14 * * *"}),
        ({"minutes": range(0, 60, 15)}, {"cron": "*/15 * * * *"}),
        ({"minutes": range(5, 60, 15)}, {"cron": "5,20,35,50 * * * *"}),
        ({"minutes": [0], "hours": range(9, 18)}, {"cron": "0 9-17 * * *"}),
        ({"minutes": [0], "hours": range(24), "days": [1]}, {"cron": "0 * 1 * *"}),
        ({"minutes": [0], "weekdays": [6, 0]}, {"cron": "0 * * * MON,SUN"}),
        ({"minutes": [0], "weekdays": range(7)}, {"cron": "0 * * * *"}),
        ({"minutes": [0], "months": [1, 7]}, {"cron": "0 * * 1,7 *"}),
        (
            {"minutes": [0], "hours": [2], "days": range(1, 8), "weekdays": [4]},
            {"calendar": "Fri *-*-01..07 02:00:00"},
        ),
        ({"days": [1], "from_end": True}, {"calendar": "*-*~01 *:*:00"}),
        ({"seconds": [0, 30]}, {"calendar": "*-*-* *:*:00,30"}),
    ],
)
def test_a_clock_says_when_starts_are_due(fields: dict[str, Any], rule: dict[str, str]) -> None:
    assert clock_rule(tz="UTC", **fields) == {**rule, "tz": "UTC"}


def test_a_zone_without_a_name_is_not_guessed() -> None:
    with pytest.raises(CannotBeSaid, match="its zone has no name"):
        clock_rule(tz=None, hours=[2])


def test_a_random_delay_is_no_missed_start() -> None:
    every, minute = {"every": timedelta(minutes=5)}, timedelta(minutes=1)

    assert allowing(every, minute) == {"every": timedelta(minutes=6)}
    assert allowing(NIGHTLY, minute) == {**NIGHTLY, "grace": timedelta(hours=2, minutes=25)}


def test_what_a_scheduler_expects_is_declared_before_any_run(store_url: str, sql: Sql) -> None:
    schedules = Schedules()
    schedules.expect("1", "backup", NIGHTLY)
    schedules.expect("2", "sync", {"every": timedelta(minutes=10)})

    assert expected(sql) == {"backup": NIGHTLY, "sync": {"every": 600.0}}

    schedules.expect("1", "backup", {**NIGHTLY, "cron": "0 3 * * *"})
    schedules.drop_others({"1"})

    assert expected(sql) == {"backup": {**NIGHTLY, "cron": "0 3 * * *"}, "sync": None}


def test_a_schedule_that_comes_back_is_declared_again(store_url: str, sql: Sql) -> None:
    schedules = Schedules()
    for rule in (NIGHTLY, {**NIGHTLY, "tz": "Asia/Seoul"}, NIGHTLY):
        schedules.expect("1", "backup", rule)
        settle()
        with run_scope("backup"):
            pass

    assert expected(sql) == {"backup": NIGHTLY}


def test_a_schedule_is_added_to_what_code_says_of_the_job(store_url: str, sql: Sql) -> None:
    runguard.expect("backup", max_runtime="1h")
    runguard.expect("sync", every="1h")
    schedules = Schedules()
    for job_name in ("backup", "sync"):
        schedules.expect(job_name, job_name, NIGHTLY)

    assert expected(sql) == {
        "backup": {**NIGHTLY, "max_runtime": 3600.0},
        "sync": {"every": 3600.0},
    }

    schedules.drop("backup")

    assert expected(sql)["backup"] == {"max_runtime": 3600.0}


def test_a_forked_child_has_a_thread_of_its_own(store_url: str, sql: Sql) -> None:
    announcer()._thread = threading.Thread()  # as a fork leaves it: it does not run
    Schedules().expect("1", "backup", NIGHTLY)

    assert expected(sql) == {"backup": NIGHTLY}


def test_nothing_is_declared_where_nothing_is_stored(
    store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_DISABLED", "1")
    Schedules().expect("1", "backup", NIGHTLY)
    settle()

    assert not Path(store_url.removeprefix("sqlite:///")).exists()


def test_two_schedules_of_one_job_are_told_and_none_is_expected(
    store_url: str, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    schedules = Schedules()
    schedules.expect("1", "sync", NIGHTLY)
    schedules.expect("2", "sync", {"every": timedelta(minutes=10)})

    assert expected(sql) == {"sync": None}
    assert "2 entries of the scheduler share this name" in caplog.text

    schedules.drop("1")

    assert expected(sql) == {"sync": {"every": 600.0}}


def test_a_rule_that_nobody_can_watch_is_told(
    store_url: str, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    Schedules().expect("1", "sync", {**NIGHTLY, "tz": "local"})

    assert "runguard.schedule_not_expected job_name=sync" in caplog.text
    assert "tz: expected a zone, found 'local'" in caplog.text
    assert EXPECTED == {}
