"""A store that workers of their own processes write to, and SQL to look at it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

import runguard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Sql = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def store_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an embedded store; this process and the workers that it starts write to it."""
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", url)
    runguard.configure(store_timeout=timedelta(minutes=2))  # on a busy machine it may be slow
    return url


@pytest.fixture
def store_that_refuses() -> None:
    """A store that is away, without which nothing may begin."""
    runguard.configure(
        database_url="postgresql://127.0.0.1:1/nowhere",
        store_timeout=timedelta(seconds=0.2),
        outage_policy="refuse",
    )


@pytest.fixture
def sql(store_url: str) -> Iterator[Sql]:
    """Run a statement by hand, as an operator would."""
    engine = create_engine(store_url)

    def run(statement: str, **parameters: Any) -> list[dict[str, Any]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement), parameters)
            return [dict(row._mapping) for row in result] if result.returns_rows else []

    yield run
    engine.dispose()
