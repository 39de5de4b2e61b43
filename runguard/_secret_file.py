"""A secret that stands in a file instead of a variable, so that no list of variables shows it."""

from __future__ import annotations

import os
import stat
from typing import Final

from ._errors import ConfigurationError

LARGEST_BYTES: Final = 16 * 1024


def read_url(path: str, *, source: str, instead_of: str | None) -> str:
    """Return the one line of a file. No message repeats what stands in it.

    Args:
        path: absolute path of the file.
        source: what named it, for messages.
        instead_of: what gives a URL too, where something does.

    Raises:
        ConfigurationError: the file cannot be used, or there are two URLs.
    """
    if instead_of is not None:
        raise ConfigurationError(
            f"{source}: expected it or {instead_of}, found both: unset one of them"
        )
    lines = read_text(path, source=source).strip().splitlines()
    if len(lines) != 1:
        found = f"{len(lines)} lines" if lines else "an empty file"
        raise ConfigurationError(f"{source}: expected one line with a URL, found {found}: {path}")
    return lines[0]


def read_text(path: str, *, source: str, largest: int = LARGEST_BYTES) -> str:
    """Return the text of a regular file of at most `largest` bytes.

    Raises:
        ConfigurationError: the file cannot be used; its message begins with `source`.
    """
    try:
        return _content(path, source, largest).decode()
    except UnicodeDecodeError:
        raise ConfigurationError(
            f"{source}: expected a text in UTF-8, found other bytes in {path}"
        ) from None


def _content(path: str, source: str, largest: int) -> bytes:
    try:
        # A pipe that nobody writes to would keep the job waiting.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            is_file = stat.S_ISREG(os.fstat(fd).st_mode)
            content = os.read(fd, largest + 1) if is_file else b""
        finally:
            os.close(fd)
    except OSError as error:
        raise ConfigurationError(
            f"{source}: expected a file that can be read, found {path}: {error.strerror}"
        ) from None
    if not is_file:
        raise ConfigurationError(f"{source}: expected a regular file, found something else: {path}")
    if len(content) > largest:
        raise ConfigurationError(
            f"{source}: expected at most {largest:,} bytes, found more: {path}"
        )
    return content
