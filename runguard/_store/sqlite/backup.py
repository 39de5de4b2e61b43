"""A copy of a SQLite file that is whole, also while runs write to it."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from ..._errors import ConfigurationError, StoreUnavailable


def back_up(source: Path, target: Path) -> None:
    """Copy a database with SQLite's own backup; `cp` would miss what is still in the log.

    The copy appears whole, for this user alone, and never in the place of another file.

    Raises:
        ConfigurationError: there is a file at `target`.
        StoreUnavailable: there is no database at `source`, or the copy cannot be written.
    """
    if not source.is_file() or source.stat().st_size == 0:
        raise StoreUnavailable(f"expected a SQLite file, found none at {source}")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".runguard-backup-") as folder:
            copy = Path(folder) / "copy.db"
            with (
                closing(sqlite3.connect(f"file:{quote(str(source))}?mode=ro", uri=True)) as given,
                closing(sqlite3.connect(copy)) as taken,
            ):
                given.backup(taken)
            copy.chmod(0o600)
            os.link(copy, target)  # fails where there is one, and never shows a half
    except FileExistsError:
        raise ConfigurationError(f"expected a new file, found {target}: it is kept") from None
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(f"cannot copy {source} to {target}: {error}") from error
