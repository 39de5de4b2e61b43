"""APScheduler 3: its starts are runs, whatever executes and stores its jobs."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from apscheduler import events
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ProcessPoolExecutor, ThreadPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.calendarinterval import CalendarIntervalTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from sqlalchemy import create_engine, text

import runguard
from runguard import Expect, StoreUnavailable, current_run
from runguard._run.expecting import expectation_of
from runguard._run.options import EXPECTED
from runguard._watch.schedule import ClockSchedule, schedule_of
from runguard.integrations._schedules import CannotBeSaid, announcer
from runguard.integrations.apscheduler import install, rule_of
from tests.support import scheduled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from apscheduler.schedulers.base import BaseScheduler

    Sql = Callable[..., list[dict[str, Any]]]

SECONDS = 60
NEVER = {"misfire_grace_time": None}
RUNS = "select job_name, status, trigger_type, total_records from run_log order by job_name"
OVER = events.EVENT_JOB_EXECUTED | events.EVENT_JOB_ERROR | events.EVENT_JOB_MISSED


@pytest.fixture(autouse=True)
def _nothing_expected() -> Iterator[None]:
    yield
    EXPECTED.clear()


class Endings:
    """Counts the starts that a scheduler says are over."""

    def __init__(self, scheduler: BaseScheduler) -> None:
        self._ended = threading.Semaphore(0)
        scheduler.add_listener(lambda _: self._ended.release(), OVER)

    def wait(self, starts: int = 1) -> None:
        for _ in range(starts):
            assert self._ended.acquire(timeout=SECONDS)


@contextmanager
def running(
    *, no_alert_on: tuple[type[BaseException], ...] = (), **options: Any
) -> Iterator[tuple[BackgroundScheduler, Endings]]:
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults=NEVER, **options)
    install(scheduler, no_alert_on=no_alert_on)
    endings = Endings(scheduler)
    scheduler.start()
    yield scheduler, endings
    scheduler.shutdown()


def run(job_name: str, status: str, records: int = 0) -> dict[str, Any]:
    return {
        "job_name": job_name,
        "status": status,
        "trigger_type": "SCHEDULER",
        "total_records": records,
    }


@pytest.mark.parametrize("executor", [ThreadPoolExecutor, DebugExecutor])
def test_each_start_is_a_run_also_of_jobs_from_before(
    store_url: str, sql: Sql, executor: Callable[[], Any]
) -> None:
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults=NEVER)
    scheduler.add_job(scheduled.sync, args=[512])
    install(scheduler)
    scheduler.add_executor(executor())
    endings = Endings(scheduler)
    scheduler.start()
    scheduler.add_job(scheduled.fail, "interval", days=1, id="late", next_run_time=_now())
    endings.wait(2)
    scheduler.shutdown()

    assert sql(RUNS) == [run("late", "FAILED"), run("sync", "SUCCESS", 512)]
    [alert] = sql("select source_id from alert")
    assert alert == {"source_id": "late:TIMEOUT"}


def _now() -> datetime:
    return datetime.now(UTC)


async def test_coroutines_and_functions_of_an_event_loop_are_runs(store_url: str, sql: Sql) -> None:
    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=NEVER)
    scheduler.start()
    install(scheduler)
    endings = Endings(scheduler)
    scheduler.add_job(scheduled.sync_async)
    scheduler.add_job(scheduled.sync, args=[1])
    await asyncio.to_thread(endings.wait, 2)
    scheduler.shutdown()

    assert sql(RUNS) == [run("sync", "SUCCESS", 1), run("sync_async", "SUCCESS", 3)]


async def test_a_coroutine_that_the_shutdown_cancels_is_failed(store_url: str, sql: Sql) -> None:
    begun = asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=NEVER)
    install(scheduler)
    scheduler.start()
    scheduler.add_job(wait, name="waiting")
    await begun.wait()
    scheduler.shutdown()
    [task] = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    await asyncio.wait([task])

    [row] = sql("select job_name, status, error_reason from run_log")
    assert row == {"job_name": "waiting", "status": "FAILED", "error_reason": "cancelled"}


def test_a_pool_of_processes_records_and_who_is_killed_is_closed_at_once(
    tmp_path: Path, sql_at: Callable[[str], Sql], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'runs.db'}"
    runguard.configure(database_url=url, store_timeout=timedelta(minutes=2))
    # What the pool's processes cannot import must not end them.
    unknown_there = type("UnknownThere", (Exception,), {"__module__": "only_here"})
    monkeypatch.setitem(sys.modules, "only_here", SimpleNamespace(UnknownThere=unknown_there))
    pool = {"default": ProcessPoolExecutor(1)}
    with running(executors=pool, no_alert_on=(unknown_there,)) as (scheduler, endings):
        scheduler.add_job(scheduled.sync, args=[512])
        endings.wait()
        failed = threading.Event()
        executor = scheduler._executors["default"]
        tell = executor._run_job_error
        executor._run_job_error = lambda *told: (tell(*told), failed.set())
        scheduler.add_job(scheduled.die)
        assert failed.wait(SECONDS)

    rows = sql_at(url)(
        "select job_name, status, error_type, total_records from run_log order by id"
    )
    assert rows == [
        {"job_name": "sync", "status": "SUCCESS", "error_type": None, "total_records": 512},
        {
            "job_name": "die",
            "status": "FAILED",
            "error_type": "concurrent.futures.process.BrokenProcessPool",
            "total_records": 0,
        },
    ]


@pytest.fixture
def sql_at() -> Iterator[Callable[[str], Sql]]:
    engines = []

    def at(url: str) -> Sql:
        engines.append(engine := create_engine(url))

        def ask(statement: str) -> list[dict[str, Any]]:
            with engine.begin() as connection:
                return [dict(row._mapping) for row in connection.execute(text(statement))]

        return ask

    yield at
    for engine in engines:
        engine.dispose()


def test_a_job_store_holds_nothing_of_runguard(
    store_url: str, sql: Sql, tmp_path: Path, sql_at: Callable[[str], Sql]
) -> None:
    jobs = f"sqlite:///{tmp_path / 'jobs.db'}"
    with running(jobstores={"default": SQLAlchemyJobStore(jobs)}) as (scheduler, endings):
        scheduler.add_job(
            scheduled.sync, "interval", days=1, id="sync", args=[7], next_run_time=_now()
        )
        scheduler.add_job(scheduled.Report().send, "interval", days=1, id="report")
        endings.wait()

    assert sql(RUNS) == [run("sync", "SUCCESS", 7)]
    states = [row["job_state"] for row in sql_at(jobs)("select job_state from apscheduler_jobs")]
    assert len(states) == 2
    assert all(b"runguard" not in state for state in states)


def test_a_decorated_function_keeps_its_own_run(store_url: str, sql: Sql) -> None:
    with running() as (scheduler, endings):
        scheduler.add_job(scheduled.decorated, id="nightly")
        endings.wait()

    assert [row["job_name"] for row in sql(RUNS)] == ["decorated"]


def test_jobs_are_chosen_and_named(store_url: str, sql: Sql) -> None:
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults=NEVER)
    install(scheduler)
    install(scheduler, skip="*.ping", name=str.upper)
    endings = Endings(scheduler)
    scheduler.start()
    for job_id in ("web.ping", "backup"):
        scheduler.add_job(current_run, "interval", days=1, id=job_id, next_run_time=_now())
    endings.wait(2)
    scheduler.shutdown()

    assert [row["job_name"] for row in sql(RUNS)] == ["BACKUP"]


def test_a_fault_of_ours_does_not_keep_a_job_from_running(
    store_url: str, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    began = threading.Event()
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults=NEVER)
    install(scheduler, name=lambda name: name * 500)
    endings = Endings(scheduler)
    scheduler.start()
    scheduler.add_job(began.set, id="sync")
    endings.wait()
    scheduler.shutdown()

    assert began.is_set()
    assert "expected at most 255 characters" in caplog.text


@pytest.mark.usefixtures("store_that_refuses")
async def test_a_job_does_nothing_where_its_run_must_not_begin() -> None:
    began: list[str] = []

    async def sync() -> None:
        began.append("sync")

    scheduler = AsyncIOScheduler(timezone="UTC", job_defaults=NEVER)
    install(scheduler)
    ended: asyncio.Queue[Any] = asyncio.Queue()
    scheduler.add_listener(ended.put_nowait, OVER)
    scheduler.start()
    scheduler.add_job(sync, id="sync")
    scheduler.add_job(began.append, args=["backup"], id="backup")
    endings = {(event := await ended.get()).job_id: event.exception for _ in range(2)}
    scheduler.shutdown()

    assert {name: type(error) for name, error in endings.items()} == {
        "sync": StoreUnavailable,
        "backup": StoreUnavailable,
    }
    assert began == []


def test_starts_that_are_left_out_are_told_and_the_next_run_that_fails_knows_them(
    store_url: str, sql: Sql, caplog: pytest.LogCaptureFixture
) -> None:
    go_on, begun = threading.Event(), threading.Event()

    def wait() -> None:
        begun.set()
        assert go_on.wait(SECONDS)
        raise ValueError("odd")

    with running() as (scheduler, endings):
        late: dict[str, Any] = {
            "next_run_time": _now() - timedelta(minutes=5),
            "misfire_grace_time": 1,
        }
        scheduler.add_job(wait, "interval", days=1, id="sync", **late)
        endings.wait()
        job = scheduler.modify_job("sync", next_run_time=_now())
        assert begun.wait(SECONDS)
        with pytest.raises(Exception, match="maximum number of instances"):
            scheduler._executors["default"].submit_job(job, [_now()])
        go_on.set()
        endings.wait()

    told = [record.runguard for record in caplog.records if "start_skipped" in record.message]
    assert [(one["job_name"], one["reason"]) for one in told] == [
        ("sync", "misfire"),
        ("sync", "max_instances"),
    ]
    assert [row["status"] for row in sql(RUNS)] == ["FAILED"]
    [note] = sql("select context from run_note")
    context = json.loads(note["context"])
    assert (context["job_id"], context["skipped_starts"]) == ("sync", 1)


# Triggers ----------------------------------------------------------------------------------------


def first_times(trigger: Any, after: datetime, count: int) -> list[datetime]:
    times: list[datetime] = []
    due = trigger.get_next_fire_time(None, after)
    while due is not None and len(times) < count:
        times.append(due.astimezone(UTC))
        due = trigger.get_next_fire_time(due, due)
    return times


@pytest.mark.parametrize(
    "fields",
    [
        {"hour": 2},
        {"minute": "*/15"},
        {"hour": "8-18/2", "minute": "5/20"},
        {"day_of_week": 0, "hour": 3},
        {"day_of_week": 6, "hour": 3},
        {"day_of_week": "mon-fri", "hour": "9,17", "minute": 30},
        {"day_of_week": "*/2", "hour": 1},
        {"day_of_week": "sat", "day": "1-7", "hour": 4},
        {"day": "*/10"},
        {"day": "last", "hour": 23, "minute": 59},
        {"day": "last fri", "hour": 6},
        {"day": "2nd tue,4th tue", "hour": 6},
        {"day": "5th sun"},
        {"month": "jan-mar,sep", "day": 1, "hour": 0},
        {"second": "*/20"},
        {"hour": 2, "timezone": "Asia/Seoul"},
    ],
    ids=str,
)
def test_a_cron_trigger_is_due_when_its_rule_is(fields: dict[str, Any]) -> None:
    trigger = CronTrigger(**{"timezone": "UTC", **fields})
    after = datetime(2026, 11, 27, 12, 0, 0, tzinfo=UTC)

    schedule = schedule_of(expectation_of(Expect(**rule_of(trigger) or {})))

    assert isinstance(schedule, ClockSchedule)
    slots = schedule.slots_after(after - timedelta(seconds=1))
    assert [slot.due for slot in islice(slots, 12)] == first_times(trigger, after, 12)


def test_the_weekday_numbers_of_apscheduler_begin_with_monday() -> None:
    rule = rule_of(CronTrigger.from_crontab("0 2 * * 1-5", timezone="UTC"))

    assert rule == {"cron": "0 2 * * TUE-SAT", "tz": "UTC"}


@pytest.mark.parametrize(
    ("trigger", "why"),
    [
        (CronTrigger(week="1-10"), "which weeks"),
        (CronTrigger(year=2030), "which years"),
        (CronTrigger(day="1,last"), "'1,last'"),
        (CronTrigger(day="last fri", day_of_week="fri"), "'last fri'"),
        (CronTrigger(day="1st mon,2nd tue"), "'1st mon,2nd tue'"),
        (CalendarIntervalTrigger(months=1), "CalendarIntervalTrigger"),
    ],
    ids=str,
)
def test_what_no_rule_says_exactly_is_not_guessed(trigger: Any, why: str) -> None:
    with pytest.raises(CannotBeSaid, match=why):
        rule_of(trigger)


def test_other_triggers_have_rules_too() -> None:
    soon, later = _now() + timedelta(minutes=1), datetime(2126, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert rule_of(DateTrigger(soon)) is None
    assert rule_of(DateTrigger(later)) == {"calendar": "2126-01-02 03:04:05", "tz": "UTC"}
    assert rule_of(IntervalTrigger(minutes=10)) == {"every": timedelta(minutes=10)}
    assert rule_of(IntervalTrigger(minutes=10, jitter=30)) == {
        "every": timedelta(minutes=10, seconds=30)
    }


def expected(sql: Sql) -> dict[str, Any]:
    while (thread := announcer()._thread) is not None:
        thread.join(SECONDS)
    rows = sql("select job_name, expectation from job")
    return {row["job_name"]: json.loads(row["expectation"] or "null") for row in rows}


def test_what_becomes_of_a_job_becomes_of_its_expectation(store_url: str, sql: Sql) -> None:
    ten_minutes, hourly = {"every": 600.0}, {"cron": "0 * * * *", "tz": "UTC"}
    with running() as (scheduler, _):
        for job_id in ("modified", "paused", "removed", "kept"):
            scheduler.add_job(scheduled.sync, "interval", minutes=10, id=job_id)
        assert expected(sql) == dict.fromkeys(
            ("modified", "paused", "removed", "kept"), ten_minutes
        )

        scheduler.reschedule_job("modified", trigger="cron", minute=0)
        scheduler.pause_job("paused")
        scheduler.remove_job("removed")
        assert expected(sql) == {
            "modified": hourly,
            "paused": None,
            "removed": None,
            "kept": ten_minutes,
        }

        scheduler.resume_job("paused")
        assert expected(sql)["paused"] == ten_minutes

    assert expected(sql)["kept"] == ten_minutes, "who shuts a scheduler down misses its starts"


def test_a_trigger_that_begins_later_is_expected_from_its_first_start(
    store_url: str, sql: Sql
) -> None:
    with running() as (scheduler, _):
        later = _now() + timedelta(days=30)
        scheduler.add_job(scheduled.sync, "interval", days=1, id="sync", start_date=later)
        assert EXPECTED == {}

        submitted = threading.Event()
        scheduler.add_listener(lambda _: submitted.set(), events.EVENT_JOB_SUBMITTED)
        scheduler.modify_job("sync", next_run_time=_now())
        assert submitted.wait(SECONDS)

        assert expected(sql) == {"sync": {"every": 86400.0}}
