"""What a store is known by on this machine: the place that is really used, without the user.

Two URLs may lead to one place (another role, another spelling of this host), and one URL without
its query to two (a socket's folder, a search path). So a place is what the driver would be given.
"""

from __future__ import annotations

import hashlib
import os
import re
from itertools import zip_longest
from typing import Any, Final
from urllib.parse import unquote

from sqlalchemy import URL

from .._models import StoreIdentity
from .url import parse_url

_THIS_HOST: Final = ("localhost", "127.0.0.1", "::1")
_DEFAULT_PORT: Final = "5432"
_SEARCH_PATH: Final = r"(?i)(?:-c\s*|--)search[_-]path\s*=\s*((?:[^\s\\]|\\.)*)"
_PLAIN_NAME: Final = "[a-z_][a-z0-9_]*"
# What libpq takes from the environment where the URL says nothing.
_VARIABLES: Final = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "options": "PGOPTIONS",
    "service": "PGSERVICE",
}
_IN_QUERY: Final = frozenset(_VARIABLES) - {"user"}


def identity_of(url: str | None, engine: Any) -> StoreIdentity:
    """Name the store of a URL or an engine."""
    if engine is not None:
        known: URL = engine.url
    else:
        known = parse_url(url or "")
    if known.get_backend_name() == "sqlite":
        label = f"sqlite {_file_of(known)}"
    else:
        label = f"postgresql {_place_of(known)}"
    return StoreIdentity(_digest(label), label, _former(known))


def _place_of(url: URL) -> str:
    """Say host, port, database and schema, as the driver would be given them."""
    _, given = url.get_dialect()().create_connect_args(url)
    found = {
        name: str(given.get(name) or os.environ.get(variable, ""))
        for name, variable in _VARIABLES.items()
    }
    servers = _servers(found["hostaddr"] or found["host"], found["port"])
    place = f"{servers}/{found['dbname'] or found['user']}"
    if schema := _schema_in(found["options"]):
        place = f"{place} schema {schema}"
    return f"{place} service {found['service']}" if found["service"] else place


def _servers(hosts: str, ports: str) -> str:
    """Put servers and ports together; which of several is tried first makes no other store."""
    port_list = ports.split(",")
    last = port_list[0] if len(port_list) == 1 else ""
    pairs = zip_longest(hosts.split(","), port_list, fillvalue=last)
    return ",".join(sorted(f"{_host(host)}:{port or _DEFAULT_PORT}" for host, port in pairs))


def _host(host: str) -> str:
    if host.startswith("/"):
        return host.rstrip("/")
    host = host.lower().rstrip(".")
    return "localhost" if host in _THIS_HOST else host


def _schema_in(options: str) -> str:
    """Read the search path out of the options for the server; the last one counts."""
    if not options:
        return ""
    found = re.findall(_SEARCH_PATH, options)
    path = re.sub(r"\\(.)", r"\1", found[-1]).replace(" ", "") if found else ""
    return ",".join(map(_as_server_reads, path.split(",")))


def _as_server_reads(name: str) -> str:
    """Spell a schema one way: the server folds a name without quotes, and plain ones need none."""
    plain = name.strip('"')
    return plain if re.fullmatch(_PLAIN_NAME, plain) else name if name[:1] == '"' else name.lower()


def _file_of(url: URL) -> str:
    file = url.database or ""
    if file.startswith("file:"):
        file = unquote(file.removeprefix("file:").partition("?")[0])
    return os.path.realpath(file)


def _former(url: URL) -> tuple[str, ...]:
    """The name by 0.1, where it meant one store only: it knew no query."""
    if _IN_QUERY & set(url.query):
        return ()
    return (_digest(url.set(password=None, query={}).render_as_string()),)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
