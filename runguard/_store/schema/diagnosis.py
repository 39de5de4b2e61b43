"""What may stop a role from recording its runs, asked of the database itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, inspect, text

from ..._monitor.records import Purpose, StoreDiagnosis
from ..postgresql.pinned_texts import EQ, GT
from .catalog import find_tables
from .places import remedy_for_place
from .tables import VERSION_TABLE, metadata, run_note

# What recording a run and reading the views needs, and no more.
NEEDED_PRIVILEGES: Final = {
    "run_log": ("SELECT", "INSERT", "UPDATE"),
    "alert": ("SELECT", "INSERT"),
    "alert_cooldown": ("SELECT", "INSERT", "UPDATE"),
    "job_lock": ("SELECT", "INSERT", "UPDATE"),
    VERSION_TABLE: ("SELECT",),
}
# Without these runs are recorded all the same, with less said of them.
_NOTING: Final = {run_note.name: ("SELECT", "INSERT", "UPDATE")}
_DECLARING: Final = {"job": ("SELECT", "INSERT", "UPDATE"), "monitor": ("SELECT",)}
_NOTICE_TABLES: Final = ("alert_delivery", "channel_state", "silence")
_WATCH_TABLES: Final = ("job", "monitor", "monitor_gap")
_TABLES: Final = (*NEEDED_PRIVILEGES, *_NOTING, *_NOTICE_TABLES, *_WATCH_TABLES)
# Who delivers also reaps lost runs and replays the spool: it does what jobs do. It keeps the
# record of its own rounds short.
_NOTIFIER_PRIVILEGES: Final = {
    **NEEDED_PRIVILEGES,
    **_NOTING,
    **_DECLARING,
    "monitor": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "monitor_gap": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "alert_delivery": ("SELECT", "INSERT", "UPDATE"),
    "channel_state": ("SELECT", "INSERT", "UPDATE"),
    "silence": ("SELECT", "UPDATE"),
}
_NEEDED: Final[Mapping[Purpose, Mapping[str, tuple[str, ...]]]] = {
    Purpose.JOB: {**NEEDED_PRIVILEGES, **_NOTING, **_DECLARING},
    Purpose.OPERATOR: {
        **dict.fromkeys(_TABLES, ("SELECT",)),
        "job": ("SELECT", "INSERT", "UPDATE"),
        "silence": ("SELECT", "INSERT", "UPDATE"),
    },
    Purpose.NOTIFIER: _NOTIFIER_PRIVILEGES,
    Purpose.MIGRATOR: {},
}
# What is written of rows that others made: an operator's word on an alert, what became of it.
_RESOLUTION: Final = ("resolved", "resolved_at", "resolved_by")
_WRITTEN_COLUMNS: Final[Mapping[Purpose, Mapping[str, tuple[str, ...]]]] = {
    Purpose.OPERATOR: {
        "alert": (*_RESOLUTION, "review_status", "reviewed_at", "reviewed_by"),
        "alert_cooldown": ("acked_until", "acked_by", "ack_reason"),
    },
    Purpose.NOTIFIER: {"alert": ("dispatch", "incident", "told_at", *_RESOLUTION)},
}

_SESSION: Final = text(
    "select current_user::pg_catalog.text as role, pg_catalog.clock_timestamp() as clock,"
    f" pg_catalog.current_setting('transaction_read_only') {EQ} 'on' as read_only"
)
_LACKING: Final = text(
    "select pg_catalog.concat(needed.privilege, ' on ', needed.name)"
    " from pg_catalog.json_to_recordset(cast(:needed as pg_catalog.json))"
    "  as needed (name pg_catalog.text, privilege pg_catalog.text)"
    " where not pg_catalog.has_table_privilege("
    "pg_catalog.to_regclass(needed.name)::pg_catalog.oid, needed.privilege)"
)
_LACKING_COLUMNS: Final = text(
    "select pg_catalog.concat('UPDATE (',"  # noqa: S608 - the names of operators
    " pg_catalog.string_agg(attname::pg_catalog.text, ', ' order by attnum), ') on ',"
    " cast(:table as pg_catalog.text))"
    " from pg_catalog.pg_attribute"
    f" where attrelid {EQ} pg_catalog.to_regclass(:table)::pg_catalog.oid"
    f" and attname::pg_catalog.text {EQ} any (:columns)"
    " and not pg_catalog.has_column_privilege(attrelid, attnum, 'UPDATE')"
    f" having pg_catalog.count(*) {GT} 0"
)
# Tables that were there before us may number their rows by a sequence of its own rights.
_NUMBERING: Final = "pg_catalog.pg_get_serial_sequence(attrelid::pg_catalog.regclass::text, 'id')"
_LACKING_SEQUENCES: Final = text(
    f"select pg_catalog.concat('USAGE on sequence ', {_NUMBERING})"  # noqa: S608
    " from pg_catalog.pg_attribute"
    f" where attrelid {EQ} any (array[pg_catalog.to_regclass('run_log')::pg_catalog.oid,"
    " pg_catalog.to_regclass('alert')::pg_catalog.oid])"
    f" and attname::pg_catalog.text {EQ} 'id' and attidentity::pg_catalog.text {EQ} ''"
    f" and not pg_catalog.has_sequence_privilege({_NUMBERING}, 'USAGE')"
)
_NOT_OWNED: Final = text(
    "select pg_catalog.concat('ownership of ', relname) from pg_catalog.pg_class"  # noqa: S608
    f" where oid {EQ} any (array(select pg_catalog.to_regclass(name)::pg_catalog.oid"
    " from pg_catalog.unnest(cast(:names as pg_catalog.text[])) as name))"
    " and not pg_catalog.pg_has_role(relowner, 'USAGE')"
    " union all select pg_catalog.concat('CREATE on schema ', pg_catalog.current_schema())"
    " where not pg_catalog.has_schema_privilege(pg_catalog.current_schema(), 'CREATE')"
)
_FILTERED: Final = text(
    "select name from pg_catalog.unnest(cast(:names as pg_catalog.text[])) as name"
    " where pg_catalog.row_security_active(pg_catalog.to_regclass(name)::pg_catalog.oid)"
    " order by 1"
)


def diagnose(connection: Connection, purpose: Purpose = Purpose.JOB) -> StoreDiagnosis:
    """Look closer at a store that answers, for a role of this purpose. Reads only."""
    if connection.dialect.name == "sqlite":
        return _diagnose_file(connection)
    return _diagnose_server(connection, purpose)


def location_of(url: URL) -> str:
    """Say where a store is, without what only a client needs to know: no password, no options."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    host, port = _servers_of(url), f":{url.port}" if url.port else ""
    user = f"{url.username}@" if url.username else ""
    return f"{user}{host}{port}/{url.database or ''}"


def _servers_of(url: URL) -> str:
    given = url.query.get("host") or url.host or "local socket"
    hosts = given.split(",") if isinstance(given, str) else given
    port = url.query.get("port", "")
    ports = port.split(",") if isinstance(port, str) else port
    pairs = zip_longest(hosts, ports[: len(hosts)], fillvalue="")
    return ",".join(f"{host}:{its}" if its else host for host, its in pairs)


def _diagnose_server(connection: Connection, purpose: Purpose) -> StoreDiagnosis:
    session = connection.execute(_SESSION).one()
    driver_connection: Any = connection.connection.driver_connection
    names = {"names": [*NEEDED_PRIVILEGES, *_NOTING]}
    found = find_tables(connection, list(metadata.tables))
    return StoreDiagnosis(
        clock=session.clock,
        role=session.role,
        tables=tuple(name for name in metadata.tables if name in found),
        read_only=session.read_only,
        lacking=tuple(_lacking(connection, purpose)),
        row_security=tuple(connection.execute(_FILTERED, names).scalars()),
        pooled=not driver_connection.is_direct()
        if hasattr(driver_connection, "is_direct")
        else None,
        misplaced=remedy_for_place(connection),
    )


def _lacking(connection: Connection, purpose: Purpose) -> Iterator[str]:
    """Say what a role may not do, in the words of a GRANT."""
    needed = [
        {"name": name, "privilege": privilege}
        for name, privileges in _NEEDED[purpose].items()
        for privilege in privileges
    ]
    yield from connection.execute(_LACKING, {"needed": json.dumps(needed)}).scalars()
    if purpose in (Purpose.JOB, Purpose.NOTIFIER):
        yield from connection.execute(_LACKING_SEQUENCES).scalars()
    for table, columns in _WRITTEN_COLUMNS.get(purpose, {}).items():
        written = {"table": table, "columns": list(columns)}
        yield from connection.execute(_LACKING_COLUMNS, written).scalars()
    if purpose is Purpose.MIGRATOR:
        names = {"names": list(_TABLES)}
        yield from connection.execute(_NOT_OWNED, names).scalars()


def _diagnose_file(connection: Connection) -> StoreDiagnosis:
    clock = connection.execute(text("select strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"))
    file = Path(connection.engine.url.database or "")
    # SQLite writes its log and its index beside the file; another user's look may have left them.
    beside = [Path(f"{file}{suffix}") for suffix in ("-wal", "-shm")]
    paths = [file, file.parent, *(path for path in beside if path.exists())]
    lacking = tuple(f"write to {path}" for path in paths if not _is_writable(path))
    return StoreDiagnosis(
        clock=datetime.fromisoformat(clock.scalar_one()),
        tables=_tables_in(connection),
        lacking=lacking,
    )


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK)


def _tables_in(connection: Connection) -> tuple[str, ...]:
    present = set(inspect(connection).get_table_names())
    return tuple(name for name in metadata.tables if name in present)
