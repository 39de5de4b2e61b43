"""What operators ask of the spool: what waits, since when, for which store, and what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from .private_folder import private_folder
from .spool import Spool
from .spool_listing import records_in, records_of
from .spool_quarantine import QUARANTINE
from .spool_reading import UnreadableRecord, content_of, store_of


def waiting_files(spool: Spool) -> list[Path]:
    """List the files that wait, the oldest run first."""
    return sorted((folder / name for folder, name in records_of(spool)), key=lambda path: path.name)


def waiting_since(spool: Spool) -> datetime | None:
    """Return when the oldest of them began; None where none waits."""
    first = min(records_of(spool), key=lambda found: found[1], default=None)
    if first is None:
        return None
    folder, name = first
    if (began_at := _began_at(name)) is not None:
        return began_at
    with suppress(OSError):  # replayed meanwhile
        return datetime.fromtimestamp((folder / name).lstat().st_mtime, UTC)
    return datetime.now(UTC)


def meant_for(spool: Spool) -> str | None:
    """Read in one of the records which store they are for; None where none of them says it."""
    for folder in (*spool.folders, *(folder / QUARANTINE for folder in spool.folders)):
        with suppress(OSError, UnreadableRecord), private_folder(folder) as handle:
            for name in islice(records_in(handle), 1):
                return store_of(content_of(handle, name))
    return None


def troubles_of(spool: Spool) -> Iterator[OSError]:
    """Yield why each folder that is there cannot be used, or why none can be made."""
    for folder in spool.folders:
        try:
            with private_folder(folder, write=folder in spool.writable) as handle:
                os.scandir(handle).close()
                if not os.access(folder, os.W_OK | os.X_OK):
                    raise PermissionError(f"no right to write in {folder}")
        except FileNotFoundError:
            if folder == spool.folder and not _can_be_made(folder):
                yield PermissionError(f"{folder} cannot be made")
        except OSError as trouble:
            yield trouble


def _can_be_made(folder: Path) -> bool:
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def _began_at(name: str) -> datetime | None:
    """Read the time in a record's name: its key is a UUID of version 7."""
    with suppress(ValueError, OverflowError):
        key = UUID(name.partition(".")[0])
        if key.version == 7:
            return datetime.fromtimestamp((key.int >> 80) / 1000, UTC)
    return None
