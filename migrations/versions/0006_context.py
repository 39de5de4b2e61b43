"""What is kept of a run: its version and trace, the upstream of a failure, and notes beside it.

The new columns are nullable and have no default, so no row is touched. Notes have a table of their
own, without a foreign key: `run_log` may be partitioned, and its `run_key` is no primary key.

Never edited once released: tables and indexes are spelled out here and not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, SetTableComment

from runguard._store.schema import adoption
from runguard._store.schema.catalog import FoundTable, find_tables

revision = "0006"
down_revision = "0005"

MADE = "made by runguard"  # the comment on a table that is all ours
ADDED = ("version", "trace_id", "upstream")  # to run_log


def upgrade() -> None:
    """Add the columns, make the table."""
    note = _note()
    if _is_sqlite():
        _do([f"ALTER TABLE run_log ADD COLUMN {name} TEXT" for name in ADDED])
        _make(note)
        return
    # Whoever waits for a lock makes all writers queue behind: better to give up, and try again.
    op.execute("SET LOCAL lock_timeout = '2s'")
    found = _found()
    # In a script for a new database the table is made by the lines before.
    there = found.get("run_log", FoundTable("table", MADE, {}, {}, {}))
    changes = adoption.changes(_extended(), there)
    if there.comment == MADE:
        changes = [change for change in changes if not change.startswith("COMMENT")]
    _do(changes)
    if note.name not in found:
        _make(note)
        return
    _do(adoption.changes(note, found[note.name]))
    _do_beside_the_writers(adoption.slow_changes(note, found[note.name]))


def downgrade() -> None:
    """Drop the table, if we made it; from the others, what we added."""
    note = _note()
    if _is_sqlite():
        _do([f"DROP TABLE {note.name}"])
        _do([f"ALTER TABLE run_log DROP COLUMN {name}" for name in reversed(ADDED)])
        return
    op.execute("SET LOCAL lock_timeout = '2s'")
    found = _found()
    if (its := found.get(note.name)) is not None:
        _do([f"DROP TABLE {note.name}"] if its.comment == MADE else adoption.removals(note, its))
    if (there := found.get("run_log")) is None:
        return
    dropped = [
        f"DROP COLUMN {name}"
        for name in ADDED
        if (column := there.columns.get(name)) is not None
        and (there.comment == MADE or column.comment == adoption.ADDED_BY_US)
    ]
    if dropped:
        _do(["ALTER TABLE run_log\n  " + ",\n  ".join(dropped)])


def _extended() -> sa.Table:
    """The new columns of the table that is there."""
    return sa.Table("run_log", sa.MetaData(), *(sa.Column(name, sa.Text) for name in ADDED))


def _note() -> sa.Table:
    on_sqlite = _is_sqlite()
    instant: sa.types.TypeEngine[Any] = sa.Text() if on_sqlite else sa.DateTime(timezone=True)
    document: sa.types.TypeEngine[Any] = sa.JSON() if on_sqlite else postgresql.JSONB()
    now = sa.text("(strftime('%Y-%m-%d %H:%M:%f', 'now'))" if on_sqlite else "pg_catalog.now()")
    note = sa.Table(
        "run_note",
        sa.MetaData(),
        sa.Column("run_key", sa.Uuid),
        sa.Column("created_at", instant, nullable=False, server_default=now),
        sa.Column("traceback", sa.Text),
        sa.Column("log_tail", sa.Text),
        sa.Column("context", document),
        sa.Column("links", document),
        sa.Column("done", sa.BigInteger),
        sa.Column("total", sa.BigInteger),
        sa.Column("progress_at", instant),
        sa.PrimaryKeyConstraint("run_key", name="run_note_pkey"),
        comment=MADE,
    )
    sa.Index("runguard_run_note_created_at", note.c.created_at)
    return note


def _make(table: sa.Table) -> None:
    _say(f"make table {table.name}")
    op.execute(CreateTable(table))
    if not _is_sqlite():
        op.execute(SetTableComment(table))
    for index in table.indexes:
        _say(f"make index {index.name}")
        op.execute(CreateIndex(index, if_not_exists=True))


def _do_beside_the_writers(statements: list[str]) -> None:
    if not statements:
        return
    with op.get_context().autocommit_block():
        # SET LOCAL needs a transaction, and an index cannot be built concurrently inside one.
        _do(["SET lock_timeout = 0", "SET statement_timeout = 0"])
        _do(statements)
        _do(["RESET lock_timeout", "RESET statement_timeout"])


def _found() -> Mapping[str, FoundTable]:
    """What is there already; nothing where a script is written without a database."""
    connection: sa.Connection | None = context.config.attributes.get("connection")
    return {} if connection is None else find_tables(connection, ["run_log", "run_note"])


def _do(statements: list[str]) -> None:
    for statement in statements:
        _say(statement)
        op.execute(statement)


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _say(line: str) -> None:
    progress: Callable[[str], None] = context.config.attributes["progress"]
    progress(line)
