"""What the web page costs where thousands of jobs run: bytes, time, and tabs that stay open."""

from __future__ import annotations

import asyncio
import os
import re
import statistics
import subprocess
import sys
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
from sqlalchemy import event

from runguard._store.factory import open_recorder
from runguard._store.operator import open_operator_store
from runguard._web.app import build_app
from runguard._web.auth.access import LOCAL_NAMES, Access

from . import dataset
from .reporting import Section, Target
from .servers import database, libpq

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tests.support.postgres import PostgresAddress

    from .effort import Effort

SIZES = {"full": (3_000, 600_000, 100_000), "quick": (500, 60_000, 5_000)}  # jobs, runs, alerts
FEW = (20, 2_000, 200)  # of any other effort than these two
TABS = 50
WATCHED_SECONDS = {"full": 40.0, "quick": 15.0}  # some polls of each tab
LEAST_SECONDS = 2.0
MEASURED = 15  # answers that are timed
PART = {"HX-Request": "true", "Accept-Encoding": "gzip"}
# Seen at once: the page counts failures.
END = """
insert into run_log (
    run_key, job_name, status, started_at, finished_at, trigger_type, error_group, alert_outcome
)
select
    gen_random_uuid(), 'job_' || floor(random() * 20)::int, 'FAILED', now() - interval '1 second',
    now(), 'SCHEDULER', 'TIMEOUT', 'suppressed'
"""


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Fill a store, look at it once, and then with many tabs."""
    jobs, runs, alerts = SIZES.get(effort.name, FEW)
    watched = WATCHED_SECONDS.get(effort.name, LEAST_SECONDS)
    with database(server) as url:
        with psycopg.connect(libpq(url), autocommit=True) as connection:
            dataset.fill(connection, runs=runs, alerts=alerts, jobs=jobs)
        section = Section(
            "page",
            f"The overview at {jobs:,} jobs, {runs:,} runs and {alerts:,} alerts",
            ("", "bytes", "milliseconds"),
        )
        own, asking = made_in(url)
        section.rows += [
            ("an answer that is made: CPU beside its statements", None, own),
            ("its statements, as the page waits for them", None, asking),
        ]
        section.targets.append(Target("overview, CPU beside its statements", own, 150, unit="ms"))
        with _served(url) as (address, process):
            asyncio.run(_look(address, process.pid, libpq(url), watched, section))
        yield section


def made_in(url: str) -> tuple[float, float]:
    """Return the milliseconds of CPU that an overview takes here, and those that it waits for SQL.

    CPU, since on a busy machine the rest of the wall time is that of neighbours.
    """
    store = open_operator_store(open_recorder(url=url, engine=None))
    spent = {"statements": 0.0}

    def begin(connection: Any, *_rest: Any) -> None:
        connection.info["begun"] = time.perf_counter()

    def end(connection: Any, *_rest: Any) -> None:
        spent["statements"] += time.perf_counter() - connection.info["begun"]

    event.listen(store.engine, "before_cursor_execute", begin)
    event.listen(store.engine, "after_cursor_execute", end)
    application = build_app(lambda: store, read_only=True, access=Access("open", hosts=LOCAL_NAMES))

    async def looks() -> list[tuple[float, float]]:
        found = []
        transport = httpx.ASGITransport(application)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for _ in range(MEASURED + 2):
                spent["statements"], begun = 0.0, time.process_time()
                (await client.get("/", headers=PART)).raise_for_status()
                found.append((time.process_time() - begun, spent["statements"]))
        return found[2:]  # the first ones read what the store remembers, and compile templates

    try:
        own, asking = zip(*asyncio.run(looks()), strict=True)
    finally:
        store.close()
    return 1000 * statistics.median(own), 1000 * statistics.median(asking)


@contextmanager
def _served(url: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "runguard", "web", "--port", "0"),
            *("--no-monitor", "--database-url", url),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = iter(process.stdout.readline, "")
        yield next(found[0] for line in said if (found := re.search(r"http://\S+", line))), process
    finally:
        process.terminate()
        process.communicate(timeout=30)


async def _look(address: str, pid: int, url: str, seconds: float, section: Section) -> None:
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        page, files = await _first_visit(client)
        part = await client.get("/", headers=PART)
        known = {"If-None-Match": part.headers["ETag"], "Cache-Control": "no-cache"}
        again = await client.get("/", headers={**PART, **known})
        found = re.search(r'id="watch"[^>]*data-seconds="(\d+)"', page.text)
        assert found is not None
    section.rows += [
        ("first visit: the page", page.num_bytes_downloaded, None),
        ("first visit: its other files", files, None),
        ("an update in which something changed", _size(part), None),
        ("an update in which nothing changed", _size(again), None),
    ]
    first = (page.num_bytes_downloaded + files) / 1000
    section.targets += [
        Target("overview, kB over the wire at first", first, 300, unit="kB"),
        Target("overview, kB where nothing changed", _size(again) / 1000, 10, unit="kB"),
    ]
    for what, statement in (("nothing changes", None), ("a run changes each second", END)):
        async with _tabs(address, poll=int(found[1])):
            share = await _share_of_a_core(pid, seconds, url, statement)
        section.rows.append((f"{TABS} tabs, {what}: {share:.1%} of a core", None, None))
        section.targets.append(
            Target(f"{TABS} open tabs, {what}, share of a core", share, 0.1, unit="cores")
        )


async def _first_visit(client: httpx.AsyncClient) -> tuple[httpx.Response, int]:
    """Load the page and all its files; returns how many bytes the files are."""
    page = await client.get("/")
    files = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    loaded = [await client.get(file.replace("&amp;", "&")) for file in dict.fromkeys(files)]
    return page, sum(one.num_bytes_downloaded for one in loaded)


def _size(answer: httpx.Response) -> int:
    """The bytes of an answer with its headers."""
    headers = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
    return headers + answer.num_bytes_downloaded


@asynccontextmanager
async def _tabs(address: str, *, poll: int) -> AsyncIterator[None]:
    """Keep tabs open; their first looks are over when the block begins."""
    tabs = [asyncio.create_task(_tab(address, poll, number / TABS)) for number in range(TABS)]
    await asyncio.sleep(poll + 1)
    yield
    for tab in tabs:
        tab.cancel()
    ended = await asyncio.gather(*tabs, return_exceptions=True)
    failed = [one for one in ended if not isinstance(one, asyncio.CancelledError)]
    if failed:
        raise RuntimeError(f"a tab failed: {failed[0]!r}")


async def _share_of_a_core(pid: int, seconds: float, url: str, statement: str | None) -> float:
    """Return what a process takes for so long, with a statement executed each second."""
    begun, cpu = time.monotonic(), _cpu_seconds(pid)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while time.monotonic() - begun < seconds:
            await asyncio.sleep(1)
            if statement is not None:
                await connection.execute(statement)
    return (_cpu_seconds(pid) - cpu) / (time.monotonic() - begun)


async def _tab(address: str, poll: int, after: float) -> None:
    """Ask again as the script of the page does: when what it shows is as old as it may be."""
    await asyncio.sleep(poll * after)
    headers = {**PART, "Cache-Control": f"max-age={poll}"}
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        while True:
            answer = await client.get("/", headers=headers)
            if answer.status_code not in (200, 304):
                raise RuntimeError(f"expected 200 or 304, found {answer.status_code}")
            headers["If-None-Match"] = answer.headers["ETag"]
            await asyncio.sleep(poll - int(answer.headers["Age"]))


def _cpu_seconds(pid: int) -> float:
    """The CPU time that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
