"""Where the runs are recorded: servers that sync each commit to the disk, and SQLite files."""

from __future__ import annotations

import contextlib
import logging
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

import runguard
from runguard._store.migrate import upgrade
from runguard.testing import reset
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import PostgresAddress

# PostgreSQL's own default, not the tests' smaller one.
SETTINGS = {"shared_buffers": "128MB"}


@contextlib.contextmanager
def server() -> Iterator[PostgresServer]:
    """A server with `fsync` and `synchronous_commit` on."""
    with PostgresServer(durable=True, settings=SETTINGS) as started:
        yield started


@contextlib.contextmanager
def database(server: PostgresAddress) -> Iterator[str]:
    """The URL of an empty store on the server, gone after the block."""
    with server.database(template=_migrated(server)) as name:
        yield server.url(name)


@cache
def _migrated(server: PostgresAddress) -> str:
    """A database to copy; it goes with its server."""
    name = server.create_database()
    upgrade(server.url(name))
    return name


def libpq(url: str) -> str:
    """The same address as psycopg takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


@contextlib.contextmanager
def runguard_on(url: str, *, prepares: bool = True) -> Iterator[None]:
    """Let runguard write there while the block lasts, in its default configuration."""
    from runguard._store.postgresql.connection import BoundedConnection

    reset()
    runguard.configure(database_url=url)
    is_direct = BoundedConnection.is_direct
    if not prepares:
        # What a transaction pooler shows; then nothing is prepared.
        BoundedConnection.is_direct = lambda _: False  # type: ignore[method-assign]
    try:
        with _logging_to_nowhere():
            yield
    finally:
        BoundedConnection.is_direct = is_direct  # type: ignore[method-assign]
        reset()


@contextlib.contextmanager
def _logging_to_nowhere() -> Iterator[None]:
    """Write the warnings as an unconfigured script does, but not onto the table."""
    logger = logging.getLogger("runguard")
    with Path(os.devnull).open("w") as nowhere:
        handler = logging.StreamHandler(nowhere)
        logger.addHandler(handler)
        try:
            yield
        finally:
            logger.removeHandler(handler)
