"""A time limit that strikes at each step of a run in turn: none loses it, a row or a connection."""

from __future__ import annotations

import gc
import sys
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import run_scope
from runguard._api import runtime
from tests.faults.processes.conftest import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Rows = Callable[..., list[tuple[Any, ...]]]

PACKAGE = str(Path(runguard.__file__).parent)


class TimeIsUp(TimeoutError):
    """As job queues raise it: an `OSError`, which much code expects of files."""


class Strike:
    """Raises at one step of runguard's own code in this thread, counted from 1."""

    limit: tuple[object, ...] = ()

    def __init__(self, step: int) -> None:
        self.left = step
        self.place = "nowhere"

    def __call__(self, frame: FrameType, event: str, _: object) -> Strike | None:
        code = frame.f_code
        # What is raised in a finalizer Python itself swallows.
        if not code.co_filename.startswith(PACKAGE) or code.co_name == "__del__":
            return None
        self.left -= 1
        if self.left == 0:
            self.place = f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name} {event}"
            raise TimeIsUp(*self.limit)
        return self


def succeed() -> None:
    with run_scope("struck") as run:
        run.total_records += 1


def fail() -> None:
    with suppress(ValueError), run_scope("struck") as run:
        raise ValueError(f"row {run.id} is bad")


def struck(strike: Strike, one_run: Callable[[], None]) -> bool:
    """Whether the strike left a run that it was to hit."""
    tracer = sys.gettrace()
    gc.disable()  # it finalizes generators that were struck before, which are frames of ours too
    sys.settrace(strike)
    try:
        one_run()
    except TimeIsUp:
        return True
    finally:
        sys.settrace(tracer)
        gc.enable()
    return False


def steps_of(one_run: Callable[[], None]) -> int:
    """How many steps of a run this thread does."""
    never = Strike(1_000_000)
    struck(never, one_run)
    return 1_000_000 - never.left


@pytest.mark.parametrize(("one_run", "status"), [(succeed, "SUCCESS"), (fail, "FAILED")])
def test_a_time_limit_at_each_step_of_a_run_loses_nothing(
    one_run: Callable[[], None],
    status: str,
    url: str,
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for other in ("opentelemetry.trace", "sentry_sdk", "structlog", "structlog.contextvars"):
        monkeypatch.delitem(sys.modules, other, raising=False)  # what strikes there is theirs
    if status == "SUCCESS":  # some raise it with the number of an error
        monkeypatch.setattr(Strike, "limit", (110, "time is up"))
    runguard.configure(
        database_url=url,
        max_connections=2,
        store_timeout=timedelta(minutes=2),
        heartbeat_interval=timedelta(seconds=1),
        lost_after=timedelta(minutes=5),
    )
    for _ in range(3):
        one_run()
    # A few steps depend on which thread is faster, many on whether a writer does it all.
    steps = sorted(steps_of(one_run) for _ in range(9))[4]
    swallowed, unstruck = list[str](), 12
    for step in count(1):
        for _ in range(5):
            strike = Strike(step)
            was_told = struck(strike, one_run)
            if strike.left <= 0:
                break
            unstruck += 1
        else:
            break  # there was none: each step before it was struck
        if not was_told:
            swallowed.append(strike.place)

    assert swallowed == []
    assert step > max(steps - 50, 300)  # all of it was in this thread
    pool: Any = runtime.store().engine.pool  # type: ignore[attr-defined]
    assert pool.checkedout() == 0
    until(lambda: rows("select count(*) from run_log where status = 'RUNNING'") == [(0,)])
    # Those that were not struck, and those that were when their end was written.
    by_the_body = f"status = '{status}' and (status = 'SUCCESS' or error_type = 'ValueError')"
    assert rows(f"select count(*) from run_log where {by_the_body}") > [(unstruck,)]
    # One that was struck before its block began is told as abandoned.
    raised = {("struck:TIMEOUT", 1), ("struck:UNKNOWN", 1)}
    assert {*rows("select source_id, count(*) from alert group by 1")} == raised
    by_outcome = "select alert_outcome, count(*) from run_log where status = 'FAILED' group by 1"
    outcomes = dict(rows(by_outcome))
    assert outcomes.keys() == {"raised", "suppressed"}
    assert outcomes["raised"] == len(raised)
    until(lambda: not runtime.heartbeat._runs)
