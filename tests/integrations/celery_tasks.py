"""The tasks that the workers of `test_celery` run, as a project would have them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis
from celery import Celery, chain, chord, signals
from celery.concurrency.asynpool import AsynPool
from celery.exceptions import Ignore, Reject
from celery.schedules import crontab
from celery.utils.log import get_task_logger
from kombu.transport import filesystem
from kombu.utils.json import dumps

import runguard
from runguard.integrations.celery import install

FOLDER = Path(os.environ.get("CELERY_TEST_FOLDER", "/nonexistent"))
BROKER = os.environ.get("CELERY_TEST_BROKER", "filesystem://")

app = Celery("tasks", broker=BROKER, backend=f"file://{FOLDER}/results")
app.conf.update(
    beat_schedule={
        "often": {"task": "tasks.plain", "schedule": 0.2},
        "nightly": {"task": "tasks.nightly", "schedule": crontab(minute=30, hour=2)},
    },
    beat_schedule_filename=f"{FOLDER}/beat",
    enable_utc=True,
    result_chord_retry_interval=0.05,
    timezone="Asia/Seoul",
    worker_hijack_root_logger=False,
    worker_lost_wait=0.05,
    worker_max_tasks_per_child=6,
)
if BROKER.startswith("redis:"):
    redis.VERSION = (6, 1, 0)  # what kombu asks for; arq asks for less, and both do with it
    # How often it looks for processes that are gone: else it is every five seconds.
    AsynPool.timers = property(lambda self: {self.maintain_pool: 0.2})
else:
    app.conf.broker_transport_options = {
        "data_folder_in": f"{FOLDER}/queues",
        "data_folder_out": f"{FOLDER}/queues",
        "control_folder": f"{FOLDER}/control",
        "polling_interval": 0.02,
    }

    def put_whole(self: Any, queue: str, payload: Any, **_: Any) -> None:
        """Write a message under its name when it is whole: else its reader may be too early."""
        name = f"{time.monotonic_ns():020}_{uuid4()}.{queue}.msg"
        unfinished = FOLDER / f"{uuid4()}.unfinished"
        unfinished.write_text(dumps(payload))
        unfinished.rename(Path(self.data_folder_out) / name)

    filesystem.Channel._put = put_whole

install(app, skip="*.not_a_job", name={"tasks.renamed": "nice name"})


@signals.worker_init.connect
def connect_before_the_pool_forks(**_: Any) -> None:
    with runguard.run_scope("boot"):
        pass


@signals.worker_ready.connect
def send(**_: Any) -> None:
    """Send what the test asks for; the worker does it, since a process costs half a second."""
    for task in os.environ.get("CELERY_TEST_SEND", "").split():
        app.send_task(f"tasks.{task}")


@app.task(name="tasks.plain")
def plain(*_: object) -> int:
    run = runguard.current_run()
    assert run is not None
    run.total_records += 3
    return 3


@app.task(name="tasks.renamed")
def renamed() -> None: ...


@app.task(name="tasks.not_a_job")
def not_a_job() -> None:
    assert runguard.current_run() is None


@app.task(name="tasks.tracked")
@runguard.tracked_run("own name")
def tracked() -> None: ...


@app.task(name="tasks.retried", bind=True, max_retries=1)
def retried(self: Any) -> None:
    raise self.retry(exc=ValueError("HTTP 503"), countdown=0)


@app.task(
    name="tasks.autoretried",
    bind=True,
    autoretry_for=(ConnectionError,),
    retry_backoff=False,
    default_retry_delay=0,
)
def autoretried(self: Any) -> None:
    if self.request.retries == 0:
        raise ConnectionResetError("the peer went away")


@app.task(name="tasks.ignored")
def ignored() -> None:
    raise Ignore


@app.task(name="tasks.rejected", acks_late=True)
def rejected() -> None:
    raise Reject("not for us", requeue=False)


@app.task(name="tasks.expected", throws=(KeyError,))
def expected() -> None:
    raise KeyError("no such user")


@app.task(name="tasks.exits")
def exits() -> None:
    sys.exit(3)


@app.task(name="tasks.too_slow", time_limit=0.3)
def too_slow() -> None:
    time.sleep(60)


@app.task(name="tasks.slow", soft_time_limit=1)
def slow() -> None:
    get_task_logger("tasks").warning("waiting for the other side")
    time.sleep(60)


@app.task(name="tasks.killed")
def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="tasks.redelivered", acks_late=True, reject_on_worker_lost=True)
def redelivered() -> None:
    mark = FOLDER / "delivered"  # a filesystem does not say it
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="tasks.lost_twice", retry_on_worker_lost=True, max_retries=1, default_retry_delay=0)
def lost_twice() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@app.task(name="tasks.hangs", acks_late=True)
def hangs() -> None:
    time.sleep(60)


@app.task(name="tasks.revokes")
def revokes(task_id: str) -> None:
    app.control.revoke(task_id, terminate=True)


@app.task(name="tasks.revoked", bind=True)
def revoked(self: Any) -> None:
    revokes.delay(self.request.id)
    time.sleep(60)


@app.task(name="tasks.nightly")
def nightly() -> None: ...


@app.task(name="tasks.link")
def link(*_: object) -> None: ...


@app.task(name="tasks.total")
def total(counts: list[int]) -> int:
    return sum(counts)


@app.task(name="tasks.canvases")
def canvases() -> None:
    chain(link.s(), link.s())()
    chord([plain.s(), plain.s()])(total.s())
