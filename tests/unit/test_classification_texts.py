"""What texts say, and what they do not (SPEC 4, tier 5)."""

from __future__ import annotations

import pytest

from runguard._failure.classify import classify, classify_text
from runguard._failure.text_evidence import status_in
from runguard._models import ErrorGroup


def group_of(text: str) -> tuple[ErrorGroup, int | None]:
    failure = classify(Exception(text), clean=str)
    return failure.error_group, failure.http_status_code


STATUSES = {
    # (a) a word announces it
    "HTTP 503": 503,
    "HTTP/1.1 503": 503,
    "HTTP/2 429": 429,
    "http 500 from upstream": 500,
    "HTTP 200, then HTTP 502": 502,
    "HTTP Error 404: Not Found": 404,
    "HTTP Error 500: Internal Server Error": 500,
    "HTTPError: 502": 502,
    '<HttpError 403 when requesting https://x.test/v1 returned "denied">': 403,
    "HTTP status 503": 503,
    "HTTP response 503": 503,
    "HTTP code 503": 503,
    "Server returned HTTP response code: 503 for URL: http://x.test/": 503,
    "HTTP status code: 409": 409,
    "upstream returned status 502": 502,
    "received status 409 from upstream": 409,
    "unexpected status 502 Bad Gateway: x, url: y": 502,
    "Response status code 429": 429,
    "Request failed with status code 500": 500,
    "status code returned 503": 503,
    "status_code=409": 409,
    "status: 401": 401,
    "statusCode: 503": 503,
    "http_status=503": 503,
    'status="503"': 503,
    '{"status": 503, "error": "x"}': 503,
    "{'status_code': 404}": 404,
    '{\\"status\\": 404}': 404,
    "Error code: 429 - {'error': {'message': 'slow down'}}": 429,
    "API Error: 529 {'type': 'overloaded_error'}": 529,
    "RequestError: 404": 404,
    "GET https://x.test/users/500 -> HTTP 404": 404,
    # (b) its own phrase follows
    "503 Service Unavailable": 503,
    "404 not found": 404,
    "error: 404 not found": 404,
    "got '404 not found'": 404,
    "bad gateway: 502 Bad Gateway": 502,
    "the gateway said (504) Gateway Timeout": 504,
    "504 Gateway Time-out": 504,
    "429 Too Many Requests": 429,
    "401 Unauthorized": 401,
    "403: Forbidden": 403,
    "403 - Forbidden": 403,
    "422 Unprocessable Entity": 422,
    "422 Unprocessable Content": 422,
    "413 Request Entity Too Large": 413,
    "413 Payload Too Large": 413,
    "418 I'm a Teapot": 418,
    "the server responded with a status of 503 (Service Unavailable)": 503,
    "curl: (22) The requested URL returned error: 503 Service Unavailable": 503,
    "503 Server Error: Service Unavailable for url: http://x.test/": 503,
    "404 Client Error: Not Found for url: http://x.test/": 404,
    "Client error '404 Not Found' for url 'http://x.test/'\nFor more information": 404,
    "Server error '503 Service Unavailable' for url 'http://x.test/'": 503,
    "404, message='Not Found', url='http://x.test/'": 404,
    "500, message='', url=URL('http://x.test/')": 500,
    # (c) urllib3 has given up
    "HTTPConnectionPool(host='x', port=443): Max retries exceeded with url: /"
    " (Caused by ResponseError('too many 503 error responses'))": 503,
}

ORDINARY = [
    "processed 500 of 512 records",
    "port=443",
    "port=500",
    "localhost:443",
    "connect to db.internal:502 failed",
    "invoice 404 not found in ledger",
    "KeyError: 404",
    "Key (id)=(409) already exists",
    "DETAIL:  Key (user_id)=(503) is not present in table",
    "cannot read /exports/500.csv",
    "no such file: /exports/404/index.html",
    "exit status 500",
    "exited with status 404",
    "exit code 503",
    "Command '['sync']' returned non-zero exit status 404.",
    'File "job.py", line 404, in <module>',
    "row 503 is malformed",
    "500",
    "404",
    "page 404 of 512",
    "batch 500 failed",
    "id 409 conflicts with id 410",
    "took 502 ms",
    "waited 450 seconds",
    "disk has 500 GB left",
    "503% of the quota",
    "404.5 is no amount",
    "1,500 rows",
    "$500.00 was charged",
    "version 4.0.503",
    "HTTP 5001",
    "status code 4090",
    "status 4040",
    "HTTP 200",
    "status: 302",
    "HTTP 999",
    "expected 512 columns, found 409",
    "ORA-00500: something",
    "error 1205",
    "E500: bad",
    "room-404 not found",
    "sync 500 client records",
    "sent 500 Messages",
    "at 2026-05-04 12:40:04",
    "0x500 is no address",
    "등록 500건 처리",
    "",
]


@pytest.mark.parametrize("text", STATUSES)
def test_a_number_that_reads_as_a_status_is_one(text: str) -> None:
    status = STATUSES[text]
    group = {4: ErrorGroup.HTTP_4XX, 5: ErrorGroup.HTTP_5XX}[status // 100]

    assert group_of(text) == (ErrorGroup.HTTP_409 if status == 409 else group, status)


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_number_is_none(text: str) -> None:
    assert status_in(text) is None
    assert group_of(text) == (ErrorGroup.UNKNOWN, None)


@pytest.mark.parametrize(
    "text",
    [
        "timed out",
        "The read operation timed out",
        "Read timed out. (read timeout=5)",
        "TIMEOUT",
        "timed out after 450 seconds",
        "canceling statement due to statement timeout",
        "Lock wait timeout exceeded; try restarting transaction",
        "HTTPConnectionPool(host='localhost', port=443): Read timed out. (read timeout=5)",
        "('HYT00', '[HYT00] Login timeout expired (0) (SQLDriverConnect)')",
        "Timeout of 60.0s exceeded",
    ],
)
def test_a_text_that_speaks_of_a_timeout_is_one(text: str) -> None:
    assert group_of(text) == (ErrorGroup.TIMEOUT, None)


def test_a_status_counts_before_a_timeout_in_the_same_text() -> None:
    assert group_of("HTTP 504: upstream timeout") == (ErrorGroup.HTTP_5XX, 504)


def test_the_first_number_that_reads_as_a_status_wins() -> None:
    assert group_of("503 Service Unavailable after HTTP 404") == (ErrorGroup.HTTP_5XX, 503)
    assert group_of("row 500: HTTP 404, then HTTP 503") == (ErrorGroup.HTTP_4XX, 404)


@pytest.mark.parametrize("text", ["job_lock active: sync", "RuntimeError: JOB_LOCK ACTIVE (x)"])
def test_a_held_job_lock_is_a_conflict_in_any_case(text: str) -> None:
    assert group_of(text) == (ErrorGroup.LOCK_CONFLICT, 409)


def test_only_the_beginning_of_a_huge_text_is_read() -> None:
    assert group_of("x" * 100_000 + " HTTP 503")[0] is ErrorGroup.UNKNOWN
    assert group_of("HTTP 503 " + "x" * 10_000_000)[0] is ErrorGroup.HTTP_5XX


@pytest.mark.parametrize(
    ("reason", "status", "group", "code"),
    [
        ("3 of 10 pages failed", None, ErrorGroup.UNKNOWN, None),
        ("3 of 10 pages failed", 503, ErrorGroup.HTTP_5XX, 503),
        ("3 of 10 pages failed", 409, ErrorGroup.HTTP_409, 409),
        ("HTTP 404", 503, ErrorGroup.HTTP_5XX, 503),
        ("HTTP 404", 200, ErrorGroup.HTTP_4XX, 404),
        ("timed out", True, ErrorGroup.TIMEOUT, None),
        ("job_lock active", 503, ErrorGroup.LOCK_CONFLICT, 409),
        ("", None, ErrorGroup.UNKNOWN, None),
    ],
)
def test_a_declared_failure(
    reason: str, status: int | None, group: ErrorGroup, code: int | None
) -> None:
    failure = classify_text(reason, http_status_code=status, clean=str)

    assert (failure.error_group, failure.http_status_code) == (group, code)
    assert failure.error_message
    assert failure.error_type == "runguard.Run.fail"
