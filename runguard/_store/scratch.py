"""Databases of their own for tests, on a PostgreSQL server that is there.

The database that the URL names is only connected to: no table in it is read or written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import URL, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from .._errors import ConfigurationError, StoreUnavailable
from .error_text import reason_of
from .url import parse_url

PREFIX: Final = "runguard_test_"
NEEDED: Final = "expected a server where this role may create databases"


class ScratchServer:
    """Makes databases with runguard's newest schema, as copies of one, and drops them.

    Args:
        url: A SQLAlchemy URL of the server, with a role that may create databases.

    Raises:
        ConfigurationError: The URL is no PostgreSQL one.
    """

    def __init__(self, url: str) -> None:
        self._url: URL = parse_url(url, source="--runguard-database-url")
        if self._url.get_backend_name() != "postgresql":
            raise ConfigurationError(
                "--runguard-database-url: expected a PostgreSQL URL; without it each test has a"
                " SQLite file of its own"
            )
        self._template: str | None = None

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of a new database, and drop that at the end.

        Raises:
            StoreUnavailable: The server cannot be reached, or the role may not create databases.
        """
        if self._template is None:
            self._template = self._with_schema()
        name = self._create(self._template)
        try:
            yield self._at(name)
        finally:
            self._drop(name)

    def close(self) -> None:
        """Drop what the copies were made of."""
        if self._template is not None:
            self._drop(self._template)
            self._template = None

    def _with_schema(self) -> str:
        from .migrate import upgrade

        name = self._create("template0")
        try:
            upgrade(self._at(name))
        except BaseException:
            self._drop(name)
            raise
        return name

    def _at(self, database: str) -> str:
        return self._url.set(database=database).render_as_string(hide_password=False)

    def _create(self, template: str) -> str:
        name = f"{PREFIX}{uuid4().hex}"
        self._execute(f'create database "{name}" template "{template}"')
        return name

    def _drop(self, name: str) -> None:
        with suppress(StoreUnavailable):  # the server is gone, and the database with it
            self._execute(f'drop database if exists "{name}" with (force)')

    def _execute(self, statement: str) -> None:
        how: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "poolclass": NullPool}
        engine = create_engine(self._url, **how)
        try:
            with engine.connect() as connection:
                connection.execute(text(statement))
        except DBAPIError as error:
            found = reason_of(error)
            raise StoreUnavailable(f"--runguard-database-url: {NEEDED}, found: {found}") from error
