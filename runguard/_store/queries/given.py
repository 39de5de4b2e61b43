"""Rows that are given to a statement as one parameter a column: thousands in one statement."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Dialect,
    FromClause,
    Text,
    bindparam,
    func,
    literal_column,
    select,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _side_by_side(FunctionElement[Any]):  # noqa: N801 - reads as a SQL function
    """Arrays as the columns of a table."""

    inherit_cache = True


@compiles(_side_by_side)
def _in_postgresql(element: _side_by_side, compiler: SQLCompiler, **kw: Any) -> str:
    # `unnest` takes several arrays only without its schema.
    arrays = (compiler.process(one, **kw) for one in element.clauses)
    return f"ROWS FROM ({', '.join(f'pg_catalog.unnest({one})' for one in arrays)})"


def given(
    connection: Connection, name: str, columns: Mapping[Column[Any], Sequence[Any]]
) -> FromClause:
    """Make a table of values, with the names and types of these columns."""
    if connection.dialect.name == "sqlite":
        return _of_json(connection.dialect, name, columns)
    from sqlalchemy.dialects.postgresql import ARRAY

    arrays = (
        bindparam(f"{name}_{column.name}", [*values], type_=ARRAY(column.type), unique=True)
        for column, values in columns.items()
    )
    names = [column.name for column in columns]
    rows = _side_by_side(*arrays).table_valued(*names, name=f"{name}_row").render_derived()
    typed = (type_coerce(rows.c[one.name], one.type).label(one.name) for one in columns)
    return select(*typed).subquery(name)


def _of_json(
    dialect: Dialect, name: str, columns: Mapping[Column[Any], Sequence[Any]]
) -> FromClause:
    stored = [_stored(dialect, column, values) for column, values in columns.items()]
    document = bindparam(
        f"{name}_rows", json.dumps([*zip(*stored, strict=True)]), type_=Text(), unique=True
    )
    each = func.json_each(document).table_valued("key", "value", name=f"{name}_each")
    taken = (
        type_coerce(
            func.json_extract(each.c.value, literal_column(f"'$[{place}]'")), column.type
        ).label(column.name)
        for place, column in enumerate(columns)
    )
    return select(*taken).order_by(each.c.key).subquery(name)


def _stored(dialect: Dialect, column: Column[Any], values: Sequence[Any]) -> list[Any]:
    """Values as the file holds them."""
    processor = column.type.dialect_impl(dialect).bind_processor(dialect)
    return [*values] if processor is None else [processor(value) for value in values]
