"""A server behind a proxy, and what happened to the runs on it."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from sqlalchemy import make_url

import runguard
import runguard.testing
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENT = timedelta(minutes=2)  # on a busy machine a healthy store may be slow


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    libpq = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(libpq, autocommit=True) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def proxy(migrated_pg_url: str) -> Iterator[ProtocolProxy]:
    with ProtocolProxy(migrated_pg_url) as proxy:
        yield proxy
        runguard.testing.reset()


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The names of the events that runguard logged."""
    caplog.set_level(logging.DEBUG, logger="runguard")
    return lambda: [
        record.getMessage().split()[0] for record in caplog.records if hasattr(record, "runguard")
    ]
