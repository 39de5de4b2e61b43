"""What a round of the monitor costs: thousands of jobs are watched, thousands of alerts told."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Iterator, Mapping

    from runguard._store.operator import OperatorStore
    from tests.support.postgres import PostgresAddress

    from .effort import Effort

JOBS = {"full": 5_000, "quick": 300}
COUNTED = ("judged", "routed", "settled", "sent", "unsent")
TOLD = {"quick": 100}  # jobs that fail and are told; all of another effort
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

# Each job fails of two causes, as where an upstream is away; the alerts wait for their dispatch.
GROUPS = ("HTTP_5XX", "TIMEOUT")
STORM = """
with failed as (
  insert into run_log (run_key, job_name, status, started_at, finished_at, trigger_type,
    error_group, error_message, alert_outcome, cooldown_seconds)
  select gen_random_uuid(), 'job' || job, 'FAILED', clock_timestamp(), clock_timestamp(),
    'SCHEDULER', error_group, 'HTTP 503 Service Unavailable', 'raised', 0
  from generate_series(0, %(last)s) job, unnest(%(groups)s::text[]) error_group
  returning id, job_name, error_group
)
insert into alert (source_type, source_id, alert_type, severity, title, message, detail, alert_key)
select 'run_log', job_name || ':' || error_group, 'FAILED', 'high', job_name || ' failed',
  'HTTP 503 Service Unavailable', jsonb_build_object('job_name', job_name, 'error_group',
  error_group, 'run_id', id, 'upstream', 'upstream.example'), gen_random_uuid()
from failed
"""
DUE = "update alert_delivery set next_attempt_at = now() where state = 'pending'"
WAITING = """
insert into alert_delivery (alert_id, incident, kind, channel, next_attempt_at)
select id, id, 'reminder', channel, now() from alert, channel_state where alert_type = 'FAILED'
"""
SENT = "select count(*) from alert_delivery where state = 'sent' and kind = 'reminder'"
SENDING_SECONDS = 20  # of what waits; the rest is reckoned
LONGEST_ROUND_SECONDS = 90  # others say that nobody looks after five minutes
RECEIVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Time rounds that judge nothing, a little and everything, and rounds that tell a storm."""
    jobs = JOBS.get(effort.name, FEW)
    with (
        database(server) as url,
        closing(open_operator_store(open_recorder(url=url, engine=None))) as store,
        psycopg.connect(libpq(url), autocommit=True) as connection,
    ):
        yield _judging(store, connection, jobs)
        yield _telling(store, connection, TOLD.get(effort.name, jobs))


def _judging(store: OperatorStore, connection: psycopg.Connection, jobs: int) -> Section:
    found = Section(
        "rounds",
        f"A round of the monitor, {jobs:,} jobs with 40 runs each, on PostgreSQL",
        ("", "judged", "in all, s", "statements, s", "beside them, s", "statements"),
    )
    _declare(store, jobs)
    watched = _Watched(store)
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
                *(record["statement_seconds"], record["own_seconds"], f"{record['statements']}"),
            )
        )
    usual, all_ran = found.records[2:]
    bound = {"bound": 1.0, "unit": "s"}
    found.targets += [
        Target("a usual round, beside its statements", usual["own_seconds"], **bound),
        Target("one that judges all, beside its statements", all_ran["own_seconds"], **bound),
    ]
    return found


def _telling(store: OperatorStore, connection: psycopg.Connection, jobs: int) -> Section:
    """Tell that each job fails of two causes, and that it is over; then send a message for each."""
    alerts = jobs * len(GROUPS)
    found = Section(
        "rounds",
        f"A round of the monitor, {jobs:,} jobs, {alerts:,} alerts or messages that wait",
        ("", "of them", "messages", "in all, s", "statements, s", "beside them, s", "statements"),
    )
    with _receiver() as port:
        watched = _Watched(store, {"RUNGUARD_NOTIFY": f"webhook+http://127.0.0.1:{port}/hook"})
        watched.round()  # it knows the channel
        for what, statement, counted in (
            ("each job has failed twice", STORM, "routed"),
            ("their digest is due", DUE, "sent"),
            ("each job has run again", RUN, "settled"),
        ):
            options = {"last": jobs - 1, "step": 1, "groups": [*GROUPS]}
            connection.execute(statement, options if "%" in statement else None)
            _note(found, what, counted, watched.round())
        connection.execute(WAITING)
        until = time.monotonic() + SENDING_SECONDS
        sending = watched.round(stops=lambda: time.monotonic() >= until)
    _note(found, "a message waits for each", "sent", sending)
    [(sent,)] = connection.execute(SENT).fetchall()
    storm = found.records[0]
    asked = storm["statements"] / storm["routed"]
    longest = max(one["seconds"] for one in found.records[:-1])
    found.targets += [
        Target("statements of a round, for each alert that it routes", asked, 1.0, unit=""),
        Target("the longest round of a storm", longest, LONGEST_ROUND_SECONDS, unit="s"),
        Target("messages lost or sent twice", abs(sending["sent"] - sent), 0, unit=""),
    ]
    a_second = sending["sent"] / sending["seconds"]
    found.notes.append(
        f"{a_second:,.0f} messages a second on one channel, each by itself: at this rate {alerts:,}"
        f" are sent in {alerts / a_second:,.0f} s, a minute of them in each round"
    )
    return found


def _note(found: Section, what: str, counted: str, record: dict[str, float]) -> None:
    found.records.append({"round": what, **record})
    found.rows.append(
        (
            *(what, f"{record[counted]:,}", f"{record['sent']:,}", record["seconds"]),
            *(record["statement_seconds"], record["own_seconds"], f"{record['statements']:,}"),
        )
    )


@contextmanager
def _receiver() -> Iterator[int]:
    """A web hook in a process of its own; gives its port."""
    with subprocess.Popen([sys.executable, "-c", RECEIVER], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


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

    def __init__(self, store: OperatorStore, environ: Mapping[str, str] | None = None) -> None:
        now = store.now()
        looked = MonitorRecord(who="a:1", kind="monitor", started_at=now, last_round_at=now)
        store.note_round(looked, gap_after=timedelta(days=1))
        folder = Path(tempfile.gettempdir()) / "nowhere"
        self._rounds = Rounds(
            store, Settings(), Spool(folder), Events(), channels=Channels(environ or {}, folder)
        )
        self._spent = self._begun = 0.0
        self._statements = 0
        event.listen(store.engine, "before_cursor_execute", self._begin)
        event.listen(store.engine, "after_cursor_execute", self._end)

    def round(self, **options: Any) -> dict[str, float]:
        self._spent = self._statements = 0
        begun = time.perf_counter()
        report = self._rounds.run(**options)
        seconds = time.perf_counter() - begun
        if report.troubles:
            raise RuntimeError(f"a round failed: {report.troubles}")
        return {
            **{name: getattr(report, name) for name in COUNTED},
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
