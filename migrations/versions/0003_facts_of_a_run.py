"""Note facts of a run as columns: its reason, what decided, who refused it, its own limit.

An adopted table gets the columns with the marks that 0001 puts on what it adds. All are nullable
and have no default, so no row is touched. The index of failed runs gets the reason; what the lock
refused is found by an index of its own, which holds those runs only.

Never edited once released: columns and indexes are spelled out here and not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.schema import CreateIndex

from runguard._store.schema import adoption
from runguard._store.schema.catalog import FoundTable, find_tables

revision = "0003"
down_revision = "0002"

MADE = "made by runguard"  # the comment on a table that is all ours
COLUMNS = {
    "error_reason": sa.Text(),
    "matched_depth": sa.Integer(),
    "matched_rule": sa.Integer(),
    "refused": sa.Boolean(),
    "lock_holder": sa.Text(),
    "lock_held_until": sa.DateTime(timezone=True),
    "lost_after_seconds": sa.Integer(),
}


def upgrade() -> None:
    """Add the columns; build the indexes, beside the writers where there are rows."""
    if not _is_sqlite():
        _wait_shortly()
    _add_columns()
    _replace_indexes(_former(), _newer())


def downgrade() -> None:
    """Take back the indexes, then the columns that we added."""
    _replace_indexes(_newer(), _former())
    if _is_sqlite():
        _do([f"ALTER TABLE run_log DROP COLUMN {name}" for name in COLUMNS])
        return
    _wait_shortly()
    if (run_log := _found()) is None:
        return
    dropped = [
        name
        for name in COLUMNS
        if name in run_log.columns
        and (run_log.comment == MADE or run_log.columns[name].comment == adoption.ADDED_BY_US)
    ]
    if dropped:
        columns = ",\n".join(f"  DROP COLUMN {name}" for name in dropped)
        _do([f"ALTER TABLE run_log\n{columns}"])


def _add_columns() -> None:
    run_log = sa.Table("run_log", sa.MetaData(), *(sa.Column(*one) for one in COLUMNS.items()))
    if _is_sqlite():
        # Times are kept as text there.
        types = {name: "TEXT" if "held_until" in name else str(COLUMNS[name]) for name in COLUMNS}
        _do([f"ALTER TABLE run_log ADD COLUMN {name} {types[name]}" for name in COLUMNS])
        return
    # In a script for a new database the table is made by the lines before.
    there = _found() or FoundTable("table", MADE, {}, {}, {})
    changes = adoption.changes(run_log, there)
    if there.comment == MADE:
        changes = [change for change in changes if not change.startswith("COMMENT")]
    _do(changes)


def _newer() -> sa.Table:
    """The columns that are indexed, and the indexes on them."""
    run_log = _bare_table()
    failed, refused = sa.text("status = 'FAILED'"), sa.text("refused")
    sa.Index(
        "runguard_run_log_failures",
        run_log.c.started_at,
        run_log.c.job_name,
        run_log.c.error_group,
        run_log.c.error_reason,
        postgresql_where=failed,
        sqlite_where=failed,
    )
    sa.Index(
        "runguard_run_log_refused",
        run_log.c.job_name,
        run_log.c.started_at,
        postgresql_where=refused,
        sqlite_where=refused,
    )
    return run_log


def _former() -> sa.Table:
    """What stood there before."""
    run_log = _bare_table()
    failed = sa.text("status = 'FAILED'")
    sa.Index(
        "runguard_run_log_failed",
        run_log.c.started_at,
        run_log.c.job_name,
        run_log.c.error_group,
        postgresql_where=failed,
        sqlite_where=failed,
    )
    return run_log


def _bare_table() -> sa.Table:
    return sa.Table(
        "run_log",
        sa.MetaData(),
        sa.Column("job_name", sa.Text),
        sa.Column("started_at", sa.DateTime(timezone=True)),
        sa.Column("error_group", sa.Text),
        sa.Column("error_reason", sa.Text),
    )


def _replace_indexes(old: sa.Table, new: sa.Table) -> None:
    """Build the new ones first, so that at no moment a query is without."""
    dropped = sorted(str(index.name) for index in old.indexes)
    if _is_sqlite() or not _has_rows():
        for index in sorted(new.indexes, key=lambda index: str(index.name)):
            _say(f"make index {index.name}")
            op.execute(CreateIndex(index, if_not_exists=True))
        _do([f"DROP INDEX IF EXISTS {name}" for name in dropped])
        return
    found = _found()
    with op.get_context().autocommit_block():
        # SET LOCAL needs a transaction, and an index cannot be built concurrently inside one.
        _do(["SET lock_timeout = 0", "SET statement_timeout = 0"])
        _do([] if found is None else adoption.slow_changes(new, found))
        _do([f"DROP INDEX CONCURRENTLY IF EXISTS {name}" for name in dropped])
        _do(["RESET lock_timeout", "RESET statement_timeout"])


def _found() -> FoundTable | None:
    """The table as it is; None where a script is written without a database."""
    connection: sa.Connection | None = context.config.attributes.get("connection")
    found: Mapping[str, FoundTable] = (
        {} if connection is None else find_tables(connection, ["run_log"])
    )
    return found.get("run_log")


def _has_rows() -> bool:
    connection: sa.Connection | None = context.config.attributes.get("connection")
    if connection is None or _found() is None:
        return False
    return bool(connection.execute(sa.text("select exists (select from run_log)")).scalar_one())


def _wait_shortly() -> None:
    # Whoever waits for a lock makes all writers queue behind: better to give up, and try again.
    op.execute("SET LOCAL lock_timeout = '2s'")


def _do(statements: list[str]) -> None:
    for statement in statements:
        _say(statement)
        op.execute(statement)


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _say(line: str) -> None:
    progress: Callable[[str], None] = context.config.attributes["progress"]
    progress(line)
