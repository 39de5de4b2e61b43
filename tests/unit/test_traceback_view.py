"""A stored traceback is taken apart: whose each frame is, and nothing is lost."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runguard._monitor.traceback_view import (
    LONGEST,
    Frames,
    Words,
    library_of,
    short_text,
    view_of,
)

HEADER = "Traceback (most recent call last):"


def printed(job: Callable[[], object]) -> str:
    """What Python prints of the exception that a job raises."""
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # each test raises its own
        job()
    return "".join(traceback.format_exception(caught.value)).removesuffix("\n")


def frame(file: str, line: int = 7, function: str = "call") -> str:
    return f'  File "{file}", line {line}, in {function}\n    {function}()'


def chain_through(*files: str, error: str = "ValueError: no") -> str:
    return "\n".join([HEADER, *(frame(file) for file in files), error])


IN_HTTPX = "/venv/lib/python3.12/site-packages/httpx/_client.py"
IN_PYTHON = "/usr/lib/python3.12/asyncio/runners.py"
IN_OWN = "/src/runguard/_run/decorator.py"


def test_frames_of_python_are_told_from_those_of_the_job() -> None:
    view = view_of(printed(lambda: json.loads("{")))

    assert [one.function for one in view.user_frames] == ["printed", "<lambda>"]
    assert {one.library for one in view.frames if one.library} == {"Python"}
    assert view.user_frames[0].file == __file__


def test_frames_behind_each_other_of_one_owner_are_one_part() -> None:
    view = view_of(chain_through("job.py", IN_HTTPX, IN_HTTPX, IN_PYTHON, "job.py"))

    assert [type(part) for part in view.parts] == [Words, Frames, Frames, Frames, Words]
    folded = view.parts[2]
    assert isinstance(folded, Frames)
    assert folded.are_library
    assert folded.summary == "3 frames of httpx and Python"


def test_a_summary_names_a_few_libraries() -> None:
    files = [f"/v/site-packages/{name}/x.py" for name in ("a", "b", "c", "d", "e")]
    [_, _, folded, _] = view_of(chain_through("job.py", *files)).parts

    assert isinstance(folded, Frames)
    assert folded.summary == "5 frames of a, b, c and others"


def test_each_exception_of_a_chain_keeps_its_frames() -> None:
    def job() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise RuntimeError("the file is broken") from error

    text = printed(job)
    view = view_of(text)

    assert view.text == text
    assert [one.function for one in view.last_user_frames(2)] == ["printed", "job"]
    assert any("direct cause" in part.text for part in view.parts if isinstance(part, Words))


def test_the_short_text_adds_where_the_error_before_it_came_from() -> None:
    cause = chain_through("main.py", "fetch.py", IN_HTTPX)
    text = f"{cause}\n\nDuring handling …\n\n{chain_through('main.py', 'retry.py')}"

    assert [line for line in short_text(text, 1).split("\n") if not line.startswith(" ")] == [
        'File "retry.py", line 7, in call',
        "The error before it:",
        'File "fetch.py", line 7, in call',
    ]
    assert "before it" not in short_text(cause, 3)


def test_members_of_a_group_keep_their_frames() -> None:
    def member() -> ValueError:
        try:
            raise ValueError("two\nlines")
        except ValueError as error:
            return error

    def job() -> None:
        raise ExceptionGroup("some failed", [member(), TypeError("no frames")])

    text = printed(job)
    view = view_of(text)

    assert view.text == text
    assert [one.function for one in view.frames] == ["printed", "job", "member"]
    assert short_text(text, 1).startswith(f'File "{__file__}", line ')
    assert "|" not in short_text(text, 1)


def test_repeated_lines_belong_to_their_frame() -> None:
    def job() -> None:
        job()

    text = printed(job)
    view = view_of(text)

    assert view.text == text
    assert "[Previous line repeated" in view.user_frames[-1].text


def test_runguards_own_frames_are_a_librarys_wherever_it_lies() -> None:
    view = view_of(chain_through(IN_OWN, "job.py"))

    assert [one.library for one in view.frames] == ["runguard", None]


def test_of_a_job_that_is_itself_installed_its_package_is_the_users() -> None:
    """As `error_location` judges it."""
    files = (IN_OWN, "/v/site-packages/jobs/sync.py", IN_HTTPX, "/v/site-packages/jobs/page.py")
    view = view_of(chain_through(*files))

    assert [one.library for one in view.frames] == ["runguard", None, "httpx", None]


@pytest.mark.parametrize(
    ("file", "library"),
    [
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml"),
        ("/v/lib/python3.12/site-packages/six.py", "six"),
        (r"C:\Users\me\.venv\Lib\site-packages\httpx\_client.py", "httpx"),
        (r"C:\Python312\Lib\json\decoder.py", "Python"),
        ("~/.pyenv/versions/3.12.1/lib/python3.12/json/decoder.py", "Python"),
        ("<frozen importlib._bootstrap>", "Python"),
        ("/home/me/python/lib/sync.py", None),
        ("<string>", None),
        ("", None),
    ],
)
def test_a_file_is_a_librarys_by_where_it_lies(file: str, library: str | None) -> None:
    assert library_of(file) == library


def test_a_cut_in_the_middle_stays_where_it_is() -> None:
    text = "\n".join([HEADER, frame("a.py"), "… 9,000 bytes left out …", frame("b.py"), "E: no"])
    view = view_of(text)

    assert view.text == text
    assert [one.file for one in view.user_frames] == ["a.py", "b.py"]


@pytest.mark.parametrize(
    "text",
    ["", "exit code 3: no such file", frame("a.py"), 'File "a.py", line 3, in f', "\x1b[31m\n\n"],
)
def test_what_is_no_traceback_stays_as_it_is(text: str) -> None:
    view = view_of(text)

    assert view.parts == (Words(text),)
    assert short_text(text, 3) == ""


def test_a_line_number_that_nobody_can_count_is_no_frame() -> None:
    hostile = f'{HEADER}\n  File "a.py", line {"9" * 5000}, in f\nE: no'

    assert view_of(hostile).user_frames == ()


def test_a_text_that_no_row_holds_is_not_taken_apart() -> None:
    text = chain_through(*["job.py"] * 3, error="x" * LONGEST)

    assert view_of(text).parts == (Words(text),)


PIECES = st.sampled_from(
    [
        *(HEADER, f"  + Exception Group {HEADER}", frame("job.py"), frame(IN_HTTPX)),
        *('  |   File "x", line 1, in f', "  |     code", "", "\t", "\x1b[2J", "ValueError: no"),
        *("  [Previous line repeated 3 more times]", '  File "", line , in ', "    ^^^", "\r"),
    ]
)


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],  # of a machine that is busy otherwise
)
@given(st.lists(PIECES | st.text(max_size=20), max_size=20).map("\n".join))
def test_the_parts_together_are_the_text(text: str) -> None:
    assert view_of(text).text == text
