"""Files that nobody ever sees half-written: beside their place, synced, then renamed."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import Final

_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def write_whole(folder: int, name: str, content: bytes, *, mode: int | None = None) -> None:
    """Write a file in an open folder, or replace it. `mode` None: as the user's umask has it."""
    beside = f".{name}.{os.getpid()}"
    with suppress(FileNotFoundError):
        os.unlink(beside, dir_fd=folder)  # of a process of this number that was killed
    file = os.open(beside, _NEW, 0o666 if mode is None else mode, dir_fd=folder)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)  # whoever cleans up sees that somebody is writing
        if mode is not None:
            os.fchmod(file, mode)
        with open(file, "wb", closefd=False) as stream:
            stream.write(content)
        os.fsync(file)
        os.rename(beside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside, dir_fd=folder)
        raise
    finally:
        os.close(file)
