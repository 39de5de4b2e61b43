"""Jobs of schedulers: at the top of a module, so that other processes find them by their names."""

from __future__ import annotations

import os
import signal
from typing import Any

from runguard import current_run, tracked_run


def sync(records: int = 0) -> None:
    run = current_run()
    assert run is not None
    run.total_records = records


def fail() -> None:
    raise TimeoutError("no answer")


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def sync_async() -> None:
    run = current_run()
    assert run is not None
    run.total_records = 3


@tracked_run("decorated")
def decorated() -> None: ...


class Report:
    def send(self) -> Any:
        return current_run()
