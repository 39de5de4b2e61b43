"""Rounds one after the other, until somebody says stop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from .round import RoundReport, Rounds

PAUSE_SECONDS: Final = 15.0
GRACE_SECONDS: Final = 10.0  # for the round of the moment, when the loop is to end


def run_rounds(
    rounds: Rounds,
    stop: threading.Event,
    *,
    pause: float = PAUSE_SECONDS,
    on_report: Callable[[RoundReport], None] = lambda _: None,
) -> None:
    """Run a round, and another each `pause` seconds, until `stop` is set.

    No pause is made where messages are left that the round had no time for.
    Where a report cannot be written, as nobody reads it or the disk is full, jobs are watched on.
    """
    while not stop.is_set():
        report = rounds.run(stops=stop.is_set)
        with suppress(OSError):
            on_report(report)
        stop.wait(0 if report.unsent else pause)


@contextmanager
def rounds_in_background(rounds: Rounds, *, pause: float = PAUSE_SECONDS) -> Iterator[None]:
    """Run rounds in a thread of their own while the block lasts."""
    stop = threading.Event()
    thread = threading.Thread(
        target=run_rounds,
        args=(rounds, stop),
        kwargs={"pause": pause},
        name="runguard-monitor",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(GRACE_SECONDS)
        rounds.close()
