"""runguard as a user has it, on either store, and plain SQL to look at what it wrote."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

import runguard

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine


PATIENT = timedelta(minutes=2)  # on a busy machine a healthy store may be slow


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A configured runguard: set up as a user would, with `configure`."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'runguard.db'}"
    else:
        url = request.getfixturevalue("migrated_pg_url")
    runguard.configure(database_url=url, store_timeout=PATIENT)
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The embedded kind of store, where which one it is does not matter."""
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    runguard.configure(database_url=url, store_timeout=PATIENT)
    return url


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    name = "url" if "url" in request.fixturenames else "sqlite_url"
    engine = create_engine(request.getfixturevalue(name))
    yield engine
    engine.dispose()


@pytest.fixture
def sql(engine: Engine) -> Callable[..., list[dict[str, Any]]]:
    """Run a statement by hand, as an operator would."""

    def run(statement: str, **parameters: Any) -> list[dict[str, Any]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement), parameters)
            return [dict(row._mapping) for row in result] if result.returns_rows else []

    return run


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """What runguard logged, as (event, fields)."""
    caplog.set_level(logging.DEBUG, logger="runguard")

    def logged() -> list[tuple[str, dict[str, Any]]]:
        return [
            (record.getMessage().split()[0], record.runguard)
            for record in caplog.records
            if hasattr(record, "runguard")
        ]

    return logged
