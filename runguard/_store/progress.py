"""How far jobs are, written by the heartbeat. Loaded where a job says it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, FromClause, select, true

from .queries.given import given
from .rows import Progress
from .schema.clock import db_now
from .schema.tables import run_note


def keep_progress(
    connection: Connection, progress: Progress, alive: FromClause, upsert: Any
) -> Executable:
    """Build what writes the progress of the runs that are `alive`; `upsert` is the dialect's."""
    columns = (run_note.c.run_key, run_note.c.done, run_note.c.total)
    rows = zip(*((key, *counts) for key, counts in progress.items()), strict=True)
    told = given(connection, "told", dict(zip(columns, rows, strict=True)))
    new: dict[str, ColumnElement[Any]] = {one.name: told.c[one.name] for one in columns}
    new |= dict.fromkeys((run_note.c.created_at.name, run_note.c.progress_at.name), db_now())
    joined = told.join(alive, told.c.run_key == alive.c.run_key)
    # `true()`: without a condition SQLite takes ON CONFLICT for a part of the join.
    found = select(*new.values()).select_from(joined).where(true())
    insert = upsert(run_note).from_select(list(new), found)
    latest = {name: insert.excluded[name] for name in ("done", "total", "progress_at")}
    kept: Executable = insert.on_conflict_do_update(
        index_elements=[run_note.c.run_key], set_=latest
    )
    return kept
