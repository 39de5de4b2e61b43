"""Stories of runs that overlap, are refused or are lost, as they happen to a user's jobs."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

import runguard
from runguard import JobLockActive, run_scope, testing
from runguard._models import NewRun, TriggerType
from runguard._run.run_key import new_run_key
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG_AGO = {
    "postgresql": "now() - interval '7 minutes'",
    "sqlite": "strftime('%Y-%m-%d %H\\:%M\\:%f', 'now', '-420 seconds')",
}


def leave_open(url: str, job_name: str = "sync") -> None:
    """Begin a run whose process then dies without a word, seven minutes ago."""
    store = open_store(url)
    run = NewRun(new_run_key(), job_name, TriggerType.SCHEDULER, "w1", 77, timedelta(minutes=5))
    store.start_run(run, timeout=10)
    store.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        past = LONG_AGO[engine.dialect.name]
        connection.execute(text(f"update run_log set started_at = {past} where host = 'w1'"))
    engine.dispose()


def fail(url: str, job_name: str = "sync") -> None:
    """Let a run fail as no rule expects."""
    runguard.configure(database_url=url)
    with contextlib.suppress(ValueError), run_scope(job_name):
        raise ValueError("bad input")
    testing.reset()


@contextlib.contextmanager
def refused_while_running(url: str, job_name: str = "sync") -> Iterator[None]:
    """Hold a job's lock for the block; a second start has been refused before it."""
    runguard.configure(database_url=url)
    with run_scope(job_name, lock=True):
        with pytest.raises(JobLockActive), run_scope(job_name, lock=True):
            raise AssertionError("the body must not run")
        yield
    testing.reset()


def time_out_after_a_refused_start(url: str, job_name: str = "sync") -> None:
    """A run holds its lock, a second start is refused, then the holder times out."""
    with contextlib.suppress(TimeoutError), refused_while_running(url, job_name):
        raise TimeoutError("no answer")
    testing.reset()
