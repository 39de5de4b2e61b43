"""Folders that nobody else may look into or write to, held open by a descriptor.

A folder in a shared place may have been made by another user, or be a link to one. So it is opened
first, then judged, and all that happens inside goes through the descriptor: nobody can put another
folder into its place meanwhile.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


@contextmanager
def private_folder(folder: Path, *, make: bool = False, write: bool = False) -> Iterator[int]:
    """Open a folder of this user's own; give its descriptor.

    A folder of ours that others may enter is closed to them. Root may look into anybody's, but
    not `make` one or `write` a record there: its owner could not read that.

    Raises:
        FileNotFoundError: there is none, and `make` is False.
        PermissionError: it is another user's, or a link.
        OSError: it cannot be made or opened.
    """
    if make:
        folder.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
    handle = _open(folder)
    try:
        _own(handle, folder, writes=make or write)
        yield handle
    finally:
        os.close(handle)


def _open(folder: Path) -> int:
    if folder.is_symlink():
        raise PermissionError(f"expected a folder of this user's own, found the link {folder}")
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)


def _own(handle: int, folder: Path, *, writes: bool) -> None:
    found, user = os.fstat(handle), os.geteuid()
    if found.st_uid != user and (writes or user != 0):
        raise PermissionError(
            f"expected a folder of this user's own, found {folder} of the user with id"
            f" {found.st_uid}"
        )
    if found.st_uid == user and found.st_mode & _OTHERS:
        os.fchmod(handle, FOLDER_MODE)


def try_to_make_private(name: str) -> None:
    """Make a file and its folder for this user alone, or close what is there to others.

    Where that fails, whoever opens the file says what is wrong.
    """
    file = Path(name)
    with suppress(OSError), private_folder(file.parent, make=True) as folder:
        handle = os.open(
            file.name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, FILE_MODE, dir_fd=folder
        )
        try:
            if os.fstat(handle).st_mode & _OTHERS:
                os.fchmod(handle, FILE_MODE)
        finally:
            os.close(handle)
