"""Real Python processes that do the same thing at the same moment."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

ROOT = Path(__file__).parents[2]
PRELUDE = "from tests.support.barrier import index, report, wait\n"


def until(happened: Callable[[], object], limit: float = 30) -> None:
    """Wait until something has happened; after `limit` seconds it is an error."""
    deadline = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one racer ended: what it reported, and what it wrote to stderr."""

    exit_code: int
    reports: list[Any]
    stderr: str


class RaceFailed(AssertionError):
    """A racer died before the line, or did not end in time."""


def race(
    code: str,
    *,
    count: int = 16,
    rounds: int = 1,
    arguments: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    timeout: float = 150,
) -> list[Outcome]:
    """Run `code` in `count` interpreters and release them together, `rounds` times.

    The code finds `wait()`, `report(value)` and `index` ready, calls `wait()` once for each round
    right before what is to happen at once, and its `sys.argv[1:]` are the arguments. No racer
    outlives the call: after `timeout` seconds all are killed, and it is a `RaceFailed`.
    """
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as stack:
        ready, ready_for_child = _pipe(stack)
        releases = [_pipe(stack) for _ in range(rounds)]
        racers = [
            stack.enter_context(
                _racer(
                    [sys.executable, "-c", PRELUDE + code, *arguments],
                    keep=[ready_for_child.fileno(), *(reading.fileno() for reading, _ in releases)],
                    environment={
                        **os.environ,
                        "PYTHONPATH": str(ROOT),
                        **(environment or {}),
                        "RACE_INDEX": str(index),
                        "RACE_READY_FD": str(ready_for_child.fileno()),
                        "RACE_RELEASE_FDS": ",".join(str(r.fileno()) for r, _ in releases),
                    },
                )
            )
            for index in range(count)
        ]
        for _, release in releases:
            _await_all_at_the_line(ready, racers, deadline)
            release.close()
        return [racer.outcome(deadline) for racer in racers]


@dataclass(frozen=True, slots=True)
class _Racer:
    process: subprocess.Popen[bytes]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def outcome(self, deadline: float) -> Outcome:
        try:
            exit_code = self.process.wait(timeout=max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            raise RaceFailed(f"a racer did not end in time\n{self.errors()}") from None
        self.stdout.seek(0)
        return Outcome(exit_code, [json.loads(line) for line in self.stdout], self.errors())

    def errors(self) -> str:
        self.stderr.seek(0)
        return self.stderr.read().decode(errors="replace")


@contextlib.contextmanager
def _racer(
    command: Sequence[str], *, keep: Sequence[int], environment: Mapping[str, str]
) -> Iterator[_Racer]:
    # Files, not pipes: nobody has to read while sixteen processes write.
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            pass_fds=keep,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
        )
        try:
            yield _Racer(process, stdout, stderr)
        finally:
            process.kill()
            process.wait()


def _await_all_at_the_line(ready: IO[bytes], racers: list[_Racer], deadline: float) -> None:
    missing = len(racers)
    while missing:
        if select.select([ready], [], [], 0.1)[0]:
            missing -= len(os.read(ready.fileno(), missing))
            continue
        dead = [racer for racer in racers if racer.process.poll() is not None]
        if dead:
            raise RaceFailed(f"a racer ended before the line\n{dead[0].errors()}")
        if time.monotonic() > deadline:
            late = "\n".join(racer.errors() for racer in racers)
            raise RaceFailed(f"{missing} of {len(racers)} did not reach the line in time\n{late}")


def _pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return (
        stack.enter_context(os.fdopen(reading, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writing, "wb", buffering=0)),
    )
