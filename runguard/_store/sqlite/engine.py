"""The engine for a SQLite file."""

from __future__ import annotations

import os
from typing import Any, Final, cast

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

OPENED_FILE: Final = "runguard_opened_file"  # in a connection's info: which file it has open


def make_sqlite_engine(url: URL) -> Engine:
    """Make the engine for a SQLite file. Transactions are begun by hand: BEGIN IMMEDIATE."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True)
    event.listen(engine, "do_connect", _open_for_looking)
    event.listen(engine, "connect", _tune_sqlite)
    _notice_another_file(engine)
    return engine


def have_folder_of(file: str) -> None:
    """Make the folder of a SQLite file, unless it is there."""
    if not os.path.isdir(os.path.dirname(file)):  # noqa: PTH112, PTH120
        from .folder import make_folder_of

        make_folder_of(file)


def _open_for_looking(
    _dialect: Any, _record: ConnectionPoolEntry, cargs: tuple[Any, ...], cparams: dict[str, Any]
) -> DBAPIConnection | None:
    [file] = cargs
    if cparams.get("uri") or not os.path.exists(file) or os.access(file, os.W_OK):  # noqa: PTH110
        return None
    from .looking import open_read_only

    return cast("DBAPIConnection", open_read_only(file, cparams))


def _tune_sqlite(driver_connection: Any, _record: ConnectionPoolEntry) -> None:
    # FULL: a commit is on the disk when it returns; NORMAL could lose the newest on power loss.
    driver_connection.execute("PRAGMA synchronous = FULL")


def _notice_another_file(engine: Engine) -> None:
    """Connect anew where the file was deleted or replaced: the old one has no name any more."""
    path = engine.url.database or ""
    replaced = 0  # counted, since a new file may get the number of the one that was closed

    def note(_driver_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[OPENED_FILE] = (replaced, file_at(path))

    def compare(
        _driver_connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        nonlocal replaced
        if record.info[OPENED_FILE][1] != file_at(path):
            replaced += 1
            raise DisconnectionError(f"{path} was deleted or replaced")

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", compare)


def file_at(path: str | int) -> tuple[int, int] | None:
    """Say which file is at a path, or open by a descriptor."""
    try:
        found = os.stat(path)  # noqa: PTH116 - in every run, in a third of pathlib's time
    except OSError:
        return None
    return found.st_dev, found.st_ino
