"""What exceptions carry: HTTP statuses, timeouts, SQLSTATEs. Tables, and how they are looked up.

Types are known by their qualified names, up the inheritance: no client library is imported, and
none needs to be installed.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from .introspection import attribute, bases_of, qualified_name, text_of
from .text_evidence import status_line, timeout_in

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
    "http_status",  # facebook_business
    "get_http_status",
    "get_http_status_code",  # mlflow
    "get_status_code",
)
# Where exceptions keep the response, and where that keeps its status.
RESPONSE_ATTRIBUTES: Final = ("response", "resp", "http_response", "meta")
RESPONSE_STATUS_ATTRIBUTES: Final = ("status_code", "status", "status_int", "code")
# Keys of responses that are dictionaries; botocore nests its own one deep.
RESPONSE_STATUS_KEYS: Final = ("HTTPStatusCode", "status_code", "statusCode", "status")

# `code` is an HTTP status on these, and on types with HTTP in their name; elsewhere it is an exit
# code, an SMTP reply, a vendor's own number.
TYPES_WITH_HTTP_CODE: Final = frozenset(
    {
        "cinderclient.exceptions.ClientException",
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
# Types with an attribute of their own for it.
STATUS_ATTRIBUTE_OF_TYPE: Final[Mapping[str, str]] = {"xmlrpc.client.ProtocolError": "errcode"}
# Types that mean one status and carry it nowhere.
STATUS_OF_TYPE: Final[Mapping[str, int]] = {
    "django.core.exceptions.PermissionDenied": 403,
    "django.http.response.Http404": 404,
    "hvac.exceptions.BadGateway": 502,
    "hvac.exceptions.Forbidden": 403,
    "hvac.exceptions.InternalServerError": 500,
    "hvac.exceptions.InvalidPath": 404,
    "hvac.exceptions.InvalidRequest": 400,
    "hvac.exceptions.PreconditionFailed": 412,
    "hvac.exceptions.RateLimitExceeded": 429,
    "hvac.exceptions.Unauthorized": 401,
    "hvac.exceptions.UnsupportedOperation": 405,
    "hvac.exceptions.VaultDown": 503,
    "hvac.exceptions.VaultNotInitialized": 501,
}
# Their numbers are no answers of an HTTP server, neither in attributes nor in the text: statuses
# of processes, replies of other protocols, statements with their parameters.
NOT_HTTP: Final = frozenset(
    {
        "MySQLdb._exceptions.MySQLError",
        "aiosmtplib.errors.SMTPException",
        "amqp.exceptions.AMQPError",
        "cx_Oracle.Error",
        "ftplib.Error",
        "oracledb.exceptions.Error",
        "pika.exceptions.AMQPError",
        "pymysql.err.MySQLError",
        "pyodbc.Error",
        "smtplib.SMTPException",
        "sqlalchemy.exc.StatementError",
        "sqlite3.Error",
        "subprocess.SubprocessError",
        "twisted.internet.error.ProcessTerminated",
    }
)

TIMEOUT_TYPES: Final = frozenset(
    {
        "TimeoutError",  # also socket.timeout, and that of asyncio and concurrent.futures
        "google.api_core.exceptions.RetryError",
        "huey.exceptions.ResultTimeout",
        "ldap.TIMELIMIT_EXCEEDED",
        "multiprocessing.context.TimeoutError",
        "subprocess.TimeoutExpired",
        "trio.TooSlowError",
        "web3.exceptions.TimeExhausted",
    }
)
# How libraries name their timeouts: httpx.ReadTimeout, selenium's TimeoutException, cassandra's
# OperationTimedOut, celery's SoftTimeLimitExceeded, kafka's RequestTimedOutError, ldap.TIMEOUT …
# Only theirs: an application's InvalidTimeout is its own affair.
TIMEOUT_NAME: Final = (
    r".*(?:Timeout|TIMEOUT|TimedOut|TimeLimitExceeded|DeadlineExceeded)"
    r"(?:Error|Exception|Expired|ExpiredError|Result)?"
)
TIMEOUT_PACKAGES: Final = frozenset(
    {
        *("adal", "aiobotocore", "aiohttp", "aiokafka", "aiomysql", "aiopg", "aioredis"),
        *("aiormq", "aiosmtplib", "airflow", "anthropic", "anyio", "apache_beam", "appium"),
        *("arq", "async_timeout", "asyncpg", "asyncssh", "aws_xray_sdk", "azure", "billiard"),
        *("boto", "boto3", "botocore", "cassandra", "celery", "clickhouse_connect"),
        *("clickhouse_driver", "cohere", "concurrent", "confluent_kafka", "consul"),
        *("couchbase", "curio", "curl_cffi", "dask", "databricks", "distributed", "dns"),
        *("docker", "dramatiq", "elastic_transport", "elasticsearch", "elasticsearch7"),
        *("elasticsearch8", "etcd3", "eventlet", "exchangelib", "fabric", "faust"),
        *("filelock", "func_timeout", "geopy", "gevent", "google", "gotrue", "gql", "groq"),
        *("grpc", "grpclib", "hazelcast", "httpcore", "httpcore2", "httpx", "httpx2", "huey"),
        *("influxdb", "influxdb_client", "invoke", "jira", "joblib", "kafka", "kazoo"),
        *("kombu", "kubernetes", "kubernetes_asyncio", "ldap", "ldap3", "loky", "mariadb"),
        *("mistralai", "mysql", "nats", "ncclient", "neo4j", "netmiko", "niquests", "openai"),
        *("opensearchpy", "oracledb", "paramiko", "pebble", "pexpect", "pika", "playwright"),
        *("prefect", "procrastinate", "psycopg", "psycopg2", "psycopg_pool", "pulsar"),
        *("pymongo", "pymssql", "pymysql", "pyodbc", "pyppeteer", "pysnmp", "qdrant_client"),
        *("ray", "redis", "replicate", "requests", "rq", "scrapli", "selenium", "serial"),
        *("slack_sdk", "snowflake", "sqlalchemy", "stopit", "stripe", "suds"),
        *("supabase_auth", "taskiq", "telegram", "telethon", "temporalio", "tenacity"),
        *("thrift", "timeout_decorator", "tornado", "trio", "twilio", "twisted", "typesense"),
        *("uamqp", "urllib3", "usb", "uvloop", "valkey", "weaviate", "websocket"),
        *("websockets", "zeep", "zmq"),
    }
)
# They inherit from a timeout, though nothing timed out: the host refused, or has no address.
NO_TIMEOUTS: Final = frozenset(
    {
        "urllib3.exceptions.NameResolutionError",
        "urllib3.exceptions.NewConnectionError",
    }
)
QUERY_CANCELED: Final = "57014"  # SQLSTATE; also when a person cancels
CURL_TIMED_OUT: Final = 28
WINDOWS_TIMED_OUT: Final = 10060  # WSAETIMEDOUT, which OSError keeps as it is


def http_status(value: Any) -> int | None:
    """Return the status where `value` is one that tells a failure: 400 to 599.

    Numbers, digits as text or bytes, and `503 Service Unavailable`; never a bool.

    >>> http_status("503"), http_status(True), http_status(4090)
    (503, None, None)
    """
    # By `type()`, since a mock says of itself to be an int; by the methods of the plain types,
    # since a subclass may bring hostile ones.
    plain = type(value)
    if issubclass(plain, int) and plain is not bool:
        number = int.__index__(value)
        return number if 400 <= number <= 599 else None
    if plain is bytes:
        return status_line(str(value, "latin-1"))
    if issubclass(plain, str):
        return status_line(str.__str__(value))
    return None


def carried_status(exc: BaseException) -> tuple[int, str] | None:
    """Return the HTTP status that an exception or its response carries, and where it was."""
    names = type_names(exc)
    if not NOT_HTTP.isdisjoint(names):
        return None
    for name in STATUS_ATTRIBUTES:
        if status := http_status(attribute(exc, name)):
            return status, name
    for name in STATUS_METHODS:
        if status := http_status(_called(exc, name)):
            return status, f"{name}()"
    if _code_is_http(names) and (status := http_status(attribute(exc, "code"))):
        return status, "code"
    for name in RESPONSE_ATTRIBUTES:
        if (found := _status_of_response(attribute(exc, name))) is not None:
            return found[0], f"{name}.{found[1]}"
    for name in names:
        own = STATUS_ATTRIBUTE_OF_TYPE.get(name)
        if own is not None and (status := http_status(attribute(exc, own))):
            return status, own
        if name in STATUS_OF_TYPE:
            return STATUS_OF_TYPE[name], "its type"
    return None


def timeout_evidence(exc: BaseException) -> str | None:
    """Return why an exception is a timeout, or None where it is none by type or attribute."""
    names = type_names(exc)
    if not NO_TIMEOUTS.isdisjoint(names):
        return None
    for name in names:
        if name in TIMEOUT_TYPES or _is_named_timeout(name):
            return f"type {name}"
    if "OSError" in names and attribute(exc, "errno") in (errno.ETIMEDOUT, WINDOWS_TIMED_OUT):
        return "errno ETIMEDOUT"
    if "pycurl.error" in names and _first_argument(exc) == CURL_TIMED_OUT:
        return "curl's code 28"
    if sqlstate(exc) == QUERY_CANCELED and timeout_in(text_of(exc)):
        return "SQLSTATE 57014 by a timeout"
    if "DEADLINE_EXCEEDED" in _grpc_codes(exc, names):
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
            if type(value) is str and re.fullmatch(r"[0-9A-Z]{5}", value):
                return value
    return None


def text_is_not_http(exc: BaseException) -> bool:
    """Whether the numbers in the exception's text are no HTTP statuses, whatever they follow."""
    return not NOT_HTTP.isdisjoint(type_names(exc))


def type_names(exc: BaseException) -> list[str]:
    """Return the qualified names of an exception's type and of all that it inherits from."""
    return [qualified_name(base) for base in bases_of(exc)]


def _is_named_timeout(name: str) -> bool:
    package, _, rest = name.partition(".")
    return (
        package in TIMEOUT_PACKAGES
        and _timeout_name().fullmatch(rest.rpartition(".")[2]) is not None
    )


def _code_is_http(names: list[str]) -> bool:
    return any(
        name in TYPES_WITH_HTTP_CODE or "http" in name.rpartition(".")[2].lower() for name in names
    )


def _status_of_response(response: Any) -> tuple[int, str] | None:
    if issubclass(type(response), dict):
        for mapping in (_item(response, "ResponseMetadata"), response):
            for key in RESPONSE_STATUS_KEYS:
                if status := http_status(_item(mapping, key)):
                    return status, key
        return None
    for name in RESPONSE_STATUS_ATTRIBUTES:
        if status := http_status(attribute(response, name)):
            return status, name
    return None


def _item(mapping: Any, key: str) -> object:
    return dict.get(mapping, key) if issubclass(type(mapping), dict) else None


def _first_argument(exc: BaseException) -> object:
    args = BaseException.args.__get__(exc)  # type: ignore[attr-defined]
    return args[0] if args and type(args[0]) is int else None


def _grpc_codes(exc: BaseException, names: list[str]) -> list[object]:
    """Names of gRPC's status codes: `code()` of grpc's own, `status` of grpclib's."""
    if not any(name.partition(".")[0] in ("grpc", "grpclib") for name in names):
        return [_name_of(attribute(exc, "grpc_status_code"))]
    return [_name_of(_called(exc, "code")), _name_of(attribute(exc, "status"))]


def _name_of(member: object) -> str | None:
    name = attribute(member, "name")
    return name if type(name) is str else None


def _called(exc: BaseException, name: str) -> object:
    method = attribute(exc, name)
    if not callable(method) or issubclass(type(method), type):
        return None
    try:
        return method()
    except BaseException:  # it wanted arguments, or failed
        return None


@cache
def _timeout_name() -> re.Pattern[str]:
    return re.compile(TIMEOUT_NAME)
