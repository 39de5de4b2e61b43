"""The statements that each run on SQLite needs: built once, when first needed.

A statement that is built anew costs as much again as running it. What is seldom needed (locks, lost
runs, records that come late) is written where it is used.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Executable, Table, bindparam, case, func, null, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.types import Float

from ..._models import Counters, RunNote
from ..rows import FAILURE_COLUMNS, NOTHING, RUN_COLUMNS, Lacking, present
from ..schema.clock import db_now
from ..schema.moments import db_now_plus
from ..schema.tables import run_log, run_note

# A run that was declared lost takes its real ending, once: that moves `finished_at` on.
STILL_OPEN: Final = (run_log.c.status == "RUNNING") | (
    (run_log.c.status == "FAILED") & (run_log.c.lost_at == run_log.c.finished_at)
)


def given(table: Table, *names: str) -> dict[str, ColumnElement[Any]]:
    """Return parameters for columns, as `rows.parameters` names them."""
    return {name: parameter(table.c[name]) for name in names}


def parameter(column: Column[Any]) -> ColumnElement[Any]:
    """Return the parameter for one column."""
    return bindparam(f"in_{column.name}", type_=column.type)


@cache
def start(lacking: Lacking = NOTHING) -> Executable:
    """Write the RUNNING row; a repeat finds its own."""
    new = present(given(run_log, *RUN_COLUMNS), lacking)
    return (
        upsert(run_log)
        .values(**new, status="RUNNING", started_at=db_now(), updated_at=db_now())
        .on_conflict_do_update(index_elements=["run_key"], set_={"run_key": new["run_key"]})
        .returning(run_log.c.id)
    )


LAST_HEARD_AT: Final = func.coalesce(
    run_log.c.heartbeat_at, run_log.c.started_at, type_=run_log.c.started_at.type
)


def own_limit(lacking: Lacking) -> ColumnElement[Any]:
    """A run's own limit of silence, in seconds."""
    own_limit = run_log.c.lost_after_seconds
    return null() if own_limit.name in lacking else own_limit


def silent(silent_for: timedelta, lacking: Lacking) -> ColumnElement[bool]:
    """An open run that was silent for longer than its own limit, or than ours where it has none."""
    ours = bindparam("ours", silent_for.total_seconds(), type_=Float(), unique=True)
    limit = func.coalesce(own_limit(lacking), ours, type_=Float())
    return (run_log.c.status == "RUNNING") & (db_now_plus(-limit) > LAST_HEARD_AT)


@cache
def end(lacking: Lacking = NOTHING) -> Executable:
    """End a run that may still be ended, well or not."""
    columns = ("status", "alert_outcome", "covered_by", *Counters._fields, *FAILURE_COLUMNS)
    values = present(given(run_log, *columns), lacking)
    # An alert of the time when a run seemed lost has its window by the run's cooldown.
    cooldown = run_log.c.cooldown_seconds
    values[cooldown.name] = func.coalesce(values[cooldown.name], cooldown)
    own = run_log.c.run_key == parameter(run_log.c.run_key)
    return (
        update(run_log)
        .where(own, STILL_OPEN)
        .values(**values, finished_at=db_now(), updated_at=db_now())
        .returning(run_log.c.id)
    )


@cache
def keep_note() -> Executable:
    """Write what stands beside a run; its progress may be there."""
    values = given(run_note, run_note.c.run_key.name, *RunNote._fields)
    progress_at = case((values["done"].is_not(None), db_now()))
    new = upsert(run_note).values(**values, created_at=db_now(), progress_at=progress_at)
    names = (*RunNote._fields, run_note.c.progress_at.name)
    both = {name: func.coalesce(new.excluded[name], run_note.c[name]) for name in names}
    return new.on_conflict_do_update(index_elements=[run_note.c.run_key], set_=both)


def build_endings() -> None:
    """Build what ends a run before the first one begins: a process may end short of memory."""
    end(NOTHING)
    keep_note()
