"""The threads that write for runs, and who is struck by an exception while waiting for them."""

from __future__ import annotations

import threading

import pytest

from runguard._run import threads
from runguard._run.threads import Writers


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
