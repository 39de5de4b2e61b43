"""Deliveries of alerts, channels, silences, and the state of an incident.

Alerts that are there keep `dispatch` NULL and are never sent: the column comes without a default,
which is set for new rows in a second step. SQLite cannot do that, and has a trigger. No statement
rewrites a table: all columns are nullable, indexes are built beside the writers, and the wider
CHECK on `alert_outcome` is validated beside them.

Never edited once released: tables and indexes are spelled out here and not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.schema import CreateIndex, CreateTable, SetTableComment

from runguard._store.schema import adoption
from runguard._store.schema.catalog import FoundTable, find_tables

revision = "0004"
down_revision = "0003"

MADE = "made by runguard"  # the comment on a table that is all ours
OUTCOMES = "run_log_alert_outcome_check"
FORMER = "alert_outcome in ('raised','suppressed','excluded','none')"
NEWER = "alert_outcome in ('raised','suppressed','excluded','none','waiting')"
TRIGGER = "runguard_alert_dispatch"
MARK_NEW_ALERTS = (
    f"CREATE TRIGGER {TRIGGER} AFTER INSERT ON alert WHEN new.dispatch IS NULL"  # noqa: S608
    " BEGIN UPDATE alert SET dispatch = 'pending' WHERE id = new.id; END"
)


def upgrade() -> None:
    """Add the columns and tables; build the indexes, beside the writers where there are rows."""
    if _is_sqlite():
        _upgrade_sqlite()
    else:
        _upgrade_postgresql()


def _upgrade_sqlite() -> None:
    _spell_outcomes_on_sqlite(FORMER, NEWER)
    for table in _extended():
        _add_to_sqlite(table)
    for table in _indexed():
        _index(table)
    _do([MARK_NEW_ALERTS])
    for table in _made():
        _make(table)


def _upgrade_postgresql() -> None:
    # Whoever waits for a lock makes all writers queue behind: better to give up, and try again.
    op.execute("SET LOCAL lock_timeout = '2s'")
    found = _found()
    slow: list[str] = []
    _do([_outcomes(NEWER)])
    for table in _extended():
        # In a script for a new database the tables are made by the lines before.
        there = found.get(table.name, FoundTable("table", MADE, {}, {}, {}))
        changes = adoption.changes(table, there)
        if there.comment == MADE:
            changes = [change for change in changes if not change.startswith("COMMENT")]
        _do(changes)
    for table in _indexed():
        if _has_rows(table.name, found):
            slow += adoption.slow_changes(table, found[table.name])
        else:
            _index(table)
    for table in _made():
        if table.name not in found:
            _make(table)
            continue
        _do(adoption.changes(table, found[table.name]))
        slow += adoption.slow_changes(table, found[table.name])
    validate = f"ALTER TABLE run_log VALIDATE CONSTRAINT {OUTCOMES}"
    if not _has_rows("run_log", found):
        _do([validate])
    else:
        slow.append(validate)
    _do_beside_the_writers(slow)


def downgrade() -> None:
    """Drop the tables that we made; from the others, what we added."""
    extended, made = _extended(), _made()
    outcome: sa.ColumnClause[str] = sa.column("alert_outcome", sa.Text)
    waited = sa.update(sa.table("run_log", outcome)).where(outcome == "waiting")
    op.execute(waited.values(alert_outcome="none"))  # a word that 0003 does not know
    if _is_sqlite():
        _do([f"DROP TABLE {table.name}" for table in reversed(made)])
        _do([f"DROP TRIGGER {TRIGGER}"])
        _do([f"DROP INDEX {name}" for table in _indexed() for name in _index_names(table)])
        for table in extended:
            _do([f"ALTER TABLE {table.name} DROP COLUMN {column.name}" for column in table.c])
        _spell_outcomes_on_sqlite(NEWER, FORMER)
        return
    op.execute("SET LOCAL lock_timeout = '2s'")
    found = _found()
    for table in reversed(made):
        if (there := found.get(table.name)) is None:
            continue
        ours = there.comment == MADE
        _do([f"DROP TABLE {table.name}"] if ours else adoption.removals(table, there))
    _do([f"DROP INDEX IF EXISTS {name}" for table in _indexed() for name in _index_names(table)])
    for table in extended:
        if (there := found.get(table.name)) is None:
            continue
        dropped = [
            f"  DROP COLUMN {column.name}"
            for column in table.c
            if (its := there.columns.get(column.name)) is not None
            and (there.comment == MADE or its.comment == adoption.ADDED_BY_US)
        ]
        if dropped:
            _do([f"ALTER TABLE {table.name}\n" + ",\n".join(dropped)])
    if "run_log" in found:
        _do([_outcomes(FORMER), f"ALTER TABLE run_log VALIDATE CONSTRAINT {OUTCOMES}"])


def _extended() -> list[sa.Table]:
    """The new columns of tables that are there."""
    instant: sa.types.TypeEngine[Any] = sa.Text() if _is_sqlite() else sa.DateTime(timezone=True)
    metadata = sa.MetaData()
    alert = sa.Table(
        "alert",
        metadata,
        sa.Column(
            "dispatch", sa.Text, server_default=sa.text("NULL" if _is_sqlite() else "'pending'")
        ),
        sa.Column("incident", sa.BigInteger),
        sa.Column("told_at", instant),
    )
    alert_cooldown = sa.Table(
        "alert_cooldown",
        metadata,
        sa.Column("open_alert_id", sa.BigInteger),
        sa.Column("opened_at", instant),
        sa.Column("reopened", sa.Integer),
        sa.Column("acked_until", instant),
        sa.Column("acked_by", sa.Text),
        sa.Column("ack_reason", sa.Text),
        sa.Column("closed_alert_id", sa.BigInteger),
        sa.Column("closed_at", instant),
    )
    return [alert, alert_cooldown]


def _indexed() -> list[sa.Table]:
    """The indexes on tables that are there, and the columns that they need."""
    metadata = sa.MetaData()
    number = sa.BigInteger
    alert = sa.Table("alert", metadata, sa.Column("id", number), sa.Column("incident", number))
    cooldown = sa.Table("alert_cooldown", metadata, sa.Column("open_alert_id", number))
    _partial("runguard_alert_pending", "dispatch = 'pending'", alert.c.id)
    _partial("runguard_alert_expired", "dispatch = 'expired' AND told_at IS NULL", alert.c.id)
    _partial("runguard_alert_incident", "incident IS NOT NULL", alert.c.incident)
    _partial("runguard_alert_cooldown_open", "open_alert_id IS NOT NULL", cooldown.c.open_alert_id)
    return [alert, cooldown]


def _made() -> list[sa.Table]:
    on_sqlite = _is_sqlite()
    big_id = sa.Integer() if on_sqlite else sa.BigInteger()
    instant: sa.types.TypeEngine[Any] = sa.Text() if on_sqlite else sa.DateTime(timezone=True)
    now = sa.text("(strftime('%Y-%m-%d %H:%M:%f', 'now'))" if on_sqlite else "pg_catalog.now()")
    no = sa.text("0" if on_sqlite else "false")
    metadata = sa.MetaData()
    alert_delivery = sa.Table(
        "alert_delivery",
        metadata,
        sa.Column("id", big_id, sa.Identity(always=False)),
        sa.Column("alert_id", sa.BigInteger, nullable=False),
        sa.Column("incident", sa.BigInteger),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False, server_default="pending"),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_attempt_at", instant),
        sa.Column("claimed_by", sa.Text),
        sa.Column("claim_expires_at", instant),
        sa.Column("sent_at", instant),
        sa.Column("last_error", sa.Text),
        sa.Column("receipt", sa.Text),
        sa.Column("covered_by", sa.BigInteger),
        sa.Column("created_at", instant, nullable=False, server_default=now),
        sa.PrimaryKeyConstraint("id", name="alert_delivery_pkey"),
        sa.UniqueConstraint("alert_id", "channel", "kind", name="runguard_alert_delivery_key"),
        sa.CheckConstraint(
            "kind in ('opened','reminder','raised','recovered','digest','undelivered','test')",
            name="alert_delivery_kind_check",
        ),
        sa.CheckConstraint(
            "state in ('pending','sending','sent','unknown','dead','skipped','replaced')",
            name="alert_delivery_state_check",
        ),
        comment=MADE,
        sqlite_autoincrement=True,
    )
    channel_state = sa.Table(
        "channel_state",
        metadata,
        sa.Column("channel", sa.Text),
        sa.Column("failing_since", instant),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        sa.Column("not_before", instant),
        sa.Column("sent_in_window", sa.Integer, nullable=False, server_default="0"),
        sa.Column("window_started_at", instant),
        sa.Column("last_sent_at", instant),
        sa.Column("last_error", sa.Text),
        sa.Column("disabled_at", instant),
        sa.Column("config_hash", sa.Text),
        sa.Column("added_at", instant, nullable=False, server_default=now),
        sa.Column("looked_at", instant),
        sa.PrimaryKeyConstraint("channel", name="channel_state_pkey"),
        comment=MADE,
    )
    silence = sa.Table(
        "silence",
        metadata,
        sa.Column("id", big_id, sa.Identity(always=False)),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("error_group", sa.Text),
        sa.Column("alert_type", sa.Text),
        sa.Column("starts_at", instant, nullable=False, server_default=now),
        sa.Column("ends_at", instant, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("until_recovered", sa.Boolean, nullable=False, server_default=no),
        sa.Column("ended_at", instant),
        sa.Column("ended_by", sa.Text),
        sa.Column("matched", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("last_matched_at", instant),
        sa.Column("created_at", instant, nullable=False, server_default=now),
        sa.PrimaryKeyConstraint("id", name="silence_pkey"),
        sa.CheckConstraint("ends_at > starts_at", name="silence_ends_at_check"),
        comment=MADE,
        sqlite_autoincrement=True,
    )
    delivery = alert_delivery.c
    _partial(
        "runguard_alert_delivery_due",
        "state = 'pending' OR state = 'sending'",
        delivery.channel,
        delivery.next_attempt_at,
    )
    _partial("runguard_alert_delivery_covered_by", "covered_by IS NOT NULL", delivery.covered_by)
    sa.Index("runguard_alert_delivery_incident", delivery.incident, delivery.channel)
    sa.Index("runguard_alert_delivery_created_at", delivery.created_at)
    sa.Index("runguard_silence_ends_at", silence.c.ends_at)
    return [alert_delivery, channel_state, silence]


def _partial(name: str, condition: str, *columns: sa.Column[Any]) -> None:
    sa.Index(name, *columns, postgresql_where=sa.text(condition), sqlite_where=sa.text(condition))


def _index_names(table: sa.Table) -> list[str]:
    return sorted(str(index.name) for index in table.indexes)


def _outcomes(condition: str) -> str:
    """Replace the CHECK; rows that are there are not looked at."""
    return (
        f"ALTER TABLE run_log\n  DROP CONSTRAINT IF EXISTS {OUTCOMES},\n"
        f"  ADD CONSTRAINT {OUTCOMES} CHECK ({condition}) NOT VALID"
    )


def _spell_outcomes_on_sqlite(old: str, new: str) -> None:
    """Replace the CHECK in the words of the table: SQLite would copy all rows otherwise.

    As https://www.sqlite.org/lang_altertable.html says for a CHECK. RESET reads the schema anew;
    other connections do so at their next statement, since what follows here or stood before
    changes the schema's version.
    """
    old, new = (text.replace("'", "''") for text in (old, new))
    _do(
        [
            "PRAGMA writable_schema = ON",
            f"UPDATE sqlite_master SET sql = replace(sql, '{old}', '{new}')"  # noqa: S608
            " WHERE type = 'table' AND name = 'run_log'",
            "PRAGMA writable_schema = RESET",
        ]
    )


def _add_to_sqlite(table: sa.Table) -> None:
    for column in table.c:
        default = " DEFAULT NULL" if column.server_default is not None else ""
        type_name = column.type.compile(dialect=op.get_context().dialect)
        _do([f"ALTER TABLE {table.name} ADD COLUMN {column.name} {type_name}{default}"])


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
    names = ["run_log", *(table.name for table in (*_extended(), *_made()))]
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
