"""A failure that comes again is judged once, and what is written of it is what a first one says."""

from __future__ import annotations

import contextlib
import linecache
import os
import sqlite3
import sys
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runguard import Rule, run_scope
from runguard._events import Events
from runguard._failure import repeated
from runguard._failure.classify import classify
from runguard._failure.redaction import Redactor
from runguard._models import TriggerType
from runguard._run import outcome
from runguard._run.run_key import new_run_key
from runguard._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Made = Callable[[], BaseException]

USUAL = Settings()


class PlainError(ValueError):
    """A type with nothing but a name."""


class ToldError(Exception):
    """A type that says something else each time."""

    told: list[str]

    def __str__(self) -> str:
        return self.told[0]


class StatusError(Exception):
    status_code = 503


@pytest.fixture(autouse=True)
def sorted_exceptions(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """What is judged from the beginning, while nothing is known yet."""
    found: list[BaseException] = []

    def noted(exc: BaseException, **how: Any) -> Any:
        found.append(exc)
        return classify(exc, **how)

    repeated._known.clear()
    monkeypatch.setattr(outcome, "classify", noted)
    return found


def failed_with(make: Made) -> BaseException:
    """The exception as it comes out of one and the same line."""
    try:
        raise make()
    except BaseException as error:
        return error


def judged(make: Made, settings: Settings = USUAL) -> Any:
    run: Any = SimpleNamespace(
        id=1,
        key=new_run_key(),
        job_name="sync",
        trigger_type=TriggerType.SCHEDULER,
        **dict.fromkeys(("total_records", "changed_records", "created_alerts", "retry_count"), 0),
        **dict.fromkeys(("_ids", "_lines", "_progress", "_kept", "_declared")),
        _is_tried_again=False,
    )
    ending = outcome.judge(
        failed_with(make),
        run=run,
        events=Events(lambda: settings.redactor),
        settings=settings,
        no_alert_on=(),
        cooldown=timedelta(minutes=30),
    )
    return ending.failure, ending.error_location, ending.note, ending.alert and ending.alert.detail


def caused(cause: str, text: str = "could not import") -> BaseException:
    error = PlainError(text)
    error.__cause__ = failed_with(lambda: ValueError(cause))
    return error


def having(error: BaseException, **attributes: object) -> BaseException:
    vars(error).update(attributes)
    return error


def noted(text: str, note: str) -> BaseException:
    error = ValueError(text)
    error.add_note(note)
    return error


def test_rows_of_a_failure_that_comes_again_say_the_same(
    sorted_exceptions: list[BaseException], sqlite_url: str
) -> None:
    for _ in range(3):
        with contextlib.suppress(ValueError), run_scope("sync"):
            raise ValueError("row 7 has no date")

    with contextlib.closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as file:
        columns = "error_message, error_location, error_type, matched_by, traceback"
        rows = file.execute(f"SELECT {columns} FROM run_log JOIN run_note USING (run_key)")
        written = rows.fetchall()
    assert len(written) == 3
    assert len(set(written)) == 1
    assert len(sorted_exceptions) == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: ValueError("bad input"),
        lambda: PlainError("bad input", 7, None),
        lambda: KeyError("user_id"),
        lambda: TimeoutError(110, "Connection timed out"),
        lambda: having(RuntimeError("refused"), status_code=503),
        lambda: caused("connection refused"),
    ],
)
def test_what_comes_again_is_judged_once(
    make: Made, sorted_exceptions: list[BaseException]
) -> None:
    first, second = judged(make), judged(make)

    assert first == second
    assert first[2].traceback
    assert len(sorted_exceptions) == 1


@pytest.mark.parametrize("make", [ValueError, PlainError])
def test_what_differs_in_a_number_is_judged_once(
    make: Callable[[str], BaseException], sorted_exceptions: list[BaseException]
) -> None:
    judged(lambda: make("row 7 is bad"))
    second = judged(lambda: make("row 8 is bad"))
    assert len(sorted_exceptions) == 1
    repeated._known.clear()

    assert second == judged(lambda: make("row 8 is bad"))
    assert second[0].error_message == "row 8 is bad"
    assert second[2].traceback.endswith("Error: row 8 is bad")


def test_what_differs_in_a_number_takes_few_calls() -> None:
    """A first one takes more than five hundred."""

    def calls_of(text: str) -> int:
        calls = []
        sys.setprofile(lambda _, event, __: calls.append(event) if event == "call" else None)
        try:
            judged(lambda: ValueError(text))
        finally:
            sys.setprofile(None)
        return len(calls)

    first = calls_of("row 7 is bad")
    for number in range(8, 10):
        calls = calls_of(f"row {number} is bad")

    assert calls < 100 < first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda: ValueError("HTTP 503"), lambda: ValueError("HTTP 404")),
        (lambda: ValueError(1), lambda: ValueError(True)),
        (lambda: ValueError("x"), lambda: PlainError("x")),
        (lambda: having(PlainError("x"), code=1), lambda: having(PlainError("x"), status=503)),
        (lambda: OSError(111, "x"), lambda: OSError(110, "x")),
        (lambda: OSError(2, "x", "one"), lambda: OSError(2, "x", "other")),
        (lambda: caused("HTTP 503"), lambda: caused("HTTP 404")),
        (lambda: noted("x", "one"), lambda: noted("x", "other")),
        (lambda: ValueError(ValueError("HTTP 503")), lambda: ValueError(ValueError("HTTP 404"))),
        (lambda: having(ToldError(), told=["one"]), lambda: having(ToldError(), told=["other"])),
        (StatusError, ToldError),
    ],
)
def test_what_differs_is_judged_anew(one: Made, other: Made) -> None:
    judged(one)
    second = judged(other)
    repeated._known.clear()

    assert second == judged(other)
    assert second != judged(one)


def test_a_class_with_an_attribute_of_its_own_is_asked_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert judged(StatusError)[0].http_status_code == 503
    monkeypatch.setattr(StatusError, "status_code", 404)

    assert judged(StatusError)[0].http_status_code == 404


def test_a_source_that_has_changed_is_printed_anew(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    file.write_text("def fail():\n    raise ValueError('one')\n")
    space: dict[str, Any] = {"__name__": "job", "__file__": str(file)}
    exec(compile(file.read_text(), str(file), "exec"), space)
    assert "raise ValueError('one')" in judged(space["fail"])[2].traceback

    file.write_text("def fail():\n    raise ValueError('one, longer')\n")
    os.utime(file, (1, 1))

    assert "longer" in judged(space["fail"])[2].traceback
    linecache.checkcache(str(file))


def test_a_file_that_another_thread_finds_changed_at_once_troubles_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = judged(lambda: ValueError("no rows"))[0]

    def gone(file: str) -> None:
        raise KeyError(file)

    checking = SimpleNamespace(checkcache=gone, cache=linecache.cache)
    monkeypatch.setattr(repeated, "linecache", checking)  # pytest has need of the other one

    assert judged(lambda: ValueError("no rows"))[0] == before


def test_the_home_folder_of_the_moment_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged(lambda: ValueError("x"))[2].traceback
    folder = os.path.dirname(__file__)  # noqa: PTH120 - as the traceback has it
    assert folder in whole

    monkeypatch.setenv("HOME", folder)

    assert folder not in judged(lambda: ValueError("x"))[2].traceback


def test_nothing_is_kept_of_a_failure_that_held_a_secret() -> None:
    judged(lambda: ValueError("cannot reach postgresql://app:hunter2@db/sales"))
    judged(lambda: caused("password=hunter2 is wrong"))

    assert repeated._known == {}


@pytest.mark.parametrize(
    "settings",
    [
        Settings(rules=(Rule(lambda _: False, "TIMEOUT"),)),
        Settings(redactor=Redactor([lambda text: text])),
    ],
)
def test_what_users_wrote_is_asked_of_each_failure(
    settings: Settings, sorted_exceptions: list[BaseException]
) -> None:
    for _ in range(2):
        judged(lambda: ValueError("x"), settings)

    assert len(sorted_exceptions) == 2


def test_other_settings_judge_anew() -> None:
    judged(lambda: ValueError("code of the north"))

    other = Settings(redactor=Redactor([r"code of the \w+"]))

    assert judged(lambda: ValueError("code of the north"), other)[0].error_message == "[redacted]"


def test_few_failures_are_kept() -> None:
    for number in range(2 * repeated._MOST):
        judged(lambda: ValueError(f"row {number}"))  # noqa: B023 - called at once

    assert 0 < len(repeated._known) <= repeated._MOST
