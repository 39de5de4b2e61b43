"""The racers' side of `race`: one interpreter forks them all; each stands at the line, and runs.

A fork costs a twentieth of an interpreter that imports SQLAlchemy, psycopg and runguard. Imported
before is only what keeps no thread, no connection and no file open.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import sys
from collections import deque

ALREADY_THERE = [
    "concurrent.futures.thread",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite",
    "runguard._failure.exception_evidence",
    "runguard._failure.reason",
    "runguard._failure.text_evidence",
    "runguard._failure.vendor_rules",
    "runguard._run.reaper",
    "runguard._run.spool",
    "runguard._store.factory",
    "runguard._store.postgresql.recorder",
    "runguard._store.sqlite.recorder",
    "tests.store.racers",
]


def start() -> None:
    """Read from stdin what to run, fork the racers, and write down how each ended.

    In a racer this returns when the code has run, and the interpreter ends in its usual way.
    """
    for name in ALREADY_THERE:
        importlib.import_module(name)
    task = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    # Sixteen processes that look for garbage on their way to the line, and once more at their
    # end, take half as much again of the processors. From the line on it is Python's own way.
    gc.disable()
    gc.freeze()
    racers = {}
    for index, (stdout, stderr) in enumerate(task["outputs"]):
        pid = os.fork()
        if pid == 0:
            os.dup2(stdout, 1)
            os.dup2(stderr, 2)
            os.close(task["ends"])
            _run(task, index)
            return
        racers[pid] = index
    while racers:
        pid, status = os.wait()
        end = f"{racers.pop(pid)} {os.waitstatus_to_exitcode(status)}\n"
        os.write(task["ends"], end.encode())


def _run(task: dict[str, object], index: int) -> None:
    """Run the code as `python -c` would, with three names more."""
    atexit.register(gc.freeze)
    sys.argv[1:] = task["arguments"]
    line = _Line(task["ready"], task["releases"])
    own = sys.modules["__main__"].__dict__
    own.update(index=index, report=_report, wait=line.wait)
    exec(compile(task["code"], "<string>", "exec"), own)


class _Line:
    """Where all racers stand before each round."""

    def __init__(self, ready: int, releases: list[int]) -> None:
        self._ready, self._releases = ready, deque(releases)

    def wait(self) -> None:
        """Return when all racers have come here, all at the same moment; once for each round."""
        if not self._releases:
            raise RuntimeError("wait() was called more often than race(rounds=…) says")
        release = self._releases.popleft()
        os.write(self._ready, b".")
        # The parent holds the only writing end: closing it wakes every racer at once.
        os.read(release, 1)
        os.close(release)
        gc.enable()


def _report(value: object) -> None:
    """Hand one value that JSON can carry back to the test; `Outcome.reports` lists them."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
