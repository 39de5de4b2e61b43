"""Many runs at once: none is lost, and no more connections are opened than were allowed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest

import runguard
from runguard import run_scope, tracked_run
from tests.benchmarks.servers import libpq
from tests.support.processes import race
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 5

PROCESS = """
import sys
from concurrent.futures import ThreadPoolExecutor
import runguard

runguard.configure(database_url=sys.argv[1], max_connections=2)

@runguard.tracked_run("short")
def short(_):
    pass

wait()
with ThreadPoolExecutor(8) as pool:
    report(len(list(pool.map(short, range(40)))))
"""


@pytest.fixture
def proxy(migrated_pg_url: str) -> Iterator[ProtocolProxy]:
    with ProtocolProxy(migrated_pg_url) as proxy:
        yield proxy


def ended(url: str) -> int:
    with psycopg.connect(libpq(url)) as connection:
        return connection.execute(
            "select count(*) from run_log where status = 'SUCCESS'"
        ).fetchone()[0]


def test_threads_share_the_connections_that_are_allowed(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    runguard.configure(database_url=proxy.url, max_connections=MOST)

    @tracked_run("short")
    def short(_: int) -> None: ...

    with proxy.counting() as traffic, ThreadPoolExecutor(32) as pool:
        list(pool.map(short, range(320)))

    assert ended(migrated_pg_url) == 320
    assert 1 <= traffic.connections <= MOST


async def test_tasks_share_the_connections_that_are_allowed(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    runguard.configure(database_url=proxy.url, max_connections=MOST)

    async def short() -> None:
        async with run_scope("short"):
            await asyncio.sleep(0)

    with proxy.counting() as traffic:
        await asyncio.gather(*(short() for _ in range(200)))

    assert ended(migrated_pg_url) == 200
    assert 1 <= traffic.connections <= MOST


def test_each_process_opens_what_it_is_allowed(proxy: ProtocolProxy, migrated_pg_url: str) -> None:
    with proxy.counting() as traffic:
        outcomes = race(PROCESS, count=4, arguments=[proxy.url])

    assert [outcome.reports for outcome in outcomes] == [[40]] * 4, outcomes[0].stderr
    assert ended(migrated_pg_url) == 160
    assert 4 <= traffic.connections <= 8
