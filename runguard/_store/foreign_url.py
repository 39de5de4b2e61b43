"""PostgreSQL and SQLite URLs as other clients, hosters and env files write them.

Apart from `url`, so that a job whose URL is plain does not load it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final
from urllib.parse import unquote

from sqlalchemy import URL

from .._errors import ConfigurationError, did_you_mean

_SEVERAL_HOSTS: Final = re.compile(
    r"(?P<start>postgres(?:ql)?(?:\+\w+)?://(?:[^/?]*@)?)(?P<servers>[^@/?]*,[^@/?]*)"
    r"(?P<path>/[^?]*)?(?:\?(?P<query>.*))?",
    re.DOTALL,
)
_HOST_AND_PORT: Final = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(\d*))?")
_PLAIN: Final = re.compile(r"[a-z_][a-z0-9_]*")
# What other clients take for themselves, and hosters put into the URLs that they hand out.
_OTHER_CLIENTS: Final = frozenset(
    {
        *("pgbouncer", "connection_limit", "pool_timeout", "socket_timeout", "supa"),
        *("statement_cache_size", "prepared_statement_cache_size"),
    }
)
# Of a SQLite file: what the driver itself takes, and what a URI means that does not say otherwise.
_OF_DRIVER: Final = frozenset(
    {"cached_statements", "check_same_thread", "detect_types", "isolation_level", "timeout"}
)
_USUAL: Final = {"uri": "true", "mode": "rwc", "cache": "private"}
_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_MEANT_BY_SSL: Final = {  # by other clients
    **dict.fromkeys(("true", "1", "on", "yes"), "require"),
    **dict.fromkeys(("false", "0", "off", "no"), "disable"),
}


def with_hosts_in_query(url: str) -> str:
    """Rewrite `host1:p1,host2:p2` as SQLAlchemy knows it: `?host=host1,host2&port=p1,p2`."""
    found = _SEVERAL_HOSTS.fullmatch(url)
    if found is None:
        return url
    pairs = [_HOST_AND_PORT.fullmatch(one) for one in found["servers"].split(",")]
    if not all(pairs):
        return url
    hosts, ports = zip(
        *((pair[1].strip("[]"), pair[2] or "") for pair in pairs if pair), strict=True
    )
    rest = f"&{found['query']}" if found["query"] else ""
    port = f"&port={','.join(ports)}" if any(ports) else ""
    path = found["path"] or "/"
    return f"{found['start']}{path}?host={','.join(hosts)}{port}{rest}"


def for_libpq(url: URL, source: str) -> URL:
    """Give the parameters as libpq knows them; what only other clients know is left out."""
    query = {name: value for name, value in url.query.items() if name not in _OTHER_CLIENTS}
    if url.host is not None and url.host.lower().startswith("%2f"):  # a socket's folder
        query["host"] = unquote(url.host)
        url = url._replace(host=None)
    if isinstance(schema := query.pop("schema", None), str):
        if url.query.get("pgbouncer") == "true":
            raise ConfigurationError(
                f"{source}: expected no schema= beside pgbouncer=true, since a pooler passes no"
                f" search path on: run `alter role … set search_path = {_as_identifier(schema)}`,"
                " and take schema= out of the URL"
            )
        path = f"-csearch_path={_as_identifier(schema)}"
        query["options"] = f"{query['options']} {path}" if query.get("options") else path
    if isinstance(ssl := query.pop("ssl", None), str):
        query.setdefault("sslmode", _MEANT_BY_SSL.get(ssl.lower(), ssl))
    known = _known_parameters()
    for name in query:
        if known is not None and name not in known:
            raise ConfigurationError(
                f"{source}: expected parameters that libpq knows, found"
                f" {name!r}{did_you_mean(name, known)}: take it out of the URL"
            )
    if isinstance(port := query.get("port"), str):
        query["port"] = _for_each_host(port, query.get("host"), source)
    mode = query.get("sslmode", "prefer")
    if mode not in _MODES:
        raise ConfigurationError(
            f"{source}: expected sslmode to be one of {', '.join(_MODES)}, found {mode!r}"
            " (`require` checks no certificate)"
        )
    return url.set(query=query)


def _for_each_host(port: str, host: object, source: str) -> str:
    """Repeat a port that is for all hosts, as libpq does; SQLAlchemy wants one for each."""
    hosts, ports = str(host or "").count(",") + 1, port.count(",") + 1
    if ports not in (1, hosts):
        raise ConfigurationError(
            f"{source}: expected one port, or one for each of {hosts} hosts, found {ports}"
        )
    return port if ports == hosts else ",".join([port] * hosts)


def _as_identifier(schema: str) -> str:
    name = schema if _PLAIN.fullmatch(schema) else '"' + schema.replace('"', '""') + '"'
    return re.sub(r"([\\\s])", r"\\\1", name)  # as the server reads its options


@cache
def _known_parameters() -> frozenset[str] | None:
    try:
        from psycopg import pq
    except ImportError:  # no libpq on this machine: told when the store is opened
        return None
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    return frozenset(known | {"autocommit", "prepare_threshold"})  # psycopg's own


def with_file(url: str, parsed: URL) -> URL:
    """Give the path of a file as all look for it, also where SQLite is told it as a URI.

    Releases of SQLAlchemy differ in whether it is decoded.
    """
    path, query = url.partition(":///")[2].partition("?")[0], dict(parsed.query)
    if path.startswith("file:"):
        path = path.removeprefix("file:").partition("#")[0]
        if path.startswith("//"):  # and the name of this host, if any
            path = f"/{path[2:].partition('/')[2]}"
        query["uri"] = "true"
    if query.get("mode") == "memory" or query.get("vfs") == "memdb":
        path = ":memory:"
    asked = {name: value for name, value in query.items() if _USUAL.get(name) != value}
    if not asked.keys() - _OF_DRIVER:
        query = asked
    return parsed._replace(database=unquote(path)).set(query=query)
