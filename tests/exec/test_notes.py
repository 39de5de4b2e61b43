"""What is kept beside the run of a command that failed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from runguard._exec.failure import note_of
from runguard._exec.result import Output
from runguard._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.exec.conftest import Ended

TRACEBACK = """\
Traceback (most recent call last):
  File "/app/sync.py", line 12, in main
    connect("postgresql://app:hunter2@db/sales")
OSError: no route"""
STDERR = f"page 1\npage 2\n{TRACEBACK}\n"


def output(text: str, name: str = "stderr") -> Output:
    return Output(name, text.encode(), len(text))


def test_the_last_lines_and_the_traceback_are_kept_without_secrets() -> None:
    note = note_of([output(STDERR)], Settings())

    assert note.log_tail == STDERR.strip().replace("hunter2", "[redacted]")
    assert note.traceback == TRACEBACK.replace("hunter2", "[redacted]")


def test_fifty_lines_are_kept_at_most_and_stderr_stands_last() -> None:
    pages = "".join(f"page {number}\n" for number in range(100))
    note = note_of([output("refused\n"), output(pages, "stdout")], Settings())

    assert (note.log_tail or "").splitlines() == [
        *(f"page {number}" for number in range(51, 100)),
        "refused",
    ]
    assert note.traceback is None


def test_nothing_is_kept_where_that_is_switched_off() -> None:
    settings = Settings(capture_logs=False, capture_traceback=False)

    assert not any(note_of([output(STDERR)], settings))


def test_a_command_that_said_nothing_keeps_nothing() -> None:
    assert not any(note_of([output("")], Settings()))


def test_a_failed_command_leaves_a_note(
    execute: Callable[..., Ended], sql: Callable[[str], list[dict[str, Any]]]
) -> None:
    program = (
        "import sys; print('page 3 of hunter2', file=sys.stderr);"
        " raise ValueError('password=hunter2')"
    )

    noted = ("--note", "term=2026W", "--note", "query=a=b")
    assert execute("sync", *noted, "--", sys.executable, "-c", program).exit_code == 1

    assert "hunter2" not in str(sql("select * from run_log, alert"))
    [note] = sql("select * from run_note")
    assert json.loads(note["context"]) == {"term": "2026W", "query": "a=b"}
    assert note["log_tail"].splitlines()[0] == "page 3 of [redacted]"
    assert note["traceback"].startswith("Traceback (most recent call last):\n")
    assert note["traceback"].endswith("ValueError: password=[redacted]")
