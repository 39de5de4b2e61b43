"""Where a database has stores of runguard, and which of them the search path leads to.

A role without the right search path would find no store, and be advised to make a second one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from ..postgresql.pinned_texts import EQ, NE
from ..postgresql.pinning import operator_named
from .tables import VERSION_TABLE, metadata

_SESSION: Final = text(f"""
    select current_user::pg_catalog.text as role,
           pg_catalog.current_setting('search_path') as path,
           pg_catalog.current_schema()::pg_catalog.text as schema,
           source {NE} all (array['default', 'configuration file']) as is_chosen
    from pg_catalog.pg_settings where name {EQ} 'search_path'
""")  # noqa: S608 - the names of operators
# Every table of one of our names, and whether a bare name means it.
_TABLES: Final = text(f"""
    select c.relname::pg_catalog.text as name,
           n.nspname::pg_catalog.text as schema,
           pg_catalog.pg_table_is_visible(c.oid) as is_first,
           pg_catalog.has_schema_privilege(n.oid, 'USAGE') as is_open,
           exists (
               select from pg_catalog.pg_attribute a
               where a.attrelid {EQ} c.oid and not a.attisdropped
                 and a.attname::pg_catalog.text {EQ} any (
                     array['run_key', 'alert_key', 'fence', 'last_alert_at', 'version_num'])
           ) as is_ours
    from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid {EQ} c.relnamespace
    where c.relname::pg_catalog.text {EQ} any (:names)
      and c.relkind::pg_catalog.text {EQ} any (array['r', 'p', 'v', 'm', 'f'])
      and n.nspname::pg_catalog.text {operator_named("!~~")} 'pg\\_%'
    order by 1, 2
""")  # noqa: S608

# For a script that is written without a look at its database.
REFUSE_SECOND_STORE: Final = f"""
DO $$ BEGIN
  IF pg_catalog.to_regclass('{VERSION_TABLE}') IS NULL AND EXISTS (
    SELECT FROM pg_catalog.pg_class WHERE relname {EQ} '{VERSION_TABLE}'::pg_catalog.name
  ) THEN
    RAISE EXCEPTION 'runguard has a store in another schema of this database'
      USING HINT = 'Begin the search path with that schema, or with the schema of a second store:'
        ' SET search_path TO ..., and run what `runguard db upgrade --sql` prints there.';
  END IF;
END $$;
"""


def remedy_for_place(connection: Connection) -> str | None:
    """Say what leads this role to the store that is there; None where it finds it, or is none."""
    if connection.dialect.name == "sqlite":
        return None
    session = connection.execute(_SESSION).one()
    tables = connection.execute(_TABLES, {"names": [*metadata.tables, VERSION_TABLE]}).all()
    versions = [table for table in tables if table.name == VERSION_TABLE]
    if not any(version.is_first for version in versions):
        return _remedy_for_unseen(session, versions)
    return _remedy_for_strangers(session, tables)


def is_chosen_place(connection: Connection) -> bool:
    """Whether somebody set this role's search path, to begin with a schema that is there.

    Such a role may make a store of its own beside others.
    """
    return _is_chosen(connection.execute(_SESSION).one())


def _is_chosen(session: Any) -> bool:
    first = session.path.split(",")[0].strip().strip('"')
    return session.is_chosen and session.schema in (first, session.role)


def search_path_of(connection: Connection) -> str:
    """Return the schemas that bare names lead to, as `SET search_path` takes them.

    The schema of new tables comes first, then those of tables that are there already.
    """
    session = connection.execute(_SESSION).one()
    tables = connection.execute(_TABLES, {"names": [*metadata.tables, VERSION_TABLE]}).all()
    there = sorted({table.schema for table in tables if table.is_first} - {session.schema})
    return ", ".join(_quoted(schema) for schema in (session.schema, *there) if schema is not None)


def _remedy_for_unseen(session: Any, versions: Sequence[Any]) -> str | None:
    if not versions:
        return None
    names = [version.schema for version in versions]
    own = ""
    if _is_chosen(session):
        own = f"; or run `runguard db upgrade` for a second store, in schema {session.schema}"
    if len(names) > 1:
        listed = ", ".join(names)
        return (
            f"there are stores in the schemas {listed}, none of them on the search path of role"
            f" {session.role} ({session.path}): {_alter(session.role, [names[0]])} (or one of the"
            f" others), and connect anew{own}"
        )
    [version] = versions
    closed = f"`grant usage on schema {_quoted(version.schema)} to {_quoted(session.role)}`"
    if not version.is_open and _is_named(version.schema, session.path):
        return f"role {session.role} may not use schema {version.schema}, the store's: run {closed}"
    also = "" if version.is_open else f" and {closed}"
    return (
        f"the store is in schema {version.schema}, which is not on the search path of role"
        f" {session.role} ({session.path}): {_alter(session.role, names)}{also}, and"
        f" connect anew{own}"
    )


def _remedy_for_strangers(session: Any, tables: Sequence[Any]) -> str | None:
    """Name tables of other programs that stand in front of ours on the search path."""
    ours = {table.name: table.schema for table in tables if table.is_ours and not table.is_first}
    for table in tables:
        if table.is_first and not table.is_ours and table.name in ours:
            schema = ours[table.name]
            return (
                f"{table.name} means {table.schema}.{table.name}, a table of another program, which"
                f" is on the search path ({session.path}) before the store's in schema {schema}:"
                f" {_alter(session.role, [schema])}, and connect anew"
            )
    return None


def _alter(role: str, schemas: list[str]) -> str:
    path = ", ".join(_quoted(schema) for schema in schemas)
    return f"run `alter role {_quoted(role)} set search_path = {path}`"


def _is_named(schema: str, path: str) -> bool:
    return schema in (part.strip().strip('"') for part in path.split(","))


def _quoted(name: str) -> str:
    return name if name.isidentifier() and name.islower() else '"' + name.replace('"', '""') + '"'
