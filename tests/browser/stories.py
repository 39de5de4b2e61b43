"""Stores that jobs have filled: `python -m tests.browser.stories URL STORY`.

Every row is written by runguard itself, from a run that really ended so. Nobody can wait thirty
days, so each run is then moved to the time at which the story has it happen, and its alert with it.
"""

from __future__ import annotations

import contextlib
import linecache
import logging
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from uuid import UUID

    import runguard

    # In a run it does first what it is told to, and ends so.
    Job = Callable[[runguard.run_scope, Callable[[runguard.Run], None], "Ending"], None]

RESOLVED: Final = range(1, 10)  # the older half of the alerts
COOLDOWN: Final = timedelta(minutes=30)
DEPLOYED: Final = timedelta(hours=1)  # ago, of another version
VERSIONS: Final = (
    "a1b2c3d8e0f4456b9d7c2f1e3a5b6c7d8e9f0a1b",
    "d4e5f60718293a4b5c6d7e8f901234567890abcd",
)
UPSTREAM: Final = "https://upstream.example/v2/enrolments"

SCRIPT: Final = "<script>document.title = 'broken in'</script>"
IMAGE: Final = "<img src=x onerror=\"document.title = 'broken in'\">"
RIGHT_TO_LEFT: Final = "\u202egnirts desrever\u202c"
ANSI: Final = "\x1b[31mred\x1b[0m"
LONG_WORD: Final = "x" * 400
HOSTILE: Final = f"{SCRIPT} {IMAGE} {RIGHT_TO_LEFT} {ANSI} </title></textarea> ' \" & &amp; 한국어"
HOSTILE_JOB: Final = f"job/{SCRIPT}?a=b&c=d#e %2F 한국어"
LONG_JOB: Final = f"long_{'name_' * 40}end"

Ending = Exception | None
_log: Final = logging.getLogger("jobs")
_log.addHandler(logging.NullHandler())  # nobody reads it but the run


@dataclass(frozen=True)
class Event:
    """One run: when it starts, how long ago, and how it ends.

    `ending` makes what it raises, or None for a success; with `locked` it finds its lock taken.
    """

    job_name: str
    ago: timedelta
    took: timedelta
    ending: Callable[[], Ending] = lambda: None
    trigger: str = "SCHEDULER"
    records: int = 0
    locked: bool = False


def answered(status: int, phrase: str) -> Callable[[], Ending]:
    return lambda: HTTPError(f"{UPSTREAM}?page=3", status, phrase, Message(), None)


def repeated(
    job_name: str,
    *,
    every: timedelta,
    times: int,
    took: float,
    first_ago: timedelta = timedelta(minutes=4),
    endings: dict[int, Callable[[], Ending]] | None = None,
    records: int = 0,
) -> Iterator[Event]:
    """Yield a job's runs; `endings` says which did not succeed, the newest being 0."""
    chance = random.Random(job_name)  # the same each time
    for number in range(times):
        wave = chance.lognormvariate(0, 0.22)
        yield Event(
            job_name,
            first_ago + number * every,
            timedelta(seconds=took * wave),
            (endings or {}).get(number, lambda: None),
            records=records * (number % 5),
        )


def nightly() -> list[Event]:
    """Twelve jobs over a month: two fail now, some had their troubles, the rest is well."""
    minutes, hours, days = (timedelta(**{unit: 1}) for unit in ("minutes", "hours", "days"))
    unavailable = answered(503, "Service Unavailable")
    stalled = lambda: TimeoutError("the upstream did not answer within 30 s")  # noqa: E731
    amount = lambda: ValueError("could not convert string to float: '12,50 EUR'")  # noqa: E731
    korean = lambda: TimeoutError("재고 서버가 30초 안에 응답하지 않았습니다 (timeout)")  # noqa: E731
    events = [
        *repeated(
            "enrolment_sync",
            every=10 * minutes,
            times=48,
            took=21,
            records=512,
            endings={**dict.fromkeys(range(6), unavailable), 31: stalled, 40: unavailable},
        ),
        *repeated(
            "invoice_import",
            every=days,
            times=30,
            took=95,
            first_ago=3 * hours,
            endings={0: amount, 1: amount, 9: amount, 17: answered(404, "Not Found")},
            records=2300,
        ),
        *repeated(
            "주문_동기화",
            every=30 * minutes,
            times=40,
            took=12,
            first_ago=11 * minutes,
            endings={5: korean, 6: korean, 22: answered(409, "Conflict")},
            records=84,
        ),
        *repeated(
            "payments",
            every=hours,
            times=36,
            took=6,
            first_ago=24 * minutes,
            endings={
                3: answered(409, "Conflict"),
                4: answered(409, "Conflict"),
                19: answered(429, "Too Many Requests"),
            },
            records=40,
        ),
        *repeated(
            "nightly_report",
            every=days,
            times=29,
            took=340,
            first_ago=6 * hours,
            endings={12: stalled},
        ),
        Event("nightly_report", 6.5 * hours, timedelta(0), locked=True, trigger="MANUAL"),
        *repeated("search_index", every=6 * hours, times=24, took=1500, first_ago=5 * hours),
        *repeated("mail_digest", every=days, times=30, took=44, first_ago=9 * hours),
        *repeated("warehouse/stock", every=2 * hours, times=30, took=75, first_ago=50 * minutes),
        *repeated(
            "price_feed",
            every=3 * hours,
            times=30,
            took=8,
            first_ago=70 * minutes,
            endings={6: answered(502, "Bad Gateway"), 25: stalled},
        ),
        *repeated("backup_check", every=days, times=14, took=260, first_ago=4 * hours),
        *repeated("cleanup", every=7 * days, times=4, took=30, first_ago=2 * days),
        Event("one_off_repair", 8 * days, timedelta(seconds=3), trigger="MANUAL"),
    ]
    return sorted(events, key=lambda event: event.ago, reverse=True)


def hostile() -> list[Event]:
    """Jobs whose names and messages mean harm, or are merely long."""
    second = timedelta(seconds=1)
    return [
        Event("calm", 90 * second, second),
        Event(LONG_JOB, 80 * second, second, lambda: ValueError(LONG_WORD)),
        Event("long", 70 * second, second, lambda: ValueError("a line of a dump\n" * 1200)),
        Event("word", 60 * second, second, lambda: ValueError("y" * 40_000)),
        Event(HOSTILE_JOB, 50 * second, second, lambda: ValueError(HOSTILE)),
        Event(HOSTILE_JOB, 40 * second, second, lambda: ValueError(HOSTILE)),
    ]


# The code of a job: a run keeps where it raised, and a picture is to show a job's.
_CODE: Final = """
from contextlib import contextmanager


def sync(scope, begin, error):
    with scope as run:
        begin(run)
        if error is not None:
            pull_pages(error)


@contextmanager
def lock_of_the_feed():
    yield


@lock_of_the_feed()
def pull_pages(error):
    for page in range(3, 9):
        pull(page, error)


def pull(page, error):
    raise error
"""


def job_in(file: str) -> Job:
    """Return a job whose code stands in a file."""
    source = "\n" * (42 - _CODE.count("\n")) + _CODE
    # Without a time of its own Python does not look for the file.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    namespace: dict[str, Any] = {}
    exec(compile(source, file, "exec"), namespace)
    job: Job = namespace["sync"]
    return job


JOBS: Final = {"nightly": "jobs/enrolments.py", "hostile": f"jobs/{HOSTILE}.py"}
STORIES: Final = {"nightly": nightly, "hostile": hostile, "empty": list}


def tell(url: str, story: str) -> None:
    """Let the jobs of a story run on a store, in a process of their own."""
    subprocess.run(
        [sys.executable, "-m", "tests.browser.stories", url, story],
        cwd=ROOT,
        check=True,
        stdin=subprocess.DEVNULL,
    )


def play(url: str, story: str) -> None:
    """Let the jobs of a story run on a store, the oldest first."""
    import runguard
    from runguard import testing
    from runguard._store.migrate import upgrade
    from tests.support.stores import open_store

    logging.getLogger("runguard").setLevel(logging.CRITICAL)  # its failures are meant
    now = datetime.now(UTC)
    last_alerts: dict[tuple[str, str], datetime] = {}
    places: list[tuple[datetime, datetime | None]] = []
    job, version = job_in(JOBS.get(story, "job.py")), ""
    for event in STORIES[story]():
        started = now - event.ago
        if version != (version := VERSIONS[event.ago < DEPLOYED]):
            testing.reset()
            runguard.configure(database_url=url, cooldown=COOLDOWN, version=version, check=True)
        if event.locked:  # the run that holds the lock leaves a row before it
            places.append((started - timedelta(minutes=1), started + timedelta(minutes=5)))
        places.append((started, started + event.took))
        _run(event, started, last_alerts, job)
    if story == "nightly":
        places.append((now - timedelta(minutes=12), None))
        running = runguard.run_scope("search_index", trigger_type="SCHEDULER").__enter__()
        store = open_store(url)
        store.resolve_alerts(RESOLVED, by="oncall")
        store.review_alerts(RESOLVED[:3], by="oncall", review_status="ACKNOWLEDGED")
        store.close()
    if not places:  # nobody has made the tables yet
        upgrade(url)
    _move(url, places)
    if story == "nightly":
        _tell_progress(url, running.key)


def _run(
    event: Event,
    started: datetime,
    last_alerts: dict[tuple[str, str], datetime],
    job: Job,
) -> None:
    import runguard

    ending = event.ending()
    is_quiet = False
    if ending is not None:
        key = (event.job_name, runguard.classify(ending).error_group)
        is_quiet = key in last_alerts and started - last_alerts[key] < COOLDOWN
        if not is_quiet:
            last_alerts[key] = started
    with contextlib.ExitStack() as stack:
        if event.locked:
            stack.enter_context(runguard.run_scope(event.job_name, lock=True))
        stack.enter_context(contextlib.suppress(type(ending) if ending else runguard.JobLockActive))
        scope = runguard.run_scope(
            event.job_name,
            trigger_type=event.trigger,
            lock=event.locked,
            # Its last alert was a moment ago; in the story it was long ago.
            cooldown=COOLDOWN if is_quiet else timedelta(0),
        )
        job(scope, lambda run: _begin(run, event, ending), ending)


def _begin(run: runguard.Run, event: Event, ending: Ending) -> None:
    """Count what the run saw; one that fails notes where it was, and logs."""
    run.total_records = event.records
    run.changed_records = event.records // 12
    if ending is None:
        return
    said = str(ending)
    run.note(page=3, term="2026-autumn", said=said)
    run.link("dashboard", "https://dashboards.example/jobs?page=3")
    run.progress(2, 8)
    for attempt in (1, 2, 3):
        _log.warning("page 3: attempt %d of 3: %s", attempt, said)


def _move(url: str, places: Sequence[tuple[datetime, datetime | None]]) -> None:
    """Move each run, its log, its alert, and the cooldown's guard to their places in time."""
    from sqlalchemy import create_engine, func, select, update

    from runguard._store.schema.tables import alert, alert_cooldown, run_log, run_note

    engine = create_engine(url)
    with engine.begin() as connection:
        run_ids = connection.scalars(select(run_log.c.id).order_by(run_log.c.id)).all()
        ended = {}
        for run_id, (started, finished) in zip(run_ids, places, strict=True):
            ended[run_id] = finished
            connection.execute(
                update(run_log)
                .where(run_log.c.id == run_id)
                .values(
                    started_at=started,
                    finished_at=finished,
                    heartbeat_at=None if finished else datetime.now(UTC),
                )
            )
        for run_id, key, log in connection.execute(
            select(run_log.c.id, run_note.c.run_key, run_note.c.log_tail).join_from(
                run_log, run_note, run_note.c.run_key == run_log.c.run_key
            )
        ).all():
            moved = re.sub(r"(?m)^[\d:]{8}Z", f"{ended[run_id]:%H:%M:%S}Z", log)
            connection.execute(
                update(run_note).where(run_note.c.run_key == key).values(log_tail=moved)
            )
        connection.execute(
            update(run_log)
            .where(run_log.c.cooldown_seconds == 0)
            .values(cooldown_seconds=int(COOLDOWN.total_seconds()))
        )
        for found in connection.execute(select(alert)).all():
            raised = ended[found.detail["run_id"]]
            assert raised is not None
            seen = raised + timedelta(minutes=37)
            connection.execute(
                update(alert)
                .where(alert.c.id == found.id)
                .values(
                    created_at=raised,
                    resolved_at=seen if found.resolved_at else None,
                    reviewed_at=seen if found.reviewed_at else None,
                )
            )
        newest = select(func.max(alert.c.created_at)).where(
            alert.c.source_id == alert_cooldown.c.source_id
        )
        connection.execute(update(alert_cooldown).values(last_alert_at=newest.scalar_subquery()))
    engine.dispose()


def _tell_progress(url: str, key: UUID) -> None:
    """Write what the next heartbeat of an open run would: nobody waits for it here."""
    from sqlalchemy import create_engine, insert

    from runguard._store.schema.tables import run_note

    engine = create_engine(url)
    with engine.begin() as connection:
        its = {"run_key": key, "done": 43_000, "total": 120_000, "progress_at": datetime.now(UTC)}
        connection.execute(insert(run_note).values(**its))
    engine.dispose()


if __name__ == "__main__":
    play(sys.argv[1], sys.argv[2])
    # Without the library's ending: what is open stays open, as with a process that was killed.
    os._exit(0)
