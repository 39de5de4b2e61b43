"""What a round of the monitor costs where thousands of jobs are expected to run."""

from __future__ import annotations

import tempfile
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from sqlalchemy import event

from runguard._events import Events
from runguard._monitor.expectations import Expectation, JobDeclaration, MonitorRecord
from runguard._rounds.channels import Channels
from runguard._rounds.round import Rounds
from runguard._run.spool import Spool
from runguard._settings import Settings
from runguard._store.declaring import declare_jobs
from runguard._store.factory import open_recorder
from runguard._store.operator import open_operator_store

from .reporting import Section, Target
from .servers import database, libpq

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._store.operator import OperatorStore
    from tests.support.postgres import PostgresAddress

    from .effort import Effort

JOBS = {"full": 5_000, "quick": 500}
FEW = 20  # jobs of any other effort
ZONES = ("Asia/Seoul", "Europe/Berlin", "UTC", "America/New_York")
SHARE = 60  # of jobs that run hourly, those that a minute sees: one in so many

# More runs of each job than the judge reads, one an hour at the job's own minute.
HISTORY = """
insert into run_log (run_key, job_name, status, started_at, finished_at, trigger_type)
select gen_random_uuid(), 'job' || job, 'SUCCESS', at, at + interval '30 seconds', 'SCHEDULER'
from generate_series(0, %(last)s) job, generate_series(0, 40) hour,
lateral (
  select date_trunc('hour', now()) + make_interval(mins => job %% 60) - make_interval(hours => hour)
) x (at)
where at + interval '30 seconds' < now()
"""
RUN = """
insert into run_log (run_key, job_name, status, started_at, finished_at, trigger_type)
select gen_random_uuid(), 'job' || job, 'SUCCESS', clock_timestamp(), clock_timestamp(), 'SCHEDULER'
from generate_series(0, %(last)s, %(step)s) job
"""


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Time rounds in which nothing, a little and everything is to be judged."""
    jobs = JOBS.get(effort.name, FEW)
    found = Section(
        "rounds",
        f"A round of the monitor, {jobs:,} jobs with 40 runs each, on PostgreSQL",
        ("", "judged", "in all, s", "statements, s", "beside them, s", "statements"),
    )
    with (
        database(server) as url,
        closing(open_operator_store(open_recorder(url=url, engine=None))) as store,
    ):
        _declare(store, jobs)
        watched = _Watched(store)
        with psycopg.connect(libpq(url), autocommit=True) as connection:
            connection.execute("update job set declared_at = now() - interval '2 days'")
            connection.execute(HISTORY, {"last": jobs - 1})
            connection.execute("analyze")
            for what, step in (
                ("all for the first time", None),
                ("nothing has happened", None),
                (f"one job in {SHARE} has run", SHARE),
                ("each job has run", 1),
            ):
                if step is not None:
                    connection.execute(RUN, {"last": jobs - 1, "step": step})
                record = {"round": what, **watched.round()}
                found.records.append(record)
                found.rows.append(
                    (
                        *(what, f"{record['judged']:,}", record["seconds"]),
                        *(record["statement_seconds"], record["own_seconds"]),
                        f"{record['statements']}",
                    )
                )
    usual, all_ran = found.records[2:]
    bound = {"bound": 1.0, "unit": "s"}
    found.targets += [
        Target("a usual round, beside its statements", usual["own_seconds"], **bound),
        Target("one that judges all, beside its statements", all_ran["own_seconds"], **bound),
    ]
    yield found


def _declare(store: OperatorStore, jobs: int) -> None:
    said = [
        JobDeclaration(
            job_name=f"job{number}",
            expectation=Expectation(
                cron=f"{number % 60} * * * *",
                tz=ZONES[number % len(ZONES)],
                max_runtime=timedelta(hours=2),
            )
            if number % 2
            else Expectation(every=timedelta(hours=1), grace=timedelta(hours=2)),
        )
        for number in range(jobs)
    ]
    for begin in range(0, jobs, 1_000):
        declare_jobs(store, said[begin : begin + 1_000], timeout=60)


class _Watched:
    """Rounds whose statements are timed."""

    def __init__(self, store: OperatorStore) -> None:
        now = store.now()
        looked = MonitorRecord(who="a:1", kind="monitor", started_at=now, last_round_at=now)
        store.note_round(looked, gap_after=timedelta(days=1))
        folder = Path(tempfile.gettempdir()) / "nowhere"
        self._rounds = Rounds(
            store, Settings(), Spool(folder), Events(), channels=Channels({}, folder)
        )
        self._spent = self._begun = 0.0
        self._statements = 0
        event.listen(store.engine, "before_cursor_execute", self._begin)
        event.listen(store.engine, "after_cursor_execute", self._end)

    def round(self) -> dict[str, float]:
        self._spent = self._statements = 0
        begun = time.perf_counter()
        report = self._rounds.run()
        seconds = time.perf_counter() - begun
        if report.troubles:
            raise RuntimeError(f"a round failed: {report.troubles}")
        return {
            "judged": report.judged,
            "seconds": seconds,
            "statement_seconds": self._spent,
            "own_seconds": seconds - self._spent,
            "statements": self._statements,
        }

    def _begin(self, *_: object) -> None:
        self._begun = time.perf_counter()

    def _end(self, *_: object) -> None:
        self._spent += time.perf_counter() - self._begun
        self._statements += 1
