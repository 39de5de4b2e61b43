"""What may stop a role from recording its runs, asked of the database itself."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, inspect, text

from ..._monitor.records import StoreDiagnosis
from .tables import VERSION_TABLE, metadata

# What recording a run and reading the views needs, and no more.
NEEDED_PRIVILEGES: Final = {
    "run_log": ("SELECT", "INSERT", "UPDATE"),
    "alert": ("SELECT", "INSERT"),
    "alert_cooldown": ("SELECT", "INSERT", "UPDATE"),
    "job_lock": ("SELECT", "INSERT", "UPDATE"),
    VERSION_TABLE: ("SELECT",),
}
_NEEDED: Final = [
    {"name": name, "privilege": privilege}
    for name, privileges in NEEDED_PRIVILEGES.items()
    for privilege in privileges
]

_SESSION: Final = text(
    "select current_user as role, clock_timestamp() as clock,"
    " current_setting('transaction_read_only') = 'on' as read_only"
)
_LACKING: Final = text(
    "select needed.privilege || ' on ' || needed.name"
    " from json_to_recordset(cast(:needed as json)) as needed (name text, privilege text)"
    " where not has_table_privilege(to_regclass(needed.name), needed.privilege)"
)
# Tables that were there before us may number their rows by a sequence of its own rights.
_LACKING_SEQUENCES: Final = text(
    "select 'USAGE on sequence ' || pg_get_serial_sequence(attrelid::regclass::text, 'id')"
    " from pg_attribute where attrelid in (to_regclass('run_log'), to_regclass('alert'))"
    " and attname = 'id' and attidentity = '' and not has_sequence_privilege("
    "pg_get_serial_sequence(attrelid::regclass::text, 'id'), 'USAGE')"
)
_FILTERED: Final = text(
    "select needed.name from json_to_recordset(cast(:needed as json)) as needed (name text)"
    " where row_security_active(to_regclass(needed.name)) group by 1 order by 1"
)


def diagnose(connection: Connection) -> StoreDiagnosis:
    """Look closer at a store that answers. Reads only."""
    if connection.dialect.name == "sqlite":
        return _diagnose_file(connection)
    return _diagnose_server(connection)


def location_of(url: URL) -> str:
    """Say where a store is, without what only a client needs to know: no password, no options."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    given = url.host or url.query.get("host") or "local socket"
    host = given if isinstance(given, str) else ",".join(given)
    port = f":{url.port}" if url.port else ""
    user = f"{url.username}@" if url.username else ""
    return f"{user}{host}{port}/{url.database or ''}"


def _diagnose_server(connection: Connection) -> StoreDiagnosis:
    needed = {"needed": json.dumps(_NEEDED)}
    session = connection.execute(_SESSION).one()
    lacking = [
        *connection.execute(_LACKING, needed).scalars(),
        *connection.execute(_LACKING_SEQUENCES).scalars(),
    ]
    driver_connection: Any = connection.connection.driver_connection
    return StoreDiagnosis(
        clock=session.clock,
        role=session.role,
        tables=_tables_of(connection),
        read_only=session.read_only,
        lacking=tuple(lacking),
        row_security=tuple(connection.execute(_FILTERED, needed).scalars()),
        pooled=not driver_connection.is_direct()
        if hasattr(driver_connection, "is_direct")
        else None,
    )


def _diagnose_file(connection: Connection) -> StoreDiagnosis:
    clock = connection.execute(text("select strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')"))
    file = Path(connection.engine.url.database or "")
    # SQLite writes its log and its index beside the file; another user's look may have left them.
    beside = [Path(f"{file}{suffix}") for suffix in ("-wal", "-shm")]
    paths = [file, file.parent, *(path for path in beside if path.exists())]
    lacking = tuple(f"write to {path}" for path in paths if not _is_writable(path))
    return StoreDiagnosis(
        clock=datetime.fromisoformat(clock.scalar_one()),
        tables=_tables_of(connection),
        lacking=lacking,
    )


def _is_writable(path: Path) -> bool:
    return os.access(path, os.W_OK)


def _tables_of(connection: Connection) -> tuple[str, ...]:
    present = set(inspect(connection).get_table_names())
    return tuple(name for name in metadata.tables if name in present)
