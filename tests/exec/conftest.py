"""`runguard exec` in a process of its own, spoken to through pipes, and the rows that it leaves."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import psutil
import pytest

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RUNGUARD = [sys.executable, "-m", "runguard"]
LIMIT = 60  # seconds until a wrapper that hangs fails its test


@dataclass(frozen=True)
class Ended:
    exit_code: int
    stdout: bytes
    stderr: bytes


class Wrapper:
    """A running `runguard exec`. Its first word says that the command has begun."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.pid = process.pid

    def await_line(self) -> str:
        """The next line of the command's stdout; empty when all who could write it are gone."""
        stdout = self._stream("stdout")
        assert select.select([stdout], [], [], LIMIT)[0], "the command said nothing in time"
        return stdout.readline().decode().rstrip("\n")

    def await_stderr(self, count: int) -> bytes:
        return self._stream("stderr").read(count)

    def write(self, data: bytes) -> None:
        self._stream("stdin").write(data)
        self._stream("stdin").flush()

    def send(self, signum: int) -> None:
        self.process.send_signal(signum)

    def end(self) -> Ended:
        stdout, stderr = self.process.communicate(timeout=LIMIT)
        return Ended(self.process.returncode, stdout, stderr)

    def _stream(self, name: str) -> IO[bytes]:
        stream: IO[bytes] | None = getattr(self.process, name)
        assert stream is not None
        return stream


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "runguard.db"


@pytest.fixture
def environ(file: Path) -> dict[str, str]:
    """What every wrapper of the test is told by its environment."""
    return {
        "RUNGUARD_DATABASE_URL": f"sqlite:///{file}",
        "RUNGUARD_SPOOL_DIR": str(file.with_name("spool")),
        "PYTHONPATH": str(ROOT),
    }


@pytest.fixture(scope="session", autouse=True)
def _signals_as_at_a_terminal() -> Iterator[None]:
    """What nohup or a shell in the background ignores is ignored here alone.

    A process inherits that a signal is ignored, but no handler of one.
    """
    ignored = [
        signum
        for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
        if signal.getsignal(signum) is signal.SIG_IGN
    ]
    for signum in ignored:
        signal.signal(signum, lambda *_: None)
    yield
    for signum in ignored:
        signal.signal(signum, signal.SIG_IGN)


@pytest.fixture
def start(environ: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Wrapper]]:
    """Start `runguard exec` with these arguments; nothing of it outlives the test."""
    wrappers: list[Wrapper] = []

    def start(*arguments: str, before: tuple[str, ...] = (), **options: Any) -> Wrapper:
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen(
            [*before, *RUNGUARD, "exec", *arguments],
            env={**os.environ, **environ},
            cwd=tmp_path,
            bufsize=0,
            **{**pipes, **options},
        )
        wrappers.append(Wrapper(process))
        return wrappers[-1]

    yield start
    for wrapper in wrappers:
        _kill_all(wrapper.process)


@pytest.fixture
def execute(start: Callable[..., Wrapper]) -> Callable[..., Ended]:
    """Run `runguard exec` with these arguments to its end."""
    return lambda *arguments, **options: start(*arguments, **options).end()


@pytest.fixture
def sql(file: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Ask the store by hand, as an operator would."""

    def ask(statement: str) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(file)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement)]

    return ask


@pytest.fixture
def run(sql: Callable[[str], list[dict[str, Any]]]) -> Callable[[], dict[str, Any]]:
    """The one run that was recorded."""

    def the_one() -> dict[str, Any]:
        [row] = sql("select * from run_log")
        return row

    return the_one


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid)
        for member in [*family.children(recursive=True), family]:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
    process.wait()
