"""Files that a command writes: replaced as a whole, or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from .._errors import ConfigurationError
from .._run.atomic_file import write_whole


def replace_file(path: str, content: bytes, *, option: str) -> Path:
    """Write a whole file in one step; a pipe or a device is written as it is.

    Raises:
        ConfigurationError: it cannot be written; the message names the `option`.
    """
    file = Path(path)
    try:
        _replace(file, content)
    except OSError as error:
        raise ConfigurationError(
            f"{option}: expected a file that can be written, found {str(file)!r}: {error.strerror}"
        ) from error
    return file


def _replace(file: Path, content: bytes) -> None:
    if not file.is_file() and file.exists():
        with file.open("wb") as there:
            there.write(content)
        return
    file = file.resolve()  # a link stays, and what it points to is replaced
    mode = stat.S_IMODE(file.stat().st_mode) if file.exists() else None
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        write_whole(folder, file.name, content, mode=mode)
    finally:
        os.close(folder)
