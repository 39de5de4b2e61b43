"""A store that is closed leaves no connection behind, whoever uses one at that moment."""

from __future__ import annotations

import sqlite3
from collections import deque
from contextlib import closing
from math import inf
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from runguard._store.factory import open_recorder
from tests.store.drafts import TIMEOUT, new_run

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from runguard._store.retry import Attempt

CLOSED = (psycopg.OperationalError, sqlite3.ProgrammingError)


def close_in_the_middle(store: OperatorStore, seen: list[Any]) -> Any:
    """Work in whose middle the store is closed."""

    def work(attempt: Attempt) -> bool:
        seen.append(attempt.pooled.driver_connection)
        seen[-1].execute("select 1").fetchall()
        store.close()
        return True

    return work


def test_a_connection_that_is_used_while_its_store_is_closed_is_closed_afterwards(
    store: OperatorStore,
) -> None:
    store.start_run(new_run(), timeout=TIMEOUT)
    seen: list[Any] = []

    assert store._attempts.run(close_in_the_middle(store, seen), timeout=TIMEOUT)

    with pytest.raises(CLOSED):
        seen[0].execute("select 1")


def test_one_of_the_thread_that_asks_is_closed_too(migrated_pg_url: str) -> None:
    store: Any
    with closing(open_recorder(url=migrated_pg_url, engine=None)) as store:
        store.start_run(new_run(), timeout=TIMEOUT)
        seen: list[Any] = []

        assert store.here().do(deque(), close_in_the_middle(store, seen), inf)

        with pytest.raises(CLOSED):
            seen[0].execute("select 1")
