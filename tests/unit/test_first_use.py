"""What a first use does to the collector of garbage, which belongs to the program."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runguard._run.runtime import OBJECTS_OF_A_START, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OFTEN = (650, 11, 12)


@pytest.fixture(autouse=True)
def _own_threshold() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*OFTEN)
    yield
    gc.set_threshold(*before)


class Stores:
    """Opens no store, and calls what it is given meanwhile."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self.meanwhile = meanwhile

    def check(self, **_: Any) -> None: ...

    def open(self, **_: Any) -> Any:
        self.meanwhile()
        return SimpleNamespace(close=lambda: None)


def use(meanwhile: Callable[[], object]) -> None:
    runtime = Runtime(Stores(meanwhile))  # type: ignore[arg-type]
    runtime.configure({"database_url": "postgresql://127.0.0.1/none"})
    runtime.first_use()
    runtime.close()


def test_it_looks_seldom_meanwhile_and_as_often_as_before_afterwards() -> None:
    seen: list[tuple[int, int, int]] = []

    use(lambda: seen.append(gc.get_threshold()))

    assert (seen, gc.get_threshold()) == ([(OBJECTS_OF_A_START, *OFTEN[1:])], OFTEN)


def test_a_program_that_looks_for_none_goes_on_so() -> None:
    seen: list[int] = []
    gc.set_threshold(0)

    use(lambda: seen.append(gc.get_threshold()[0]))

    assert (seen, gc.get_threshold()[0]) == ([0], 0)


def test_what_the_program_sets_meanwhile_stays() -> None:
    use(lambda: gc.set_threshold(5000))

    assert gc.get_threshold()[0] == 5000


def test_first_uses_at_once_leave_it_as_it_was() -> None:
    both = threading.Barrier(2, timeout=10)
    threads = [threading.Thread(target=use, args=(both.wait,)) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert gc.get_threshold() == OFTEN


def test_a_store_that_cannot_be_opened_leaves_it_as_it_was() -> None:
    def fail() -> None:
        raise OSError

    use(fail)

    assert gc.get_threshold() == OFTEN


def test_a_fork_waits_for_a_first_use_that_asks_for_its_loggers() -> None:
    """`logging` takes its lock for a fork, here before runguard waits for the first use."""
    program = """
import os, threading
import runguard
from runguard._api import runtime

forks, holds = threading.Event(), threading.Event()
os.register_at_fork(before=forks.set)
import logging

def use():
    with runtime._lock:
        holds.set()
        forks.wait()
        logging.getLogger("of what it imports")

threading.Thread(target=use).start()
holds.wait()
if (child := os.fork()) == 0:
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )

    assert done.stdout == "7\n", done.stderr
