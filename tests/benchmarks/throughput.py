"""Short runs as fast as they go: threads, tasks, processes; and the server's own ceiling.

The ceiling is pgbench sending the same two statements over as many connections: a client in C that
does nothing else.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from runguard import run_scope
from runguard._settings import Settings
from tests.support.processes import race

from .bursts import PROCESS, WARM_UP_RUNS, pgbench
from .measuring import spread
from .reporting import Section, Target, times
from .servers import database, libpq, runguard_on

if TYPE_CHECKING:
    from tests.support.postgres import PostgresAddress

    from .effort import Effort

CONNECTIONS = Settings().max_connections
THREADS, TASKS, PROCESSES = 32, 200, 8
SAMPLE_SECONDS = 0.02

WARM_UP = 100  # runs of a process, for connections and prepared statements


class Ended(NamedTuple):
    """What a burst did: so many runs in so many seconds, and those before the clock began."""

    runs: int
    seconds: float
    warm_up: int


Burst = Callable[[str, float], Ended]
"""Takes a URL, and for how many seconds it shall go on."""


@dataclass
class Way:
    """One way to have many runs at once."""

    name: str
    burst: Burst
    connections: int
    """What it may open at most; pgbench gets as many clients."""
    rates: list[float] = field(default_factory=list)
    ceilings: list[float] = field(default_factory=list)
    expected_rows: int = 0
    most_connections: int = 0
    rows: int = 0


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Each way and its ceiling in turn, several times."""
    ways = [
        Way(f"one process, {THREADS} threads", in_threads, CONNECTIONS),
        Way(f"one process, asyncio, {TASKS} tasks", in_tasks, CONNECTIONS),
        Way(f"{PROCESSES} processes", in_processes, PROCESSES),
    ]
    for way in ways:
        with database(server) as url, database(server) as pgbench_url:
            for _ in range(effort.bursts):
                with _most_connections(url) as seen:
                    ended = way.burst(url, effort.burst_seconds)
                way.most_connections = max(way.most_connections, *seen)
                way.expected_rows += ended.runs + ended.warm_up
                way.rates.append(ended.runs / ended.seconds)
                way.ceilings.append(
                    pgbench(
                        pgbench_url,
                        clients=way.connections,
                        seconds=max(1, round(effort.burst_seconds)),
                    )
                )
            way.rows = _rows(url)
    yield _section(ways)


def in_threads(url: str, seconds: float) -> Ended:
    """A pool of threads in this process."""
    with runguard_on(url), ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: _run(), range(WARM_UP)))
        each = list(pool.map(_run_until, [time.perf_counter() + seconds] * THREADS))
    return _all_of(each, seconds)


def in_tasks(url: str, seconds: float) -> Ended:
    """Tasks of one event loop."""

    async def run() -> None:
        async with run_scope("task"):
            pass

    async def until(deadline: float) -> tuple[int, float]:
        runs = 0
        while time.perf_counter() < deadline:
            await run()
            runs += 1
        return runs, time.perf_counter() - deadline

    async def together() -> list[tuple[int, float]]:
        await asyncio.gather(*(run() for _ in range(WARM_UP)))
        deadline = time.perf_counter() + seconds
        return await asyncio.gather(*(until(deadline) for _ in range(TASKS)))

    with runguard_on(url):
        return _all_of(asyncio.run(together()), seconds)


def in_processes(url: str, seconds: float) -> Ended:
    """Processes with one thread each."""
    outcomes = race(
        PROCESS, count=PROCESSES, rounds=1, arguments=[url, str(seconds), "process"], timeout=300
    )
    for outcome in outcomes:
        if outcome.exit_code:
            raise RuntimeError(f"a process failed: {outcome.stderr}")
    ended = [outcome.reports[0] for outcome in outcomes]
    runs = sum(runs for _, runs, _ in ended)
    longest = max(passed for _, _, passed in ended)
    return Ended(runs, longest, WARM_UP_RUNS * PROCESSES)


def _run() -> None:
    with run_scope("thread"):
        pass


def _run_until(deadline: float) -> tuple[int, float]:
    runs = 0
    while time.perf_counter() < deadline:
        _run()
        runs += 1
    return runs, time.perf_counter() - deadline


def _all_of(each: list[tuple[int, float]], seconds: float) -> Ended:
    """Each says how many runs it ended, and by how much the last one outlived the deadline."""
    return Ended(sum(runs for runs, _ in each), seconds + max(late for _, late in each), WARM_UP)


@contextmanager
def _most_connections(url: str) -> Iterator[list[int]]:
    """Look again and again how many connections runguard has to this database."""
    seen = [0]
    done = threading.Event()

    def look() -> None:
        with psycopg.connect(libpq(url), autocommit=True) as connection:
            while not done.wait(SAMPLE_SECONDS):
                row = connection.execute(
                    "select count(*) from pg_stat_activity where datname = current_database()"
                    " and application_name = 'runguard'"
                ).fetchone()
                seen.append(row[0] if row else 0)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _rows(url: str) -> int:
    with psycopg.connect(libpq(url)) as connection:
        row = connection.execute("select count(*) from run_log where status = 'SUCCESS'").fetchone()
    return row[0] if row else 0


def _section(ways: list[Way]) -> Section:
    section = Section(
        "throughput",
        "Many short runs at once, on PostgreSQL",
        ("", "runs a second (p10-p90)", "pgbench, as many clients", "of it", "connections", "lost"),
    )
    for way in ways:
        rate, ceiling = spread(way.rates), spread(way.ceilings)
        share = spread([a / b for a, b in zip(way.rates, way.ceilings, strict=True)])
        lost = way.expected_rows - way.rows
        section.rows.append(
            (
                *(way.name, f"{rate.median:,.0f} ({rate.p10:,.0f}-{rate.p90:,.0f})"),
                *(f"{ceiling.median:,.0f}", times(share)),
                *(f"{way.most_connections} of {way.connections}", str(lost)),
            )
        )
        section.records.append(
            {
                "way": way.name,
                "a_second": rate._asdict(),
                "pgbench_a_second": ceiling._asdict(),
                "share": share._asdict(),
                "connections": way.most_connections,
                "connections_allowed": way.connections,
                "runs": way.expected_rows,
                "lost": lost,
            }
        )
        section.targets.append(
            Target(f"{way.name}: runs a second", rate.median, 1000, "at least", unit="/s")
        )
    section.notes.append("a run is two statements and two synced commits")
    return section
