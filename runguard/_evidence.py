"""What exceptions carry: HTTP statuses, timeouts, SQLSTATEs. Tables, and how they are looked up.

Types are known by their qualified names, up the inheritance: no client library is imported, and
none needs to be installed.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from ._exceptions import attribute, qualified_name, text_of

# Where real clients keep the status, in the order in which they are asked.
STATUS_ATTRIBUTES: Final = (
    "status_code",  # openai, azure-core, starlette, elasticsearch, docker, jira, zeep …
    "http_status_code",
    "http_status",  # stripe, spotipy, swiftclient
    "status",  # aiohttp, kubernetes, PyGithub, falcon ("503 Service Unavailable"), twisted (bytes)
    "status_int",  # webob
    "http_code",
    "httpcode",  # suds
    "response_code",  # python-gitlab
)
# Methods of the same meaning.
STATUS_METHODS: Final = (
    "http_status",
    "get_http_status",
    "get_http_status_code",
    "get_status_code",
)
# Where exceptions keep the response, and where that keeps its status.
RESPONSE_ATTRIBUTES: Final = ("response", "resp", "http_response", "meta")
RESPONSE_STATUS_ATTRIBUTES: Final = ("status_code", "status", "status_int", "code")
# Keys of responses that are mappings; botocore nests its own one deep.
RESPONSE_STATUS_KEYS: Final = ("HTTPStatusCode", "status_code", "statusCode", "status")

# `code` is an HTTP status on these, and on types with HTTP in their name; elsewhere it is an exit
# code, an SMTP reply, a vendor's own number.
TYPES_WITH_HTTP_CODE: Final = frozenset(
    {
        "github3.exceptions.GitHubError",
        "google.api_core.exceptions.GoogleAPICallError",
        "google.genai.errors.APIError",
        "gql.transport.exceptions.TransportServerError",
        "gspread.exceptions.APIError",
        "ibm_cloud_sdk_core.api_exception.ApiException",
        "influxdb.exceptions.InfluxDBClientError",
        "novaclient.exceptions.ClientException",
        "postgrest.exceptions.APIError",
        "pyactiveresource.connection.ConnectionError",
    }
)
# Types that mean one status and carry it nowhere.
STATUS_OF_TYPE: Final[Mapping[str, int]] = {
    "django.core.exceptions.PermissionDenied": 403,
    "django.http.response.Http404": 404,
}

TIMEOUT_TYPES: Final = frozenset(
    {
        "TimeoutError",  # also socket.timeout, and that of asyncio and concurrent.futures
        "ldap.TIMELIMIT_EXCEEDED",
        "subprocess.TimeoutExpired",
        "trio.TooSlowError",
    }
)
# How libraries name their timeouts: httpx.ReadTimeout, selenium's TimeoutException, cassandra's
# OperationTimedOut, celery's SoftTimeLimitExceeded, kafka's RequestTimedOutError, ldap.TIMEOUT …
TIMEOUT_NAME: Final = (
    r".*(?:Timeout|TIMEOUT|TimedOut|TimeLimitExceeded|DeadlineExceeded)(?:Error|Exception)?"
)
# They inherit from a timeout, though nothing timed out: the host refused, or has no address.
NO_TIMEOUTS: Final = frozenset(
    {
        "urllib3.exceptions.NameResolutionError",
        "urllib3.exceptions.NewConnectionError",
    }
)
QUERY_CANCELED: Final = "57014"  # SQLSTATE; also when a person cancels


def http_status(value: object) -> int | None:
    """Return the status where `value` is one that tells a failure: 400 to 599.

    Numbers, digits as text or bytes, and `503 Service Unavailable`; never a bool.

    >>> http_status("503"), http_status(True), http_status(4090)
    (503, None, None)
    """
    try:
        if isinstance(value, bool):
            return None
        if isinstance(value, bytes):
            value = value.decode("ascii", "replace")
        if isinstance(value, str):
            found = re.match(r"\s*([45]\d\d)(?:\s|$)", value[:64])
            return int(found[1]) if found else None
        if isinstance(value, int):
            number = int(value)
            return number if 400 <= number <= 599 else None
    except BaseException:  # a hostile subclass of int or str
        return None
    return None


def carried_status(exc: BaseException) -> tuple[int, str] | None:
    """Return the HTTP status that an exception or its response carries, and where it was."""
    names = type_names(exc)
    for name in STATUS_ATTRIBUTES:
        if status := http_status(attribute(exc, name)):
            return status, name
    for name in STATUS_METHODS:
        if status := http_status(_called(exc, name)):
            return status, f"{name}()"
    if _code_is_http(names) and (status := http_status(attribute(exc, "code"))):
        return status, "code"
    if "xmlrpc.client.ProtocolError" in names and (
        status := http_status(attribute(exc, "errcode"))
    ):
        return status, "errcode"
    for name in RESPONSE_ATTRIBUTES:
        if (found := _status_of_response(attribute(exc, name))) is not None:
            return found[0], f"{name}.{found[1]}"
    for name in names:
        if name in STATUS_OF_TYPE:
            return STATUS_OF_TYPE[name], "its type"
    return None


def timeout_evidence(exc: BaseException) -> str | None:
    """Return why an exception is a timeout, or None where it is none by type or attribute."""
    names = type_names(exc)
    if not NO_TIMEOUTS.isdisjoint(names):
        return None
    for name in names:
        if name in TIMEOUT_TYPES or _timeout_name().fullmatch(name.rpartition(".")[2]):
            return f"type {name}"
    if attribute(exc, "errno") == errno.ETIMEDOUT:
        return "errno ETIMEDOUT"
    if sqlstate(exc) == QUERY_CANCELED and "timeout" in text_of(exc).lower():
        return "SQLSTATE 57014 by a timeout"
    if _name_of(_called(exc, "code")) == "DEADLINE_EXCEEDED":  # gRPC
        return "gRPC DEADLINE_EXCEEDED"
    return None


def sqlstate(exc: BaseException) -> str | None:
    """Return the SQLSTATE that a driver's exception carries, its wrapper's `orig` included."""
    for carrier in (exc, attribute(exc, "orig")):
        for value in (
            attribute(carrier, "sqlstate"),
            attribute(carrier, "pgcode"),
            attribute(attribute(carrier, "diag"), "sqlstate"),
        ):
            if isinstance(value, str) and re.fullmatch(r"[0-9A-Z]{5}", value):
                return value
    return None


def type_names(exc: BaseException) -> list[str]:
    """Return the qualified names of an exception's type and of all that it inherits from."""
    return [qualified_name(base) for base in type(exc).__mro__]


def _code_is_http(names: Iterable[str]) -> bool:
    return any(
        name in TYPES_WITH_HTTP_CODE or "http" in name.rpartition(".")[2].lower() for name in names
    )


def _status_of_response(response: object) -> tuple[int, str] | None:
    if response is None:
        return None
    if isinstance(response, Mapping):
        return _status_in_mapping(response)
    for name in RESPONSE_STATUS_ATTRIBUTES:
        if status := http_status(attribute(response, name)):
            return status, name
    return None


def _status_in_mapping(response: Mapping[Any, Any]) -> tuple[int, str] | None:
    try:
        nested = response.get("ResponseMetadata")
        for mapping in (nested, response):
            for key in RESPONSE_STATUS_KEYS:
                if isinstance(mapping, Mapping) and (status := http_status(mapping.get(key))):
                    return status, key
    except BaseException:  # a mapping of the exception's own making
        return None
    return None


def _called(exc: BaseException, name: str) -> object:
    method = attribute(exc, name)
    if method is None or isinstance(method, type) or not callable(method):
        return None
    try:
        return method()
    except BaseException:  # it wanted arguments, or failed
        return None


def _name_of(member: object) -> object:
    return None if member is None else attribute(member, "name")


@cache
def _timeout_name() -> re.Pattern[str]:
    return re.compile(TIMEOUT_NAME)
