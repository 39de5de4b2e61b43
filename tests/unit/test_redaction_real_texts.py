"""The texts that real libraries really write, from real failures on this machine's loopback."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from urllib.request import urlopen

import httpx
import psycopg
import pytest
import requests
import sqlalchemy as sa

from runguard._failure.redaction import Redactor

clean = Redactor().clean


def closed_port() -> int:
    """A port that refuses: it was free a moment ago, and nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def requests_refused() -> object:
    return requests.get(
        f"http://app:hunter2@127.0.0.1:{closed_port()}/orders?token=hunter2&page=3",
        timeout=5,
    )


def requests_bad_status() -> object:
    response = requests.Response()
    response.status_code = 503
    response.reason = "Service Unavailable"
    response.url = "https://app:hunter2@api.example/orders?api_key=hunter2&page=3"
    response.raise_for_status()
    return response


def requests_malformed_url() -> object:
    return requests.get("http://app:hun/ter2@api.example:x/orders", timeout=5)


def httpx_bad_status() -> object:
    request = httpx.Request("GET", "https://app:hunter2@api.example/orders?sig=hunter2&page=3")
    return httpx.Response(403, request=request).raise_for_status()


def httpx_invalid_port() -> object:
    return httpx.get("http://app:hunter2/x@api.example/orders")


def urllib_invalid_port() -> object:
    return urlopen("http://app:hunter2/x@api.example/orders")


def psycopg_malformed_url() -> object:
    return psycopg.connect("postgresql//app:hunter2@127.0.0.1/sales")


def psycopg_bad_percent() -> object:
    return psycopg.connect("postgresql://app:hunter2%zz@127.0.0.1/sales")


def psycopg_bad_port() -> object:
    return psycopg.connect("postgresql://app:hunter2/x@127.0.0.1/sales")


def psycopg_space_in_password() -> object:
    return psycopg.connect("host=127.0.0.1 password=first hunter2")


def psycopg_refused() -> object:
    return psycopg.connect(f"postgresql://app:hunter2@127.0.0.1:{closed_port()}/sales")


def memory_database() -> sa.Connection:
    """A connection that no pool keeps open."""
    return sa.create_engine("sqlite://", poolclass=sa.NullPool).connect()


def sqlalchemy_parameters() -> object:
    with memory_database() as connection:
        statement = sa.text("INSERT INTO orders VALUES (:customer, :card)")
        return connection.execute(statement, {"customer": "Kim]\n", "card": "hunter2"})


CARD = "hunter2"  # apart, so that no line of a traceback shows it


def sqlalchemy_many_parameters() -> object:
    with memory_database() as connection:
        statement = sa.text("INSERT INTO orders VALUES (:card)")
        return connection.execute(statement, [{"card": f"{CARD} {n}"} for n in range(30)])


def sqlalchemy_malformed_url() -> object:
    return sa.create_engine("postgresql//app:hunter2@127.0.0.1/sales")


def process_arguments() -> object:
    command = [sys.executable, "-c", "raise SystemExit(3)", "--password", "hunter2", "--host", "db"]
    return subprocess.run(command, check=True)


def process_url() -> object:
    command = [sys.executable, "-c", "raise SystemExit(3)", "redis://:hunter2@cache/0", "--host"]
    return subprocess.run(command, check=True)


def json_text() -> object:
    raise ValueError(json.dumps({"error": json.dumps({"password": "hunter2", "host": "db"})}))


@pytest.mark.parametrize(
    ("fail", "kept"),
    [
        (requests_refused, ["127.0.0.1", "/orders?token=[redacted]&page=3", "refused"]),
        (requests_bad_status, ["503 Server Error", "@api.example/orders", "page=3"]),
        (requests_malformed_url, []),
        (httpx_bad_status, ["403 Forbidden", "@api.example/orders", "page=3"]),
        (httpx_invalid_port, ["Invalid port"]),
        (urllib_invalid_port, ["nonnumeric port"]),
        (psycopg_malformed_url, ['missing "="', "in connection info string"]),
        (psycopg_bad_percent, ["invalid percent-encoded token"]),
        (psycopg_bad_port, ["port"]),
        (psycopg_space_in_password, ['missing "="']),
        (psycopg_refused, ["127.0.0.1", "Connection refused"]),
        (sqlalchemy_parameters, ["no such table: orders", "INSERT INTO orders", "(Background on"]),
        (sqlalchemy_many_parameters, ["no such table: orders", "[parameters: [redacted]]"]),
        (sqlalchemy_malformed_url, ["SQLAlchemy URL"]),
        (process_arguments, ["'--password'", "'--host', 'db'", "exit status 3"]),
        (process_url, ["redis://:[redacted]@cache/0", "exit status 3"]),
        (json_text, ["error", "host", "db"]),
    ],
)
def test_a_real_error_keeps_its_secret_and_says_what_failed(
    fail: Callable[[], object], kept: list[str]
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each library has its own
        fail()

    for text in (str(caught.value), repr(caught.value)):
        assert "hunter2" not in clean(text)
        assert "ter2" not in clean(text)
    cleaned = clean(str(caught.value))
    assert [piece for piece in kept if piece not in cleaned] == []


# botocore is no dependency of the tests: these are its formats, with values made up.
BOTOCORE = [
    (
        'Could not connect to the endpoint URL: "https://bucket.s3.example/daily/1.csv?'
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAABCDEFGHIJKLMNOP%2F20260102%2Fs3"
        '&X-Amz-Expires=900&X-Amz-Security-Token=FwoGhunter2%3D&X-Amz-Signature=0011hunter2"',
        ["bucket.s3.example/daily/1.csv", "X-Amz-Expires=900"],
    ),
    (
        "An error occurred (InvalidSignatureException) when calling the ListTables operation: "
        "Authorization=AWS4-HMAC-SHA256 Credential=AKIAABCDEFGHIJKLMNOP/20260102/s3/aws4_request, "
        "SignedHeaders=host, Signature=00hunter2",
        ["(InvalidSignatureException) when calling the ListTables operation"],
    ),
    (
        "Error parsing credentials: {'AccessKeyId': 'ASIAABCDEFGHIJKLMNOP', 'SecretAccessKey': "
        "'a/b+hunter2', 'SessionToken': 'FwoGhunter2', 'Expiration': '2026-01-02T03:04:05Z'}",
        ["'Expiration': '2026-01-02T03:04:05Z'"],
    ),
    (
        "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>AKIAABCDEFGHIJKLMNOP"
        "</AWSAccessKeyId><SignatureProvided>hunter2=</SignatureProvided></Error>",
        ["<Code>SignatureDoesNotMatch</Code>"],
    ),
]


@pytest.mark.parametrize(("text", "kept"), BOTOCORE, ids=["endpoint", "header", "parse", "xml"])
def test_a_botocore_text_keeps_its_secret_and_says_what_failed(text: str, kept: list[str]) -> None:
    cleaned = clean(text)

    assert "hunter2" not in cleaned
    assert "ABCDEFGHIJKLMNOP" not in cleaned
    assert [piece for piece in kept if piece not in cleaned] == []
