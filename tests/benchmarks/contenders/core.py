"""SQLAlchemy Core as its tutorial teaches it: statements built where they are used, `begin()`."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Engine, func, insert, select, update

from runguard._store.schema.tables import alert, run_log

from ..measuring import repeated
from .kinds import Kind, fail, job_name, succeed

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..measuring import Contender

NAME = "SQLAlchemy Core, as taught"
COOLDOWN = timedelta(minutes=30)


def contender(engine: Engine, kind: Kind) -> Contender:
    """A pooled engine with its defaults."""

    def prepare() -> Callable[[], None]:
        job = job_name(kind, "core")
        return lambda: _run(engine, job, succeed if kind == "success" else fail)

    return repeated(NAME, prepare)


def _run(engine: Engine, job: str, body: Callable[[], None]) -> None:
    with engine.begin() as connection:
        run_id = connection.execute(
            insert(run_log)
            .values(job_name=job, status="RUNNING", started_at=func.now(), updated_at=func.now())
            .returning(run_log.c.id)
        ).scalar_one()
    try:
        body()
    except ValueError as error:
        _fail(engine, run_id, job, str(error))
        return
    with engine.begin() as connection:
        connection.execute(
            update(run_log)
            .where(run_log.c.id == run_id)
            .values(status="SUCCESS", finished_at=func.now(), updated_at=func.now())
        )


def _fail(engine: Engine, run_id: int, job: str, message: str) -> None:
    """Look, then insert: what most people write, and what doubles alerts in a race."""
    with engine.begin() as connection:
        connection.execute(
            update(run_log)
            .where(run_log.c.id == run_id)
            .values(
                status="FAILED",
                finished_at=func.now(),
                updated_at=func.now(),
                error_message=message,
                error_group="UNKNOWN",
            )
        )
        covering = connection.execute(
            select(alert.c.id)
            .where(
                alert.c.source_type == "run_log",
                alert.c.source_id == f"{job}:UNKNOWN",
                alert.c.alert_type == "FAILED",
                alert.c.created_at >= func.now() - COOLDOWN,
            )
            .limit(1)
        ).scalar_one_or_none()
        if covering is None:
            connection.execute(
                insert(alert).values(
                    source_type="run_log",
                    source_id=f"{job}:UNKNOWN",
                    alert_type="FAILED",
                    severity="medium",
                    title=f"{job} failed",
                    message=message,
                    detail={"job_name": job, "error_group": "UNKNOWN", "run_id": run_id},
                    created_at=func.now(),
                )
            )
