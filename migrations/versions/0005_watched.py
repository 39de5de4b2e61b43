"""What is expected of jobs, who looks, when nobody did; and the environment of runs and alerts.

The new columns are nullable and have no default, so no row is touched. The index of runs with an
environment holds those runs only, and is built beside the writers where there are rows.

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

revision = "0005"
down_revision = "0004"

MADE = "made by runguard"  # the comment on a table that is all ours
EXTENDED = ("run_log", "alert")
BY_ENVIRONMENT = "runguard_run_log_environment"


def upgrade() -> None:
    """Add the columns and tables; build the indexes, beside the writers where there are rows."""
    if _is_sqlite():
        _do([f"ALTER TABLE {name} ADD COLUMN environment TEXT" for name in EXTENDED])
        _index(_indexed())
        for table in _made():
            _make(table)
        return
    # Whoever waits for a lock makes all writers queue behind: better to give up, and try again.
    op.execute("SET LOCAL lock_timeout = '2s'")
    found = _found()
    slow: list[str] = []
    for name in EXTENDED:
        # In a script for a new database the tables are made by the lines before.
        there = found.get(name, FoundTable("table", MADE, {}, {}, {}))
        changes = adoption.changes(_extended(name), there)
        if there.comment == MADE:
            changes = [change for change in changes if not change.startswith("COMMENT")]
        _do(changes)
    if _has_rows("run_log", found):
        slow += adoption.slow_changes(_indexed(), found["run_log"])
    else:
        _index(_indexed())
    for table in _made():
        if table.name not in found:
            _make(table)
            continue
        _do(adoption.changes(table, found[table.name]))
        slow += adoption.slow_changes(table, found[table.name])
    _do_beside_the_writers(slow)


def downgrade() -> None:
    """Drop the tables that we made; from the others, what we added."""
    if _is_sqlite():
        _do([f"DROP TABLE {table.name}" for table in reversed(_made())])
        _do([f"DROP INDEX {BY_ENVIRONMENT}"])
        _do([f"ALTER TABLE {name} DROP COLUMN environment" for name in EXTENDED])
        return
    op.execute("SET LOCAL lock_timeout = '2s'")
    found = _found()
    for table in reversed(_made()):
        if (there := found.get(table.name)) is None:
            continue
        ours = there.comment == MADE
        _do([f"DROP TABLE {table.name}"] if ours else adoption.removals(table, there))
    _do([f"DROP INDEX IF EXISTS {BY_ENVIRONMENT}"])
    for name in EXTENDED:
        if (there := found.get(name)) is None:
            continue
        its = there.columns.get("environment")
        if its is not None and (there.comment == MADE or its.comment == adoption.ADDED_BY_US):
            _do([f"ALTER TABLE {name}\n  DROP COLUMN environment"])


def _extended(name: str) -> sa.Table:
    """The new column of a table that is there."""
    return sa.Table(name, sa.MetaData(), sa.Column("environment", sa.Text))


def _indexed() -> sa.Table:
    """The index on a table that is there, and the columns that it needs."""
    run_log = sa.Table(
        "run_log",
        sa.MetaData(),
        sa.Column("environment", sa.Text),
        sa.Column("job_name", sa.Text),
        sa.Column("started_at", sa.DateTime(timezone=True)),
    )
    has_one = sa.text("environment IS NOT NULL")
    sa.Index(
        BY_ENVIRONMENT,
        run_log.c.environment,
        run_log.c.job_name,
        run_log.c.started_at,
        postgresql_where=has_one,
        sqlite_where=has_one,
    )
    return run_log


def _made() -> list[sa.Table]:
    on_sqlite = _is_sqlite()
    big_id = sa.Integer() if on_sqlite else sa.BigInteger()
    instant: sa.types.TypeEngine[Any] = sa.Text() if on_sqlite else sa.DateTime(timezone=True)
    document: sa.types.TypeEngine[Any] = sa.JSON() if on_sqlite else postgresql.JSONB()
    now = sa.text("(strftime('%Y-%m-%d %H:%M:%f', 'now'))" if on_sqlite else "pg_catalog.now()")
    metadata = sa.MetaData()
    job = sa.Table(
        "job",
        metadata,
        sa.Column("job_name", sa.Text),
        sa.Column("environment", sa.Text, nullable=False, server_default=""),
        sa.Column("expectation", document),
        sa.Column("owner", sa.Text),
        sa.Column("runbook", sa.Text),
        sa.Column("description", sa.Text),
        sa.Column("declared_by", sa.Text, nullable=False, server_default="code"),
        sa.Column("declared_who", sa.Text),
        sa.Column("declarations", document),
        sa.Column("spec_hash", sa.Text),
        sa.Column("declared_at", instant, nullable=False, server_default=now),
        sa.Column("retired_at", instant),
        sa.Column("next_due_at", instant),
        sa.Column("grace_seconds", sa.Double),
        sa.Column("look_at", instant),
        sa.Column("judged_at", instant),
        sa.Column("updated_at", instant, nullable=False, server_default=now),
        sa.PrimaryKeyConstraint("job_name", "environment", name="job_pkey"),
        comment=MADE,
    )
    monitor = sa.Table(
        "monitor",
        metadata,
        sa.Column("who", sa.Text),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("started_at", instant, nullable=False, server_default=now),
        sa.Column("last_round_at", instant, nullable=False, server_default=now),
        sa.Column("rounds", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("seconds", sa.Double),
        sa.Column("version", sa.Text),
        sa.Column("report", document),
        sa.PrimaryKeyConstraint("who", name="monitor_pkey"),
        comment=MADE,
    )
    monitor_gap = sa.Table(
        "monitor_gap",
        metadata,
        sa.Column("id", big_id, sa.Identity(always=False)),
        sa.Column("began_at", instant, nullable=False),
        sa.Column("ended_at", instant, nullable=False, server_default=now),
        sa.PrimaryKeyConstraint("id", name="monitor_gap_pkey"),
        comment=MADE,
        sqlite_autoincrement=True,
    )
    not_retired = sa.text("retired_at IS NULL")
    sa.Index(
        "runguard_job_look_at",
        job.c.look_at,
        postgresql_where=not_retired,
        sqlite_where=not_retired,
    )
    sa.Index("runguard_monitor_last_round_at", monitor.c.last_round_at)
    sa.Index("runguard_monitor_gap_ended_at", monitor_gap.c.ended_at)
    return [job, monitor, monitor_gap]


def _make(table: sa.Table) -> None:
    _say(f"make table {table.name}")
    op.execute(CreateTable(table))
    if not _is_sqlite():
        op.execute(SetTableComment(table))
    _index(table)


def _index(table: sa.Table) -> None:
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
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
    names = [*EXTENDED, *(table.name for table in _made())]
    return {} if connection is None else find_tables(connection, names)


def _has_rows(name: str, found: Mapping[str, FoundTable]) -> bool:
    connection: sa.Connection | None = context.config.attributes.get("connection")
    if connection is None or name not in found:
        return False
    return bool(connection.execute(sa.text(f"select exists (select from {name})")).scalar_one())  # noqa: S608


def _do(statements: list[str]) -> None:
    for statement in statements:
        _say(statement)
        op.execute(statement)


def _is_sqlite() -> bool:
    return op.get_context().dialect.name == "sqlite"


def _say(line: str) -> None:
    progress: Callable[[str], None] = context.config.attributes["progress"]
    progress(line)
