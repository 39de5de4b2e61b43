"""Which service failed: host and port, as exceptions carry them. Never a user, password or path.

Types are known by their qualified names; no text of a message is read but that of types whose only
evidence it is, word for word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from .introspection import attribute, levels_of
from .lazy_pattern import lazy
from .type_names import type_names

Levels = Iterable[Sequence[BaseException]]

LONGEST: Final = 300
_LONGEST_URL: Final = 8 * 1024
_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21}
_HOST: Final = lazy(r"[\w.-]{1,255}|[0-9a-f:.]{2,45}", re.IGNORECASE)
# Where clients keep the address that they asked: httpx, requests, aiohttp, azure-core, tornado, …
_URLS: Final[tuple[tuple[str, ...], ...]] = (
    *(("request", "url"), ("request_info", "real_url"), ("response", "request", "url")),
    *(("response", "url"), ("response", "effective_url")),
)
# Objects that have a host and a port, by the type of exception that carries them.
_PARTS: Final = {
    "aiohttp.client_exceptions.ClientConnectorError": (),
    "elastic_transport.ApiError": ("meta", "node"),
    "psycopg.Error": ("pgconn",),
    "psycopg2.Error": ("cursor", "connection", "info"),
    "urllib3.exceptions.NewConnectionError": ("conn",),
    "urllib3.exceptions.PoolError": ("pool",),
}
_HTTP_ERROR: Final = "urllib.error.HTTPError"
_BOTOCORE: Final = "botocore.exceptions.BotoCoreError"
_PARAMIKO: Final = "paramiko.ssh_exception.NoValidConnectionsError"
# What asyncio and redis say of a connection that failed, and nowhere else.
_TEXTS: Final = {
    "OSError": lazy(r"Connect call failed \('([^']+)', (\d+)(?:, \d+, \d+)?\)"),
    "redis.exceptions.ConnectionError": lazy(
        r"Error (?:-?\d+ |)(?:while )?connecting to ([^\s/]+):(\d+)\..*", re.DOTALL
    ),
}


def upstream_of(exc: BaseException, levels: Levels | None = None) -> str | None:
    """Return `host:port` of the service that failed, the nearest in the chain, or None.

    The chain may be given as `levels_of` has found it.

    >>> upstream_of(OSError(111, "Connect call failed ('127.0.0.1', 6543)"))
    '127.0.0.1:6543'
    """
    for level in levels_of(exc) if levels is None else levels:
        for member in level:
            for host, port in _addresses(member):
                if (found := _named(host, port)) is not None:
                    return found
    return None


def _addresses(exc: BaseException) -> Iterator[tuple[object, object]]:
    names = type_names(exc)
    for path in _URLS:
        if (url := _at(exc, path)) is not None:
            yield _of_url(url)
    for name, path in _PARTS.items():
        if name in names:
            holder = _at(exc, path)
            yield attribute(holder, "host"), attribute(holder, "port")
    if _HTTP_ERROR in names:
        yield _of_url(attribute(exc, "url"))
    if _BOTOCORE in names and type(known := attribute(exc, "kwargs")) is dict:
        yield _of_url(known.get("endpoint_url"))
    if _PARAMIKO in names and type(errors := attribute(exc, "errors")) is dict:
        yield from (key[:2] for key in errors if type(key) is tuple and len(key) >= 2)
    for name, pattern in _TEXTS.items():
        if name in names and (found := _text_of_connection(exc, pattern)) is not None:
            yield found[1], int(found[2])


def _text_of_connection(exc: BaseException, pattern: re.Pattern[str]) -> re.Match[str] | None:
    args = BaseException.args.__get__(exc)  # type: ignore[attr-defined]
    text = args[-1] if args else None
    return pattern.fullmatch(text) if type(text) is str and len(text) < LONGEST else None


def _at(holder: object, path: tuple[str, ...]) -> Any:
    for name in path:
        if holder is None:
            return None
        holder = attribute(holder, name)
    return holder


def _of_url(url: object) -> tuple[object, object]:
    try:
        parts = urlsplit(str(url)[:_LONGEST_URL]) if url is not None else None
        if parts is None:
            return None, None
        return parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except BaseException:  # no URL, or hostile code, which may raise anything
        return None, None


def _named(host: object, port: object) -> str | None:
    if isinstance(host, bytes | bytearray):
        host = bytes(host[:LONGEST]).decode(errors="replace")
    if not isinstance(host, str) or not _HOST.fullmatch(plain := str.__str__(host).strip("[]")):
        return None
    number = port if type(port) is int else _digits(port)
    shown = f"[{plain}]" if ":" in plain else plain
    return shown if number is None else f"{shown}:{number}"


def _digits(port: object) -> int | None:
    if isinstance(port, bytes):
        port = port.decode("latin-1")
    return int(port) if type(port) is str and re.fullmatch("[0-9]{1,5}", port) else None
