"""Rounds one after the other: what ends them, and what does not."""

from __future__ import annotations

import errno
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from runguard._rounds.loop import run_rounds
from runguard._rounds.round import RoundReport

if TYPE_CHECKING:
    from runguard._rounds.round import Rounds


class CountedRounds:
    """Rounds that say after the third that it is enough."""

    def __init__(self, stop: threading.Event) -> None:
        self.stop, self.count = stop, 0

    def run(self, **_: Any) -> RoundReport:
        self.count += 1
        if self.count == 3:
            self.stop.set()
        return RoundReport(unsent=3 - self.count, began_at=datetime.now(UTC), seconds=0)


@pytest.mark.parametrize("wrong", [BrokenPipeError(), OSError(errno.ENOSPC, "disk full")])
def test_rounds_go_on_where_their_reports_cannot_be_written(wrong: OSError) -> None:
    def fails(_: object) -> None:
        raise wrong

    stop = threading.Event()
    rounds = CountedRounds(stop)

    run_rounds(cast("Rounds", rounds), stop, pause=0, on_report=fails)

    assert rounds.count == 3


def test_messages_that_are_left_wait_for_no_pause() -> None:
    stop = threading.Event()
    rounds = CountedRounds(stop)

    run_rounds(cast("Rounds", rounds), stop, pause=3600)

    assert rounds.count == 3
