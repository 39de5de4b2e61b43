"""The engine for a SQLite file."""

from __future__ import annotations

import os
from typing import Any, Final, cast

from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection, QueuePool
from sqlalchemy.pool.base import _ConnectionRecord

OPENED_FILE: Final = "runguard_opened_file"  # in a connection's info: which file it has open
_OURS: Final = (__name__, f"{__package__}.descriptors")  # where runguard's own listeners stand


class FilePool(QueuePool):
    """Has a place beside the others, for whose turn it is: it takes no lock and no proxy."""

    _sqla_logger_namespace = "sqlalchemy.pool.impl.QueuePool"  # where its log is looked for

    is_disposed = False
    replaced = 0  # files; counted, since a new one may get the number of the one that was closed

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take what every pool takes."""
        super().__init__(*args, **options)
        self.place: Any = _ConnectionRecord(self, connect=False)
        self._is_lent = False

    def take(self) -> Any:
        """Return the entry of that place, connected; None where others listen to proxies."""
        if self.is_watched():
            return None
        if self.place.dbapi_connection is not None and not self.is_sound():
            FilePool.replaced += 1
            self.place.invalidate()
        self.place.get_connection()
        self._is_lent = True
        return self.place

    def dispose(self) -> None:
        """Close those that nobody uses, and the others when they come back."""
        self.is_disposed = True
        super().dispose()
        if not self._is_lent:
            self.place.close()

    def is_watched(self) -> bool:
        """Whether anybody but runguard listens to what proxies do."""
        hooks = (*self.dispatch.checkout, *self.dispatch.checkin, *self.dispatch.reset)
        return any(getattr(hook, "__module__", None) not in _OURS for hook in hooks)

    def is_sound(self) -> bool:
        """Whether the place is connected to the file that is there now."""
        path, _, file = self.place.info[OPENED_FILE]
        return bool(file == file_at(path) and self.place.starttime >= self._invalidate_time)

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        if record is self.place:
            self._is_lent = False
        else:
            super()._do_return_conn(record)
        if self.is_disposed:
            self.dispose()


def make_sqlite_engine(url: URL) -> Engine:
    """Make the engine for a SQLite file. Transactions are begun by hand: BEGIN IMMEDIATE."""
    engine = create_engine(
        url, poolclass=FilePool, isolation_level="AUTOCOMMIT", hide_parameters=True
    )
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
    if cparams.get("uri"):
        from .looking import open_as_asked

        return cast("DBAPIConnection", open_as_asked(file, cparams))
    if not os.path.exists(file):  # noqa: PTH110
        if os.path.exists(f"{file}-shm"):  # noqa: PTH110
            from .leftovers import make_anew

            make_anew(file)
        return None
    if os.access(file, os.W_OK):
        return None
    from .looking import open_read_only

    return cast("DBAPIConnection", open_read_only(file, cparams))


def _tune_sqlite(driver_connection: Any, _record: ConnectionPoolEntry) -> None:
    # FULL: a commit is on the disk when it returns; NORMAL could lose the newest on power loss.
    driver_connection.execute("PRAGMA synchronous = FULL")


def _notice_another_file(engine: Engine) -> None:
    """Connect anew where the file was deleted or replaced: the old one has no name any more."""
    path = engine.url.database or ""

    def note(_driver_connection: Any, record: ConnectionPoolEntry) -> None:
        record.info[OPENED_FILE] = (path, FilePool.replaced, file_at(path))

    def compare(
        _driver_connection: Any, record: ConnectionPoolEntry, _proxy: PoolProxiedConnection
    ) -> None:
        if record.info[OPENED_FILE][2] != file_at(path):
            FilePool.replaced += 1
            raise DisconnectionError(f"{path} was deleted or replaced")

    event.listen(engine, "connect", note)
    event.listen(engine, "checkout", compare)


def file_at(path: str | int) -> tuple[int, int] | None:
    """Say which file is at a path, or open by a descriptor."""
    try:
        found = os.stat(path)  # noqa: PTH116 - in every run, in a third of pathlib's time
    except OSError as error:
        if error.filename != path:  # of a time limit that strikes here
            raise
        return None
    return found.st_dev, found.st_ino
