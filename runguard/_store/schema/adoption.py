"""Adopting tables that were there before runguard: what stands in the way, and what is added.

An adopted table keeps its rows, its columns and its writers. It gets the columns it lacks, texts of
any length, and the indexes; nothing of its own is taken away or made stricter. Everything here
returns sentences or statements and runs nothing that changes anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Connection, Dialect, Index, Table, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CheckConstraint, CreateColumn, CreateIndex

from ..._models import RunStatus, Severity, TriggerType
from ..postgresql.pinned_texts import PinnedMigrationCompiler
from .catalog import FoundColumn, FoundTable

ADDED_BY_US: Final = "added by runguard"  # the comment on a column that a downgrade may drop

_DIALECT: Final[Dialect] = postgresql.dialect()  # type: ignore[no-untyped-call]
_DIALECT.statement_compiler = PinnedMigrationCompiler
_INSTANT: Final = "timestamp with time zone"
_ACCEPTED: Final = {
    "text": ("text", "character varying"),
    "bigint": ("bigint", "integer", "smallint", "numeric"),
    "integer": ("integer", "bigint"),
    "jsonb": ("jsonb", "json"),
}
_ACCEPTED_IDS: Final = ("bigint", "integer")
# Nullable in a table of ours, but written with every alert.
_ALWAYS_WRITTEN: Final = {"message", "detail"}

_TIME: Final = "2000-01-01T00:00:00Z"
_COUNTERS: Final = dict.fromkeys(
    ("total_records", "changed_records", "created_alerts", "retry_count"), 0
)
_ENDED: Final = {
    RunStatus.RUNNING: {},
    RunStatus.SUCCESS: {"finished_at": _TIME},
    RunStatus.FAILED: {"finished_at": _TIME, "error_message": "…"},
}
# Rows as runguard writes them: the CHECKs of an adopted table have to let them through.
_SAMPLES: Final[dict[str, list[dict[str, Any]]]] = {
    "run_log": [
        {
            "trigger_type": trigger_type,
            "status": status,
            "started_at": _TIME,
            "updated_at": _TIME,
            **_COUNTERS,
            **ended,
        }
        for trigger_type in TriggerType
        for status, ended in _ENDED.items()
    ],
    "alert": [
        {
            "source_type": "run_log",
            "source_id": "job:UNKNOWN",
            "alert_type": "FAILED",
            "severity": severity,
            "title": "…",
            "message": "…",
            "detail": {},
            "review_status": "AUTO",
            "resolved": False,
            "created_at": _TIME,
        }
        for severity in Severity
    ],
}


def conflicts(connection: Connection, table: Table, found: FoundTable) -> list[str]:
    """Say what stands in the way, a line each, with column, found and needed."""
    if found.kind != "table":
        return [f"{table.name}: found a {found.kind}, needed an ordinary table"]
    lines = [
        f"{table.name}.{name}: {line}"
        for name, line in (
            *_column_conflicts(table, found),
            *_strange_column_conflicts(table, found),
        )
    ]
    lines += [f"{table.name}: {line}" for line in _index_conflicts(table, found)]
    # Sample rows only fit where the types do.
    return lines or [f"{table.name}: {line}" for line in _refusing(connection, table, found)]


def changes(table: Table, found: FoundTable) -> list[str]:
    """Return the statements that add columns and widen texts; each is quick, whatever the rows."""
    actions = []
    added = [column for column in table.c if column.name not in found.columns]
    for column in added:
        actions += _additions(column)
        actions += [
            f"ADD CONSTRAINT {check.name} CHECK ({check.sqltext}) NOT VALID"
            for check in _checks_of(column)
        ]
    actions += [f"ALTER COLUMN {name} TYPE TEXT" for name in _narrow_texts(table, found)]
    marks = [f"COMMENT ON COLUMN {column} IS '{ADDED_BY_US}'" for column in added]
    alter = [f"ALTER TABLE {table.name}\n  " + ",\n  ".join(actions)] if actions else []
    return alter + marks


def slow_changes(table: Table, found: FoundTable) -> list[str]:
    """Return the statements that read the whole table while its writers go on.

    Each needs to be a transaction of its own, and may be repeated after an aborted try.
    """
    statements = []
    for name, creation in sorted(_wanted_indexes(table, found).items()):
        there = found.indexes.get(name)
        if there and there.valid:
            continue
        if there:  # an aborted try left it; IF NOT EXISTS would be content with it
            statements.append(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        statements.append(creation)
    if statements:  # an index on an expression is of little use to the planner before
        statements.append(f"ANALYZE {table.name}")
    for column in table.c:
        for check in _checks_of(column):
            there_check = found.checks.get(str(check.name))
            if column.name not in found.columns or (there_check and not there_check.validated):
                statements.append(f"ALTER TABLE {table.name} VALIDATE CONSTRAINT {check.name}")
    return statements


def removals(table: Table, found: FoundTable) -> list[str]:
    """Return the statements that take back what adoption added; its own columns stay."""
    # Those of the table too: the downgrade of a later version, in the same script, makes them anew.
    indexes = {*found.indexes, *(str(index.name) for index in table.indexes)}
    statements = [
        f"DROP INDEX IF EXISTS {name}" for name in sorted(indexes) if name.startswith("runguard_")
    ]
    actions = [
        f"DROP COLUMN IF EXISTS {name}"
        for name, column in found.columns.items()
        if column.comment == ADDED_BY_US
    ]
    if actions:
        statements.append(f"ALTER TABLE {table.name}\n  " + ",\n  ".join(actions))
    return statements


def _column_conflicts(table: Table, found: FoundTable) -> Iterator[tuple[str, str]]:
    """What is wrong with the columns that runguard knows."""
    for column in table.c:
        needed = column.type.compile(dialect=_DIALECT).lower()
        there = found.columns.get(column.name)
        if there is None:
            if column.primary_key or (not column.nullable and column.server_default is None):
                yield column.name, f"found no such column, needed {needed}"
            continue
        is_id = column.name == "id"
        accepted = _ACCEPTED_IDS if is_id else _ACCEPTED.get(needed, (needed,))
        if there.type_name not in accepted:
            yield (
                column.name,
                f"found {there.declared}, needed {_remedied(column, there, accepted)}",
            )
        elif not there.writable:
            yield column.name, "found a generated column, needed one that can be written"
        elif is_id and not there.has_default:
            yield (
                "id",
                f"found no default, needed one (ALTER TABLE {table.name}"
                " ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY)",
            )
        elif _is_limited_text(there) and there.used_by:
            yield (
                column.name,
                f"found {there.declared} used by {' and '.join(there.used_by)}, needed text"
                " (drop what uses it, and make it again after the upgrade)",
            )


def _remedied(column: Column[Any], there: FoundColumn, accepted: Sequence[str]) -> str:
    needed = " or ".join(accepted)
    if accepted == (_INSTANT,) and there.type_name == "timestamp without time zone":
        return (
            f"{needed} (ALTER TABLE {column.table.name} ALTER COLUMN {column.name} TYPE timestamptz"
            f" USING {column.name} AT TIME ZONE 'UTC', or the zone that it was written in)"
        )
    return needed


def _strange_column_conflicts(table: Table, found: FoundTable) -> Iterator[tuple[str, str]]:
    """Columns that would refuse a row because runguard writes nothing into them."""
    for name, there in found.columns.items():
        ours = table.c.get(name)
        is_written = ours is not None and (not ours.nullable or name in _ALWAYS_WRITTEN)
        if there.not_null and not there.has_default and there.writable and not is_written:
            yield (
                name,
                f"found {there.declared} NOT NULL without a default, needed a default or no NOT"
                " NULL, since runguard writes rows without it",
            )


def _index_conflicts(table: Table, found: FoundTable) -> Iterator[str]:
    key = {column.name for column in table.primary_key}
    # An id without a key of its own is numbered all the same, and gets an index below; the other
    # tables are written by ON CONFLICT, which needs the key.
    if key != {"id"} and key <= set(found.columns) and not _has_key(found, key):
        columns = ", ".join(column.name for column in table.primary_key)
        yield (
            f"found no primary key on {columns}, needed one"
            f" (ALTER TABLE {table.name} ADD PRIMARY KEY ({columns}))"
        )
    # What every failure of a job repeats. A time or an id among the keys makes rows differ.
    repeated = {
        column.name for column in table.c if column.type.compile(dialect=_DIALECT) == "TEXT"
    }
    for name, index in found.indexes.items():
        if not index.unique or name.startswith("runguard_"):  # a broken one of ours is built anew
            continue
        if set(index.keys) <= repeated and set(index.keys) != key:
            yield (
                f"found the unique index {name} on {', '.join(index.keys)}, needed room for"
                " several rows of the same"
            )


def _refusing(connection: Connection, table: Table, found: FoundTable) -> Iterator[str]:
    """CHECKs that refuse what runguard writes."""
    ours = {check.name for column in table.c for check in _checks_of(column)}
    for name, check in found.checks.items():
        if name in ours:
            continue
        refused = text(
            f"select 1 from pg_catalog.jsonb_populate_record(null::{table.name},"  # noqa: S608
            f" cast(:row as pg_catalog.jsonb)) as {table.name}"
            f" where not ({_no_binds(check.expression)})"
        )
        for row in _SAMPLES.get(table.name, ()):
            try:
                with connection.begin_nested():
                    if connection.execute(refused, {"row": json.dumps(row)}).first() is None:
                        continue
            except DBAPIError:  # it calls what we may not call: the first real row will tell
                break
            values = [f"{key} = {value}" for key, value in row.items() if key in check.expression]
            yield (
                f"found the constraint {name}, CHECK {check.expression},"
                f" needed one that allows {', '.join(values)}"
            )
            break


def _no_binds(expression: str) -> str:
    return expression.replace(":", "\\:")


def _is_limited_text(there: FoundColumn) -> bool:
    return there.type_name == "character varying" and there.declared != there.type_name


def _narrow_texts(table: Table, found: FoundTable) -> list[str]:
    # What is used by a view is here only if it has no limit, and then it can do without.
    return [
        name
        for name, there in found.columns.items()
        if name in table.c and there.type_name == "character varying" and not there.used_by
    ]


def _additions(column: Column[Any]) -> list[str]:
    """Add a missing column: counts begin at 0, anything else is unknown for the rows so far."""
    definition = str(CreateColumn(column).compile(dialect=_DIALECT))
    if isinstance(column.type, BigInteger):
        return [f"ADD COLUMN {definition}"]
    nullable, _, default = definition.removesuffix(" NOT NULL").partition(" DEFAULT ")
    later = [f"ALTER COLUMN {column.name} SET DEFAULT {default}"] if default else []
    return [f"ADD COLUMN {nullable}", *later]


def _checks_of(column: Column[Any]) -> list[CheckConstraint]:
    name = f"{column.table.name}_{column.name}_check"
    return [
        constraint
        for constraint in column.table.constraints
        if isinstance(constraint, CheckConstraint) and constraint.name == name
    ]


def _has_key(found: FoundTable, key: set[str]) -> bool:
    return any(
        index.unique and index.valid and not index.partial and set(index.keys) == key
        for index in found.indexes.values()
    )


def _wanted_indexes(table: Table, found: FoundTable) -> dict[str, str]:
    """Each index that the table should have and no other index of it stands in for."""
    wanted = {
        str(index.name): _create_concurrently(index)
        for index in table.indexes
        if not _has_equivalent(index, found)
    }
    if "id" in table.c and not _is_served(found, ("id",)):
        name = f"runguard_{table.name}_id"
        wanted[name] = f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table.name} (id)"
    return wanted


def _has_equivalent(index: Index, found: FoundTable) -> bool:
    """Whether the table has an index that begins with the same columns."""
    if index.dialect_options["postgresql"]["where"] is not None:
        return False
    if not all(isinstance(key, Column) for key in index.expressions):
        return False
    return _is_served(found, tuple(index.columns.keys()), unique=bool(index.unique))


def _is_served(found: FoundTable, keys: tuple[str, ...], *, unique: bool = False) -> bool:
    return any(
        (there.keys == keys and there.unique) if unique else there.keys[: len(keys)] == keys
        for there in found.indexes.values()
        if there.valid and there.ordered and not there.partial
    )


def _create_concurrently(index: Index) -> str:
    statement = str(CreateIndex(index, if_not_exists=True).compile(dialect=_DIALECT))
    return statement.replace("INDEX", "INDEX CONCURRENTLY", 1)
