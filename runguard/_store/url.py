"""Which URLs can be used, and what they are taken as."""

from __future__ import annotations

from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from .._errors import ConfigurationError

_FORMS: Final = "postgresql://user@host/database or sqlite:///path/to/file.db"


def parse_url(url: str, *, source: str = "database_url") -> URL:
    """Read a URL; every PostgreSQL one is taken as psycopg 3.

    It may be in quotes, as env files have it, or written for other clients: see `foreign_url`.
    The text of a bad one is never repeated: it may hold a password.
    """
    url = url.strip().strip("\"'")
    is_plain = not any(sign in url for sign in ("?", ",", "%", "///file:"))
    if not is_plain:
        from . import foreign_url

        url = foreign_url.with_hosts_in_query(url)
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError, NoSuchModuleError):
        raise _wrong(source, f"a URL such as {_FORMS}", "one that cannot be read") from None
    if "@" in (parsed.host or ""):  # the rest of a password, which errors would repeat
        remedy = "write %40 for a '@' in the password"
        raise _wrong(source, "one '@', before the host", f"more: {remedy}")
    if backend in ("postgres", "postgresql"):
        parsed = parsed.set(drivername="postgresql+psycopg")
        return parsed if is_plain else foreign_url.for_libpq(parsed, source)
    if backend != "sqlite":
        raise _wrong(source, f"a URL such as {_FORMS}", f"the backend {backend!r}")
    from .sqlite.file_url import file_of

    return file_of(parsed if is_plain else foreign_url.with_file(url, parsed), source)


def _wrong(source: str, expected: str, found: str) -> ConfigurationError:
    return ConfigurationError(f"{source}: expected {expected}, found {found}")
