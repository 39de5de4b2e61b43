"""What the types of real clients mean, where neither attribute nor text says it."""

from __future__ import annotations

import errno
import json
import sqlite3
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg.errors
import pytest
import requests
import tenacity
from telegram import error as telegram

from runguard._failure.classify import classify
from runguard._failure.known_types import STATUS_OF_TYPE

if TYPE_CHECKING:
    from runguard._models import Failure


def sort(exc: BaseException) -> Failure:
    return classify(exc, clean=str)


def shape(name: str, *args: Any, base: str = "", **attributes: Any) -> Exception:
    """An exception in the shape of a library's that is not installed here."""
    bases: tuple[type, ...] = (Exception,)
    if base:
        module, _, qualname = base.rpartition(".")
        bases = (type(qualname, bases, {"__module__": module}),)
    module, _, qualname = name.rpartition(".")
    return type(qualname, bases, {"__module__": module, **attributes})(*args)


@pytest.mark.parametrize(
    ("exc", "group", "status"),
    [
        (telegram.Conflict("terminated by other getUpdates request"), "HTTP_409", 409),
        (telegram.Forbidden("bot was blocked by the user"), "HTTP_4XX", 403),
        (telegram.BadRequest("chat not found"), "HTTP_4XX", 400),
        (shape("telegram.error.RetryAfter"), "HTTP_4XX", 429),
        (telegram.InvalidToken(), "HTTP_4XX", 401),
        (telegram.TimedOut(), "TIMEOUT", None),
        (telegram.NetworkError("httpx.ConnectError: refused"), "UNKNOWN", None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_the_types_of_python_telegram_bot(exc: Exception, group: str, status: int | None) -> None:
    failure = sort(exc)

    assert (failure.error_group, failure.http_status_code) == (group, status)


def raised_after_attempts(exc: Exception) -> BaseException:
    @tenacity.retry(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
    def job() -> None:
        raise exc

    with pytest.raises(tenacity.RetryError) as caught:
        job()
    return caught.value


def test_tenacitys_last_attempt_decides() -> None:
    assert sort(raised_after_attempts(telegram.Conflict("x"))).error_group == "HTTP_409"
    assert sort(raised_after_attempts(TimeoutError("x"))).error_group == "TIMEOUT"
    assert sort(raised_after_attempts(ConnectionRefusedError())).error_reason == "refused"


@pytest.mark.parametrize(
    "wrapper",
    [
        shape("retrying.RetryError", last_attempt=SimpleNamespace(value=(None, TimeoutError(), 0))),
        shape("ray.exceptions.RayTaskError", cause=TimeoutError()),
        shape("azure.core.exceptions.ServiceRequestError", inner_exception=TimeoutError()),
        shape("cassandra.cluster.NoHostAvailable", errors={"h": TimeoutError()}),
        shape("elastic_transport.ConnectionError", errors=(ValueError(), TimeoutError())),
        shape("aiohttp.client_exceptions.ClientConnectorError", os_error=TimeoutError()),
        shape("requests.exceptions.ConnectionError", TimeoutError()),
        shape("app.Failed", original_exception=TimeoutError()),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_what_a_wrapper_keeps_is_looked_at(wrapper: Exception) -> None:
    failure = sort(wrapper)

    assert failure.error_group == "TIMEOUT"
    assert failure.matched_depth == 1


def test_a_wrapper_that_keeps_itself_ends() -> None:
    exc = shape("app.Failed")
    exc.cause = exc.errors = exc.exc = exc  # type: ignore[attr-defined]
    exc.args = (exc, exc)

    assert sort(exc).error_group == "UNKNOWN"


@pytest.mark.parametrize(
    ("exc", "status"),
    [
        (shape("databricks.sql.exc.RequestError", context={"http-code": 503}), 503),
        (shape("databricks.sdk.errors.platform.ResourceConflict"), 409),
        (shape("snowflake.connector.errors.ServiceUnavailableError", sqlstate="08001"), 503),
        (shape("snowflake.connector.errors.GatewayTimeoutError"), 504),
        (shape("trino.exceptions.Http503Error", "error 503"), 503),
        (shape("couchdb.http.ResourceConflict"), 409),
        (shape("trello.exceptions.ResourceUnavailable", _status=404), 404),
        (shape("app.Enrolled", base="typesense.exceptions.ObjectAlreadyExists"), 409),
        (shape("dropbox.exceptions.ApiError", "req", "path/conflict"), 409),
        (shape("dropbox.exceptions.RateLimitError", "req", None, 5), 429),
        (shape("stripe._error.AuthenticationError", "No API key provided"), 401),
        (shape("app.Flood", base="telethon.errors.rpcbaseerrors.RPCError", code=420), 420),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_a_type_may_mean_a_status(exc: Exception, status: int) -> None:
    assert sort(exc).http_status_code == status


def test_every_type_means_a_status_that_is_one() -> None:
    assert all(400 <= status <= 599 for status in STATUS_OF_TYPE.values())
    assert len(STATUS_OF_TYPE) > 100


def page(title: str) -> str:
    return f"<html>\n<head><title>{title}</title></head><body>setTimeout(retry)</body></html>"


def response_holding(body: str) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response._content = body.encode()
    return response


@pytest.mark.parametrize(
    ("title", "group", "status"),
    [
        ("502 Bad Gateway", "HTTP_5XX", 502),
        ("503 Service Temporarily Unavailable", "HTTP_5XX", 503),
        ("401 Authorization Required", "HTTP_4XX", 401),
        ("Sign in, 503 students wait", "UNKNOWN", None),
    ],
)
def test_json_that_was_an_error_page(title: str, group: str, status: int | None) -> None:
    with pytest.raises(json.JSONDecodeError) as by_json:
        json.loads(page(title))
    with pytest.raises(requests.exceptions.JSONDecodeError) as by_requests:
        response_holding(page(title)).json()

    for exc in (by_json.value, by_requests.value):
        failure = sort(exc)
        assert (failure.error_group, failure.http_status_code) == (group, status)


def test_json_that_is_only_broken_is_data() -> None:
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads('{"status": 503,}')

    assert (sort(caught.value).error_group, sort(caught.value).error_reason) == ("UNKNOWN", "data")


@pytest.mark.parametrize(
    ("exc", "group"),
    [
        (psycopg.errors.IdleInTransactionSessionTimeout("x"), "TIMEOUT"),
        (psycopg.errors.QueryCanceled("사용자 요청에 의해 작업을 취소합니다."), "UNKNOWN"),
        (psycopg.errors.QueryCanceled("명령실행시간 초과로 작업을 취소합니다."), "TIMEOUT"),
        (psycopg.errors.QueryCanceled("storniere Anfrage wegen Zeitüberschreitung der Anfrage"),
         "TIMEOUT"),
        (psycopg.errors.LockNotAvailable("잠금 대기 시간 초과로 작업을 취소합니다."), "TIMEOUT"),
        (psycopg.errors.LockNotAvailable("could not obtain lock on row"), "UNKNOWN"),
        (psycopg.errors.UndefinedColumn('Spalte »timeout« existiert nicht'), "UNKNOWN"),
        (psycopg.errors.UniqueViolation("jobs: a timeout of 5 exists already"), "UNKNOWN"),
        (psycopg.errors.DeadlockDetected("timed out waiting"), "UNKNOWN"),
        (shape("pyodbc.OperationalError", "HYT00", "x", base="pyodbc.Error"), "TIMEOUT"),
        (shape("pymysql.err.OperationalError", 1205, "x", base="pymysql.err.MySQLError"),
         "TIMEOUT"),
        (shape("pymysql.err.OperationalError", 3024, "x", base="pymysql.err.MySQLError"),
         "TIMEOUT"),
        (shape("mariadb.OperationalError", "x", base="mariadb.Error", errno=1969), "TIMEOUT"),
        (shape("pymysql.err.OperationalError", 1213, "x", base="pymysql.err.MySQLError"),
         "UNKNOWN"),
        (shape("oracledb.exceptions.DatabaseError", SimpleNamespace(code=12170),
               base="oracledb.exceptions.Error"), "TIMEOUT"),
        (shape("pymssql.exceptions.OperationalError", 1222, base="pymssql.exceptions.Error"),
         "TIMEOUT"),
        (shape("snowflake.connector.errors.ProgrammingError", "000604 (57014): SQL canceled",
               sqlstate="57014"), "TIMEOUT"),
        (shape("pymongo.errors.OperationFailure", "x", code=50,
               base="pymongo.errors.PyMongoError"), "TIMEOUT"),
        (OSError(errno.ENOENT, "No such file", "/etc/timeout"), "UNKNOWN"),
        (OSError(errno.ECONNREFUSED, "timeout"), "UNKNOWN"),
        (KeyError("timed out"), "UNKNOWN"),
        (subprocess.CalledProcessError(124, ["timeout", "30", "sync"]), "TIMEOUT"),
        (subprocess.CalledProcessError(124, "/usr/bin/timeout 30 sync"), "TIMEOUT"),
        (subprocess.CalledProcessError(23, ["timeout", "30", "sync"]), "UNKNOWN"),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_number_decides_before_any_text_in_any_language(exc: Exception, group: str) -> None:
    assert sort(exc).error_group == group


def test_a_sqlstate_in_the_chain_decides_before_the_text_of_what_wraps_it() -> None:
    exc = RuntimeError("import of the timeout table failed")
    exc.__cause__ = psycopg.errors.UniqueViolation("duplicate key")

    assert (sort(exc).error_group, sort(exc).error_reason) == ("UNKNOWN", "constraint")


def test_sqlite_names_its_errors() -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("create table a (id integer primary key)")
        connection.execute("insert into a values (1)")
        with pytest.raises(sqlite3.IntegrityError) as caught:
            connection.execute("insert into a values (1)")
    connection.close()

    assert sort(caught.value).error_reason == "constraint"
