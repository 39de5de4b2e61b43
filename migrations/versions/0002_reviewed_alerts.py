"""Note who reviewed an alert and when; index what operators look for, which may be rare.

An adopted table gets the two columns unless it has them, with the marks that 0001 puts on what it
adds. The index of failed runs gets the job and the group, so that failures are found and counted
by either without a look at the rows.

Never edited once released: columns and indexes are spelled out here and not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.schema import CreateIndex

from runguard._store.schema import adoption
from runguard._store.schema.catalog import FoundTable, find_tables

revision = "0002"
down_revision = "0001"

MADE = "made by runguard"  # the comment on a table that is all ours
REVIEWED = ("reviewed_at", "reviewed_by")


def upgrade() -> None:
    """Add the columns; build the indexes, beside the writers where there are rows."""
    if not _is_sqlite():
        _wait_shortly()
    _add_columns()
    _replace_indexes(_former(), _tables())


def downgrade() -> None:
    """Take back the columns that we added, and the indexes."""
    if _is_sqlite():
        _replace_indexes(_tables(), _former())
        _do([f"ALTER TABLE alert DROP COLUMN {name}" for name in REVIEWED])
        return
    _wait_shortly()
    if (alert := _found().get("alert")) is not None:
        dropped = [
            name
            for name in REVIEWED
            if name in alert.columns
            and (alert.comment == MADE or alert.columns[name].comment == adoption.ADDED_BY_US)
        ]
        if dropped:
            columns = ",\n".join(f"  DROP COLUMN {name}" for name in dropped)
            _do([f"ALTER TABLE alert\n{columns}"])
    _replace_indexes(_tables(), _former())


def _add_columns() -> None:
    if _is_sqlite():
        _do([f"ALTER TABLE alert ADD COLUMN {name} TEXT" for name in REVIEWED])
        return
    alert = sa.Table(
        "alert",
        sa.MetaData(),
        sa.Column("reviewed_at", sa.DateTime(timezone=True)),
        sa.Column("reviewed_by", sa.Text),
    )
    # In a script for a new database the table is made by the lines before.
    there = _found().get("alert", FoundTable("table", MADE, {}, {}, {}))
    changes = adoption.changes(alert, there)
    if there.comment == MADE:
        changes = [change for change in changes if not change.startswith("COMMENT")]
    _do(changes)


def _tables() -> list[sa.Table]:
    """The columns that are indexed, and the indexes on them."""
    run_log, alert = _bare_tables()
    failed = sa.text("status = 'FAILED'")
    is_open = sa.text("resolved IS NOT 1" if _is_sqlite() else "resolved IS NOT true")
    open_failure = sa.text(f"source_type = 'run_log' AND alert_type = 'FAILED' AND {is_open.text}")
    reviewed = sa.text("review_status != 'AUTO'")
    sa.Index(
        "runguard_run_log_failed",
        run_log.c.started_at,
        run_log.c.job_name,
        run_log.c.error_group,
        postgresql_where=failed,
        sqlite_where=failed,
    )
    sa.Index("runguard_alert_type_created_at", alert.c.alert_type, alert.c.created_at)
    sa.Index(
        "runguard_alert_open_created_at",
        alert.c.created_at,
        postgresql_where=is_open,
        sqlite_where=is_open,
    )
    sa.Index(
        "runguard_alert_open_failures",
        alert.c.source_id,
        alert.c.severity,
        postgresql_where=open_failure,
        sqlite_where=open_failure,
    )
    sa.Index(
        "runguard_alert_reviewed",
        alert.c.review_status,
        alert.c.created_at,
        postgresql_where=reviewed,
        sqlite_where=reviewed,
    )
    return [run_log, alert]


def _former() -> list[sa.Table]:
    """What stood there before."""
    run_log, alert = _bare_tables()
    failed = sa.text("status = 'FAILED'")
    sa.Index(
        "runguard_run_log_failed_started_at",
        run_log.c.started_at,
        postgresql_where=failed,
        sqlite_where=failed,
    )
    return [run_log, alert]


def _bare_tables() -> tuple[sa.Table, sa.Table]:
    instant = sa.DateTime(timezone=True)
    run_log = sa.Table(
        "run_log",
        sa.MetaData(),
        sa.Column("job_name", sa.Text),
        sa.Column("started_at", instant),
        sa.Column("error_group", sa.Text),
    )
    alert = sa.Table(
        "alert",
        sa.MetaData(),
        sa.Column("source_id", sa.Text),
        sa.Column("alert_type", sa.Text),
        sa.Column("severity", sa.Text),
        sa.Column("review_status", sa.Text),
        sa.Column("created_at", instant),
    )
    return run_log, alert


def _replace_indexes(old: list[sa.Table], new: list[sa.Table]) -> None:
    """Build the new ones first, so that at no moment a query is without."""
    dropped = sorted(str(index.name) for table in old for index in table.indexes)
    if _is_sqlite() or not _has_rows():
        for table in new:
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                _say(f"make index {index.name}")
                op.execute(CreateIndex(index, if_not_exists=True))
        _do([f"DROP INDEX IF EXISTS {name}" for name in dropped])
        return
    found = _found()
    slow = [
        statement
        for table in new
        if table.name in found
        for statement in adoption.slow_changes(table, found[table.name])
    ]
    with op.get_context().autocommit_block():
        # SET LOCAL needs a transaction, and an index cannot be built concurrently inside one.
        _do(["SET lock_timeout = 0", "SET statement_timeout = 0"])
        _do(slow)
        _do([f"DROP INDEX CONCURRENTLY IF EXISTS {name}" for name in dropped])
        _do(["RESET lock_timeout", "RESET statement_timeout"])


def _found() -> Mapping[str, FoundTable]:
    """What is there already; nothing where a script is written without a database."""
    connection: sa.Connection | None = context.config.attributes.get("connection")
    return {} if connection is None else find_tables(connection, ["run_log", "alert"])


def _has_rows() -> bool:
    connection: sa.Connection | None = context.config.attributes.get("connection")
    if connection is None:
        return False
    return any(
        connection.execute(sa.text(f"select exists (select from {name})")).scalar_one()  # noqa: S608
        for name in _found()
    )


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
