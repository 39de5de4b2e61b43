"""Which version of the schema a connection leads to, and what is wrong with it."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, inspect, text

from ..._errors import SchemaOutOfDate
from .tables import SCHEMA_VERSION, VERSION_TABLE

SELECT_VERSION: Final = text(f"select version_num from {VERSION_TABLE}")  # noqa: S608
_IS_THERE: Final = text(f"select pg_catalog.to_regclass('{VERSION_TABLE}') is not null")


def schema_error_of(connection: Connection) -> SchemaOutOfDate:
    """Say what is wrong with the schema that this connection leads to."""
    from .places import remedy_for_place  # no run needs it that goes well

    found = schema_version_of(connection)
    remedy = remedy_for_place(connection)
    if remedy is None and found == SCHEMA_VERSION:
        remedy = "a table or column of it is missing: `runguard db check` names it"
    return SchemaOutOfDate(found=found, needed=SCHEMA_VERSION, remedy=remedy)


def schema_version_of(connection: Connection) -> str | None:
    """Read the schema's version, or None where there is no schema of ours."""
    if not _has_version(connection):
        return None
    version: str | None = connection.execute(SELECT_VERSION).scalar_one_or_none()
    return version


def _has_version(connection: Connection) -> bool:
    if connection.dialect.name == "sqlite":
        return inspect(connection).has_table(VERSION_TABLE)
    return bool(connection.execute(_IS_THERE).scalar_one())
