"""The URL of a SQLite file."""

from __future__ import annotations

from sqlalchemy import URL

from ..._errors import ConfigurationError


def file_of(parsed: URL, source: str) -> URL:
    """Return the URL of a file.

    Raises:
        ConfigurationError: it names none.
    """
    if parsed.host or parsed.database in (None, "", ":memory:"):
        lost = "the rows of a database in memory would be lost when the process ends"
        path_form = "a path after three slashes (sqlite:///path/to/file.db)"
        raise ConfigurationError(f"{source}: expected {path_form}, found none: {lost}")
    return parsed.set(drivername="sqlite")
