"""The web side: start a sync, ask how it stands, and see runguard's page at /runguard/.

    uvicorn examples.service.api:app

| request | answer |
|---|---|
| `POST /sync` | 202: it waits in the queue, and a worker runs it |
| `POST /sync/now` | 200: it ran in this process; 409 while another one does; 502 where it failed |
| `GET /health` | 200: the process answers |
"""

from __future__ import annotations

import os
from typing import Any

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from examples.service import jobs, tasks
from runguard import JobLockActive, classify, run_scope
from runguard.web import create_app

app = FastAPI(title="Enrolments")
app.mount("/runguard", create_app(token=os.environ["RUNGUARD_WEB_TOKEN"]))


@app.post("/sync", status_code=202)
def sync() -> dict[str, Any]:
    """Put a sync into the queue."""
    return {"task": tasks.enrolment_sync.delay().id}


@app.post("/sync/now")
def sync_now() -> JSONResponse:
    """Sync before the answer, under the same job name."""
    try:
        with run_scope("enrolment_sync", lock=True) as run:
            jobs.sync_enrolments()
    except JobLockActive as conflict:
        return JSONResponse({"held_by": conflict.locked_by}, status_code=409)
    except Exception as error:  # its run says what it was
        return JSONResponse({"error_group": classify(error).error_group}, status_code=502)
    return JSONResponse({"run": run.id, "records": run.total_records})


@app.get("/health")
def health() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}
