"""`tracked_run`: what it may decorate, and that it changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

import pydantic
import pytest
from celery import Celery, shared_task

import runguard
import runguard.testing
from runguard import current_run, run_scope, tracked_run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

    Sql = Callable[..., list[dict[str, Any]]]


@tracked_run("add")
def add(a: int, /, b: int = 2, *, c: int = 3) -> int:
    """Add three."""
    return a + b + c


def test_a_function_keeps_its_result_name_and_signature(sqlite_url: str, sql: Sql) -> None:
    assert add(1, c=5) == 8
    assert add.__name__ == "add"
    assert add.__doc__ == "Add three."
    assert str(inspect.signature(add)).startswith("(a: 'int', /, b: 'int' = 2, *, c: 'int' = 3)")
    assert sql("select job_name, status from run_log") == [{"job_name": "add", "status": "SUCCESS"}]


class Jobs:
    factor = 3

    @tracked_run("method")
    def method(self, n: int) -> int:
        return n * self.factor

    @classmethod
    @tracked_run("inner class method")
    def inner_class_method(cls, n: int) -> int:
        return n * cls.factor

    @tracked_run("outer class method")
    @classmethod
    def outer_class_method(cls, n: int) -> int:
        return n * cls.factor

    @staticmethod
    @tracked_run("inner static method")
    def inner_static_method(n: int) -> int:
        return n * 3

    @tracked_run("outer static method")
    @staticmethod
    def outer_static_method(n: int) -> int:
        return n * 3

    @tracked_run("async method")
    async def async_method(self, n: int) -> int:
        return n * self.factor


@pytest.mark.parametrize(
    "name",
    [
        "method",
        "inner_class_method",
        "outer_class_method",
        "inner_static_method",
        "outer_static_method",
    ],
)
def test_methods_of_every_kind(sqlite_url: str, sql: Sql, name: str) -> None:
    assert getattr(Jobs(), name)(7) == 21
    assert sql("select job_name from run_log") == [{"job_name": name.replace("_", " ")}]


async def test_async_methods(sqlite_url: str, sql: Sql) -> None:
    assert inspect.iscoroutinefunction(Jobs.async_method)
    assert await Jobs().async_method(7) == 21
    assert sql("select status from run_log") == [{"status": "SUCCESS"}]


def test_other_callables(sqlite_url: str, sql: Sql) -> None:
    class Job:
        def __call__(self, n: int) -> int:
            return n + 1

    assert tracked_run("object")(Job())(1) == 2
    assert tracked_run("partial")(functools.partial(int, base=2))("101") == 5
    assert [row["job_name"] for row in sql("select job_name from run_log order by id")] == [
        "object",
        "partial",
    ]


async def test_an_object_with_an_async_call(sqlite_url: str, sql: Sql) -> None:
    class Job:
        async def __call__(self, n: int) -> int:
            assert current_run() is not None
            return n + 1

    assert await tracked_run("async object")(Job())(1) == 2
    assert sql("select status from run_log") == [{"status": "SUCCESS"}]


class ManyPages:
    def __call__(self) -> Iterator[int]:
        yield 1


def pages() -> Iterator[int]:
    yield 1


async def async_pages() -> AsyncIterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("function", "instead"),
    [
        (pages, "use run_scope around the loop"),
        (async_pages, "use run_scope around the loop"),
        (ManyPages(), "use run_scope around the loop"),
        (functools.partial(ManyPages()), "use run_scope around the loop"),
        (contextlib.contextmanager(pages), "use run_scope inside it"),
        (contextlib.asynccontextmanager(async_pages), "use run_scope inside it"),
        (Celery().task(pages), "put @tracked_run below"),
        (shared_task(pages), "put @tracked_run below"),
    ],
    ids=[
        *("generator", "async generator", "object", "partial", "context manager"),
        *("async context manager", "celery task", "celery shared task"),
    ],
)
def test_what_only_prepares_its_body_is_refused_with_what_to_write_instead(
    function: Callable[[], object], instead: str
) -> None:
    with pytest.raises(TypeError, match=instead):
        tracked_run("pages")(function)


def test_a_task_of_huey_is_refused_without_huey_installed() -> None:
    class TaskWrapper:
        def __call__(self) -> None: ...
        def call_local(self) -> None: ...

    with pytest.raises(TypeError, match="put @tracked_run below"):
        tracked_run("sync")(TaskWrapper())


def test_a_mock_is_no_task_of_a_queue(sqlite_url: str) -> None:
    assert tracked_run("mocked")(MagicMock(return_value=7))() == 7


@pytest.mark.parametrize("lazy", [pages, contextlib.contextmanager(pages)])
def test_a_body_that_has_not_begun_when_its_function_returns_fails_the_run(
    sqlite_url: str, sql: Sql, lazy: Callable[[], object]
) -> None:
    @functools.wraps(lazy)
    def wrapper() -> object:
        return lazy()

    with pytest.raises(TypeError, match="body has not begun"):
        tracked_run("pages")(wrapper)()
    assert sql("select status from run_log") == [{"status": "FAILED"}]


async def sync(term: str) -> str:
    run = current_run()
    assert run is not None
    await asyncio.sleep(0)
    assert current_run() is run
    run.total_records = 512
    if term == "bad":
        raise ValueError("bad input")
    return term


@functools.wraps(sync)
def wrapped(term: str) -> object:
    return sync(term)


class Callable_:  # noqa: N801 - like the class it stands for
    async def __call__(self, term: str) -> str:
        return await sync(term)


def in_a_task(term: str) -> asyncio.Task[str]:
    return asyncio.get_running_loop().create_task(sync(term))


class Later:
    """An awaitable that is neither a coroutine nor a future."""

    def __init__(self, term: str) -> None:
        self.term = term

    def __await__(self) -> Generator[Any, Any, str]:
        return sync(self.term).__await__()


ASYNC_AT_HEART = {
    "wraps": wrapped,
    "validate_call": pydantic.validate_call(sync),
    "partial": functools.partial(Callable_()),
    "task": in_a_task,
    "awaitable": Later,
}


@pytest.mark.parametrize("function", ASYNC_AT_HEART.values(), ids=ASYNC_AT_HEART)
async def test_the_run_stays_open_until_what_the_function_returned_is_awaited(
    sqlite_url: str, sql: Sql, function: Callable[[str], Any]
) -> None:
    job = tracked_run("sync")(function)
    awaitable = job("2026-1")
    assert current_run() is None
    assert await awaitable == "2026-1"
    with pytest.raises(ValueError, match="bad input"):
        await job("bad")

    assert sql("select status, total_records from run_log order by id") == [
        {"status": "SUCCESS", "total_records": 512},
        {"status": "FAILED", "total_records": 512},
    ]
    assert current_run() is None


@pytest.mark.parametrize(
    ("ending", "status", "error_type"),
    [
        ("", "SUCCESS", None),
        ("bad input", "FAILED", "ValueError"),
        ("cancelled", "FAILED", "asyncio.exceptions.CancelledError"),
    ],
)
def test_the_run_stays_open_until_the_future_of_a_pool_is_done(
    sqlite_url: str, sql: Sql, *, ending: str, status: str, error_type: str | None
) -> None:
    future = Future[None]()
    assert tracked_run("sync")(lambda: future)() is future
    assert sql("select status from run_log") == [{"status": "RUNNING"}]

    if ending == "cancelled":
        future.cancel()
    elif ending:
        future.set_exception(ValueError(ending))
    else:
        future.set_result(None)

    assert sql("select status, error_type from run_log") == [
        {"status": status, "error_type": error_type}
    ]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_what_nobody_ever_awaits_does_not_stay_open(sqlite_url: str, sql: Sql) -> None:
    runguard.testing.reset()
    runguard.configure(
        database_url=sqlite_url,
        heartbeat_interval=timedelta(milliseconds=50),
        lost_after=timedelta(seconds=1),
    )
    tracked_run("sync")(wrapped)("2026-1")

    async with asyncio.timeout(60):
        while sql("select status from run_log") != [{"status": "FAILED"}]:
            await asyncio.sleep(0.05)
    assert current_run() is None


def test_parentheses_must_not_be_forgotten() -> None:
    def job() -> None: ...

    with pytest.raises(TypeError, match=r"@tracked_run\('name'\)"):
        tracked_run(job)  # type: ignore[arg-type]


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="expected a function, found int"):
        tracked_run("job")(7)  # type: ignore[arg-type]


def test_each_call_is_a_run_of_its_own(sqlite_url: str, sql: Sql) -> None:
    @tracked_run("recursive")
    def countdown(n: int) -> None:
        run = current_run()
        assert run is not None
        run.total_records = n
        if n:
            countdown(n - 1)
        assert current_run() is run

    countdown(3)

    rows = sql("select total_records, status from run_log order by id")
    assert [row["total_records"] for row in rows] == [3, 2, 1, 0]
    assert {row["status"] for row in rows} == {"SUCCESS"}


def test_50_overlapping_threads_are_50_runs(url: str, sql: Sql) -> None:
    import threading

    all_inside = threading.Barrier(50, timeout=60)

    @tracked_run("overlapping")
    def job(n: int) -> None:
        run = current_run()
        assert run is not None
        run.total_records = n
        all_inside.wait()
        if n % 2:
            raise ValueError(f"odd: {n}")

    with ThreadPoolExecutor(50) as threads:
        futures = [threads.submit(job, n) for n in range(50)]
        failures = [future.exception() for future in futures]

    assert sum(failure is not None for failure in failures) == 25
    rows = sql("select total_records, status, error_message from run_log order by total_records")
    assert [row["total_records"] for row in rows] == list(range(50))
    for n, row in enumerate(rows):
        assert row["status"] == ("FAILED" if n % 2 else "SUCCESS")
        assert row["error_message"] == (f"odd: {n}" if n % 2 else None)
    assert sql("select count(*) as n from alert") == [{"n": 1}]


def test_a_decorated_function_inside_a_scope_is_the_inner_run(sqlite_url: str, sql: Sql) -> None:
    with run_scope("outer"):
        add(1)

    assert [row["job_name"] for row in sql("select job_name from run_log order by id")] == [
        "outer",
        "add",
    ]
