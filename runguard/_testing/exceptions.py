"""The exceptions that real libraries raise, made as those make them."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from http import HTTPStatus
from importlib.util import find_spec
from typing import Any, Final

from .._errors import ConfigurationError, did_you_mean

URL: Final = "https://api.example.org/"
Maker = Callable[..., Exception]


def http_error(status: int, *, library: str | None, url: str) -> Exception:
    """Return what a client raises for this status."""
    if type(status) is not int or not 400 <= status <= 599:
        raise ConfigurationError(f"http: expected a status from 400 to 599, found {status!r}")
    return _maker(_HTTP, library)(status, url)


def timeout(library: str | None, *, url: str) -> Exception:
    """Return what a library raises when time is up."""
    return _maker(_TIMEOUT, library)(url)


def _maker(makers: Mapping[str, Maker], library: str | None) -> Maker:
    if library is None:
        library = next(name for name in makers if find_spec(name) is not None)
    if library not in makers:
        raise ConfigurationError(
            f"expected one of {', '.join(makers)}, found {library!r}{did_you_mean(library, makers)}"
        )
    if find_spec(library) is None:
        there = ", ".join(name for name in makers if find_spec(name) is not None)
        raise ConfigurationError(
            f"expected a library that is installed ({there}), found {library!r}"
        )
    return makers[library]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _httpx(status: int, url: str) -> Exception:
    import httpx

    response = httpx.Response(status, request=httpx.Request("GET", url))
    return _raised(response.raise_for_status)


def _requests(status: int, url: str) -> Exception:
    import requests

    response = requests.Response()
    response.status_code, response.url, response.reason = status, url, _phrase(status)
    response.request = requests.Request("GET", url).prepare()
    return _raised(response.raise_for_status)


def _aiohttp(status: int, url: str) -> Exception:
    import aiohttp

    return aiohttp.ClientResponseError(
        _aiohttp_request(url), (), status=status, message=_phrase(status)
    )


def _aiohttp_request(url: str) -> Any:
    from aiohttp import RequestInfo
    from multidict import CIMultiDict, CIMultiDictProxy
    from yarl import URL as Address  # noqa: N811 - a class

    return RequestInfo(Address(url), "GET", CIMultiDictProxy(CIMultiDict()), Address(url))


def _urllib(status: int, url: str) -> Exception:
    from email.message import Message
    from urllib.error import HTTPError

    return HTTPError(url, status, _phrase(status), Message(), io.BytesIO())


def _httpx_timeout(url: str) -> Exception:
    import httpx

    return httpx.ReadTimeout("The read operation timed out", request=httpx.Request("GET", url))


def _requests_timeout(url: str) -> Exception:
    import requests

    request = requests.Request("GET", url).prepare()
    return requests.ReadTimeout("Read timed out. (read timeout=5)", request=request)


def _aiohttp_timeout(url: str) -> Exception:
    import aiohttp

    return aiohttp.SocketTimeoutError(f"Timeout on reading data from socket: {url}")


def _urllib3_timeout(url: str) -> Exception:
    import urllib3

    pool = urllib3.connection_from_url(url)
    return urllib3.exceptions.ReadTimeoutError(pool, url, "Read timed out. (read timeout=5)")


def _psycopg_timeout(_url: str) -> Exception:
    import psycopg

    return psycopg.errors.QueryCanceled("canceling statement due to statement timeout")


def _asyncio_timeout(_url: str) -> Exception:
    return TimeoutError()


def _socket_timeout(_url: str) -> Exception:
    return TimeoutError("timed out")


def _subprocess_timeout(_url: str) -> Exception:
    import subprocess

    return subprocess.TimeoutExpired(["sync"], 5)


def _raised(call: Callable[[], object]) -> Exception:
    try:
        call()
    except Exception as error:  # what the library raises is what is wanted
        return error.with_traceback(None)
    raise AssertionError("expected an exception, found none")


# In the order in which they are looked for; the last one of HTTP is always there.
_HTTP: Final[Mapping[str, Maker]] = {
    "httpx": _httpx,
    "requests": _requests,
    "aiohttp": _aiohttp,
    "urllib": _urllib,
}
_TIMEOUT: Final[Mapping[str, Maker]] = {
    "httpx": _httpx_timeout,
    "requests": _requests_timeout,
    "aiohttp": _aiohttp_timeout,
    "urllib3": _urllib3_timeout,
    "socket": _socket_timeout,
    "asyncio": _asyncio_timeout,
    "psycopg": _psycopg_timeout,
    "subprocess": _subprocess_timeout,
}
