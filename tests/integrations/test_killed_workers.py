"""Workers that are killed, and whom nobody survives that knows: the heartbeat's silence tells."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import make_url

from runguard._api import runtime
from runguard._run.reaper import reap
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]

BODY = """
import sys, threading
def body():
    print("began", flush=True)
    threading.Event().wait()
"""
DRAMATIQ = """
import dramatiq
from dramatiq.brokers.redis import RedisBroker
from runguard.integrations.dramatiq import install
broker = RedisBroker(url=sys.argv[1])
install(broker)
@dramatiq.actor(broker=broker)
def sync():
    body()
sync.send()
dramatiq.Worker(broker, worker_threads=1).start()
threading.Event().wait()
"""
HUEY = """
from huey import RedisHuey
from runguard.integrations.huey import install
huey = RedisHuey(url=sys.argv[1])
install(huey, name={"__main__.sync": "sync"})
@huey.task()
def sync():
    body()
sync()
huey.create_consumer().run()
"""
ARQ = """
import asyncio
from arq.connections import RedisSettings, create_pool
from arq.worker import run_worker
from runguard.integrations.arq import install
async def sync(ctx):
    body()
async def startup(ctx):
    await ctx["redis"].enqueue_job("sync")
asyncio.set_event_loop(asyncio.new_event_loop())
run_worker(install({
    "functions": [sync],
    "on_startup": startup,
    "redis_settings": RedisSettings.from_dsn(sys.argv[1]),
}))
"""
PROCRASTINATE = """
import asyncio
from procrastinate import App, PsycopgConnector
from runguard.integrations.procrastinate import install
app = App(connector=PsycopgConnector(conninfo=sys.argv[1]))
install(app)
@app.task(name="sync")
def sync():
    body()
async def main():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await sync.defer_async()
        await app.run_worker_async()
asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("worker", "server"),
    [(DRAMATIQ, "redis_url"), (HUEY, "redis_url"), (ARQ, "redis_url"), (PROCRASTINATE, "pg_url")],
    ids=["dramatiq", "huey", "arq", "procrastinate"],
)
def test_the_run_of_a_worker_that_is_killed_is_closed_for_its_silence(
    worker: str, server: str, request: pytest.FixtureRequest, sql: Sql
) -> None:
    url = str(request.getfixturevalue(server))
    if server == "pg_url":
        url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", BODY + worker, url],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "began\n"
        finally:
            process.kill()

    assert sql("select job_name, status from run_log") == [
        {"job_name": "sync", "status": "RUNNING"}
    ]
    sql("update run_log set heartbeat_at = datetime('now', '-1 hour')")
    assert [lost.job_name for lost in reap(runtime.store(), runtime.first_use())] == ["sync"]
    (run,) = sql("select status, error_reason, alert_outcome from run_log")
    assert tuple(run.values()) == ("FAILED", "lost", "raised")
