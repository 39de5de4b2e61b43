"""Short runs as fast as they go: threads, tasks, processes; by hand; and the server's own ceiling.

By hand is psycopg sending the same two statements over as many connections. The ceiling is pgbench
doing so: a client in C that does nothing else.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import psycopg

from runguard import run_scope
from runguard._settings import Settings
from tests.support.processes import race

from .bursts import PROCESS, WARM_UP_RUNS, pgbench
from .contenders import at_once
from .measuring import ratios, spread
from .reporting import Section, Target
from .servers import database, libpq, runguard_on

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from tests.support.postgres import PostgresAddress

    from .effort import Effort
    from .measuring import Spread

CONNECTIONS = Settings().max_connections
THREADS, TASKS, PROCESSES = 32, 200, 8
SAMPLE_SECONDS = 0.1

WARM_UP = 100  # runs of a process, for connections and prepared statements

# What `bursts.PROCESS` does, by hand.
PROCESS_BY_HAND = """
import sys, time
from tests.benchmarks.contenders.at_once import for_threads

url, seconds, job = sys.argv[1], float(sys.argv[2]), sys.argv[3]
with for_threads(url, connections=1) as run:
    run()
    run()
    wait()
    begun = time.perf_counter()
    runs = 0
    while (passed := time.perf_counter() - begun) < seconds:
        run()
        runs += 1
    report([job, runs, passed])
"""


class Ended(NamedTuple):
    """What a burst did: so many runs in so many seconds, and those before the clock began."""

    runs: int
    seconds: float
    warm_up: int
    cpu_ms: float | None = None
    """CPU time of one run in this process, in milliseconds."""


Burst = Callable[[str, float], Ended]
"""Takes a URL, and for how many seconds it shall go on."""

ForThreads = Callable[[str], AbstractContextManager[Callable[[], None]]]
ForTasks = Callable[[str], "AbstractAsyncContextManager[Callable[[], Awaitable[None]]]"]
"""Takes a URL, and gives what does one run there."""


@dataclass
class Way:
    """One way to have many runs at once."""

    name: str
    burst: Burst
    by_hand: Burst
    connections: int
    """What it may open at most; pgbench gets as many clients."""
    ended: list[Ended] = field(default_factory=list)
    ended_by_hand: list[Ended] = field(default_factory=list)
    ceilings: list[float] = field(default_factory=list)
    most_connections: int = 0
    lost: int = 0


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Each way, the same by hand, and the ceiling in turn, several times."""
    ways = [
        Way(
            f"{THREADS} threads",
            partial(in_threads, with_runguard),
            partial(in_threads, partial(at_once.for_threads, connections=CONNECTIONS)),
            CONNECTIONS,
        ),
        Way(
            f"asyncio, {TASKS} tasks",
            partial(in_tasks, with_runguard_async),
            partial(in_tasks, partial(at_once.for_tasks, connections=CONNECTIONS)),
            CONNECTIONS,
        ),
        Way(
            f"{PROCESSES} processes",
            partial(in_processes, PROCESS),
            partial(in_processes, PROCESS_BY_HAND),
            PROCESSES,
        ),
    ]
    for way in ways:
        with database(server) as url, database(server) as other_url:
            for _ in range(effort.bursts):
                with _most_connections(url) as seen:
                    way.ended.append(way.burst(url, effort.burst_seconds))
                way.most_connections = max(way.most_connections, *seen)
                way.ended_by_hand.append(way.by_hand(other_url, effort.burst_seconds))
                seconds = max(1, round(effort.burst_seconds))
                way.ceilings.append(pgbench(other_url, clients=way.connections, seconds=seconds))
            way.lost = sum(ended.runs + ended.warm_up for ended in way.ended) - _rows(url)
    yield _section(ways)


@contextmanager
def with_runguard(url: str) -> Iterator[Callable[[], None]]:
    """A run of runguard, for any number of threads."""

    def run() -> None:
        with run_scope("thread"):
            pass

    with runguard_on(url):
        yield run


@asynccontextmanager
async def with_runguard_async(url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """A run of runguard, for any number of tasks."""

    async def run() -> None:
        async with run_scope("task"):
            pass

    with runguard_on(url):
        yield run


def in_threads(prepare: ForThreads, url: str, seconds: float) -> Ended:
    """A pool of threads in this process."""

    def until(deadline: float) -> tuple[int, float]:
        runs = 0
        while time.perf_counter() < deadline:
            run()
            runs += 1
        return runs, time.perf_counter() - deadline

    with prepare(url) as run, ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda _: run(), range(WARM_UP)))
        cpu = time.process_time()
        each = list(pool.map(until, [time.perf_counter() + seconds] * THREADS))
        return _all_of(each, seconds, time.process_time() - cpu)


def in_tasks(prepare: ForTasks, url: str, seconds: float) -> Ended:
    """Tasks of one event loop."""

    async def together() -> Ended:
        async def until(deadline: float) -> tuple[int, float]:
            runs = 0
            while time.perf_counter() < deadline:
                await run()
                runs += 1
            return runs, time.perf_counter() - deadline

        async with prepare(url) as run:
            await asyncio.gather(*(run() for _ in range(WARM_UP)))
            cpu, deadline = time.process_time(), time.perf_counter() + seconds
            each = await asyncio.gather(*(until(deadline) for _ in range(TASKS)))
            return _all_of(each, seconds, time.process_time() - cpu)

    return asyncio.run(together())


def in_processes(code: str, url: str, seconds: float) -> Ended:
    """Processes with one thread each."""
    arguments = [url, str(seconds), "process"]
    outcomes = race(code, count=PROCESSES, rounds=1, arguments=arguments, timeout=300)
    for outcome in outcomes:
        if outcome.exit_code:
            raise RuntimeError(f"a process failed: {outcome.stderr}")
    ended = [outcome.reports[0] for outcome in outcomes]
    runs = sum(runs for _, runs, _ in ended)
    longest = max(passed for _, _, passed in ended)
    return Ended(runs, longest, WARM_UP_RUNS * PROCESSES)


def _all_of(each: list[tuple[int, float]], seconds: float, cpu_seconds: float) -> Ended:
    """Each says how many runs it ended, and by how much the last one outlived the deadline."""
    runs = sum(runs for runs, _ in each)
    passed = seconds + max(late for _, late in each)
    return Ended(runs, passed, WARM_UP, cpu_seconds / max(1, runs) * 1000)


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
        "Many short runs at once, on PostgreSQL: in one process, in one loop, in several",
        (
            *("", "runs/s (p10-p90)", "by hand", "of it", "pgbench", "of it"),
            *("CPU ms", "by hand", "connections", "lost"),
        ),
    )
    for way in ways:
        rates, rates_by_hand = _rates(way.ended), _rates(way.ended_by_hand)
        rate, by_hand, ceiling = spread(rates), spread(rates_by_hand), spread(way.ceilings)
        of_by_hand, of_ceiling = _shares(rates, rates_by_hand), _shares(rates, way.ceilings)
        cpu, cpu_by_hand = _cpu_ms(way.ended), _cpu_ms(way.ended_by_hand)
        section.rows.append(
            (
                *(way.name, f"{rate.median:,.0f} ({rate.p10:,.0f}-{rate.p90:,.0f})"),
                *(f"{by_hand.median:,.0f}", f"{of_by_hand.median:.2f}"),
                *(f"{ceiling.median:,.0f}", f"{of_ceiling.median:.2f}", cpu, cpu_by_hand),
                *(f"{way.most_connections} of {way.connections}", str(way.lost)),
            )
        )
        section.records.append(
            {
                "way": way.name,
                "a_second": rate._asdict(),
                "by_hand_a_second": by_hand._asdict(),
                "pgbench_a_second": ceiling._asdict(),
                "share_of_by_hand": of_by_hand._asdict(),
                "share": of_ceiling._asdict(),
                "cpu_ms": cpu,
                "cpu_ms_by_hand": cpu_by_hand,
                "connections": way.most_connections,
                "connections_allowed": way.connections,
                "runs": sum(ended.runs + ended.warm_up for ended in way.ended),
                "lost": way.lost,
            }
        )
        if way.connections == PROCESSES:
            what = f"{way.name}: share of pgbench's rate"
            section.targets.append(Target(what, of_ceiling.median, 0.5, "at least"))
        else:
            what = f"{way.name}: runs a second"
            section.targets.append(Target(what, rate.median, 2500, "at least", unit="/s"))
        section.targets.append(Target(f"{way.name}: runs lost", way.lost, 0, unit="runs"))
    section.notes.append(
        "a run is two statements and two synced commits; client and server share the processors"
    )
    return section


def _rates(bursts: list[Ended]) -> list[float]:
    return [ended.runs / ended.seconds for ended in bursts]


def _shares(rates: list[float], others: list[float]) -> Spread:
    return ratios([[rate] for rate in rates], [[other] for other in others])


def _cpu_ms(bursts: list[Ended]) -> float | None:
    found = [ended.cpu_ms for ended in bursts if ended.cpu_ms is not None]
    return spread(found).median if found else None
