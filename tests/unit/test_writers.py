"""The threads that write for runs, and who is struck by an exception while waiting for them."""

from __future__ import annotations

import asyncio
import builtins
import threading
from typing import TYPE_CHECKING

import pytest

from runguard._run import off_loop, task, threads
from runguard._run.threads import Writers
from tests.support.processes import until

if TYPE_CHECKING:
    from collections.abc import Callable


class TimeLimit(BaseException):
    """What the handler of a signal raises, at any instant."""


@pytest.mark.parametrize("is_busy", [False, True], ids=["the writer hangs", "all are busy"])
def test_what_is_done_without_the_store_is_done_though_its_caller_is_struck(
    monkeypatch: pytest.MonkeyPatch, *, is_busy: bool
) -> None:
    monkeypatch.setattr(threads, "GRACE_SECONDS", 0.01)
    writers = Writers(lambda: 1)
    answers = threading.Event()
    tries: list[Exception] = []

    def hang(trouble: Exception | None = None, /) -> str:
        if trouble is None:
            answers.wait(30)
        return "of the store"

    def keep(trouble: Exception | None = None, /) -> str:
        if trouble is None:
            return hang()
        tries.append(trouble)
        if len(tries) <= 2:
            raise TimeLimit
        return "kept"

    if is_busy:
        writers.run(hang, seconds=0.01)
    done = writers.run(keep, seconds=0.01)
    answers.set()
    writers.close()

    assert done.result == "kept"
    assert isinstance(done.interruption, TimeLimit)


def test_work_that_its_caller_was_torn_from_before_it_began_is_kept_by_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "GRACE_SECONDS", 0.01)
    writers, answers, strikes = Writers(lambda: 1), threading.Event(), [TimeLimit()]
    writers.run(lambda trouble=None, /: trouble or answers.wait(30), seconds=0.01)
    wait = task.Task.wait

    def struck_once(self: task.Task[int], grace: float = 0.0) -> None:
        if strikes:
            raise strikes.pop()
        answers.set()
        wait(self, grace)

    monkeypatch.setattr(task.Task, "wait", struck_once)
    done = writers.run(lambda _=None, /: 7, seconds=30)
    writers.close()

    assert done.result == 7
    assert isinstance(done.interruption, TimeLimit)
    assert writers._unfinished == set()


async def test_a_coroutine_does_its_work_itself_where_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    writers = Writers(lambda: 1)

    done = await writers.run_off_loop(lambda trouble=None, /: trouble or 7, seconds=0.01)

    assert (done.result, writers._unfinished) == (7, set())


async def test_a_time_limit_that_strikes_while_the_loops_part_is_loaded_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    struck = TimeoutError()

    def strike(name: str, *_: object) -> None:
        raise struck

    writers = Writers(lambda: 1)
    with monkeypatch.context() as patch:
        patch.setattr(builtins, "__import__", strike)
        done = await writers.run_off_loop(lambda _=None, /: 7, seconds=30)

    assert (done.result, done.interruption) == (7, struck)


async def test_a_loop_is_called_once_for_all_that_is_done_until_it_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    writers = Writers(lambda: 4)
    all_asked = threading.Event()
    done: list[None] = []
    calls: list[object] = []
    call = loop.call_soon_threadsafe

    def counted(callback: Callable[[], object]) -> object:
        calls.append(callback)
        return call(callback)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)

    def work(_: Exception | None = None, /) -> int:
        assert all_asked.wait(30)
        done.append(None)
        return 7

    asked = [asyncio.create_task(writers.run_off_loop(work, seconds=30)) for _ in range(20)]
    await asyncio.sleep(0)
    all_asked.set()
    until(lambda: len(done) == 20 and not writers._unfinished)  # while the loop is busy
    answers = [(await one).result for one in asked]
    writers.close()

    assert answers == [7] * 20
    assert len(calls) == 1


async def test_what_is_done_before_its_coroutine_waits_is_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    writers = Writers(lambda: 1)
    submit = writers._submit

    def submit_and_wait(asked: task.Task[int]) -> bool:
        answer = submit(asked)
        until(lambda: asked.done)
        return answer

    monkeypatch.setattr(writers, "_submit", submit_and_wait)
    done = await writers.run_off_loop(lambda _=None, /: 7, seconds=30)
    await asyncio.sleep(0)
    writers.close()

    assert (done.result, faults) == (7, [])


async def test_a_coroutine_that_nobody_wakes_looks_again_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(task, "LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(off_loop.Bell, "ring", lambda *_: None)
    writers = Writers(lambda: 1)
    done = [(await writers.run_off_loop(lambda _=None, /: 7, seconds=30)).result for _ in "ab"]
    writers.close()

    assert done == [7, 7]


async def test_a_coroutine_waits_no_longer_than_its_work_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "GRACE_SECONDS", 0.01)
    monkeypatch.setattr(task, "GRACE_SECONDS", 0.01)
    answers = threading.Event()
    writers = Writers(lambda: 1)

    def hang(trouble: Exception | None = None, /) -> str:
        return "kept" if trouble is not None else str(answers.wait(30))

    done = await writers.run_off_loop(hang, seconds=0.01)
    answers.set()
    writers.close()

    assert (done.result, done.interruption) == ("kept", None)
