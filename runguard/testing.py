"""For the tests of your jobs: a store of their own, assertions, and a clean start.

With pytest, the fixtures `runguard_store`, `runguard_runs`, `runguard_clock` and `simulate` give
what is here. Without it, `fresh_store` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ._api import runtime
from ._monitor.records import AlertRecord, NoteRecord, RunRecord
from ._testing.clock import Clock
from ._testing.fresh import FreshStore, active
from ._testing.fresh import fresh_store as _fresh_store
from ._testing.runs import RecordedRuns
from ._testing.simulate import Simulate
from ._testing.view import ToldMessage, view_of_settings

__all__ = [
    "AlertRecord",
    "Clock",
    "FreshStore",
    "NoteRecord",
    "RecordedRuns",
    "RunRecord",
    "Simulate",
    "ToldMessage",
    "fresh_store",
    "recorded",
    "reset",
]


def reset() -> None:
    """Close every connection, and forget settings and store, as if no run had been.

    Added in 0.1.
    """
    runtime.close()


@contextmanager
def fresh_store(database_url: str | None = None) -> Iterator[FreshStore]:
    """Give a store of its own to one test, and forget settings before and after.

    Inside, every run of this process and of those that it starts goes there, whatever `configure`
    and the environment say. Messages are captured, and nothing is sent.

    Args:
        database_url: URL of a PostgreSQL server with a role that may create databases: each call
            makes one, and drops it at the end. No table of yours is read or written. None: a SQLite
            file in a temporary folder.

    Raises:
        ConfigurationError: The URL is no PostgreSQL one.
        StoreUnavailable: The server cannot be reached, or refuses to create a database.

    Added in 0.2.

    >>> with fresh_store() as store:
    ...     with run_scope("sync") as run:
    ...         run.total_records = 3
    ...     store.runs.assert_run("sync", status="SUCCESS").total_records
    3
    """
    if database_url is None:
        with _fresh_store() as store:
            yield store
        return
    from ._store.scratch import ScratchServer

    server = ScratchServer(database_url)
    try:
        with _fresh_store(server=server) as store:
            yield store
    finally:
        server.close()


@contextmanager
def recorded() -> Iterator[RecordedRuns]:
    """Give what is recorded inside the block, in whatever store this process uses.

    Messages are captured only in a store of a test's own: another one's alerts wait for others.

    Added in 0.2.

    >>> with recorded() as new:
    ...     with run_scope("sync"):
    ...         pass
    >>> new.assert_run("sync", status="SUCCESS").job_name
    'sync'
    """
    runs = active[-1].runs if active else RecordedRuns(view_of_settings())
    with runs.recorded() as new:
        yield new
