"""What PostgreSQL's catalog says of the tables that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class FoundIndex:
    """An index. `keys` are its columns and expressions; `valid` is False for a broken build."""

    keys: tuple[str, ...]
    unique: bool
    valid: bool
    partial: bool
    ordered: bool


@dataclass(frozen=True, slots=True)
class FoundCheck:
    """A CHECK constraint; `validated` is False where older rows were never looked at."""

    expression: str
    validated: bool


@dataclass(frozen=True, slots=True)
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
_RELATIONS: Final = text("""
    select name, c.oid, c.relkind::text as kind, obj_description(c.oid, 'pg_class') as comment
    from unnest(cast(:names as text[])) as name
    join pg_class c on c.oid = to_regclass(quote_ident(name))
""")
_COLUMNS: Final = text("""
    select a.attname as name,
           format_type(a.atttypid, null) as type_name,
           format_type(a.atttypid, a.atttypmod) as declared,
           a.attnotnull as not_null,
           a.atthasdef or a.attidentity <> '' as has_default,
           a.attgenerated = '' as writable,
           col_description(a.attrelid, a.attnum) as comment,
           array(
               select distinct pg_describe_object(d.classid, d.objid, d.objsubid)
               from pg_depend d
               where d.refclassid = 'pg_class'::regclass
                 and d.refobjid = a.attrelid
                 and d.refobjsubid = a.attnum
                 and d.classid in ('pg_rewrite'::regclass, 'pg_trigger'::regclass,
                                   'pg_policy'::regclass, 'pg_proc'::regclass)
               order by 1
           ) as used_by
    from pg_attribute a
    where a.attrelid = :oid and a.attnum > 0 and not a.attisdropped
    order by a.attnum
""")
_INDEXES: Final = text("""
    select i.relname as name,
           array(
               select pg_get_indexdef(x.indexrelid, key, false)
               from generate_series(1, x.indnkeyatts) as key
               order by key
           ) as keys,
           x.indisunique and x.indimmediate as is_unique,
           x.indisvalid and x.indisready as is_valid,
           x.indpred is not null as is_partial,
           m.amname = 'btree' as is_ordered
    from pg_index x
    join pg_class i on i.oid = x.indexrelid
    join pg_am m on m.oid = i.relam
    where x.indrelid = :oid
    order by i.relname
""")
_CHECKS: Final = text("""
    select conname as name, pg_get_expr(conbin, conrelid) as expression, convalidated as validated
    from pg_constraint
    where conrelid = :oid and contype = 'c'
    order by conname
""")


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
