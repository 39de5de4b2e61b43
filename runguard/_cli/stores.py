"""The store that a command looks at: `--database-url`, else what the environment says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import _api
from .._errors import ConfigurationError
from .._run.embedded import embedded_url

if TYPE_CHECKING:
    from .._run.runtime import Runtime
    from .._run.spool import Spool
    from .._settings import Settings
    from .._store.operator import OperatorStore


class OpenedStore(NamedTuple):
    """A store with what a run of the same settings would have."""

    store: OperatorStore
    settings: Settings
    spool: Spool


@contextmanager
def opened_runtime(database_url: str | None, **settings: Any) -> Iterator[Runtime]:
    """Give a runtime for one command, set up as a run would set it up.

    Raises:
        ConfigurationError: a setting cannot be used.
    """
    check_url(database_url)
    runtime = _api.new_runtime()
    runtime.configure({"database_url": database_url, **settings})
    try:
        yield runtime
    finally:
        runtime.close()


@contextmanager
def opened_store(database_url: str | None, **settings: Any) -> Iterator[OperatorStore]:
    """Give the store for one command.

    Raises:
        ConfigurationError: a setting cannot be used.
        StoreUnavailable: nothing can be opened there.
    """
    with opened_runtime(database_url, **settings) as runtime:
        yield _api.operator_store(runtime)


@contextmanager
def opened_with_settings(database_url: str | None, **settings: Any) -> Iterator[OpenedStore]:
    """Give the store for one command, with its settings and its spool."""
    with opened_runtime(database_url, **settings) as runtime:
        yield OpenedStore(_api.operator_store(runtime), runtime.settings(), runtime.spool())


@contextmanager
def found_spool(database_url: str | None, **settings: Any) -> Iterator[Spool]:
    """Give the folder of the records that wait for a store, without opening that."""
    with opened_runtime(database_url, **settings) as runtime:
        yield runtime.spool()


@contextmanager
def opened_database(database_url: str | None) -> Iterator[str]:
    """Give the URL of the store for one command that changes the schema; else as above."""
    with opened_runtime(database_url) as runtime:
        runtime.store()  # makes the folder of a file, and tells of the embedded one
        yield runtime.settings().database_url or embedded_url()


def check_url(database_url: str | None) -> None:
    """Read `--database-url`, so that an error names it and not the variable."""
    if database_url is None:
        return
    if not database_url.strip():
        raise ConfigurationError("--database-url: expected a URL, found an empty text")
    from .._store.url import parse_url

    parse_url(database_url, source="--database-url")


@contextmanager
def quiet_log() -> Iterator[None]:
    """Keep runguard's own warnings out of what a command tells better; errors still come."""
    logger = logging.getLogger("runguard")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
