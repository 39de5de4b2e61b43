"""The reason inside a group: typed evidence first, words last."""

from __future__ import annotations

import asyncio
import concurrent.futures.process
import errno
import json
import socket
import ssl
import subprocess
import sys
import zipfile
from enum import Enum
from typing import Any

import httpx
import psycopg.errors
import pytest
import sqlalchemy.exc

from runguard._errors import JobLockActive
from runguard._failure.classify import classify, classify_text
from runguard._failure.reason import reason_in, timeout_reason_in
from runguard._models import LockHolder
from runguard._reasons import ErrorReason


def reason_of(exc: BaseException) -> str | None:
    return classify(exc, clean=str).error_reason


def shape(name: str, *args: Any, base: str = "", **attributes: Any) -> Exception:
    """An exception in the shape of a library's that is not installed here."""
    bases: tuple[type, ...] = (Exception,)
    if base:
        module, _, qualname = base.rpartition(".")
        bases = (type(qualname, bases, {"__module__": module}),)
    module, _, qualname = name.rpartition(".")
    return type(qualname, bases, {"__module__": module, **attributes})(*args)


class GrpcCode(Enum):
    UNAUTHENTICATED = 16
    UNAVAILABLE = 14


def mysql(number: int) -> Exception:
    return shape("pymysql.err.OperationalError", number, "x", base="pymysql.err.MySQLError")


TYPED: list[tuple[BaseException, str]] = [
    (ConnectionRefusedError(errno.ECONNREFUSED, "x"), "refused"),
    (ConnectionResetError(), "reset"),
    (BrokenPipeError(), "reset"),
    (OSError(errno.EHOSTUNREACH, "x"), "unreachable"),
    (socket.gaierror(-2, "x"), "dns"),
    (ssl.SSLCertVerificationError(1, "x"), "tls"),
    (PermissionError(errno.EACCES, "x"), "forbidden"),
    (FileNotFoundError(errno.ENOENT, "x"), "not_found"),
    (OSError(errno.ENOSPC, "x"), "disk_full"),
    (OSError(errno.EMFILE, "x"), "too_many_files"),
    (OSError(errno.EROFS, "x"), "read_only"),
    (MemoryError(), "out_of_memory"),
    (KeyError("x"), "bug"),
    (ZeroDivisionError(), "bug"),
    (ModuleNotFoundError("x"), "bug"),
    (UnicodeDecodeError("utf-8", b"x", 0, 1, "x"), "data"),
    (json.JSONDecodeError("x", "x", 0), "data"),
    (zipfile.BadZipFile(), "data"),
    (ValueError("x"), "data"),
    (asyncio.CancelledError(), "cancelled"),
    (KeyboardInterrupt(), "interrupted"),
    (SystemExit(3), "exit_code"),
    (concurrent.futures.process.BrokenProcessPool(), "killed"),
    (subprocess.CalledProcessError(3, ["sync"]), "exit_code"),
    (subprocess.CalledProcessError(-9, ["sync"]), "killed"),
    (subprocess.CalledProcessError(-11, ["sync"]), "crashed"),
    (psycopg.errors.DeadlockDetected("x"), "deadlock"),
    (psycopg.errors.SerializationFailure("x"), "serialization"),
    (psycopg.errors.UniqueViolation("x"), "constraint"),
    (psycopg.errors.UndefinedTable("x"), "schema"),
    (psycopg.errors.InsufficientPrivilege("x"), "forbidden"),
    (psycopg.errors.InvalidPassword("x"), "auth"),
    (psycopg.errors.DiskFull("x"), "disk_full"),
    (psycopg.errors.TooManyConnections("x"), "overloaded"),
    (psycopg.errors.AdminShutdown("x"), "reset"),
    (psycopg.errors.LockNotAvailable("x"), "db_lock"),
    (psycopg.errors.QueryCanceled("canceling statement due to user request"), "cancelled"),
    (psycopg.errors.StringDataRightTruncation("x"), "data"),
    (psycopg.errors.ReadOnlySqlTransaction("x"), "read_only"),
    (mysql(1045), "auth"),
    (mysql(1062), "constraint"),
    (mysql(1213), "deadlock"),
    (mysql(2006), "reset"),
    (shape("pymssql.exceptions.Error", 1205), "deadlock"),
    (shape("oracledb.exceptions.Error", type("E", (), {"code": 1017})()), "auth"),
    (shape("pymongo.errors.PyMongoError", code=11000), "constraint"),
    (shape("sqlite3.X", sqlite_errorname="SQLITE_BUSY_SNAPSHOT"), "db_lock"),
    (shape("grpc.RpcError", code=lambda _: GrpcCode.UNAUTHENTICATED), "auth"),
    (shape("grpc.RpcError", code=lambda _: GrpcCode.UNAVAILABLE), "overloaded"),
    (shape("botocore.exceptions.NoCredentialsError"), "auth"),
    (shape("billiard.exceptions.WorkerLostError"), "killed"),
    (shape("pydantic_core._pydantic_core.ValidationError"), "data"),
    (shape("app.Upstream", status_code=401), "auth"),
    (shape("app.Upstream", status_code=403), "forbidden"),
    (shape("app.Upstream", status_code=404), "not_found"),
    (shape("app.Upstream", status_code=409), "conflict"),
    (shape("app.Upstream", status_code=413), "too_large"),
    (shape("app.Upstream", status_code=418), "invalid_request"),
    (shape("app.Upstream", status_code=429), "rate_limited"),
    (shape("app.Upstream", status_code=500), "server_error"),
    (shape("app.Upstream", status_code=502), "bad_gateway"),
    (shape("app.Upstream", status_code=503), "overloaded"),
    (shape("app.Upstream", status_code=504), "gateway_timeout"),
    (shape("app.Upstream", status_code=529), "overloaded"),
    (shape("app.Upstream", "secondary rate limit", status_code=403), "rate_limited"),
    (httpx.ConnectTimeout("x"), "connect_timeout"),
    (httpx.ReadTimeout("x"), "read_timeout"),
    (httpx.PoolTimeout("x"), "pool_timeout"),
    (sqlalchemy.exc.TimeoutError("x"), "pool_timeout"),
    (psycopg.errors.QueryCanceled("canceling statement due to statement timeout"),
     "statement_timeout"),
    (psycopg.errors.LockNotAvailable("canceling statement due to lock timeout"), "db_lock"),
    (mysql(1205), "db_lock"),
    (subprocess.TimeoutExpired(["sync"], 5), "time_limit"),
    (OSError(errno.ETIMEDOUT, "x"), "connect_timeout"),
    (shape("celery.exceptions.SoftTimeLimitExceeded"), "time_limit"),
    (JobLockActive("sync", LockHolder(None, None)), "lock_held"),
]  # fmt: skip

WORDS = {
    "connect: connection refused": "refused",
    "Couldn't connect to server": "refused",
    "read: connection reset by peer": "reset",
    "MySQL server has gone away": "reset",
    "socket hang up": "reset",
    "No route to host": "unreachable",
    "lookup x.test: no such host": "dns",
    "getaddrinfo EAI_AGAIN x.test": "dns",
    "Temporary failure in name resolution": "dns",
    "x509: certificate signed by unknown authority": "tls",
    "Host key verification failed.": "tls",
    "Permission denied (publickey).": "auth",
    'FATAL:  password authentication failed for user "job"': "auth",
    "Access denied for user 'job'@'h' (using password: YES)": "auth",
    "open /var/sync: permission denied": "forbidden",
    "bash: exporter: command not found": "not_found",
    "toomanyrequests: You have reached your pull rate limit": "rate_limited",
    "FATAL:  sorry, too many clients already": "overloaded",
    "Deadlock found when trying to get lock": "deadlock",
    "database is locked": "db_lock",
    "could not serialize access due to concurrent update": "serialization",
    'violates foreign key constraint "a_fk"': "constraint",
    'relation "students" does not exist': "schema",
    "attempt to write a readonly database": "read_only",
    "No space left on device": "disk_full",
    "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory": (
        "out_of_memory"
    ),
    "java.lang.OutOfMemoryError: Java heap space": "out_of_memory",
    "Too many open files": "too_many_files",
    "Killed": "killed",
    "Segmentation fault (core dumped)": "crashed",
    "java.lang.NullPointerException": "bug",
    "TypeError: x is not a function": "bug",
    "parse error: Invalid numeric literal at line 500, column 6": "data",
    "PHP Parse error: syntax error, unexpected token": "bug",
    "Error tokenizing data. C error: Expected 12 fields in line 503, saw 13": "data",
    "Error acquiring the state lock": "lock_held",
    "rsync error: some files could not be transferred, exit code 23": "exit_code",
    "No matching distribution found for nopkg": "not_found",
    "FileNotFoundError: /exports/500.csv": "not_found",
    "curl: (52) Empty reply from server": "reset",
    "The connection to the server localhost:8080 was refused": "refused",
    "Cannot insert the value NULL into column 'timeout' (515)": "constraint",
    "OOM command not allowed when used memory > 'maxmemory'.": "out_of_memory",
    'UNREACHABLE! => {"msg": "Permission denied (publickey,password)."}': "auth",
    "another operation (install/upgrade/rollback) is in progress": "lock_held",
    "sync: error: argument --timeout: expected one argument": "bug",
    "연결이 거부되었습니다": "refused",
    "接続を拒否されました": "refused",
    "拒绝连接": "refused",
    "Verbindungsaufbau abgelehnt": "refused",
    "Connexion refusée": "refused",
    "В соединении отказано": "refused",
    "FATAL:  Passwort-Authentifizierung für Benutzer »job« fehlgeschlagen": "auth",
    "Memory limit (for query) exceeded: would use 9.31 GiB": "out_of_memory",
    "org.hibernate.StaleObjectStateException: Row was updated or deleted": "serialization",
    "장치에 남은 공간이 없음": "disk_full",
    "curl: (35) OpenSSL SSL_connect: SSL_ERROR_SYSCALL in connection to x.test:443": "tls",
    "Page.goto: net::ERR_CONNECTION_RESET at https://x.test/": "reset",
    "MISCONF Redis is configured to save RDB snapshots": "read_only",
    "LOADING Redis is loading the dataset in memory": "overloaded",
    'KafkaError{code=_ALL_BROKERS_DOWN,val=-187,str="2/2 brokers are down"}': "unreachable",
    "Could not acquire change log lock.  Currently locked by host-1": "lock_held",
    "Access to the path 'C:\\a.csv' is denied. UnauthorizedAccessException": "forbidden",
    "{'ok': False, 'error': 'invalid_auth'}": "auth",
    "ORA-28000: the account is locked": "auth",
    "SERVICE_KEY_IS_NOT_REGISTERED_ERROR": "auth",
    "비밀번호가 일치하지 않습니다": "auth",
    "LIMITED_NUMBER_OF_SERVICE_REQUESTS_EXCEEDS_ERROR": "rate_limited",
    "Permissão negada: '/exports/a.csv'": "forbidden",
    "обнаружена взаимоблокировка": "deadlock",
    "Espace disque insuffisant": "disk_full",
    "la llave duplicada viola restricción de unicidad «enrol_pkey»": "constraint",
    "повторяющееся значение ключа нарушает ограничение уникальности": "constraint",
    "expected 12 columns, got 13": "data",
    "第12行数据格式错误": "data",
    "mapping values are not allowed here": "data",
    "java.nio.file.NoSuchFileException: /exports/a.csv": "not_found",
    "io.grpc.StatusRuntimeException: UNAVAILABLE: io exception": "overloaded",
    "Error: Cannot find module './grades' { code: 'MODULE_NOT_FOUND' }": "bug",
    "sync exited with status 143": "killed",
    "PID 409 exited with 1": "exit_code",
    "student 12 has no faculty": None,
}

TIMEOUT_WORDS = {
    "dial tcp 192.0.2.1:5432: i/o timeout": "connect_timeout",
    "Read timed out. (read timeout=5)": "read_timeout",
    "canceling statement due to statement timeout": "statement_timeout",
    "Lock wait timeout exceeded": "db_lock",
    "QueuePool limit of size 5 overflow 10 reached, connection timed out": "pool_timeout",
    "Maximum execution time of 30 seconds exceeded": "time_limit",
    "HTTPSConnectionPool(host='x.test', port=443): Read timed out.": "read_timeout",
    "Timeout was reached while connecting": "connect_timeout",
    "timed out waiting for the condition on jobs/nightly": "time_limit",
    "timeout while waiting for state to become 'success'": "time_limit",
    "Failed to update metadata after 60.0 secs: timeout": "read_timeout",
    "Executor heartbeat timed out after 278220 ms": "read_timeout",
    "timeout of 10000ms exceeded": "read_timeout",
    "io timeout after 300 seconds -- exiting": "read_timeout",
    "요청 시간이 초과되었습니다": "read_timeout",
    "请求超时": "read_timeout",
    "Der Vorgang hat das Zeitlimit überschritten": "time_limit",
    "timed out": None,
}


@pytest.mark.parametrize(("exc", "reason"), TYPED, ids=lambda value: type(value).__name__)
def test_types_and_numbers_tell_the_reason(exc: BaseException, reason: str) -> None:
    assert reason_of(exc) == reason


@pytest.mark.parametrize("text", WORDS)
def test_words_tell_the_reason_where_no_type_does(text: str) -> None:
    assert reason_in(text) == WORDS[text]
    assert reason_of(RuntimeError(text)) == WORDS[text]


@pytest.mark.parametrize("text", TIMEOUT_WORDS)
def test_words_tell_what_was_waited_for(text: str) -> None:
    assert timeout_reason_in(text) == TIMEOUT_WORDS[text]
    assert reason_of(RuntimeError(text)) == TIMEOUT_WORDS[text]


def test_a_type_counts_before_any_words() -> None:
    assert reason_of(ConnectionRefusedError("disk full")) == "refused"


def test_the_nearest_in_the_chain_counts() -> None:
    exc = RuntimeError("sync failed: no space left on device")
    exc.__cause__ = KeyError("x")
    exc.__cause__.__cause__ = ConnectionRefusedError()

    assert reason_of(exc) == "bug"


def test_a_general_type_counts_after_what_is_behind_it() -> None:
    exc = ValueError("x")
    exc.__cause__ = ConnectionRefusedError()

    assert reason_of(exc) == "refused"
    assert reason_of(ValueError("no space left on device")) == "disk_full"


def test_a_declared_failure_has_a_reason_too() -> None:
    assert classify_text("connection refused", clean=str).error_reason == "refused"
    assert classify_text("x", http_status_code=429, clean=str).error_reason == "rate_limited"
    assert classify_text("3 of 10 pages failed", clean=str).error_reason is None


def test_every_reason_that_is_given_is_in_the_list() -> None:
    assert {reason for _, reason in TYPED} <= set(ErrorReason)


def test_a_failure_is_kept_where_the_rules_cannot_be_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when no file can be opened any more."""

    class Refusing:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "runguard._failure.tiers":
                raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.delitem(sys.modules, "runguard._failure.tiers", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Refusing(), *sys.meta_path])
    for failure in (
        classify(ValueError("the message"), clean=str),
        classify_text("the message", clean=str),
    ):
        assert (failure.error_group, failure.error_message) == ("UNKNOWN", "the message")
        assert failure.matched_by == "nothing: the rules could not be loaded (OSError)"
