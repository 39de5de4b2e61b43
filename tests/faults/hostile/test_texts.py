"""Texts that break databases, terminals and log lines: stored readably, or refused clearly."""

from __future__ import annotations

import json
import logging
import os
import re
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

import runguard
import runguard.testing
from runguard import ConfigurationError, run_scope, tracked_run
from runguard._events import Events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Sql = Callable[..., list[dict[str, Any]]]

# What a terminal obeys, and what UTF-8 or PostgreSQL cannot hold.
UNREADABLE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
UNCHANGED = [
    "100% done, 5 % left, %s %d %(name)s %%",
    "no value for :name in :1::text and $1, ? or {0} {name}",
    """it's "quoted", `so` and \\n \\' \\" \\\\""",
    '{"error": {"code": 7, "reasons": ["a", null]}}',
    "'; DROP TABLE run_log; -- /* x */",
    "Größe, 주문이 실패했습니다, 🎓 no such student",
    "first line\n\tsecond line\n\nfourth",
    "[bold]markup[/bold] <b>tags</b> &amp; ${VARIABLE} $(command)",
]
MENDED = [
    ("before\0after", "before\ufffdafter"),
    ("before\ud800after", "before\ufffdafter"),
    ("name \udcff of a file", "name \ufffd of a file"),
    ("\x1b[31mred\x1b[0m \x1b]0;title\x07end", "red end"),
    ("bell\x07 back\x08space", "bell\ufffd back\ufffdspace"),
    ("50%\r60%\r\n70%", "50%\n60%\n70%"),
    ("left \u202eright\u202c \u2066x\u2069", "left \ufffdright\ufffd \ufffdx\ufffd"),
    ("one\u2028two", "one\ntwo"),
]
HOSTILE = "a\0b\ud800c\x1b[2Jd\re\u202ef\x9bg"


def fail(message: str, job_name: str = "enrolment_sync") -> None:
    with pytest.raises(ValueError) as caught, run_scope(job_name):  # noqa: PT011 - any text
        raise ValueError(message)
    assert caught.value.args == (message,)


@pytest.mark.parametrize(
    ("text", "expected"), [*((text, text) for text in UNCHANGED), *MENDED], ids=ascii
)
def test_a_message_is_stored_readably_wherever_it_comes_from(
    url: str, sql: Sql, text: str, expected: str
) -> None:
    fail(text)
    with run_scope("partial") as run:
        run.emit_alert(
            text,
            source_type=text,
            source_id=text,
            severity="low",
            title=text,
            message=text,
            detail={text: [text]},
        )
        run.fail(text)

    messages = sql("select error_message from run_log order by id")
    assert [row["error_message"] for row in messages] == [expected] * 2
    own, *_ = sql("select * from alert where alert_type <> 'FAILED'")
    detail = json.loads(own["detail"]) if isinstance(own["detail"], str) else own["detail"]
    columns = ("alert_type", "source_type", "source_id", "title", "message")
    assert [own[column] for column in columns] == [expected] * 5
    assert detail == {expected: [expected]}
    failures = sql("select message from alert where alert_type = 'FAILED' order by id")
    assert [row["message"] for row in failures] == [expected] * 2


def test_nothing_hostile_reaches_tables_logs_or_the_screen(
    url: str,
    stored: Callable[[], str],
    printed: Callable[[str], str],
    log_lines: Callable[[], list[str]],
) -> None:
    raise_hostile()
    with run_scope("partial") as run:
        logging.Logger(HOSTILE).error(HOSTILE)  # apart: what pytest captures has to be text
        run.note(**{HOSTILE: [HOSTILE, {HOSTILE: HOSTILE.encode("utf-8", "replace")}]})
        run.link(HOSTILE, "https://example.org/")
        run.emit_alert(
            HOSTILE,
            source_type=HOSTILE,
            source_id=HOSTILE,
            severity="low",
            title=HOSTILE,
            message=HOSTILE,
            detail={HOSTILE: {"nested": [HOSTILE, HOSTILE.encode("utf-8", "replace")]}},
        )
        run.fail(HOSTILE)
    Events().internal_error("a test", OSError(f"{HOSTILE}\nsecond line"), file=HOSTILE)
    runguard.testing.reset()

    # JSON shows a control character as an escape: decoded, so that it cannot hide there.
    assert not UNREADABLE.search(stored().encode().decode("unicode_escape"))
    lines = [line for line in log_lines() if line.startswith("runguard")]
    assert not UNREADABLE.search("\n".join(lines))
    assert [line for line in lines if "\n" in line] == []
    assert len([line for line in lines if "runguard.internal_error" in line]) == 1
    assert not UNREADABLE.search(printed(url))


def raise_hostile() -> None:
    """A job of which every name is hostile: its file, its function, its exception's type."""
    kind = type("E", (Exception,), {"__module__": HOSTILE, "__qualname__": HOSTILE})
    code = compile("def job(error):\n    raise error", "file.py", "exec")
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    job = namespace["job"]
    name = HOSTILE.replace("\0", "")
    job.__code__ = job.__code__.replace(co_filename=name, co_name=name, co_qualname=name)
    with pytest.raises(kind), run_scope("enrolment_sync"):
        job(kind(HOSTILE))


def test_hostile_names_are_shown_as_escapes(url: str, sql: Sql) -> None:
    raise_hostile()

    [row] = sql("select error_type, error_location from run_log")
    shown = r"b\ud800c\x1b[2Jd\re\u202ef\x9bg"
    assert row["error_type"] == rf"a\0{shown}.a\0{shown}"
    assert row["error_location"] == f"a{shown}:2 in a{shown}"


def test_fail_in_a_hostile_place_is_stored(url: str, sql: Sql) -> None:
    code = compile("run.fail('3 of 10')", f"/jobs/\udcff{'x' * 5000}\x1b[2J.py", "exec")
    with run_scope("enrolment_sync") as run:
        exec(code, {"run": run})

    [row] = sql("select status, error_location from run_log")
    assert row["status"] == "FAILED"
    assert row["error_location"].startswith(r"/jobs/\udcffxxx")
    assert row["error_location"].endswith("…:1 in <module>")


def test_endless_names_are_cut(url: str, sql: Sql) -> None:
    kind = type("E", (Exception,), {"__module__": "m" * 10**6, "__qualname__": "q" * 10**6})
    code = compile("raise kind('bad input')", "f" * 10**6, "exec")
    with pytest.raises(kind), run_scope("enrolment_sync"):
        exec(code, {"kind": kind})

    [row] = sql("select error_type, error_location, matched_by from run_log")
    assert max(len(value) for value in row.values()) < 1100


def test_a_host_with_a_hostile_name_is_stored(
    url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = os.uname_result(("Linux", "batch\udcff-1\x1b[2J", "6.1", "#1", "x86_64"))
    monkeypatch.setattr(os, "uname", lambda: hostile)
    fail("bad input")

    assert sql("select host from run_log") == [{"host": r"batch\udcff-1\x1b[2J"}]


class Unreadable:
    def __str__(self) -> str:
        raise OSError("no text")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (4711, "4711"),
        (None, "None"),
        (KeyError("user_id"), "KeyError: 'user_id'"),
        (Unreadable(), f"{__name__}.Unreadable"),
    ],
    ids=["number", "nothing", "exception", "unreadable"],
)
def test_what_is_no_text_is_taken_as_its_text(
    url: str, sql: Sql, given: Any, expected: str
) -> None:
    with run_scope("enrolment_sync") as run:
        assert run.emit_alert(
            "NEW", source_type="student", source_id=given, severity="low", title=given, message="m"
        )
        run.fail(given)

    assert sql("select error_message from run_log") == [{"error_message": expected}]
    [own] = sql("select source_id, title from alert where alert_type = 'NEW'")
    assert (own["source_id"], own["title"]) == (expected, expected)


def test_numbers_as_source_ids_stay_apart(sqlite_url: str) -> None:
    def emit(source_id: Any) -> bool:
        return run.emit_alert(
            "NEW",
            source_type="student",
            source_id=source_id,
            severity="low",
            title="t",
            message="m",
        )

    with run_scope("enrolment_sync") as run:
        assert [emit(1), emit(2), emit(1)] == [True, True, False]


@pytest.mark.parametrize(
    "name", ["", "  ", "\0", "a\nb", "\x1b[31m", "\u202ea", "\ud800", "x" * 10_000]
)
def test_a_name_that_cannot_be_stored_is_refused_where_it_is_written(name: str) -> None:
    with pytest.raises(ConfigurationError, match="job_name: expected") as decorated:
        tracked_run(name)
    with pytest.raises(ConfigurationError, match="job_name: expected"):
        run_scope(name)

    assert str(decorated.value).isprintable()
    assert len(str(decorated.value)) < 200


@pytest.mark.parametrize(
    "name",
    ["a:b:c", "nightly sync", "주문 동기화", "100% %s :name", "'; --", "[red]x[/red]", "x" * 255],
)
def test_an_unusual_name_is_kept_as_it_is(
    url: str, sql: Sql, printed: Callable[[str], str], name: str
) -> None:
    fail("bad input", name)
    runguard.testing.reset()

    assert sql("select job_name from run_log") == [{"job_name": name}]
    assert sql("select source_id from alert") == [{"source_id": f"{name}:UNKNOWN"}]
    assert name in printed(url)


@pytest.fixture
def peak() -> Iterator[Callable[[], float]]:
    """The most memory that Python held meanwhile, in MB, over what it held at the start."""
    tracemalloc.start()
    start, _ = tracemalloc.get_traced_memory()
    yield lambda: (tracemalloc.get_traced_memory()[1] - start) / 1e6
    tracemalloc.stop()


HUGE = 50_000_000  # characters of two bytes each


def huge_exception(text: str) -> None:
    with pytest.raises(ValueError), run_scope("huge"):  # noqa: PT011 - the text is huge
        raise ValueError(text)


def huge_reason(text: str) -> None:
    with run_scope("huge") as run:
        run.fail(text)


def huge_alert(text: str) -> None:
    with run_scope("huge") as run:
        run.emit_alert(
            text,
            source_type="x",
            source_id=text,
            severity="low",
            title=text,
            message=text,
            detail={text: [text, {"a": text}]},
        )


@pytest.mark.parametrize("use", [huge_exception, huge_reason, huge_alert])
def test_a_huge_text_is_cut_with_a_mark_and_costs_no_memory_of_its_size(
    url: str,
    sql: Sql,
    log_lines: Callable[[], list[str]],
    peak: Callable[[], float],
    use: Callable[[str], None],
) -> None:
    fail("warm up")  # compiles patterns and statements
    text = "\0\x1b[31m\udc80 " * (HUGE // 8)
    before = peak()
    use(text)

    assert peak() - before < 50
    [row] = sql("select max(length(message)) as longest from alert where message like '%cut:%'")
    assert 1000 < row["longest"] <= 16 * 1024
    [found] = sql("select message from alert where message like '%cut:%'")
    assert re.search(r" … \[cut: 49,\d{3},\d{3} more characters\]$", found["message"])
    assert max(len(line) for line in log_lines()) < 20_000


def test_nothing_hostile_waits_in_the_spool(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    runguard.configure(database_url=f"sqlite:///{tmp_path}/is/a/folder", spool_dir=spool)
    (tmp_path / "is" / "a" / "folder").mkdir(parents=True)  # no database can be opened here
    raise_hostile()

    ends = [json.loads(path.read_text("ascii")) for path in spool.rglob("*.end.json")]
    assert len(ends) == 1
    assert not UNREADABLE.search(json.dumps(ends, ensure_ascii=False).replace("\\n", ""))
    assert not UNREADABLE.search(ends[0]["ending"]["failure"]["error_message"])
