"""What exceptions carry: attribute shapes, types, chains, own rules, hostile objects."""

from __future__ import annotations

import concurrent.futures
import errno
import socket
import subprocess
from enum import Enum
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

import psycopg.errors
import pytest
import sqlalchemy.exc
import urllib3.exceptions

import runguard
from runguard._errors import JobLockActive
from runguard._failure.classify import classify
from runguard._models import ErrorGroup, Failure, LockHolder, Rule, Severity


def sort(exc: BaseException, *rules: Rule) -> Failure:
    return classify(exc, rules=rules, clean=str)


def lookalike(name: str, *bases: type, text: str = "x", **attributes: Any) -> Exception:
    """An exception in the shape of a library's that is not installed here."""
    module, _, qualname = name.rpartition(".")
    cls = type(qualname, bases or (Exception,), {"__module__": module, **attributes})
    return cls(text)


class GrpcCode(Enum):
    DEADLINE_EXCEEDED = (4, "deadline exceeded")
    UNAVAILABLE = (14, "unavailable")


SHAPES = [
    lookalike("openai.RateLimitError", status_code=429),
    lookalike("stripe.error.APIError", http_status=503),
    lookalike("kubernetes.client.exceptions.ApiException", status=404, reason="Not Found"),
    lookalike("github.GithubException", status=422, data={}),
    lookalike("elasticsearch.ApiError", meta=SimpleNamespace(status=429)),
    lookalike("elasticsearch.exceptions.TransportError", status_code=503),
    lookalike("azure.core.exceptions.HttpResponseError", status_code=409),
    lookalike("requests.exceptions.HTTPError", response=SimpleNamespace(status_code=502)),
    lookalike("slack_sdk.errors.SlackApiError", response=SimpleNamespace(status_code=429)),
    lookalike("botocore.exceptions.ClientError", response={
        "Error": {"Code": "SlowDown"}, "ResponseMetadata": {"HTTPStatusCode": 503},
    }),
    lookalike("googleapiclient.errors.HttpError", resp=SimpleNamespace(status="403")),
    lookalike("google.api_core.exceptions.ServiceUnavailable",
              type("GoogleAPICallError", (Exception,),
                   {"__module__": "google.api_core.exceptions"}), code=HTTPStatus(503)),
    lookalike("tornado.httpclient.HTTPClientError", code=502),
    lookalike("werkzeug.exceptions.Conflict",
              type("HTTPException", (Exception,), {"__module__": "werkzeug.exceptions"}), code=409),
    lookalike("urllib.error.HTTPError", code=404),
    lookalike("falcon.errors.HTTPServiceUnavailable", status="503 Service Unavailable"),
    lookalike("twisted.web.error.Error", status=b"502"),
    lookalike("xmlrpc.client.ProtocolError", errcode=403),
    lookalike("gitlab.exceptions.GitlabError", response_code=401),
    lookalike("suds.transport.TransportError", httpcode=500),
    lookalike("webob.exc.HTTPNotFound", status_int=404, status="404 Not Found"),
    lookalike("minio.error.S3Error", response=SimpleNamespace(status=404)),
    lookalike("websockets.exceptions.InvalidStatus", response=SimpleNamespace(status_code=403)),
    lookalike("django.http.response.Http404"),
    lookalike("mlflow.exceptions.RestException", get_http_status_code=lambda _: 404),
]  # fmt: skip
EXPECTED = [
    429, 503, 404, 422, 429, 503, 409, 502, 429, 503, 403, 503, 502, 409, 404, 503, 502, 403, 401,
    500, 404, 404, 403, 404, 404,
]  # fmt: skip


@pytest.mark.parametrize(
    ("exc", "status"),
    list(zip(SHAPES, EXPECTED, strict=True)),
    ids=[type(e).__name__ for e in SHAPES],
)
def test_the_shapes_of_real_clients(exc: Exception, status: int) -> None:
    failure = sort(exc)

    assert failure.http_status_code == status
    expected = {4: ErrorGroup.HTTP_4XX, 5: ErrorGroup.HTTP_5XX}[status // 100]
    assert failure.error_group is (ErrorGroup.HTTP_409 if status == 409 else expected)
    assert failure.matched_depth == 0


@pytest.mark.parametrize("value", [True, False, 4090, 399, 600, -503, "503x", "no", None, 5.03, []])
def test_what_is_no_status(value: Any) -> None:
    assert sort(lookalike("client.Error", status_code=value)).error_group is ErrorGroup.UNKNOWN


@pytest.mark.parametrize("value", [503, "503", b"503", HTTPStatus.SERVICE_UNAVAILABLE])
def test_a_status_is_a_number_or_its_digits(value: Any) -> None:
    assert sort(lookalike("client.Error", status_code=value)).http_status_code == 503


@pytest.mark.parametrize(
    "exc",
    [
        SystemExit(503),
        subprocess.CalledProcessError(503, ["sync"]),
        OSError(404, "an odd number"),
        lookalike("smtplib.SMTPResponseException", smtp_code=450, smtp_error=b"busy"),
        lookalike("aiosmtplib.errors.SMTPResponseException", code=450),
        lookalike("asyncssh.process.ProcessError", exit_status=500),
        lookalike("docker.errors.ContainerError", exit_status=404),
        lookalike("pymysql.err.OperationalError", args=(500, "x")),
        lookalike("tool.ExitError", code=404),
        lookalike("grpc.RpcError", code=lambda _: GrpcCode.UNAVAILABLE),
        KeyError(404),
        ValueError(503),
        psycopg.errors.UniqueViolation("HTTP 409 stands in the user's data"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_other_numbers_are_not_http(exc: BaseException) -> None:
    failure = sort(exc)

    assert (failure.error_group, failure.http_status_code) == (ErrorGroup.UNKNOWN, None)


TIMEOUTS = [
    TimeoutError(),
    TimeoutError("x"),
    TimeoutError(),
    concurrent.futures.TimeoutError(),
    subprocess.TimeoutExpired(["sync"], 5),
    OSError(errno.ETIMEDOUT, "x"),
    sqlalchemy.exc.TimeoutError("QueuePool limit"),
    psycopg.errors.ConnectionTimeout("x"),
    psycopg.errors.QueryCanceled("canceling statement due to statement timeout"),
    lookalike("psycopg_pool.PoolTimeout"),
    lookalike("httpx.ReadTimeout", text=""),
    lookalike("httpx.PoolTimeout", text=""),
    lookalike("requests.exceptions.ConnectTimeout"),
    lookalike("botocore.exceptions.ReadTimeoutError"),
    lookalike("redis.exceptions.TimeoutError"),
    lookalike("pymongo.errors.ServerSelectionTimeoutError"),
    lookalike("pymongo.errors.NetworkTimeout"),
    lookalike("cassandra.OperationTimedOut"),
    lookalike("celery.exceptions.SoftTimeLimitExceeded"),
    lookalike("billiard.exceptions.TimeLimitExceeded"),
    lookalike("rq.timeouts.JobTimeoutException"),
    lookalike("dramatiq.middleware.time_limit.TimeLimitExceeded"),
    lookalike("trio.TooSlowError"),
    lookalike("gevent.timeout.Timeout", BaseException),
    lookalike("kafka.errors.RequestTimedOutError"),
    lookalike("selenium.common.exceptions.TimeoutException"),
    lookalike("playwright._impl._errors.TimeoutError"),
    lookalike("elastic_transport.ConnectionTimeout"),
    lookalike("ldap.TIMEOUT"),
    lookalike("dns.exception.Timeout"),
    lookalike("grpc.RpcError", code=lambda _: GrpcCode.DEADLINE_EXCEEDED),
]


@pytest.mark.parametrize("exc", TIMEOUTS, ids=[type(e).__name__ for e in TIMEOUTS])
def test_timeouts_of_many_libraries(exc: BaseException) -> None:
    failure = sort(exc)

    assert failure.error_group is ErrorGroup.TIMEOUT
    assert failure.severity is Severity.HIGH
    assert not failure.matched_by.startswith("text")


@pytest.mark.parametrize(
    "exc",
    [
        urllib3.exceptions.NewConnectionError(None, "[Errno 111] Connection refused"),  # type: ignore[arg-type]
        urllib3.exceptions.NameResolutionError("x.invalid", None, socket.gaierror()),  # type: ignore[arg-type]
        psycopg.errors.QueryCanceled("canceling statement due to user request"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_what_only_looks_like_a_timeout(exc: BaseException) -> None:
    assert sort(exc).error_group is ErrorGroup.UNKNOWN


def test_the_exception_itself_counts_before_its_cause() -> None:
    exc = TimeoutError("x")
    exc.__cause__ = lookalike("client.Error", status_code=503)

    assert sort(exc).error_group is ErrorGroup.TIMEOUT


@pytest.mark.parametrize("link", ["__cause__", "__context__", "orig", "reason"])
def test_what_stands_behind_it_counts_next(link: str) -> None:
    exc = lookalike("app.Failed")
    setattr(exc, link, lookalike("client.Error", status_code=503))
    failure = sort(exc)

    assert failure.error_group is ErrorGroup.HTTP_5XX
    assert failure.matched_depth == 1
    assert failure.error_type == "app.Failed"


def test_a_suppressed_context_does_not_count() -> None:
    exc = ValueError("x")
    exc.__context__ = TimeoutError()
    exc.__suppress_context__ = True

    assert sort(exc).error_group is ErrorGroup.UNKNOWN


def test_types_in_the_chain_count_before_any_text() -> None:
    exc = ValueError("HTTP 404")
    exc.__cause__ = TimeoutError()

    assert sort(exc).error_group is ErrorGroup.TIMEOUT


def test_members_of_groups_count_nearest_first() -> None:
    group = ExceptionGroup(
        "two", [ExceptionGroup("inner", [TimeoutError()]), lookalike("c.Error", status_code=503)]
    )

    assert sort(group).error_group is ErrorGroup.HTTP_5XX


def test_a_held_lock_anywhere_in_the_chain_counts_before_types() -> None:
    exc = lookalike("client.Error", status_code=503)
    exc.__cause__ = JobLockActive("sync", LockHolder(None, None))
    failure = sort(exc)

    assert (failure.error_group, failure.http_status_code) == (ErrorGroup.LOCK_CONFLICT, 409)
    assert failure.severity is Severity.LOW


def test_with_a_sqlstate_no_status_is_read_from_any_text() -> None:
    exc = RuntimeError("insert failed: HTTP 409")
    exc.__cause__ = psycopg.errors.UniqueViolation("duplicate key")

    assert sort(exc).error_group is ErrorGroup.UNKNOWN


def test_circles_and_endless_chains_end() -> None:
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one
    assert sort(one).error_group is ErrorGroup.UNKNOWN

    first = last = ValueError("0")
    for number in range(5000):
        last.__cause__ = ValueError(str(number))
        last = last.__cause__
    last.__cause__ = TimeoutError()
    assert sort(first).error_group is ErrorGroup.UNKNOWN  # too far away to be the reason


def test_own_rules_by_type_name_and_predicate() -> None:
    exc = ConnectionResetError("x")
    assert sort(exc, Rule(OSError, "HTTP_5XX")).error_group is ErrorGroup.HTTP_5XX
    assert sort(exc, Rule("ConnectionError", "TIMEOUT")).error_group is ErrorGroup.TIMEOUT
    assert sort(exc, Rule(lambda e: str(e) == "x", "HTTP_409")).http_status_code == 409
    assert sort(exc, Rule(ValueError, "TIMEOUT")).error_group is ErrorGroup.UNKNOWN


def test_own_rules_come_before_everything_and_in_their_order() -> None:
    exc = RuntimeError("job_lock active")
    rules = Rule(RuntimeError, "HTTP_4XX", http_status_code=402), Rule(Exception, "TIMEOUT")
    failure = sort(exc, *rules)

    assert (failure.error_group, failure.http_status_code) == (ErrorGroup.HTTP_4XX, 402)
    assert (failure.matched_rule, failure.matched_depth) == (1, 0)


def test_own_rules_look_behind_the_exception() -> None:
    exc = RuntimeError("x")
    exc.__cause__ = KeyError("y")

    assert sort(exc, Rule(LookupError, "TIMEOUT")).error_group is ErrorGroup.TIMEOUT


def test_a_predicate_that_fails_says_no() -> None:
    assert sort(ValueError(), Rule(lambda exc: exc.args[7], "TIMEOUT")).error_group == "UNKNOWN"


class Hostile(Exception):
    def __str__(self) -> str:
        raise SystemExit(503)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    @property
    def status_code(self) -> int:
        raise KeyboardInterrupt

    @property
    def response(self) -> Any:
        return self

    @property
    def __cause__(self) -> Any:
        raise RecursionError

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]


def test_a_hostile_exception_is_sorted_all_the_same() -> None:
    failure = sort(Hostile())

    assert failure.error_group is ErrorGroup.UNKNOWN
    assert failure.error_message.endswith("Hostile")


def test_hostile_values_are_no_evidence() -> None:
    class Int(int):
        def __le__(self, other: object) -> bool:
            raise ZeroDivisionError

        def __int__(self) -> int:
            raise ZeroDivisionError

    class Mapping(dict[str, Any]):
        def get(self, *_: Any) -> Any:
            raise ZeroDivisionError

    assert sort(lookalike("c.E", status_code=Int(503))).error_group is not ErrorGroup.HTTP_4XX
    assert sort(lookalike("c.E", response=Mapping())).error_group is ErrorGroup.UNKNOWN
    assert sort(lookalike("c.E", code=lambda _, more: more)).error_group is ErrorGroup.UNKNOWN


@pytest.mark.parametrize(
    ("exc", "message"),
    [
        (KeyError("user_id"), "KeyError: 'user_id'"),
        (KeyError(), "KeyError"),
        (TimeoutError(), "TimeoutError"),
        (ValueError("   "), "ValueError"),
        (lookalike("httpx.PoolTimeout", text=""), "httpx.PoolTimeout"),
        (ValueError("as it is"), "as it is"),
    ],
    ids=repr,
)
def test_the_message_is_the_exceptions_own(exc: Exception, message: str) -> None:
    assert sort(exc).error_message == message


def test_the_text_is_read_before_it_is_cleaned() -> None:
    failure = classify(ValueError("HTTP 503"), clean=lambda _: "hidden")

    assert (failure.error_group, failure.error_message) == (ErrorGroup.HTTP_5XX, "hidden")


@pytest.mark.parametrize("value", [None, "HTTP 500", ValueError])
def test_what_is_no_exception_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="classify: expected an exception, found"):
        runguard.classify(value)
