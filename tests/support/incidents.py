"""Dispatch as far as incidents go: each alert that waits takes its place, and nobody is told."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from runguard._store.queries.advancing import Advanced, advance
from runguard._store.schema.notice_tables import alert
from runguard._store.sqlite.transaction import immediate

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore


def dispatch(store: OperatorStore) -> list[Advanced]:
    """Let each alert that waits open, go on with or reopen its incident."""
    waiting = select(alert).where(alert.c.dispatch == "pending").order_by(alert.c.id)
    with store.engine.connect() as connection:
        is_sqlite = store.engine.dialect.name == "sqlite"
        with immediate(connection) if is_sqlite else nullcontext():
            rows = connection.execute(waiting).all()
            advanced = advance(connection, rows)
            for row, one in zip(rows, advanced, strict=True):
                connection.execute(
                    update(alert)
                    .where(alert.c.id == row.id)
                    .values(dispatch="routed", incident=one.incident)
                )
    return advanced
