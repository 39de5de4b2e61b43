"""What PostgreSQL's catalog says of the tables that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from ..._frozen import frozen
from ..postgresql.pinned_texts import EQ, GT, NE


@frozen
class FoundColumn:
    """A column. `type_name` is without length or precision, `declared` is with them.

    `writable` is False for a generated column; `used_by` names the views, triggers and policies
    that would not let its type be changed.
    """

    type_name: str
    declared: str
    not_null: bool
    has_default: bool
    writable: bool
    comment: str | None
    used_by: Sequence[str]


@frozen
class FoundIndex:
    """An index. `keys` are its columns and expressions; `valid` is False for a broken build."""

    keys: tuple[str, ...]
    unique: bool
    valid: bool
    partial: bool
    ordered: bool


@frozen
class FoundCheck:
    """A CHECK constraint; `validated` is False where older rows were never looked at."""

    expression: str
    validated: bool


@frozen
class FoundTable:
    """A relation that stands where runguard looks for its table; `kind` says it in words."""

    kind: str
    comment: str | None
    columns: Mapping[str, FoundColumn]
    indexes: Mapping[str, FoundIndex]
    checks: Mapping[str, FoundCheck]


_KINDS: Final = {
    "r": "table",
    "p": "partitioned table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
    "S": "sequence",
    "i": "index",
    "c": "composite type",
}

# A bare name means what it means to the store's own statements: the first on the search path.
_RELATIONS: Final = text(f"""
    select name, c.oid, c.relkind::pg_catalog.text as kind,
           pg_catalog.obj_description(c.oid, 'pg_class') as comment
    from pg_catalog.unnest(cast(:names as pg_catalog.text[])) as name
    join pg_catalog.pg_class c
      on c.oid {EQ} pg_catalog.to_regclass(pg_catalog.quote_ident(name))::pg_catalog.oid
""")  # noqa: S608 - the names of operators
_COLUMNS: Final = text(f"""
    select a.attname as name,
           pg_catalog.format_type(a.atttypid, null) as type_name,
           pg_catalog.format_type(a.atttypid, a.atttypmod) as declared,
           a.attnotnull as not_null,
           a.atthasdef or a.attidentity {NE} ''::pg_catalog."char" as has_default,
           a.attgenerated {EQ} ''::pg_catalog."char" as writable,
           pg_catalog.col_description(a.attrelid, a.attnum) as comment,
           array(
               select distinct pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
               from pg_catalog.pg_depend d
               join pg_catalog.pg_class source on source.oid {EQ} d.classid
               where d.refclassid {EQ} 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid
                 and d.refobjid {EQ} a.attrelid
                 and d.refobjsubid {EQ} a.attnum
                 and source.relname::pg_catalog.text {EQ} any (
                     array['pg_rewrite', 'pg_trigger', 'pg_policy', 'pg_proc'])
                 and source.relnamespace
                     {EQ} 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid
               order by 1
           ) as used_by
    from pg_catalog.pg_attribute a
    where a.attrelid {EQ} :oid and a.attnum {GT} 0 and not a.attisdropped
    order by a.attnum
""")  # noqa: S608
_INDEXES: Final = text(f"""
    select i.relname as name,
           array(
               select pg_catalog.pg_get_indexdef(x.indexrelid, key, false)
               from pg_catalog.generate_series(1, x.indnkeyatts::integer) as key
               order by key
           ) as keys,
           x.indisunique and x.indimmediate as is_unique,
           x.indisvalid and x.indisready as is_valid,
           x.indpred is not null as is_partial,
           m.amname {EQ} 'btree'::pg_catalog.name as is_ordered
    from pg_catalog.pg_index x
    join pg_catalog.pg_class i on i.oid {EQ} x.indexrelid
    join pg_catalog.pg_am m on m.oid {EQ} i.relam
    where x.indrelid {EQ} :oid
    order by i.relname
""")  # noqa: S608
_CHECKS: Final = text(f"""
    select conname as name, pg_catalog.pg_get_expr(conbin, conrelid) as expression,
           convalidated as validated
    from pg_catalog.pg_constraint
    where conrelid {EQ} :oid and contype {EQ} 'c'::pg_catalog."char"
    order by conname
""")  # noqa: S608


def find_tables(connection: Connection, names: Sequence[str]) -> dict[str, FoundTable]:
    """Return what is there of `names`, by name: whatever the role's search path finds first."""
    relations = connection.execute(_RELATIONS, {"names": list(names)}).all()
    return {relation.name: _table(connection, relation) for relation in relations}


def _table(connection: Connection, relation: Any) -> FoundTable:
    here = {"oid": relation.oid}
    return FoundTable(
        kind=_KINDS.get(relation.kind, relation.kind),
        comment=relation.comment,
        columns={name: FoundColumn(*facts) for name, *facts in connection.execute(_COLUMNS, here)},
        indexes={
            name: FoundIndex(tuple(keys), *facts)
            for name, keys, *facts in connection.execute(_INDEXES, here)
        },
        checks={name: FoundCheck(*facts) for name, *facts in connection.execute(_CHECKS, here)},
    )
