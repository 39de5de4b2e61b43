"""Operator stores: what runs record, and what operators read, do and delete.

Apart from the recorders, so that a job loads none of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from .postgresql.operator import PostgreSqlOperatorStore
    from .sqlite.operator import SqliteOperatorStore

    OperatorStore: TypeAlias = PostgreSqlOperatorStore | SqliteOperatorStore
else:
    OperatorStore = Any  # for those that evaluate annotations


def open_operator_store(recorder: Any) -> OperatorStore:
    """Return a store with all that operators ask of it, on the connections of one that records."""
    # Each dialect on its own: a command that uses one does not wait for the other to be imported.
    if recorder.engine.dialect.name == "sqlite":
        from .sqlite.operator import SqliteOperatorStore
        from .sqlite.recorder import upgrade_schema

        if isinstance(recorder, SqliteOperatorStore):
            return recorder
        return SqliteOperatorStore(recorder.engine, upgrade=upgrade_schema)
    from .postgresql.operator import PostgreSqlOperatorStore

    if isinstance(recorder, PostgreSqlOperatorStore):
        return recorder
    store = PostgreSqlOperatorStore(recorder.engine, recorder.patience)
    store.relaxed_start = recorder.relaxed_start
    return store
