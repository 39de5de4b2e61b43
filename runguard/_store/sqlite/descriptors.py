"""The descriptors of a SQLite file, which a job that becomes a daemon closes under SQLite's hands.

SQLite has no idea, and shares among all connections of a process what it knows of a file: each
later one would wait for a lock on a descriptor that is closed, or is another file by now.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import Engine, event

from .engine import file_at

_OPEN_FILES: Final = "/proc/self/fd"  # where there is none, nothing is noticed
_NOTED: Final = "runguard_noted"  # in a connection's info: that its descriptors are known


class Descriptors:
    """Which descriptors SQLite has open for the file of an engine, its log and its index too."""

    def __init__(self, engine: Engine) -> None:
        """Note them after the first use of each connection, until one is closed."""
        path = os.path.realpath(engine.url.database or "")
        self._names = frozenset((path, f"{path}-wal", f"{path}-shm"))
        self._known: dict[int, object] = {}
        self._closed = 0
        event.listen(engine, "checkin", self._note)
        event.listen(engine, "close", self.forget)

    def lost(self) -> list[int]:
        """Return those that are closed, or other files by now."""
        return [number for number, file in self._known.items() if file_at(number) != file]

    def forget(self, *_: object) -> None:
        """SQLite itself has closed some: which are left is seen at the next use."""
        self._known = {}
        self._closed += 1

    def _note(self, _driver_connection: Any, record: Any) -> None:
        if record.info.get(_NOTED) == self._closed:
            return
        record.info[_NOTED] = self._closed
        with suppress(OSError):
            for number in map(int, os.listdir(_OPEN_FILES)):  # noqa: PTH208 - of a third the time
                with suppress(OSError):  # of the listing itself
                    if os.readlink(f"{_OPEN_FILES}/{number}") in self._names:  # noqa: PTH115
                        self._known[number] = file_at(number)
