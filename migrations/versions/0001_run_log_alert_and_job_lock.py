"""Make `run_log`, `alert`, `job_lock` and `alert_cooldown`, or adopt those that are there.

On PostgreSQL a table of one of these names may be an installation's own, full of rows, with other
programs writing into it. It is adopted: columns and indexes are added, nothing is taken away (see
`runguard._store.schema.adoption`). An embedded SQLite file is runguard's own, so nothing is there.

Never edited once released: the tables are spelled out here and not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable, SetTableComment

from runguard._errors import SchemaConflict
from runguard._store.schema import adoption
from runguard._store.schema.catalog import FoundTable, find_tables

revision = "0001"
down_revision = None

MADE = "made by runguard"  # the comment on a table that `downgrade` may drop


def upgrade() -> None:
    """Make the tables that are missing; adopt the others."""
    tables = _tables()
    if _is_sqlite():
        _refuse_strangers(tables)
        for table in tables:
            _make(table)
        return
    found = _found(tables)
    _refuse_conflicts(tables, found)
    # An ALTER TABLE that waits for its lock makes all writers queue behind it: better to give up
    # soon, let them through, and try again.
    op.execute("SET LOCAL lock_timeout = '2s'")
    op.execute("SET LOCAL statement_timeout = 0")
    slow = []
    for table in tables:
        if table.name not in found:
            _make(table)
            continue
        _do(adoption.changes(table, found[table.name]))
        slow += adoption.slow_changes(table, found[table.name])
    if slow:
        with op.get_context().autocommit_block():
            # SET LOCAL needs a transaction, and an index cannot be built concurrently inside one.
            _do(["SET lock_timeout = 0", "SET statement_timeout = 0"])
            _do(slow)
            _do(["RESET lock_timeout", "RESET statement_timeout"])


def downgrade() -> None:
    """Drop the tables that we made; from adopted ones, the columns and indexes that we added.

    Which is which stands in their comments: `made by runguard` on a table, `added by runguard` on a
    column. What has lost its comment, as in a copy without comments, is left alone. Texts that
    were widened stay so.
    """
    tables = _tables()
    if _is_sqlite():
        _do([f"DROP TABLE {table.name}" for table in reversed(tables)])
        return
    op.execute("SET LOCAL lock_timeout = '2s'")
    found = _found(tables)
    for table in reversed(tables):
        if (there := found.get(table.name)) is None:
            continue
        if there.comment == MADE:
            _do([f"DROP TABLE {table.name}"])
        else:
            _do(adoption.removals(table, there))


def _tables() -> list[sa.Table]:
    on_sqlite = _is_sqlite()
    big_id = sa.Integer() if on_sqlite else sa.BigInteger()
    instant: sa.types.TypeEngine[Any] = sa.Text() if on_sqlite else sa.DateTime(timezone=True)
    document: sa.types.TypeEngine[Any] = sa.JSON() if on_sqlite else postgresql.JSONB()
    now = sa.text("(strftime('%Y-%m-%d %H:%M:%f', 'now'))" if on_sqlite else "now()")
    no = sa.text("0" if on_sqlite else "false")
    metadata = sa.MetaData()

    run_log = sa.Table(
        "run_log",
        metadata,
        sa.Column("id", big_id, sa.Identity(always=False)),
        sa.Column("job_name", sa.Text, nullable=False),
        sa.Column("trigger_type", sa.Text, nullable=False, server_default="MANUAL"),
        sa.Column("status", sa.Text, nullable=False, server_default="RUNNING"),
        sa.Column("started_at", instant, nullable=False, server_default=now),
        sa.Column("finished_at", instant),
        sa.Column("total_records", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("changed_records", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("created_alerts", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("retry_count", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("error_message", sa.Text),
        sa.Column("updated_at", instant, nullable=False, server_default=now),
        sa.Column("run_key", sa.Uuid),
        sa.Column("error_group", sa.Text),
        sa.Column("http_status_code", sa.Integer),
        sa.Column("error_type", sa.Text),
        sa.Column("error_location", sa.Text),
        sa.Column("matched_by", sa.Text),
        sa.Column("alert_outcome", sa.Text),
        sa.Column("covered_by", sa.BigInteger),
        sa.Column("cooldown_seconds", sa.Integer),
        sa.Column("heartbeat_at", instant),
        sa.Column("lost_at", instant),
        sa.Column("host", sa.Text),
        sa.Column("pid", sa.Integer),
        sa.Column("clock", sa.Text),
        sa.PrimaryKeyConstraint("id", name="run_log_pkey"),
        sa.CheckConstraint(
            "error_group in ('LOCK_CONFLICT','HTTP_409','HTTP_5XX','HTTP_4XX','TIMEOUT','UNKNOWN')",
            name="run_log_error_group_check",
        ),
        sa.CheckConstraint(
            "http_status_code between 400 and 599", name="run_log_http_status_code_check"
        ),
        sa.CheckConstraint(
            "alert_outcome in ('raised','suppressed','excluded','none')",
            name="run_log_alert_outcome_check",
        ),
        comment=MADE,
        sqlite_autoincrement=True,
    )
    alert = sa.Table(
        "alert",
        metadata,
        sa.Column("id", big_id, sa.Identity(always=False)),
        sa.Column("source_type", sa.Text, nullable=False),
        sa.Column("source_id", sa.Text, nullable=False),
        sa.Column("alert_type", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False, server_default="medium"),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("message", sa.Text),
        sa.Column("detail", document),
        sa.Column("review_status", sa.Text, nullable=False, server_default="AUTO"),
        sa.Column("resolved", sa.Boolean, nullable=False, server_default=no),
        sa.Column("created_at", instant, nullable=False, server_default=now),
        sa.Column("alert_key", sa.Uuid),
        sa.Column("resolved_at", instant),
        sa.Column("resolved_by", sa.Text),
        sa.PrimaryKeyConstraint("id", name="alert_pkey"),
        comment=MADE,
        sqlite_autoincrement=True,
    )
    job_lock = sa.Table(
        "job_lock",
        metadata,
        sa.Column("job_name", sa.Text),
        sa.Column("locked_by", sa.Text, nullable=False),
        sa.Column("locked_at", instant, nullable=False, server_default=now),
        sa.Column("lock_expires_at", instant, nullable=False),
        sa.Column("fence", sa.BigInteger, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("job_name", name="job_lock_pkey"),
        comment=MADE,
    )
    alert_cooldown = sa.Table(
        "alert_cooldown",
        metadata,
        sa.Column("source_type", sa.Text),
        sa.Column("source_id", sa.Text),
        sa.Column("alert_type", sa.Text),
        sa.Column("last_alert_at", instant, nullable=False),
        sa.PrimaryKeyConstraint(
            "source_type", "source_id", "alert_type", name="alert_cooldown_pkey"
        ),
        comment=MADE,
    )

    failed, running = sa.text("status = 'FAILED'"), sa.text("status = 'RUNNING'")
    sa.Index("runguard_run_log_run_key", run_log.c.run_key, unique=True)
    sa.Index("runguard_run_log_started_at", run_log.c.started_at)
    sa.Index("runguard_run_log_job_started_at", run_log.c.job_name, run_log.c.started_at)
    sa.Index(
        "runguard_run_log_failed_started_at",
        run_log.c.started_at,
        postgresql_where=failed,
        sqlite_where=failed,
    )
    sa.Index(
        "runguard_run_log_running",
        run_log.c.job_name,
        postgresql_where=running,
        sqlite_where=running,
    )
    sa.Index("runguard_alert_alert_key", alert.c.alert_key, unique=True)
    sa.Index("runguard_alert_created_at", alert.c.created_at)
    sa.Index(
        "runguard_alert_cooldown_key",
        alert.c.source_type,
        alert.c.source_id,
        alert.c.alert_type,
        alert.c.created_at,
    )
    if not on_sqlite:
        run_id, error_group = (
            sa.text("(detail ->> 'run_id')"),
            sa.text("(detail ->> 'error_group')"),
        )
        sa.Index("runguard_run_log_id_text", sa.cast(run_log.c.id, sa.Text))
        sa.Index("runguard_alert_detail_run_id", run_id, _table=alert)
        sa.Index("runguard_alert_detail_error_group", error_group, alert.c.created_at, _table=alert)
    return [run_log, alert, job_lock, alert_cooldown]


def _make(table: sa.Table) -> None:
    _say(f"make table {table.name}")
    op.execute(CreateTable(table))
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        op.execute(CreateIndex(index))
    if not _is_sqlite():
        op.execute(SetTableComment(table))


def _do(statements: list[str]) -> None:
    for statement in statements:
        _say(statement)
        op.execute(statement)


def _found(tables: list[sa.Table]) -> Mapping[str, FoundTable]:
    """What is there already; nothing where a script is written without a database."""
    connection: sa.Connection | None = context.config.attributes.get("connection")
    return {} if connection is None else find_tables(connection, [t.name for t in tables])


def _refuse_conflicts(tables: list[sa.Table], found: Mapping[str, FoundTable]) -> None:
    if not found:
        return
    connection: sa.Connection = context.config.attributes["connection"]
    conflicts = [
        conflict
        for table in tables
        if table.name in found
        for conflict in adoption.conflicts(connection, table, found[table.name])
    ]
    if conflicts:
        raise SchemaConflict(conflicts)


def _refuse_strangers(tables: list[sa.Table]) -> None:
    connection: sa.Connection | None = context.config.attributes.get("connection")
    there = set() if connection is None else set(sa.inspect(connection).get_table_names())
    conflicts = [
        f"{table.name}: found a table of that name, needed a SQLite file of runguard's own"
        for table in tables
        if table.name in there
    ]
    if conflicts:
        raise SchemaConflict(conflicts)


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _say(line: str) -> None:
    progress: Callable[[str], None] = context.config.attributes["progress"]
    progress(line)
