"""For projects whose own Alembic shares a database with runguard.

Autogenerate drops whatever it finds in the database and not in the project's metadata. In the
project's `env.py`:

    context.configure(..., include_object=runguard.schema.include_object)

or, where there is a filter already, `include_object=runguard.schema.keeping_ours(that_filter)`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ._store.schema.indexes import metadata
from ._store.schema.tables import VERSION_TABLE

IncludeObject = Callable[[Any, "str | None", str, bool, Any], bool]

_TABLES: Final = {*metadata.tables, VERSION_TABLE}
_COLUMNS: Final = {(table.name, c.name) for table in metadata.tables.values() for c in table.c}
_INDEXES: Final = {index.name for table in metadata.tables.values() for index in table.indexes}


def include_object(
    item: Any,
    name: str | None,
    type_: str,
    reflected: bool,  # noqa: FBT001 - Alembic's signature
    compare_to: Any,
) -> bool:
    """Keep Alembic's autogenerate from dropping runguard's tables, columns and indexes.

    Give it to `context.configure`. It returns False only for objects of runguard's that the
    project's metadata does not have: a project with `run_log` in its metadata still sees its own
    changes to it.

    Added in 0.1.
    """
    if not reflected or compare_to is not None:
        return True
    if type_ == "table":
        return name not in _TABLES
    if type_ == "column":
        return (item.table.name, name) not in _COLUMNS
    return not (type_ == "index" and name in _INDEXES)


def keeping_ours(also: IncludeObject) -> IncludeObject:
    """Return a filter that leaves runguard's objects alone and asks `also` about the others.

    Added in 0.1.
    """

    def include(
        item: Any,
        name: str | None,
        type_: str,
        reflected: bool,  # noqa: FBT001 - Alembic's signature
        compare_to: Any,
    ) -> bool:
        return include_object(item, name, type_, reflected, compare_to) and also(
            item, name, type_, reflected, compare_to
        )

    return include
