"""Real Python processes that do the same thing at the same moment."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
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
START = "from tests.support.barrier import start; start()"


def until(happened: Callable[[], object], limit: float = 30, *, every: float = 0.01) -> None:
    """Wait until something has happened; after `limit` seconds it is an error.

    `every` is how often it is looked at, in seconds.
    """
    deadline = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(every)


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
    """Run `code` in `count` processes and release them together, `rounds` times.

    The code finds `wait()`, `report(value)` and `index` ready, calls `wait()` once for each round
    right before what is to happen at once, and its `sys.argv[1:]` are the arguments. No racer
    outlives the call: after `timeout` seconds all are killed, and it is a `RaceFailed`.
    """
    deadline = time.monotonic() + timeout
    with contextlib.ExitStack() as stack:
        ready, ready_for_racers = _pipe(stack)
        ends, ends_for_starter = _pipe(stack)
        releases = [_pipe(stack) for _ in range(rounds)]
        # Files, not pipes: nobody has to read while sixteen processes write.
        outputs = [
            (
                stack.enter_context(tempfile.TemporaryFile()),
                stack.enter_context(tempfile.TemporaryFile()),
            )
            for _ in range(count)
        ]
        task = {
            "code": code,
            "arguments": list(arguments),
            "ready": ready_for_racers.fileno(),
            "ends": ends_for_starter.fileno(),
            "releases": [reading.fileno() for reading, _ in releases],
            "outputs": [[stdout.fileno(), stderr.fileno()] for stdout, stderr in outputs],
        }
        errors = stack.enter_context(_starter(task, {**os.environ, **(environment or {})}))
        ends_for_starter.close()
        racers = _Racers(ready, ends, outputs, errors, deadline)
        for _, release in releases:
            racers.await_all_at_the_line()
            release.close()
        return racers.outcomes()


@dataclass(frozen=True, slots=True)
class _Racers:
    ready: IO[bytes]
    ends: IO[bytes]
    outputs: list[tuple[IO[bytes], IO[bytes]]]
    starter_errors: IO[bytes]
    deadline: float

    def await_all_at_the_line(self) -> None:
        missing = len(self.outputs)
        while missing:
            happened = self._next(
                [self.ready, self.ends], f"{missing} of {len(self.outputs)} did not reach the line"
            )
            if self.ends in happened:
                index, _ = self._end()
                raise RaceFailed(f"a racer ended before the line\n{self._errors(index)}")
            missing -= len(os.read(self.ready.fileno(), missing))

    def outcomes(self) -> list[Outcome]:
        exit_codes: dict[int, int] = {}
        while len(exit_codes) < len(self.outputs):
            self._next([self.ends], "a racer did not end")
            index, exit_code = self._end()
            exit_codes[index] = exit_code
        return [self._outcome(index, exit_codes[index]) for index in range(len(self.outputs))]

    def _next(self, awaited: list[IO[bytes]], otherwise: str) -> list[IO[bytes]]:
        left = max(self.deadline - time.monotonic(), 0)
        happened, _, _ = select.select(awaited, [], [], left)
        if not happened:
            late = "\n".join(self._errors(index) for index in range(len(self.outputs)))
            raise RaceFailed(f"{otherwise} in time\n{late}")
        return happened

    def _end(self) -> tuple[int, int]:
        line = self.ends.readline()
        if not line:
            raise RaceFailed(
                f"the process that forks the racers died\n{_read(self.starter_errors)}"
            )
        index, exit_code = map(int, line.split())
        return index, exit_code

    def _outcome(self, index: int, exit_code: int) -> Outcome:
        reports = [json.loads(line) for line in _read(self.outputs[index][0]).splitlines()]
        return Outcome(exit_code, reports, self._errors(index))

    def _errors(self, index: int) -> str:
        return _read(self.outputs[index][1])


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


@contextlib.contextmanager
def _starter(task: dict[str, Any], environment: Mapping[str, str]) -> Iterator[IO[bytes]]:
    """The interpreter that forks the racers, in a process group with them; its stderr."""
    outputs = [descriptor for pair in task["outputs"] for descriptor in pair]
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", START],
            cwd=ROOT,
            env={**environment, "PYTHONPATH": str(ROOT)},
            pass_fds=[task["ready"], task["ends"], *task["releases"], *outputs],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            process_group=0,
        )
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError), process.stdin:  # it may have died already
                process.stdin.write(json.dumps(task).encode())
            yield stderr
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reading, writing = os.pipe()
    return (
        stack.enter_context(os.fdopen(reading, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writing, "wb", buffering=0)),
    )
