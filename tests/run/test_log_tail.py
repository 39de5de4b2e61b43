"""The last log lines of a failed run."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import logging.config
import logging.handlers
import queue
import subprocess
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from runguard import run_scope
from runguard._api import runtime
from runguard._run import log_tail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from runguard import Run
    from runguard._models import RunEnding, RunNote

KEY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"


@pytest.fixture
def job() -> Iterator[logging.Logger]:
    logger = logging.getLogger("sync.pages")
    logger.setLevel(logging.INFO)
    yield logger
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def note(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], RunNote]:
    """What the store was given of the last run."""
    store, found = runtime.store(), list[Any]()
    finish = store.finish_run

    def finish_run(ending: RunEnding, *, timeout: float) -> Any:
        found.append(ending.note)
        return finish(ending, timeout=timeout)

    monkeypatch.setattr(store, "finish_run", finish_run, raising=False)
    return lambda: found[-1]


def lines_of(note: RunNote) -> list[str]:
    """Without the times."""
    assert note.log_tail is not None
    return [line.partition("Z ")[2] or line for line in note.log_tail.splitlines()]


def test_a_failed_run_keeps_what_it_logged(
    note: Callable[[], RunNote], job: logging.Logger
) -> None:
    job.info("before")
    with run_scope("sync") as run:
        job.debug("below the level")
        job.info("page %d of %d", 3, 10)
        try:
            raise OSError("reset")
        except OSError:
            job.exception("page 3 failed")
        run.fail("1 of 10 pages failed")
    job.info("after")

    assert lines_of(note()) == [
        "INFO sync.pages: page 3 of 10",
        "ERROR sync.pages: page 3 failed",
        "OSError: reset",
    ]


def test_a_success_keeps_none(note: Callable[[], RunNote], job: logging.Logger) -> None:
    with run_scope("sync"):
        job.info("fine")

    assert note() is None


def test_none_is_kept_where_that_is_switched_off(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, job: logging.Logger
) -> None:
    monkeypatch.setenv("RUNGUARD_CAPTURE_LOGS", "no")
    monkeypatch.setenv("RUNGUARD_CAPTURE_TRACEBACK", "no")
    note = request.getfixturevalue("note")

    with pytest.raises(ValueError, match="x"), run_scope("sync"):
        job.info("fine")
        raise ValueError("x")

    assert note() is None


def test_a_handle_that_the_program_keeps_holds_no_lines(
    note: Callable[[], RunNote], job: logging.Logger
) -> None:
    with run_scope("sync") as run:
        job.info("page 3")
        run.fail("x")

    assert note().log_tail
    assert run._lines is None


def test_the_last_fifty_lines_are_kept(note: Callable[[], RunNote], job: logging.Logger) -> None:
    with run_scope("sync") as run:
        for number in range(1000):
            job.info("line %d", number)
        assert len(run._lines or ()) < 200
        run.fail("x")

    assert lines_of(note()) == [f"INFO sync.pages: line {number}" for number in range(950, 1000)]


def test_long_lines_take_bounded_memory_and_sixteen_kibibytes_at_most(
    note: Callable[[], RunNote], job: logging.Logger
) -> None:
    with run_scope("sync") as run:
        for number in range(8):
            job.info("%d %s", number, "wörter " * 100_000)
        job.info("the last one")
        assert sum(len(line.text) for line in run._lines or ()) < 150_000
        run.fail("x")

    text = note().log_tail or ""
    assert len(text.encode()) <= log_tail.LONGEST
    assert text.endswith("the last one")
    assert "7 wörter" in text
    assert "[cut: 68" in text


def test_secrets_are_hidden_also_where_a_cut_would_split_them(
    note: Callable[[], RunNote], job: logging.Logger
) -> None:
    with run_scope("sync") as run:
        job.info("connecting to postgresql://app:hunter2@db/sales")
        job.info("-----BEGIN PRIVATE KEY-----")
        for _ in range(60):  # more than are shown
            job.info(KEY)
        job.info("-----END PRIVATE KEY-----")
        job.info("x" * 15_000 + " password=" + "hunter2" * 5_000)
        job.info("the last one")
        run.fail("x")

    assert KEY not in str(note())
    assert "hunter2" not in str(note())
    assert (note().log_tail or "").endswith("the last one")


def test_each_run_keeps_its_own_and_the_outer_one_all(
    note: Callable[[], RunNote], job: logging.Logger
) -> None:
    with run_scope("outer") as outer:
        job.info("outer")
        with run_scope("inner") as inner:
            job.info("inner")
            inner.fail("x")
        assert lines_of(note()) == ["INFO sync.pages: inner"]
        outer.fail("x")

    assert lines_of(note()) == ["INFO sync.pages: outer", "INFO sync.pages: inner"]


async def test_tasks_and_threads_that_inherit_the_run_are_told_apart(
    note: Callable[[], RunNote], job: logging.Logger
) -> None:
    kept: dict[str, list[str]] = {}

    async def one(name: str) -> None:
        async with run_scope(name) as run:
            job.info("task of %s", name)
            await asyncio.to_thread(job.info, "thread of %s", name)
            kept[name] = [line.text for line in run._lines or ()]

    await asyncio.gather(one("a"), one("b"))
    assert kept == {name: [f"task of {name}", f"thread of {name}"] for name in ("a", "b")}


def test_many_threads_may_log_while_the_run_ends(
    note: Callable[[], RunNote], job: logging.Logger
) -> None:
    go_on = True

    def chatter() -> None:
        while go_on:
            job.info("chatter %s", "x" * 300)

    threads = []
    try:
        with run_scope("sync") as run:
            for _ in range(3):
                context = contextvars.copy_context()
                threads.append(threading.Thread(target=context.run, args=(chatter,)))
                threads[-1].start()
            job.info("go")
            run.fail("x")
    finally:
        go_on = False
        for thread in threads:
            thread.join()

    assert note().log_tail


def test_nothing_of_ours_is_kept(
    note: Callable[[], RunNote], job: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with run_scope("outer") as outer:
        with run_scope("inner"):
            pass
        outer.log.warning("of the job, which reads runguard.toml")
        outer.fail("x")

    assert "runguard.run_started" in caplog.text
    assert "runguard.run_" not in (note().log_tail or "")
    assert "of the job" in (note().log_tail or "")


def test_what_a_hosts_handlers_see_stays_as_it_was(
    note: Callable[[], RunNote], capsys: pytest.CaptureFixture[str]
) -> None:
    handlers, level = logging.root.handlers[:], logging.root.level
    lines = queue.SimpleQueue[logging.LogRecord]()
    logger = logging.getLogger("configured")
    with run_scope("sync") as run:
        assert logging.root.handlers == handlers
        assert logging.root.level == level
        logging.config.dictConfig(
            {
                "version": 1,
                "incremental": False,
                "disable_existing_loggers": False,
                "loggers": {"configured": {"level": "INFO", "handlers": []}},
            }
        )
        logger.addHandler(logging.handlers.QueueHandler(lines))
        logger.info("by %s", "a queue")
        run.fail("x")

    assert lines.get_nowait().getMessage() == "by a queue"
    assert lines_of(note()) == ["INFO configured: by a queue"]


def test_a_script_without_configuration_prints_as_before(tmp_path: Path) -> None:
    (script := tmp_path / "job.py").write_text(
        "import logging, runguard\n"
        f"runguard.configure(database_url='sqlite:///{tmp_path}/runguard.db')\n"
        "with runguard.run_scope('sync'):\n"
        "    logging.getLogger('sync').warning('of last resort')\n"
        "    logging.basicConfig(level='INFO', format='configured later: %(message)s')\n"
        "    logging.getLogger('sync').info('shown')\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    lines = [line for line in done.stderr.splitlines() if "runguard" not in line]
    assert lines == ["of last resort", "configured later: shown"]


class Odd:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_a_line_that_cannot_be_made_hurts_nobody(
    note: Callable[[], RunNote], job: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    job.propagate = False
    try:
        with run_scope("sync") as run:
            job.info("odd %s", Odd())
            job.info("too %s few %s", "args")
            job.info("fine")
            run.fail("x")
    finally:
        job.propagate = True

    assert lines_of(note()) == ["INFO sync.pages: fine"]


@pytest.fixture
def plain_structlog() -> Iterator[None]:
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.LogfmtRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("plain_structlog")
def test_structlogs_own_loggers_are_kept_as_they_print(note: Callable[[], RunNote]) -> None:
    with run_scope("sync") as run:
        structlog.get_logger().info("page", number=3)
        run.fail("x")

    assert note().log_tail == "number=3 event=page level=info"


@pytest.mark.usefixtures("sqlite_url")
def test_a_run_begins_while_another_thread_imports_structlog(
    note: Callable[[], RunNote], job: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(log_tail._wrapped, "structlog", raising=False)
    monkeypatch.setitem(sys.modules, "structlog._base", ModuleType("structlog._base"))

    with pytest.raises(ValueError, match="empty"), run_scope("sync"):
        job.info("page 3")
        raise ValueError("empty page")

    assert lines_of(note()) == ["INFO sync.pages: page 3"]
    assert "structlog" not in log_tail._wrapped


def test_a_handler_that_looks_for_the_frame_that_logs_finds_it(
    sqlite_url: str, job: logging.Logger
) -> None:
    found = []

    class Interceptor(logging.Handler):
        """Looks as the documentation of Loguru tells."""

        def emit(self, record: logging.LogRecord) -> None:
            frame, depth = inspect.currentframe(), 0
            while frame and (depth == 0 or frame.f_code.co_filename == logging.__file__):
                frame, depth = frame.f_back, depth + 1
            found.append(frame and frame.f_code.co_filename)

    interceptor = Interceptor()
    job.addHandler(interceptor)
    try:
        with run_scope("sync"):
            job.info("page 3")
    finally:
        job.removeHandler(interceptor)

    assert found == [__file__]


def test_structlog_names_the_file_that_logs_and_none_of_ours() -> None:
    name_the_file = structlog.processors.CallsiteParameterAdder(
        {structlog.processors.CallsiteParameter.FILENAME}
    )
    structlog.configure(
        processors=[name_the_file, structlog.processors.LogfmtRenderer()],
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    try:
        with run_scope("sync"):
            logged = structlog.get_logger().info("page")
    finally:
        structlog.reset_defaults()

    assert "filename=test_log_tail.py" in logged


def test_structlog_over_standard_logging_is_kept_once(
    note: Callable[[], RunNote], job: logging.Logger
) -> None:
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    try:
        with run_scope("sync") as run:
            structlog.get_logger("sync.pages").info("page", number=3)
            run.fail("x")
    finally:
        structlog.reset_defaults()

    assert lines_of(note()) == ["INFO sync.pages: page number=3"]


def test_the_traceback_of_a_failed_run_is_kept(note: Callable[[], RunNote]) -> None:
    def pages(run: Run) -> None:
        assert run.status
        raise ValueError("password=hunter2")

    with pytest.raises(ValueError, match="hunter2"), run_scope("sync") as run:
        pages(run)

    traceback = note().traceback or ""
    assert traceback.startswith("Traceback (most recent call last):\n")
    assert "in pages\n" in traceback
    assert traceback.endswith("ValueError: password=[redacted]")


def test_a_failure_without_an_exception_has_no_traceback(note: Callable[[], RunNote]) -> None:
    with run_scope("sync") as run:
        run.fail("1 of 10 pages failed")

    assert note() is None


def test_the_ids_of_systemd_and_sentry_are_kept_of_a_failure(
    note: Callable[[], RunNote], monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import SimpleNamespace

    event_ids = iter(["1" * 32, "2" * 32, "2" * 32, "2" * 32, None, "not one"])
    sentry = SimpleNamespace(last_event_id=lambda: next(event_ids))
    monkeypatch.setitem(sys.modules, "sentry_sdk", sentry)  # type: ignore[arg-type]
    monkeypatch.setenv("INVOCATION_ID", "a" * 32)

    with run_scope("told") as run:
        run.note(page=3)
        run.fail("x")
    assert note().context == {
        "sentry_event_id": "2" * 32,
        "invocation_id": "a" * 32,
        "page": 3,
    }
    for _ in range(2):
        with run_scope("told nothing new") as run:
            run.fail("x")
        assert note().context == {"invocation_id": "a" * 32}
    with run_scope("fine"):
        pass
    assert note() is None
