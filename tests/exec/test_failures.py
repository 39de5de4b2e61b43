"""What the end of a stderr says of a failure."""

from __future__ import annotations

import pytest

from runguard._exec.failure import failure_of
from runguard._exec.result import CommandResult, Output
from runguard._exec.streams import LONGEST_TAIL
from runguard._failure.redaction import Redactor
from runguard._models import Failure

EXIT_1 = CommandResult(1, "exit code 1", "exit code 1")


def failed(stderr: bytes, ending: CommandResult = EXIT_1) -> Failure:
    output = Output("stderr", stderr[-LONGEST_TAIL:], len(stderr))
    return failure_of(ending, [output], clean=Redactor().clean)


@pytest.mark.parametrize(
    ("stderr", "group", "status"),
    [
        ("HTTP 503, will retry\nrequests.HTTPError: 401 Client Error", "HTTP_4XX", 401),
        ("HTTP 503 Service Unavailable\nTraceback ...\ngiving up", "HTTP_5XX", 503),
        ("HTTP 503, will retry\nconnection timed out", "TIMEOUT", None),
        ("job_lock active: other\nHTTP 503", "LOCK_CONFLICT", 409),
        ("upstream answered: status 409\r\n\r\n", "HTTP_409", 409),
        ("processed 500 of 512 records", "UNKNOWN", None),
        ("", "UNKNOWN", None),
    ],
)
def test_the_last_line_that_says_something_decides(
    stderr: str, group: str, status: int | None
) -> None:
    failure = failed(stderr.encode())

    assert (failure.error_group, failure.http_status_code) == (group, status)


@pytest.mark.parametrize("start", ["404 Not Found", "Service Unavailable"])
def test_an_exit_code_is_never_read_as_a_status(start: str) -> None:
    failure = failed(
        f"{start} in ledger\n".encode(), CommandResult(143, "exit code 503", "exit code 503")
    )

    assert failure.http_status_code in (404, None)
    assert failure.error_group != "HTTP_5XX"


def test_a_timeout_is_one_whatever_stderr_says() -> None:
    ending = CommandResult(124, "timed out after 0:15:00", "timeout", timed_out=True)
    failure = failed(b"job_lock active\nHTTP 503\n", ending)

    assert (failure.error_group, failure.severity, failure.http_status_code) == (
        "TIMEOUT",
        "high",
        None,
    )


@pytest.mark.parametrize("padding", range(0, 33, 3))
def test_no_half_of_a_secret_is_shown_wherever_the_tail_begins(padding: int) -> None:
    secret = b"Authorization: Bearer sesam-oeffne-dich-1234567890\n"
    after = b"\x1b[31m" * 19 + b"x\n"  # so that all of it fits into the message
    lines = (LONGEST_TAIL - 20 - padding) // len(after) * after
    filling = b"y" * (LONGEST_TAIL - 20 - padding - len(lines) - 1) + b"\n"

    message = failed(b"first\n" + secret + filling + lines).error_message

    assert "x\nx" in message, "nothing was cut"
    assert "67890" not in message


def test_a_secret_just_before_what_is_shown_is_hidden() -> None:
    for length in range(8150, 8200):
        message = failed(b"password=hunter2geheim " + b"z" * length).error_message

        assert not any(part in message for part in ("geheim", "hunter2"))


def test_odd_bytes_become_readable() -> None:
    message = failed(b"\x1b[31mred\x1b[0m\0nul \xff\xfe bytes\rnext").error_message

    assert message == "exit code 1: next\n\nred\ufffdnul \ufffd\ufffd bytes\nnext"


def test_a_single_long_line_is_not_told_twice_in_full() -> None:
    message = failed(b"z" * 5000).error_message

    assert message == f"exit code 1: {'z' * 200}\n\n{'z' * 5000}"
