"""Stores for tests, opened as an operator's command opens them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from runguard._monitor.records import AlertFilter, AlertRecord, RunFilter, RunRecord
from runguard._store.factory import open_recorder
from runguard._store.operator import OperatorStore, open_operator_store
from tests.support.names import watch_names, watch_sent_names


def open_store(url: str, *, through_core: bool = False) -> OperatorStore:
    """Open the store at a URL, with all that operators ask of it.

    `through_core`: whether Core executes what starts and ends runs too, and not the driver itself.
    """
    store = open_operator_store(open_recorder(url=url, engine=None))
    if store.engine.dialect.name == "postgresql":
        watch_names(store.engine)
        if through_core:
            watch_sent_names(store.engine)
    elif through_core:
        event.listen(store.engine, "before_cursor_execute", lambda *_: None)
    return store


def newest_runs(store: OperatorStore, *, limit: int = 9, **asked: Any) -> list[RunRecord]:
    """Read the newest runs that a `RunFilter` of these values asks for."""
    return list(store.run_page(RunFilter(**asked), limit=limit).runs)


def newest_alerts(store: OperatorStore, *, limit: int = 9, **asked: Any) -> list[AlertRecord]:
    """Read the newest alerts that an `AlertFilter` of these values asks for."""
    return list(store.alert_page(AlertFilter(**asked), limit=limit).alerts)
