"""Stores for tests, opened as an operator's command opens them."""

from __future__ import annotations

from typing import Any

from runguard._monitor.records import AlertFilter, AlertRecord, RunFilter, RunRecord
from runguard._store.factory import open_operator_store, open_recorder
from runguard._store.operator import OperatorStore


def open_store(url: str) -> OperatorStore:
    """Open the store at a URL, with all that operators ask of it."""
    return open_operator_store(open_recorder(url=url, engine=None))


def newest_runs(store: OperatorStore, *, limit: int = 9, **asked: Any) -> list[RunRecord]:
    """Read the newest runs that a `RunFilter` of these values asks for."""
    return list(store.run_page(RunFilter(**asked), limit=limit).runs)


def newest_alerts(store: OperatorStore, *, limit: int = 9, **asked: Any) -> list[AlertRecord]:
    """Read the newest alerts that an `AlertFilter` of these values asks for."""
    return list(store.alert_page(AlertFilter(**asked), limit=limit).alerts)
