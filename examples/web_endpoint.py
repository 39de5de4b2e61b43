"""A web endpoint that runs the job of `enrolment_sync.py`, and answers with what became of it.

    python examples/upstream.py &
    export ENROLMENT_UPSTREAM_URL=http://127.0.0.1:8765
    uvicorn examples.web_endpoint:app &     # or: python examples/web_endpoint.py &
    curl -X POST http://127.0.0.1:8000/jobs/enrolment-sync

| answer | when |
|---|---|
| 200 | done: the run's id and its counters |
| 409 | another run holds the job's lock: who, and until when |
| 502 | the upstream answered with an error: the failure group and its status |
| 504 | the upstream did not answer in time |
| 503 | the job was not run, since runguard's store is away and the lock cannot be taken |
| 500 | anything else: the failure group |

What went wrong in words is in `run_log`, under the run's id; it is not the caller's to read.
"""

from __future__ import annotations

import os
from typing import Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse

from examples.enrolment_sync import copy_enrolments
from runguard import ErrorGroup, JobLockActive, Run, RunguardError, classify, run_scope

STATUS_OF_FAILURE = {
    ErrorGroup.HTTP_4XX: 502,
    ErrorGroup.HTTP_409: 502,
    ErrorGroup.HTTP_5XX: 502,
    ErrorGroup.TIMEOUT: 504,
}

app = FastAPI(title="Enrolment jobs")


@app.post("/jobs/enrolment-sync")
def run_enrolment_sync() -> JSONResponse:
    """Run the job now, unless the scheduler or somebody else is at it."""
    run: Run | None = None
    try:
        with run_scope("enrolment_sync", lock=True, trigger_type="MANUAL") as run:
            copy_enrolments()
    except JobLockActive as conflict:
        return JSONResponse(_held(conflict), status_code=409)
    except RunguardError:
        return JSONResponse({"detail": "not run: no store to take the lock in"}, status_code=503)
    except Exception as exc:
        failure = classify(exc)
        answer = {
            "run_id": run.id if run else None,
            "error_group": failure.error_group,
            "upstream_status": failure.http_status_code,
        }
        return JSONResponse(answer, status_code=STATUS_OF_FAILURE.get(failure.error_group, 500))
    return JSONResponse(
        {
            "run_id": run.id,
            "total_records": run.total_records,
            "changed_records": run.changed_records,
        }
    )


def _held(conflict: JobLockActive) -> dict[str, Any]:
    until = conflict.lock_expires_at
    return {
        "error_group": ErrorGroup.LOCK_CONFLICT,
        "locked_by": conflict.locked_by,
        "lock_expires_at": until.isoformat() if until else None,
    }


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
