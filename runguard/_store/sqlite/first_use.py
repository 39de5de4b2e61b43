"""A SQLite file without our schema, or with an older one."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Engine, text

from ..._errors import StoreUnavailable
from ..base import BaseStore
from ..schema.found import schema_version_of
from ..schema.indexes import metadata
from ..schema.tables import SCHEMA_VERSION, VERSION_TABLE
from .transaction import immediate


def make_tables(connection: Connection) -> None:
    """Make the schema, unless another process is faster."""
    connection.exec_driver_sql("PRAGMA journal_mode = WAL")
    with immediate(connection):
        _create_tables(connection)


def bring_up_to_date(store: BaseStore, version: str, upgrade: Callable[[Engine], None]) -> None:
    """Upgrade the schema; where that cannot be done now, record on the older one."""
    from ..schema.versions import VERSIONS_BEFORE, adapt

    try:
        upgrade(store.engine)
    except StoreUnavailable:
        if version not in VERSIONS_BEFORE:
            raise
        adapt(store, version)  # the next process tries again


def _create_tables(connection: Connection) -> None:
    if schema_version_of(connection) is not None:  # another process was faster
        return
    metadata.create_all(connection)
    connection.execute(
        text(
            f"create table {VERSION_TABLE} (version_num varchar(32) not null,"
            f" constraint {VERSION_TABLE}_pkc primary key (version_num))"
        )
    )
    connection.execute(
        text(f"insert into {VERSION_TABLE} (version_num) values (:version)"),  # noqa: S608
        {"version": SCHEMA_VERSION},
    )
