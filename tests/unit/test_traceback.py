"""A traceback as Python prints it, bounded and without secrets."""

from __future__ import annotations

import time
import traceback
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from runguard._failure.redaction import Redactor
from runguard._failure.traceback import (
    _MOST_KNOWN,
    INNERMOST,
    LONGEST,
    MOST_CAUSES,
    MOST_MEMBERS,
    OUTERMOST,
    _known,
    last_traceback,
    traceback_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def unchanged(text: str, *, limit: int) -> str:
    return text[:limit]


def caught(job: Callable[[], object]) -> BaseException:
    try:
        job()
    except BaseException as error:
        return error
    raise AssertionError("expected an exception")


def printed(exc: BaseException, home: str = "") -> str:
    text = traceback_text(exc, Redactor().clean, home)
    assert text is not None
    return text


def with_a_cause() -> None:
    try:
        {}["user_id"]
    except KeyError as error:
        raise ValueError("no user") from error


def with_a_context() -> None:
    try:
        int("x")
    except ValueError:
        list(range(3))[3]


def with_a_hidden_context() -> None:
    try:
        int("x")
    except ValueError:
        raise LookupError from None


def with_notes() -> None:
    error = RuntimeError("line one\nline two")
    error.add_note("page 3\nof 10")
    raise error


def a_group() -> None:
    members = [caught(with_a_cause), TypeError("two"), ExceptionGroup("inner", [OSError(3, "x")])]
    raise ExceptionGroup("pages", members)


def a_wide_group() -> None:
    raise BaseExceptionGroup("wide", [KeyboardInterrupt(n) for n in range(MOST_MEMBERS + 3)])


def a_group_as_cause() -> None:
    try:
        a_group()
    except ExceptionGroup as group:
        raise ValueError("some pages failed") from group


def bad_source() -> None:
    compile("if True:\n  x = (1,\n", "pages.py", "exec")


def badly_indented() -> None:
    compile("if True:\nx = 1\n", "pages.py", "exec")


def a_recursion(depth: int = 20) -> None:
    if not depth:
        raise RecursionError("deep")
    a_recursion(depth - 1)


@pytest.mark.parametrize(
    "job",
    [
        *(with_a_cause, with_a_context, with_a_hidden_context, with_notes, a_group, a_wide_group),
        *(a_group_as_cause, bad_source, badly_indented, a_recursion),
    ],
)
def test_it_is_what_python_prints(job: Callable[[], None]) -> None:
    error = caught(job)

    expected = "".join(traceback.format_exception(error)).removesuffix("\n")
    assert traceback_text(error, unchanged) == expected


def test_what_was_never_raised_has_none() -> None:
    assert traceback_text(ValueError("x"), unchanged) is None


def test_secrets_in_messages_notes_and_source_lines_are_hidden() -> None:
    def job() -> None:
        error = ValueError("cannot reach postgresql://app:hunter2@db/sales")
        error.add_note("tried with password=hunter2")
        password = "hunter2"  # noqa: F841
        raise error

    assert "hunter2" not in printed(caught(job))
    assert "[redacted]@db/sales" in printed(caught(job))


def test_local_variables_are_not_printed() -> None:
    def job() -> None:
        rows = ["secret of a row"]
        raise ValueError(len(rows))

    error = caught(job)
    assert "['secret" not in printed(error).replace('rows = ["secret of a row"]', "")


def test_the_home_folder_is_a_tilde(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    file = tmp_path / "jobs" / "sync.py"
    code = compile("raise ValueError('x')", str(file), "exec")

    text = printed(caught(lambda: exec(code)), str(tmp_path))
    assert 'File "~/jobs/sync.py"' in text
    assert str(tmp_path) not in text


def test_a_long_one_loses_its_middle_and_says_so() -> None:
    def deep(left: int) -> None:
        # Different lines, so that Python does not fold them.
        if left % 2:
            return deep(left - 1)
        if left:
            return deep(left - 1)
        raise ValueError("the bottom " + "y" * 9000)

    text = printed(caught(lambda: deep(500)))
    frames = text.count("  File ")
    assert "frames are left out ...]" in text
    assert frames <= OUTERMOST + INNERMOST
    assert text.startswith("Traceback (most recent call last):\n")
    assert "in caught" in text.partition("left out")[0]
    assert text.partition("left out")[2].count("in deep") > 10
    assert "ValueError: the bottom yyy" in text


def test_a_message_of_wide_characters_and_many_notes_stays() -> None:
    def job() -> None:
        error = ValueError("the message " + "\N{ROCKET}" * 100_000)
        for number in range(100):
            error.add_note(f"note {number} {'x' * 5_000}")
        raise error

    text = printed(caught(job))
    assert len(text.encode()) <= LONGEST
    assert "ValueError: the message \N{ROCKET}" in text
    assert "in job\n" in text
    assert "\nnote 0 x" in text


def test_a_chain_that_is_too_long_keeps_its_end() -> None:
    error: BaseException | None = None
    for number in range(100):
        try:
            raise ValueError(f"number {number} {'x' * 3000}") from error
        except ValueError as caught_one:
            error = caught_one
    assert error is not None

    text = printed(error)
    assert len(text.encode()) <= LONGEST
    assert "lines are left out ...]" in text
    assert f"number {100 - MOST_CAUSES}" in text
    assert "number 99" in text.splitlines()[-1]


class Hostile(Exception):
    """It fails whatever is asked of it."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    @property
    def __notes__(self) -> list[str]:
        raise SystemExit

    def __getattribute__(self, name: str) -> object:
        raise MemoryError


def test_a_hostile_exception_is_printed_all_the_same() -> None:
    def job() -> None:
        raise Hostile

    assert "Hostile: <exception str() failed>" in printed(caught(job))


def test_a_file_name_that_no_file_can_have_is_printed_without_its_source() -> None:
    code = compile("raise ValueError('x')", "a\ud800b", "exec")

    assert 'File "a\ufffdb", line 1, in <module>' in printed(caught(lambda: exec(code)))


def test_a_circle_of_causes_ends() -> None:
    one, two = caught(with_notes), caught(with_a_context)
    one.__cause__, two.__cause__ = two, one

    assert printed(one).count("line two") == 1
    group = caught(a_group)
    group.__cause__ = BaseExceptionGroup("around", [group])
    assert "[... left out ...]" in printed(group)


def test_huge_exceptions_take_bounded_time() -> None:
    def nested(depth: int) -> BaseException:
        return (
            ExceptionGroup(f"level {depth}", [nested(depth - 1) for _ in range(8)])
            if depth
            else caught(a_recursion)
        )

    group = nested(4)
    started = time.process_time()
    text = printed(BaseExceptionGroup("all", [group, ValueError("z" * 10_000_000)]))
    assert time.process_time() - started < 2
    assert len(text.encode()) <= LONGEST


def test_a_huge_message_is_copied_in_part_only() -> None:
    error = ValueError("x" * 20_000_000)
    raised = caught(lambda: raise_it(error))

    tracemalloc.start()
    printed(raised)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5_000_000


def raise_it(error: Exception) -> None:
    raise error


def test_a_hundred_thousand_frames_take_bounded_time() -> None:
    import types

    error = caught(a_recursion)
    bottom = error.__traceback__
    assert bottom is not None
    above: types.TracebackType | None = bottom
    for _ in range(100_000):
        above = types.TracebackType(above, bottom.tb_frame, bottom.tb_lasti, bottom.tb_lineno)
    started = time.process_time()

    text = printed(error.with_traceback(above))
    assert time.process_time() - started < 2
    assert "frames are left out ...]" in text


CHAINED = """\
Traceback (most recent call last):
  File "/app/sync.py", line 9, in fetch
    response.raise_for_status()
HTTPError: 503

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/sync.py", line 20, in <module>
    raise RuntimeError("sync failed") from error
RuntimeError: sync failed"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no traceback here\n", None),
        ("", None),
        (f"page 3\n{CHAINED}\nbye\n", CHAINED),
        (f"{CHAINED}\nretried\n{CHAINED}", CHAINED),
        (
            "Traceback (most recent call last):\n  File",
            "Traceback (most recent call last):\n  File",
        ),
    ],
)
def test_the_last_traceback_that_a_program_printed_is_found(
    text: str, expected: str | None
) -> None:
    assert last_traceback(text) == expected


@pytest.mark.parametrize("job", [a_group, a_group_as_cause, with_notes, bad_source, a_recursion])
def test_what_python_prints_is_found_among_other_lines(job: Callable[[], None]) -> None:
    whole = "".join(traceback.format_exception(caught(job)))

    found = last_traceback(f"page 1\npage 2\n{whole}")
    assert found is not None
    # Of a message only the first line is told from what follows.
    assert whole.startswith(found)
    assert "File " in found


def job_in(file: Path, source: str) -> Callable[[], object]:
    file.write_text(source)
    names: dict[str, Callable[[], object]] = {}
    exec(compile(source, str(file), "exec"), names)
    return names["job"]


def test_a_frame_that_failed_before_is_printed_as_python_prints_it(tmp_path: Path) -> None:
    job = job_in(tmp_path / "job.py", "def job(rows=()):\n    return rows[0] + rows[1]\n")

    for _ in range(3):
        error = caught(job)
        expected = "".join(traceback.format_exception(error)).rstrip("\n")
        assert printed(error) == expected


def test_a_frame_of_a_file_that_has_changed_shows_the_new_line(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    job = job_in(file, "def job():\n    return 1 / 0\n")
    assert "return 1 / 0" in printed(caught(job))

    file.write_text("def job():\n    return now_it_reads_otherwise\n")

    assert "now_it_reads_otherwise" in printed(caught(job))


def test_frames_of_equal_code_in_two_files_are_told_apart(tmp_path: Path) -> None:
    source = "def job():\n    return 1 / 0\n"
    for name in ("one.py", "two.py"):
        assert name in printed(caught(job_in(tmp_path / name, source)))


def test_the_prints_that_are_kept_are_few(tmp_path: Path) -> None:
    source = "def job():\n    return 1 / 0\n"
    for number in range(300):
        printed(caught(job_in(tmp_path / f"{number % 3}.py", source)))

    assert len(_known) <= _MOST_KNOWN
