"""Upgrading and downgrading the schema. The one module that knows Alembic.

Run these on a direct connection rather than through a transaction pooler: building an index on a
filled table needs settings of the session.
"""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import URL, Connection, Engine, create_engine, inspect, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from .._errors import ConfigurationError, SchemaConflict, SchemaOutOfDate, StoreUnavailable
from .error_text import reason_of
from .faults import sqlstate_of
from .postgresql.pinned_texts import EQ, PinnedMigrationCompiler
from .schema import adoption
from .schema.catalog import find_tables
from .schema.found import schema_error_of, schema_version_of
from .schema.indexes import metadata
from .schema.losses import losses_of
from .schema.notice_tables import MARK_NEW_ALERTS
from .schema.places import (
    REFUSE_SECOND_STORE,
    is_chosen_place,
    remedy_for_place,
    search_path_of,
)
from .schema.tables import SCHEMA_VERSION, VERSION_TABLE
from .sqlite.engine import make_sqlite_engine
from .sqlite.folder import make_folder_of
from .url import parse_url
from .user_engine import check_engine, pin_shared_engine

CONNECT_TIMEOUT_SECONDS: Final = 10
SQLITE_WAIT_SECONDS: Final = 30
MOST_LOCK_ATTEMPTS: Final = 20
PAUSE_SECONDS: Final = 1.0
# Only has to differ from the keys of other programs in the same database.
_UPGRADER_KEY: Final = 0x72756E6775617264
_LOCK_FAULTS: Final = ("55P03", "40P01")  # lock_not_available, deadlock_detected
_HOLDERS: Final = text(f"""
    select pg_catalog.string_agg(
        distinct pg_catalog.format(
            '%s by process %s (%s)', c.relname, a.pid, a.application_name), ', ')
    from pg_catalog.pg_locks l
    join pg_catalog.pg_class c on c.oid {EQ} l.relation
    join pg_catalog.pg_stat_activity a on a.pid {EQ} l.pid
    where l.granted and c.relname::pg_catalog.text {EQ} any (:names)
      and a.datname {EQ} pg_catalog.current_database()
""")  # noqa: S608 - the names of operators
_REMEDIES: Final = {
    "42501": "; let the owner of the tables run what `runguard db upgrade --sql` prints",
    "3F000": "; give the role a search_path that begins with a schema that exists",
}

_NEW_ALERTS_ARE_MARKED: Final = text(
    "select name from sqlite_master where type = 'trigger' and name = 'runguard_alert_dispatch'"
)

Target = Engine | URL | str
Progress = Callable[[str], None]
Direction = Literal["upgrade", "downgrade"]

# Alembic keeps the environment that runs in a module of its own: one at a time in a process.
_alembic_is_ours = threading.Lock()


def upgrade(target: Target, revision: str = "head", *, progress: Progress | None = None) -> None:
    """Bring the schema to `revision`, adopting tables that are there already.

    Any number of processes may do it at once: one works, the others wait and find it done.
    `progress` is told, line by line, what is done.

    Raises:
        SchemaConflict: a table that is there cannot be adopted; nothing was changed.
        SchemaOutOfDate: the schema is newer than this runguard.
        StoreUnavailable: the database cannot be reached, or refuses.
    """
    _change(target, "upgrade", revision, progress)


def downgrade(target: Target, revision: str, *, progress: Progress | None = None) -> None:
    """Take the schema back to `revision`; `base` removes all that runguard made, with its rows.

    Of tables that runguard adopted, only the columns and indexes go that it had added.

    Raises:
        SchemaOutOfDate: the schema is newer than this runguard.
        StoreUnavailable: the database cannot be reached, or refuses.
    """
    _change(target, "downgrade", revision, progress)


def losses(target: Target, revision: str) -> list[str]:
    """Count what `downgrade` would delete; one line for each table and column that holds something.

    Raises:
        ConfigurationError: there is no such version.
        SchemaOutOfDate: the schema is newer than this runguard.
        StoreUnavailable: the database cannot be reached, or refuses.
    """
    with _translated(), _engine(target) as engine, _connected(engine) as connection:
        if schema_version_of(connection) is None:
            return []
        return losses_of(
            connection, _script(engine.dialect.name, connection, revision, "downgrade")
        )


def current(target: Target) -> str | None:
    """Return the schema's version, or None where there is no schema of ours."""
    with _translated(), _engine(target) as engine, _connected(engine) as connection:
        return schema_version_of(connection)


def hidden(target: Target) -> str | None:
    """Say where a store is that the search path hides, and what leads there; None without one."""
    with _translated(), _engine(target) as engine, _connected(engine) as connection:
        return remedy_for_place(connection)


def check(target: Target) -> list[str]:
    """Compare the database with what is needed; return what is wrong, one line each.

    For something missing the line is the statement that adds it.

    Raises:
        SchemaOutOfDate: the schema is missing, or has another version.
        StoreUnavailable: the database cannot be reached.
    """
    with _translated(), _engine(target) as engine, _connected(engine) as connection:
        found = schema_version_of(connection)
        if found != SCHEMA_VERSION:
            raise schema_error_of(connection)
        if engine.dialect.name == "sqlite":
            return _missing_in_sqlite(connection)
        return _wrong_in_postgresql(connection)


def sql(target: Target, revision: str = "head", *, direction: Direction = "upgrade") -> str:
    """Return the statements that `upgrade` or `downgrade` would run, and run none of them.

    They fit the database as it is now, which is only read. For a fresh database that cannot be
    reached, give the name of a dialect instead: `postgresql` or `sqlite`.

    Raises:
        ConfigurationError: a downgrade was asked for without a database.
        SchemaConflict: a table that is there cannot be adopted.
    """
    if target in ("postgresql", "sqlite"):
        if direction == "downgrade":
            raise ConfigurationError(
                "target: expected a database, found the name of a dialect: what a downgrade may"
                " drop depends on what was there before runguard"
            )
        return _script(str(target), None, revision, direction)
    with _translated(), _engine(target) as engine, _connected(engine) as connection:
        return _script(engine.dialect.name, connection, revision, direction)


def script_location() -> Path:
    """Return the folder of the migrations: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "migrations"
    return inside if inside.is_dir() else package.parent / "migrations"


def _change(target: Target, direction: Direction, revision: str, progress: Progress | None) -> None:
    say = progress or (lambda _line: None)
    with _translated(), _engine(target) as engine:
        if engine.dialect.name == "sqlite":
            _change_sqlite(engine, direction, revision, say)
        else:
            with _only_upgrader(engine, say):
                _change_postgresql(engine, direction, revision, say)


@contextmanager
def _only_upgrader(engine: Engine, say: Progress) -> Iterator[None]:
    """Hold the right to change the schema for the block.

    The lock belongs to a transaction, so it works through a pooler and cannot be left behind; the
    transaction is on a connection that does nothing else, so the lock outlives the commits of the
    work. It is asked for again and again instead of waited for: a statement that waits holds a
    snapshot, CREATE INDEX CONCURRENTLY waits for every older snapshot to end, and the two would
    wait for each other.
    """
    ask = text("select pg_catalog.pg_try_advisory_xact_lock(:key)")
    with _connected(engine) as connection:
        for attempt in count():
            if connection.execute(ask, {"key": _UPGRADER_KEY}).scalar_one():
                break
            connection.rollback()
            if attempt == 0:
                say("another upgrade of this database is running: waiting for it to end")
            time.sleep(PAUSE_SECONDS * random.uniform(0.1, 0.3))  # noqa: S311 - no secret
        connection.execute(
            text(
                "select pg_catalog.set_config(name, '0', true) from pg_catalog.pg_settings"  # noqa: S608
                f" where name {EQ} any (array['idle_in_transaction_session_timeout',"
                " 'transaction_timeout'])"
            )
        )
        yield


def _change_postgresql(engine: Engine, direction: Direction, revision: str, say: Progress) -> None:
    for attempt in count(1):
        try:
            with _connected(engine) as connection:
                _run(connection, direction, revision, say)
                if schema_version_of(connection) is None:
                    connection.execute(text(f"drop table if exists {VERSION_TABLE}"))
                connection.commit()
                return
        except DBAPIError as error:
            if sqlstate_of(error) not in _LOCK_FAULTS:
                raise
            in_use = f"a table is in use: {_holders(engine) or reason_of(error)}"
            if attempt == MOST_LOCK_ATTEMPTS:
                raise StoreUnavailable(f"{in_use}; end it, and try again") from error
            say(f"{in_use}; trying again")
            time.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret


def _holders(engine: Engine) -> str | None:
    with _connected(engine) as connection:
        holders: str | None = connection.execute(
            _HOLDERS, {"names": list(metadata.tables)}
        ).scalar_one()
        return holders


def _change_sqlite(engine: Engine, direction: Direction, revision: str, say: Progress) -> None:
    make_folder_of(engine.url.database)
    with _connected(engine) as connection:
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {SQLITE_WAIT_SECONDS * 1000}")
        _write_ahead(connection)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        try:
            _run(connection, direction, revision, say)
            if schema_version_of(connection) is None:
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {VERSION_TABLE}")
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")


def _write_ahead(connection: Connection) -> None:
    # Switching the journal needs the file alone, and SQLite does not wait for that.
    deadline = time.monotonic() + SQLITE_WAIT_SECONDS
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except DBAPIError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _run(connection: Connection, direction: Direction, revision: str, say: Progress) -> None:
    found = schema_version_of(connection)
    if direction == "upgrade" and found != SCHEMA_VERSION:
        _refuse_second_store(connection, found, say)
        _refuse_conflicts(connection)
    if connection.dialect.name != "sqlite":
        connection.rollback()  # a transaction of ours would keep Alembic from making its own
    _alembic(_config(connection=connection, progress=say), direction, revision, found)


def _refuse_second_store(connection: Connection, found: str | None, say: Progress) -> None:
    """Refuse to make a store beside one that only the search path hides."""
    if found is not None or (remedy := remedy_for_place(connection)) is None:
        return
    if not is_chosen_place(connection):
        raise SchemaOutOfDate(found=None, needed=SCHEMA_VERSION, remedy=remedy)
    say(f"a second store is made here; the first stays as it is: {remedy.rpartition(': ')[0]}")


def _refuse_conflicts(connection: Connection) -> None:
    """Refuse what any of the migrations could not adopt, before the first of them begins."""
    if connection.dialect.name == "sqlite":
        return
    found = find_tables(connection, list(metadata.tables))
    conflicts = [
        conflict
        for name, table in metadata.tables.items()
        if name in found
        for conflict in adoption.conflicts(connection, table, found[name])
    ]
    if conflicts:
        raise SchemaConflict(conflicts)


def _script(
    dialect_name: str, connection: Connection | None, revision: str, direction: Direction
) -> str:
    found = None if connection is None else schema_version_of(connection)
    if connection is not None and direction == "upgrade" and found != SCHEMA_VERSION:
        _refuse_second_store(connection, found, lambda _line: None)
        _refuse_conflicts(connection)
    script = io.StringIO()
    config = _config(
        script, connection=connection, dialect_name=dialect_name, progress=lambda _line: None
    )
    _alembic(config, direction, f"{found or 'base'}:{revision}", found, sql=True)
    if direction == "downgrade" and revision == "base":
        script.write(f"DROP TABLE IF EXISTS {VERSION_TABLE};\n")
    statements = script.getvalue()
    if dialect_name == "sqlite" or not statements.strip():
        return statements
    if connection is None:
        return statements.replace("BEGIN;\n", f"BEGIN;\n{REFUSE_SECOND_STORE}", 1)
    # Whoever runs it may have another search path; a store in another schema would be a second one.
    return f"SET search_path TO {search_path_of(connection)};\n\n{statements}"


def _config(output: io.StringIO | None = None, **attributes: Any) -> Config:
    config = Config(output_buffer=output, attributes=attributes)
    config.set_main_option("script_location", str(script_location()).replace("%", "%%"))
    return config


def _alembic(
    config: Config, direction: Direction, revision: str, found: str | None, **options: Any
) -> None:
    go = command.upgrade if direction == "upgrade" else command.downgrade
    try:
        with _alembic_is_ours:
            go(config, revision, **options)
    except CommandError as error:
        known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
        if found is not None and found not in known:
            raise SchemaOutOfDate(found=found, needed=SCHEMA_VERSION) from None
        raise ConfigurationError(
            f"revision: expected base, head or one of {sorted(known)}, found {revision!r}: {error}"
        ) from None


@contextmanager
def _engine(target: Target) -> Iterator[Engine]:
    if not isinstance(target, URL | str):
        check_engine(target)
        yield target
        return
    url = parse_url(target if isinstance(target, str) else _in_full(target))
    engine = make_sqlite_engine(url) if url.get_backend_name() == "sqlite" else _direct(url)
    try:
        yield engine
    finally:
        engine.dispose()


def _direct(url: URL) -> Engine:
    defaults = {
        "application_name": "runguard",
        "client_encoding": "UTF8",  # of SQL_ASCII texts would come as bytes
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    }
    given = {name: value for name, value in defaults.items() if name not in url.query}
    return create_engine(
        url,
        poolclass=NullPool,
        hide_parameters=True,
        use_native_hstore=False,
        connect_args={"prepare_threshold": None, **given},
    )


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    # A role may default to REPEATABLE READ: its first look would be its last, before any wait.
    level = "AUTOCOMMIT" if engine.dialect.name == "sqlite" else "READ COMMITTED"
    ours = engine.execution_options(isolation_level=level)
    if engine.dialect.name == "postgresql":
        pin_shared_engine(ours, PinnedMigrationCompiler)
    with closing(ours.connect()) as connection:
        try:
            yield connection
        except BaseException:
            connection.invalidate()  # it may have lost its timeouts, and the pool may be a user's
            raise


def _in_full(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreUnavailable(
            f"the schema could not be read or changed: {reason_of(error)}"
            + _REMEDIES.get(sqlstate_of(error) or "", "")
        ) from error


def _wrong_in_postgresql(connection: Connection) -> list[str]:
    found = find_tables(connection, list(metadata.tables))
    wrong = [f"{name}: found no such table" for name in metadata.tables if name not in found]
    for name, there in found.items():
        table = metadata.tables[name]
        wrong += adoption.conflicts(connection, table, there)
        wrong += adoption.changes(table, there)
        wrong += adoption.slow_changes(table, there)
    return wrong


def _missing_in_sqlite(connection: Connection) -> list[str]:
    inspector = inspect(connection)
    missing = []
    if connection.execute(_NEW_ALERTS_ARE_MARKED).first() is None:
        missing.append(MARK_NEW_ALERTS)
    for table in metadata.sorted_tables:
        if not inspector.has_table(table.name):
            missing.append(f"{table.name}: found no such table")
            continue
        columns = {column["name"] for column in inspector.get_columns(table.name)}
        indexes = {index["name"] for index in inspector.get_indexes(table.name)}
        missing += [f"{table.name}.{c.name}: missing" for c in table.c if c.name not in columns]
        missing += [
            f"{table.name}: index {index.name} is missing"
            for index in table.indexes
            if index.name not in indexes and index._ddl_if is None
        ]
    return missing
