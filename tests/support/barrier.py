"""The child's side of `race`: stand at the line, run, report. Imports next to nothing."""

from __future__ import annotations

import atexit
import gc
import json
import os
import sys
from collections import deque

# Sixteen interpreters that look for garbage while they import, and once more at their end, take
# half as much again of the processors. Between the line and the end it is Python's own way.
gc.disable()
atexit.register(gc.freeze)

_ready = int(os.environ.get("RACE_READY_FD", "-1"))
_releases = deque(int(fd) for fd in os.environ.get("RACE_RELEASE_FDS", "").split(",") if fd)

index = int(os.environ.get("RACE_INDEX", "0"))
"""Which of the racers this process is, from 0."""


def wait() -> None:
    """Return when all racers have come here, all at the same moment; once for each round."""
    if not _releases:
        raise RuntimeError("wait() was called more often than race(rounds=…) says")
    release = _releases.popleft()
    os.write(_ready, b".")
    # The parent holds the only writing end: closing it wakes every racer at once.
    os.read(release, 1)
    os.close(release)
    gc.enable()


def report(value: object) -> None:
    """Hand one value that JSON can carry back to the test; `Outcome.reports` lists them."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
