"""Waiting for a free connection of a pool, which may be the user's own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.pool import QueuePool

from runguard import StoreUnavailable
from runguard._store import repeating
from runguard._store.retry import Attempts
from tests.support.processes import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(
        f"sqlite:///{tmp_path / 'any.db'}", poolclass=QueuePool, pool_size=1, max_overflow=0
    )
    yield engine
    engine.dispose()


@pytest.fixture
def attempts(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Attempts:
    """They look again so late that only what the pool tells can wake them."""
    monkeypatch.setattr(repeating, "LOOK_AGAIN_SECONDS", 3600)
    return Attempts(engine)


def ask(attempts: Attempts, *, timeout: float = 60) -> int:
    return attempts.run(lambda attempt: answer(attempt.connection), timeout=timeout)


def answer(connection: Connection) -> int:
    return int(connection.execute(text("select 7")).scalar_one())


def test_who_waits_goes_on_as_soon_as_a_connection_is_returned(
    engine: Engine, attempts: Attempts
) -> None:
    answers: list[int] = []
    waiter = threading.Thread(target=lambda: answers.append(ask(attempts)))
    with engine.connect():
        waiter.start()
        until(lambda: engine.pool._pool.not_empty._waiters)  # type: ignore[attr-defined]
    waiter.join(30)

    assert answers == [7]


def test_who_waits_takes_no_turn_from_those_who_wait_in_the_pool_itself(
    engine: Engine, attempts: Attempts
) -> None:
    def ask_the_pool() -> int:
        with engine.connect() as connection:
            return answer(connection)

    with ThreadPoolExecutor(4) as threads:
        asked = [
            threads.submit(ask_the_pool) if number % 2 else threads.submit(ask, attempts)
            for number in range(80)
        ]

    assert [one.result(30) for one in asked] == [7] * 80


def test_who_waits_gives_up_at_the_deadline_whatever_the_pool_allows(
    engine: Engine, attempts: Attempts
) -> None:
    with engine.connect(), pytest.raises(StoreUnavailable, match="all 1 are busy"):
        ask(attempts, timeout=0.01)
