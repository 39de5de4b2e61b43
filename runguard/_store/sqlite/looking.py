"""A SQLite file that is not opened as usual, such as one that this user may only read."""

from __future__ import annotations

import os
import sqlite3
from typing import Any
from urllib.parse import quote


def open_read_only(file: str, parameters: dict[str, Any]) -> sqlite3.Connection:
    """Open a file so that nothing is left beside it.

    Else SQLite makes its log and its index as this user's, and the owner of the file may not write
    to them: a look would end the recording.
    """
    # Without a log nobody is writing; with one, what it holds belongs to the rows.
    mode = "mode=ro" if os.path.exists(f"{file}-wal") else "mode=ro&immutable=1"  # noqa: PTH110
    return open_as_asked(f"{file}?{mode}", {**parameters, "uri": True})


def open_as_asked(file: str, parameters: dict[str, Any]) -> sqlite3.Connection:
    """Open a file, after whose path stands how: as `mode=ro`."""
    path, _, how = file.rpartition("?")
    connection: sqlite3.Connection = sqlite3.connect(f"file:{quote(path)}?{how}", **parameters)
    return connection
