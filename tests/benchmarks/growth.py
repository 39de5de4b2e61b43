"""What a run and an operator's view cost as the tables grow.

Each size is a database of its own, and every batch on it is followed or led by the same batch on an
empty store of the same server: a ratio of two neighbours says what the rows cost, whatever the
machine was doing at that moment.
"""

from __future__ import annotations

import contextlib
import random
import re
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runguard._models import ErrorGroup
from runguard._store.migrate import upgrade
from tests.benchmarks.dataset import fill
from tests.store.drafts import failure, new_run, success
from tests.support.postgres import PostgresAddress
from tests.support.stores import newest_alerts, newest_runs, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from runguard._models import RunEnding
    from runguard._store.operator import OperatorStore

TYPED: Final = (
    "typed: recent failures",
    "typed: failure alerts",
    "typed: 24 hours by group",
    "typed: runs joined to alerts",
)
PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "tables.md"
PATIENCE: Final = 60.0
DAY: Final = timedelta(hours=24)
AT_ONCE: Final = timedelta(microseconds=1)  # a cooldown that has always passed

SIZES: Final = ((1_000_000, 1_000_000), (5_000_000, 1_000_000))
QUICK_SIZES: Final = ((50_000, 20_000),)
# What a server with a few gigabytes would have; the tests' own settings keep it small.
SETTINGS: Final = {"shared_buffers": "512MB", "max_wal_size": "4GB", "autovacuum": "on"}


class Site(NamedTuple):
    """A database to measure on: through the store, and as an operator with psql."""

    store: OperatorStore
    connection: psycopg.Connection


Times = dict[str, list[float]]  # milliseconds, by operation


def measure(server_url: str, *, quick: bool = False) -> list[dict[str, Any]]:
    """Measure every size against an empty store; one record for each size and operation."""
    server = PostgresAddress(server_url)
    rounds = 10 if quick else 25
    records = []
    with _site(server, runs=0, alerts=0) as empty:
        for runs, alerts in QUICK_SIZES if quick else SIZES:
            with _site(server, runs=runs, alerts=alerts) as filled:
                say(f"measuring {runs:,} runs")
                found = _side_by_side(empty, filled, rounds=rounds)
            records += [
                {"scenario": "growth", "runs": runs, "alerts": alerts, **record} for record in found
            ]
    return records


@contextlib.contextmanager
def _site(server: PostgresAddress, *, runs: int, alerts: int) -> Iterator[Site]:
    with server.database() as name:
        upgrade(server.url(name))
        with server.connect(name) as connection:
            if runs:
                say(f"filling {runs:,} runs and {alerts:,} alerts")
                fill(connection, runs=runs, alerts=alerts)
            store = open_store(server.url(name))
            try:
                yield Site(store, connection)
            finally:
                store.close()


def _side_by_side(empty: Site, filled: Site, *, rounds: int) -> list[dict[str, Any]]:
    chance = random.Random(4)
    batches = [_runs, *(_typed(*statement) for statement in _statements()), *map(_asked, VIEWS)]
    for site in (empty, filled):
        for batch in batches:
            batch(site)
    pairs: dict[str, list[tuple[float, float]]] = {}
    every: Times = {}
    for _ in range(rounds):
        chance.shuffle(batches)
        for batch in batches:
            first, second = chance.sample([empty, filled], 2)
            times = {first: batch(first), second: batch(second)}
            for operation, spent in times[filled].items():
                pair = statistics.median(times[empty][operation]), statistics.median(spent)
                pairs.setdefault(operation, []).append(pair)
                every.setdefault(operation, []).extend(spent)
    return [_record(operation, pairs[operation], every[operation]) for operation in sorted(pairs)]


def _record(operation: str, pairs: list[tuple[float, float]], every: list[float]) -> dict[str, Any]:
    deciles = statistics.quantiles(every, n=10)
    return {
        "operation": operation,
        "baseline_ms": statistics.median(empty for empty, _ in pairs),
        "median_ms": statistics.median(every),
        "p10_ms": deciles[0],
        "p90_ms": deciles[-1],
        "ratio": statistics.median(filled / empty for empty, filled in pairs),
    }


def _runs(site: Site, count: int = 10) -> Times:
    times: Times = {}
    endings: dict[str, Callable[[Any], RunEnding]] = {
        "finish": success,
        "suppressed failure": failure,
        "alerting failure": lambda run: failure(run, group=ErrorGroup.TIMEOUT, cooldown=AT_ONCE),
    }
    for _ in range(count):
        for operation, ending_of in endings.items():
            run = new_run("job_7")
            with _timed(times, "start"):
                site.store.start_run(run, timeout=PATIENCE)
            ending = ending_of(run)
            with _timed(times, operation):
                site.store.finish_run(ending, timeout=PATIENCE)
    return times


def _statements() -> Iterator[tuple[str, str]]:
    """What the documentation shows to operators, in its order."""
    found = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    return zip(TYPED, found, strict=True)


def _typed(operation: str, statement: str) -> Callable[[Site], Times]:

    def ask(site: Site, count: int = 3) -> Times:
        times: Times = {}
        for _ in range(count):
            with _timed(times, operation):
                site.connection.execute(statement.encode()).fetchall()
        return times

    return ask


VIEWS: Final[dict[str, Callable[[OperatorStore], object]]] = {
    "view: recent failures": lambda store: newest_runs(store, limit=20, status="FAILED"),
    "view: runs of a job": lambda store: newest_runs(store, limit=20, job_name="job_7"),
    "view: failure alerts": lambda store: newest_alerts(store, limit=20, alert_type="FAILED"),
    "view: open alerts": lambda store: newest_alerts(store, limit=20, resolved=False),
    "view: 24 hours by group": lambda store: store.failures_by_group(since=DAY),
    "view: failed runs with alerts": lambda store: store.failed_runs_with_alerts(limit=20),
    "view: names of jobs": lambda store: store.job_names(),
}


def _asked(operation: str) -> Callable[[Site], Times]:
    def ask(site: Site, count: int = 3) -> Times:
        times: Times = {}
        for _ in range(count):
            with _timed(times, operation):
                VIEWS[operation](site.store)
        return times

    return ask


@contextlib.contextmanager
def _timed(times: Times, operation: str) -> Iterator[None]:
    begin = time.perf_counter_ns()
    yield
    times.setdefault(operation, []).append((time.perf_counter_ns() - begin) / 1e6)


def say(line: str) -> None:
    """Tell the person who waits, apart from what is measured."""
    print(line, file=sys.stderr, flush=True)
