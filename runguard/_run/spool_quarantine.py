"""What was set aside of the spool, with the reason, until `runguard spool retry`."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from .._failure.introspection import printable
from .._frozen import frozen
from .private_folder import FILE_MODE, FOLDER_MODE, private_folder
from .spool import Spool
from .spool_listing import records_in
from .spool_reading import UnreadableRecord, content_of

QUARANTINE: Final = "quarantine"
REASON: Final = ".why"
MOST_REASON: Final = 4_096

_REWRITE: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW


@frozen
class SetAside:
    """A file that was set aside, and why."""

    path: Path
    reason: str


def set_aside(spool: Spool) -> list[SetAside]:
    """List what was set aside, the oldest run first."""
    found = []
    for folder in spool.folders:
        with suppress(OSError), private_folder(folder / QUARANTINE) as handle:
            found += [
                SetAside(folder / QUARANTINE / name, _reason_of(handle, name))
                for name in records_in(handle)
            ]
    return sorted(found, key=lambda aside: aside.path.name)


def retry(spool: Spool) -> int:
    """Let what was set aside wait again; return how many records that are."""
    moved = 0
    for folder in spool.folders:
        with (
            suppress(FileNotFoundError),
            private_folder(folder) as target,
            private_folder(folder / QUARANTINE) as source,
        ):
            for name in list(records_in(source)):
                with suppress(FileNotFoundError):  # another process was faster
                    os.rename(name, name, src_dir_fd=source, dst_dir_fd=target)
                    moved += 1
                    os.unlink(name + REASON, dir_fd=source)
    return moved


def put_aside(handle: int, path: Path, trouble: Exception) -> Path:
    """Move a file out of the way of the others, and note why; return where it is now.

    Raises:
        FileNotFoundError: another process was faster.
        OSError: it cannot be moved.
    """
    with suppress(FileExistsError):
        os.mkdir(QUARANTINE, FOLDER_MODE, dir_fd=handle)
    aside = path.parent / QUARANTINE
    with private_folder(aside) as target:
        os.rename(path.name, path.name, src_dir_fd=handle, dst_dir_fd=target)
        _note_reason(target, path.name, trouble)
    return aside / path.name


def _note_reason(handle: int, name: str, trouble: Exception) -> None:
    with suppress(OSError):  # without, it is in the log only
        file = os.open(name + REASON, _REWRITE, FILE_MODE, dir_fd=handle)
        with open(file, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
            stream.write(printable(str(trouble), MOST_REASON))


def _reason_of(handle: int, name: str) -> str:
    try:
        return content_of(handle, name + REASON)[:MOST_REASON].decode(errors="replace")
    except (OSError, UnreadableRecord):
        return "unknown"
