"""A worker that is killed, and whom nobody survives that knows: the heartbeat's silence tells."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from runguard._api import runtime
from runguard._run.reaper import reap
from tests.support.processes import ROOT, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Sql = Callable[..., list[dict[str, Any]]]

# One process, since starting one is what such a test costs.
WORKERS = """
import asyncio, sys, threading
import dramatiq
from arq.connections import RedisSettings, create_pool
from arq.worker import run_worker
from dramatiq.brokers.redis import RedisBroker
from huey import RedisHuey
from procrastinate import App, PsycopgConnector
from runguard.integrations import arq, dramatiq as of_dramatiq, huey as of_huey, procrastinate

_, redis_url, postgres_url = sys.argv

def body():
    print("began", flush=True)
    threading.Event().wait()

broker = RedisBroker(url=redis_url)
of_dramatiq.install(broker, name={"message": "dramatiq:sync"})

@dramatiq.actor(broker=broker)
def message():
    body()

message.send()
dramatiq.Worker(broker, worker_threads=1).start()

huey = RedisHuey(url=redis_url)
of_huey.install(huey, name={"__main__.task": "huey:sync"})

@huey.task()
def task():
    body()

task()
huey.create_consumer().start()

app = App(connector=PsycopgConnector(conninfo=postgres_url))
procrastinate.install(app)

@app.task(name="procrastinate:sync")
def job():
    body()

async def work():
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await job.defer_async()
        await app.run_worker_async(install_signal_handlers=False)

threading.Thread(target=lambda: asyncio.run(work())).start()

async def sync(ctx):
    body()

async def startup(ctx):
    await ctx["redis"].enqueue_job("sync")

asyncio.set_event_loop(asyncio.new_event_loop())
settings = {"functions": [sync], "on_startup": startup}
settings["redis_settings"] = RedisSettings.from_dsn(redis_url)
run_worker(arq.install(settings, name={"sync": "arq:sync"}))
"""
JOBS = ["arq:sync", "dramatiq:sync", "huey:sync", "procrastinate:sync"]


def test_runs_of_a_worker_that_is_killed_are_closed_for_their_silence(
    redis_url: str, pg_url: str, sql: Sql, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    postgres_url = make_url(pg_url).set(drivername="postgresql").render_as_string(False)
    with told.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", WORKERS, redis_url, postgres_url],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
    try:
        until(lambda: told.read_text().count("began") == len(JOBS))
    finally:
        process.kill()
        process.wait()

    runs = "select job_name, status, error_reason, alert_outcome from run_log order by job_name"
    assert [tuple(run.values())[:2] for run in sql(runs)] == [(job, "RUNNING") for job in JOBS]
    sql("update run_log set heartbeat_at = datetime('now', '-1 hour')")
    assert sorted(lost.job_name for lost in reap(runtime.store(), runtime.first_use())) == JOBS
    assert [tuple(run.values()) for run in sql(runs)] == [
        (job, "FAILED", "lost", "raised") for job in JOBS
    ]
