"""Exceptions of the host that strike at any instant: time limits, signals, other threads.

They leave the with-block unchanged, the run keeps its record, and runguard stays whole.
"""

from __future__ import annotations

import ctypes
import random
import signal
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

import runguard
from runguard import RunScope, run_scope
from tests.faults.processes.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from sqlalchemy import Engine

    Rows = Callable[..., list[tuple[Any, ...]]]

TRIES = 150


class TimeIsUp(Exception):
    """As a queue's soft time limit: an ordinary exception, so `except Exception` would eat it."""


@contextmanager
def struck_by_a_signal(after: float) -> Iterator[None]:
    """Let a signal's handler raise in this thread, once, after so many seconds."""

    def strike(_: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name == "__del__":
            # What is raised in a finalizer Python itself swallows: strike a little later.
            signal.setitimer(signal.ITIMER_REAL, 1e-5)
            return
        raise TimeIsUp

    before = signal.signal(signal.SIGALRM, strike)
    try:
        signal.setitimer(signal.ITIMER_REAL, after)
        yield
        time.sleep(60)  # it strikes here at the latest
    finally:
        signal.signal(signal.SIGALRM, before)


class Victim(threading.Thread):
    """A thread that another one raises in, at any instant."""

    def __init__(self, after: float) -> None:
        super().__init__()
        self._after = after
        self._begun = threading.Event()
        self.raised: BaseException | None = None

    def run(self) -> None:
        try:
            self._begun.set()
            one_run()
            while True:  # it strikes here at the latest
                time.sleep(0.001)
        except BaseException as error:
            self.raised = error

    def strike(self) -> None:
        self.start()
        self._begun.wait()
        time.sleep(self._after)
        assert self.ident is not None
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self.ident), ctypes.py_object(TimeIsUp)
        )
        self.join(60)
        assert not self.is_alive()


# Scopes that are not to be destroyed in a struck block: Python drops what a destructor raises.
_kept: list[RunScope] = []


def one_run() -> None:
    _kept.append(scope := run_scope("struck"))
    with scope as run:
        run.total_records += 1


@pytest.fixture
def own_engine(url: str) -> Iterator[Engine]:
    """A user's engine, whose pool shows what is checked out."""
    engine = create_engine(url)
    runguard.configure(
        engine=engine,
        store_timeout=timedelta(minutes=2),
        heartbeat_interval=timedelta(seconds=1),
        lost_after=timedelta(minutes=5),
    )
    yield engine
    engine.dispose()


def assert_whole(engine: Engine, rows: Rows) -> None:
    """Nothing is checked out, no lock is held, and recording goes on."""
    _kept.clear()
    until(lambda: engine.pool.checkedout() == 0)  # type: ignore[attr-defined]
    with run_scope("after") as run:
        assert run.id is not None
    assert rows("select status from run_log where job_name = 'after'") == [("SUCCESS",)]
    until(lambda: rows("select count(*) from run_log where status = 'RUNNING'") == [(0,)])


def instants(tries: int) -> Iterator[float]:
    """Moments spread over a run and a little beyond, the same ones each time."""
    began = time.perf_counter()
    for _ in range(5):
        one_run()
    longest = (time.perf_counter() - began) / 5 * 1.3
    dice = random.Random(20261126)
    for _ in range(tries):
        yield dice.uniform(1e-5, longest)


def test_a_time_limit_at_any_instant_leaves_the_block_unchanged(
    own_engine: Engine, rows: Rows
) -> None:
    for after in instants(TRIES):
        _kept.clear()
        with pytest.raises(TimeIsUp), struck_by_a_signal(after):
            one_run()

    assert_whole(own_engine, rows)


def test_an_exception_from_another_thread_at_any_instant_leaves_the_block_unchanged(
    own_engine: Engine, rows: Rows
) -> None:
    for after in instants(TRIES):
        _kept.clear()
        victim = Victim(after)
        victim.strike()
        assert isinstance(victim.raised, TimeIsUp), victim.raised

    assert_whole(own_engine, rows)
