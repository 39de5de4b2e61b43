"""A user's program in a process of its own, and the rows that it leaves."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import pytest
from sqlalchemy import create_engine, text

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Engine

# What a program of these tests begins with. On a busy machine a healthy store may be slow.
PRELUDE = """
import asyncio, atexit, os, signal, sys, threading, time
from datetime import timedelta
import runguard
from runguard import current_run, run_scope, tracked_run

runguard.configure(database_url=os.environ["STORE_URL"], store_timeout=timedelta(minutes=2))
"""


class Ended(NamedTuple):
    """How a program ended: by a signal, the exit code is negative."""

    exit_code: int
    stderr: str


class Program:
    """A running program; nothing of it outlives the test, children included."""

    def __init__(self, code: str, url: str, stderr: IO[bytes]) -> None:
        self._stderr = stderr
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "STORE_URL": url, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            bufsize=0,  # `select` sees only what no buffer has taken
            start_new_session=True,
        )

    def await_word(self, limit: float = 60) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], limit)[0], self._errors()
        line = self.process.stdout.readline().decode().strip()
        assert line, self._errors()
        return line

    def go_on(self) -> None:
        """Give it the line that it waits for: `input()`."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self, limit: float = 60) -> Ended:
        """Wait for its end: a deadlock is a test that fails, not one that hangs."""
        try:
            exit_code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the program did not end\n{self._errors()}")
        return Ended(exit_code, self._errors())

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _errors(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")


@pytest.fixture
def start(url: str) -> Iterator[Callable[[str], Program]]:
    """Starts a program: the code that follows the prelude, or contains it."""
    with contextlib.ExitStack() as stack:

        def start(code: str) -> Program:
            whole = code if PRELUDE in code else PRELUDE + code
            stderr = stack.enter_context(tempfile.TemporaryFile())
            program = Program(whole, url, stderr)
            stack.callback(program.close)
            return program

        yield start


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runguard.db'}"
    return str(request.getfixturevalue("migrated_pg_url"))


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = create_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def rows(engine: Engine) -> Callable[..., list[tuple[Any, ...]]]:
    """Ask as an operator would, by hand."""

    def ask(sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with engine.begin() as connection:
            result = connection.execute(text(sql), parameters)
            return [tuple(row) for row in result] if result.returns_rows else []

    return ask


def until(happened: Callable[[], bool], limit: float = 60) -> None:
    """Return when it has happened in the database."""
    deadline = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)
