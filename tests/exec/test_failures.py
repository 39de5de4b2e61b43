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
    ending = CommandResult(124, "timed out after 15 min", "timeout", timed_out=True)
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
    for length in range(8150, 8200, 3):
        message = failed(b"password=hunter2geheim " + b"z" * length).error_message

        assert not any(part in message for part in ("geheim", "hunter2"))


def test_odd_bytes_become_readable() -> None:
    message = failed(b"\x1b[31mred\x1b[0m\0nul \xff\xfe bytes\rnext").error_message

    assert message == "exit code 1: next\n\nred\ufffdnul \ufffd\ufffd bytes\nnext"


def test_a_single_long_line_is_not_told_twice_in_full() -> None:
    message = failed(b"z" * 5000).error_message

    assert message == f"exit code 1: {'z' * 200}\n\n{'z' * 5000}"


def test_a_last_line_that_is_too_long_to_be_kept_keeps_its_end() -> None:
    line = b"password=hunter2 " + b"x" * 100_000 + b" HTTP 503 Service Unavailable"
    failure = failed(b"first\n" + line + b"\n")
    first, _, rest = failure.error_message.partition("\n\n")
    header, _, shown = rest.partition("\n")

    assert failure.error_group == "HTTP_5XX"
    assert first == "exit code 1: ..." + (line.decode())[-200:]
    assert header == "[the end of 100,053 bytes of stderr]"
    assert shown.endswith("x HTTP 503 Service Unavailable")
    assert 7_000 < len(shown) <= 8 * 1024


@pytest.mark.parametrize("says_why_first", [True, False])
def test_a_long_line_is_read_at_both_ends(says_why_first: bool) -> None:
    why, rest = "HTTP 503 Service Unavailable", "x" * 50_000
    line = f"{why} {rest}" if says_why_first else f"{rest} {why}"

    assert failed(f"before\n{line}\n".encode()).error_group == "HTTP_5XX"


OWN_LINES = [
    "runguard.alert_created alert_id=1 job_name=inner run_id=2",
    "ERROR:runguard:runguard.internal_error stage=start error='StoreUnavailable: timed out'",
    "2026-11-26 [warning  ] runguard.spooled  key=1",
    '{"event": "runguard.alert_created", "alert_id": 1}',
]


@pytest.mark.parametrize("line", OWN_LINES)
def test_a_line_of_runguards_own_log_is_no_error_of_the_command(line: str) -> None:
    failure = failed(f"no such customer\n{line}\n".encode())

    assert failure.error_group == "UNKNOWN"
    assert failure.error_message == "exit code 1: no such customer"


def test_what_a_command_says_of_runguards_modules_is_its_error() -> None:
    line = "runguard._errors.StoreUnavailable: runguard.runners timed out"

    assert failed(line.encode()).error_message == f"exit code 1: {line}"


@pytest.mark.parametrize(
    ("stderr", "encoding", "text"),
    [
        ("파일이 없습니다".encode(), "EUC-KR", "파일이 없습니다"),
        ("파일이 없습니다".encode("euc-kr"), "EUC-KR", "파일이 없습니다"),
        ("Datei fehlt: Köln".encode("latin-1"), "ISO-8859-1", "Datei fehlt: Köln"),
        ("Köln".encode("latin-1"), "ANSI_X3.4-1968", "K\ufffdln"),
        ("Köln".encode("latin-1"), "no-such-encoding", "K\ufffdln"),
    ],
)
def test_stderr_is_read_as_the_locale_says_where_it_is_not_utf_8(
    stderr: bytes, encoding: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: encoding)

    assert failed(stderr).error_message == f"exit code 1: {text}"


def test_a_locale_that_is_not_installed_still_names_the_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "ANSI_X3.4-1968")
    monkeypatch.setenv("LC_ALL", "")
    monkeypatch.setenv("LC_CTYPE", "ko_KR.EUC-KR@x")
    monkeypatch.setenv("LANG", "C.UTF-8")

    assert failed("파일".encode("euc-kr")).error_message == "exit code 1: 파일"


def test_a_letter_that_was_cut_in_half_makes_utf_8_no_other_encoding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "EUC-KR")
    for length in range(3):
        message = failed(("한" * 30_000).encode() + b"x" * length).error_message

        assert "\ufffd" not in message
        assert set(message.partition("]\n")[2]) <= set("한x")
