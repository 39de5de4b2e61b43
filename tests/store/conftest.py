"""Each store, empty and ready, with a back door for what a test must see or move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Engine

    from runguard._store.operator import OperatorStore


@dataclass(frozen=True, slots=True)
class BackDoor:
    """Another program's hands on the same tables: plain SQL, no runguard."""

    engine: Engine

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        with self.engine.begin() as connection:
            result = connection.execute(text(sql), parameters)
            return [dict(row._mapping) for row in result] if result.returns_rows else []

    def row(self, sql: str, **parameters: Any) -> dict[str, Any]:
        [row] = self.rows(sql, **parameters)
        return row

    def age(self, column: str, seconds: float) -> None:
        """Move every value of `table.column` into the past: tests move rows, not clocks."""
        table, _, name = column.partition(".")
        if self.engine.dialect.name == "postgresql":
            moved = f"{name} - make_interval(secs => :seconds)"
        else:
            moved = f"strftime('%Y-%m-%d %H\\:%M\\:%f', {name}, (-:seconds) || ' seconds')"
        self.rows(f"update {table} set {name} = {moved}", seconds=seconds)

    def age_alerts(self, seconds: float) -> None:
        """Move the alerts and the guards beside them."""
        self.age("alert.created_at", seconds)
        self.age("alert_cooldown.last_alert_at", seconds)


@pytest.fixture(params=["postgresql", "pgbouncer", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """`pgbouncer` is PostgreSQL behind a transaction pooler; there Core executes everything.

    Modules may ask for `sqlite-core` too, where it does so on SQLite.
    """
    return str(request.param)


@pytest.fixture
def direct_url(request: pytest.FixtureRequest, store_kind: str, tmp_path: Path) -> str:
    """Where the tables are, whatever stands in front of them."""
    if store_kind.startswith("sqlite"):
        return f"sqlite:///{tmp_path / 'runs' / 'runguard.db'}"
    return str(request.getfixturevalue("migrated_pg_url"))


@pytest.fixture
def store_url(request: pytest.FixtureRequest, store_kind: str, direct_url: str) -> str:
    if store_kind == "pgbouncer":
        return str(request.getfixturevalue("pgbouncer").through(direct_url))
    return direct_url


@pytest.fixture
def store(store_kind: str, store_url: str) -> Iterator[OperatorStore]:
    store = open_store(store_url, through_core=store_kind in ("pgbouncer", "sqlite-core"))
    yield store
    store.close()


@pytest.fixture
def back_door(store: OperatorStore, direct_url: str) -> Iterator[BackDoor]:
    store.job_names()  # SQLite makes its tables on first use
    engine = create_engine(direct_url)
    yield BackDoor(engine)
    engine.dispose()
