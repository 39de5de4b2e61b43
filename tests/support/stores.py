"""Stores for tests, opened as an operator's command opens them."""

from __future__ import annotations

from runguard._store.factory import open_operator_store, open_recorder
from runguard._store.operator import OperatorStore


def open_store(url: str) -> OperatorStore:
    """Open the store at a URL, with all that operators ask of it."""
    return open_operator_store(open_recorder(url=url, engine=None))
