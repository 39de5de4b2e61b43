"""The log and the index of a SQLite file that was deleted or moved without them."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress


def make_anew(file: str) -> None:
    """Make a file that is missing, and nothing beside it.

    Other processes may still have the index open that belongs to the deleted file. SQLite would
    share it with them, and fail until the last of them has ended: it tells of a log that is gone.
    """
    with suppress(OSError):  # then SQLite says what is wrong
        folder = os.open(os.path.dirname(file), os.O_RDONLY)  # noqa: PTH120
        try:
            # For one process at a time: what the second one finds belongs to the new file.
            fcntl.flock(folder, fcntl.LOCK_EX)
            if not os.path.exists(file):  # noqa: PTH110
                _make(file)
        finally:
            os.close(folder)


def _make(file: str) -> None:
    index = f"{file}-shm"
    mode = os.stat(index).st_mode & 0o777  # noqa: PTH116
    for leftover in (f"{file}-wal", index):
        with suppress(FileNotFoundError):
            os.unlink(leftover)  # noqa: PTH108
    os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
