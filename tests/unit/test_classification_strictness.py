"""Where a careless classifier errs: numbers of other protocols, hostile objects, crowds."""

from __future__ import annotations

import concurrent.futures
import ftplib
import smtplib
import sqlite3
import subprocess
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock, Mock

import pytest
import sqlalchemy
import sqlalchemy.exc

from runguard._failure.classify import classify
from runguard._failure.text_evidence import status_in, status_line
from runguard._models import ErrorGroup, Failure, Rule

if TYPE_CHECKING:
    from collections.abc import Callable


def sort(exc: BaseException, *rules: Rule) -> Failure:
    return classify(exc, rules=rules, clean=str)


def shape(name: str, *args: Any, base: str = "", **attributes: Any) -> Exception:
    """An exception in the shape of a library's that is not installed here, not its real class."""
    bases: tuple[type, ...] = (Exception,)
    if base:
        module, _, qualname = base.rpartition(".")
        bases = (type(qualname, bases, {"__module__": module}),)
    module, _, qualname = name.rpartition(".")
    return type(qualname, bases, {"__module__": module, **attributes})(*args)


def statement_error() -> Exception:
    with sqlalchemy.create_engine("sqlite://").connect() as connection:
        try:
            connection.execute(sqlalchemy.text("select * from jobs where status = 500"))
        except sqlalchemy.exc.OperationalError as exc:
            return exc
    raise AssertionError


@pytest.mark.parametrize(
    "exc",
    [
        statement_error(),
        sqlite3.OperationalError("no such column: status = 500"),
        subprocess.CalledProcessError(22, ["curl", "-H", "status: 503"]),
        smtplib.SMTPSenderRefused(450, b"500 Internal Server Error", "a@b.test"),
        ftplib.error_temp("421 Service not available, status 421"),
        shape("twisted.internet.error.ProcessTerminated", "x", status=512),
        shape("amqp.exceptions.NotFound", "(404) x", base="amqp.exceptions.AMQPError", code=404),
        shape("pymysql.err.DataError", "status 409", base="pymysql.err.MySQLError"),
        shape("app.Failed", status="500 rows imported"),
        shape("app.Failed", status=503.0),
        shape("app.Failed", status_code=Mock(spec=int)),
        shape("app.Failed", response=MagicMock(), code=MagicMock()),
        shape("app.InvalidTimeout", "expected a number"),
        shape("app.ReadTimeout", "an application's own"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_no_answer_of_an_upstream_and_no_timeout(exc: Exception) -> None:
    failure = sort(exc)

    assert (failure.error_group, failure.http_status_code) == (ErrorGroup.UNKNOWN, None)


@pytest.mark.parametrize(
    "exc",
    [
        shape("google.api_core.exceptions.RetryError", "gave up"),
        shape("pycurl.error", 28, "Operation too slow"),
        shape("multiprocessing.context.TimeoutError"),
    ],
    ids=lambda exc: type(exc).__name__,
)  # fmt: skip
def test_a_timeout_though_a_number_stands_beside_it(exc: Exception) -> None:
    assert sort(exc).error_group is ErrorGroup.TIMEOUT


@pytest.mark.parametrize(
    ("exc", "status"),
    [
        (shape("google.api_core.exceptions.DeadlineExceeded", "504 Deadline Exceeded", code=504,
               base="google.api_core.exceptions.GoogleAPICallError"), 504),
        (shape("tornado.simple_httpclient.HTTPTimeoutError", "while connecting", code=599), 599),
    ],
    ids=["google", "tornado"],
)  # fmt: skip
def test_a_status_that_is_carried_counts_before_the_type(exc: Exception, status: int) -> None:
    failure = sort(exc)

    assert (failure.error_group, failure.http_status_code) == (ErrorGroup.HTTP_5XX, status)


@pytest.mark.parametrize(
    ("name", "status"), [("Forbidden", 403), ("InvalidPath", 404), ("VaultDown", 503)]
)
def test_a_type_may_be_the_status(name: str, status: int) -> None:
    assert sort(shape(f"hvac.exceptions.{name}")).http_status_code == status


def test_a_strangers_code_is_not_called() -> None:
    calls: list[object] = []
    sort(shape("app.Failed", code=calls.append))

    assert calls == []


def test_the_last_attempt_of_tenacity_is_looked_at_but_not_waited_for() -> None:
    attempt: concurrent.futures.Future[None] = concurrent.futures.Future()
    exc = shape("tenacity.RetryError", last_attempt=attempt)
    assert sort(exc).error_group is ErrorGroup.UNKNOWN

    attempt.set_exception(shape("app.Failed", status_code=503))
    assert sort(exc).error_group is ErrorGroup.HTTP_5XX


def test_of_equals_in_a_group_a_status_counts_before_a_timeout() -> None:
    members = [TimeoutError(), shape("app.Failed", status_code=503)]

    assert sort(ExceptionGroup("two", members)).error_group is ErrorGroup.HTTP_5XX


def test_a_nearer_timeout_counts_before_a_farther_status() -> None:
    exc = ValueError("x")
    exc.__cause__ = TimeoutError()
    exc.__cause__.__context__ = shape("app.Failed", status_code=503)

    assert sort(exc).error_group is ErrorGroup.TIMEOUT


def test_the_last_of_a_hundred_members_is_found() -> None:
    members: list[Exception] = [ValueError(n) for n in range(99)]
    group = ExceptionGroup("many", [*members, shape("app.Failed", status_code=503)])

    assert sort(group).error_group is ErrorGroup.HTTP_5XX


def hostile(**namespace: Any) -> BaseException:
    return type("Hostile", (Exception,), namespace)("x")


def explode(*_: Any) -> Any:
    raise SystemExit(503)


class HidesAll(type):
    def __getattribute__(cls, name: str) -> Any:
        raise SystemExit(name)


class HostileRule(type):
    def __subclasscheck__(cls, subclass: type) -> bool:
        raise SystemExit


class HostileInt(int):
    __index__ = __int__ = __le__ = __ge__ = __eq__ = explode
    __hash__ = int.__hash__


class HostileStr(str):
    __slots__ = ()
    __eq__ = __getitem__ = lower = strip = __str__ = explode
    __hash__ = str.__hash__


# Made by the tests: pytest itself would stumble over them.
HOSTILE: dict[str, Callable[[], BaseException]] = {
    "text": lambda: hostile(__str__=explode),
    "class": lambda: hostile(__class__=property(explode)),
    "every attribute": lambda: hostile(__getattribute__=explode),
    "is its own attributes": lambda: hostile(__getattr__=lambda self, _: self),
    "module": lambda: hostile(__module__=HostileStr("app")),
    "module for no store": lambda: hostile(__module__="a\ud800\0"),
    "hostile text": lambda: hostile(__str__=lambda _: HostileStr("x")),
    "arguments": lambda: hostile(__mro__=property(explode), args=property(explode)),
    "type": lambda: HidesAll("Hostile", (Exception,), {})("x"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_whatever_an_exception_does_it_is_sorted(what: str) -> None:
    failure = sort(HOSTILE[what]())

    assert failure.error_group is ErrorGroup.UNKNOWN
    assert b"\0" not in f"{failure.error_type}{failure.matched_by}".encode()
    assert failure.error_type.endswith("Hostile")


def test_a_status_is_read_past_hostile_methods() -> None:
    assert sort(hostile(status_code=HostileInt(503))).http_status_code == 503
    assert sort(hostile(status_code=HostileStr("503"))).http_status_code == 503


@pytest.mark.parametrize("match", [explode, HostileRule("R", (Exception,), {})])
def test_a_rule_that_fails_says_no_whatever_it_raises(match: Any) -> None:
    assert sort(ValueError(), Rule(match, "TIMEOUT")).error_group is ErrorGroup.UNKNOWN


STATUSES = {
    '"GET /x HTTP/1.1" 503 299': 503,
    "HttpStatusCode: 503": 503,
    '{"httpStatus":404}': 404,
    '{"status" : "404"}': 404,
    '"status"=>503': 503,
    "status code [503]": 503,
    "HTTP404 from upstream": 404,
    "HTTP Error 503. The service is unavailable.": 503,
    "Response status code does not indicate success: 404 (Not Found).": 404,
    'Net::HTTPServerException: 404 "Not Found"': 404,
    "ERROR 404: Not Found.": 404,
    "npm ERR! 404 Not Found - GET https://x.test": 404,
    "(404)\nReason: Not Found\nHTTP response headers: {}": 404,
    "<title>502 Bad Gateway</title>": 502,
    "discord.errors.HTTPException: 403 Forbidden (error code: 50013)": 403,
    "HTTP Status 500 \u2013 Internal Server Error": 500,
    "exited: the API returned HTTP status 503": 503,
    "processed 500 of 512 records: status 502": 502,
    "HTTP 503 after 450 ms": 503,
    "HTTP 503 of upstream": 503,
}

ORDINARY = [
    "status: 500 rows imported",
    "status: 500 of 512",
    "status: 500/512",
    "status 400-599",
    "status 450 seconds",
    "status 450ms",
    "status 500,000",
    "status 500.25",
    "exit status: 500",
    "exitStatus=500",
    "exited with status code 500",
    "returned a non-zero status 500",
    "order 409 Conflicts with order 410",
    "423 Lockeders",
    "code 500 message=done",
    "rows 404, Gone with the wind",
    "GET https://x.test/status/500",
    "INV-404 not found",
    "thermostat 500",
    "HTTPSConnectionPool(host='x.test', port=443)",
]


@pytest.mark.parametrize("text", STATUSES)
def test_texts_of_real_tools_name_their_status(text: str) -> None:
    found = status_in(text)

    assert found is not None
    assert found[0] == STATUSES[text]


@pytest.mark.parametrize("text", ORDINARY)
def test_counts_codes_and_paths_are_no_status(text: str) -> None:
    assert status_in(text) is None


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("503", 503),
        (" 404 ", 404),
        ("404 Not Found", 404),
        ("404 not found", 404),
        ("500 rows", None),
        ("5030", None),
        ("302", None),
        ("\u0665\u0660\u0663", None),
        ("", None),
    ],
)
def test_a_status_line_is_a_number_and_its_phrase(text: str, status: int | None) -> None:
    assert status_line(text) == status


def test_what_is_shown_of_a_text_is_only_what_matched() -> None:
    failure = sort(ValueError("token=s3cret status: 503 s3cret"))

    assert failure.matched_by == "text: 'status: 503'"
