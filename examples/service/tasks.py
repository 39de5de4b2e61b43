"""The worker's side: what takes long is a Celery task, and each attempt at it is a run.

    celery --app examples.service.tasks worker

The broker is a folder that all processes share. For Redis or RabbitMQ, `BROKER_URL` names it.
"""

from __future__ import annotations

import os
from pathlib import Path

import httpx
from celery import Celery

from examples.service import jobs
from runguard.integrations.celery import install

app = Celery("enrolments", broker=os.environ.get("BROKER_URL", "filesystem://"))
if app.conf.broker_url.startswith("filesystem:"):
    folder = Path(os.environ.get("QUEUE_FOLDER", "queue"))
    for name in ("messages", "control"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    app.conf.broker_transport_options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.1,
    }
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)

install(app)  # the one line: runs, retries, lost workers


@app.task(
    name="enrolment_sync",
    autoretry_for=(httpx.HTTPError,),
    max_retries=int(os.environ.get("SYNC_RETRIES", "3")),
    default_retry_delay=float(os.environ.get("SYNC_RETRY_SECONDS", "60")),
)
def enrolment_sync() -> None:
    """Sync, and try again where the upstream fails: only the last attempt alerts."""
    jobs.sync_enrolments()
