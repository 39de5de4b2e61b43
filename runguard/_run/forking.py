"""What a fork waits for, so that its child waits for nothing. Loaded by the first fork."""

from __future__ import annotations

import importlib._bootstrap as importing
import sys
import threading
import time
from typing import Any, Final

LOOK_AGAIN_SECONDS: Final = 0.001


def let_go_of_logging() -> Any:
    """Give back the lock that `logging` has taken for this fork; return it where it had.

    Whoever is waited for may want it: what a first use imports asks for its loggers.
    """
    lock = getattr(sys.modules.get("logging"), "_lock", None)
    try:
        lock.release()  # type: ignore[union-attr]
    except (AttributeError, RuntimeError):  # there is none, or this thread does not hold it
        return None
    return lock


def await_imports(loggers: Any, deadline: float) -> None:
    """Return when no thread of ours imports, as by its first failure, or at that time.

    Python holds a lock for each module that is being imported, and a child inherits it for ever.
    The lock of `logging` is taken back.
    """
    pause = 0.0
    while True:
        time.sleep(pause)  # so that no other thread comes between the last look and the fork
        pause = LOOK_AGAIN_SECONDS
        is_late = time.monotonic() >= deadline
        if loggers is None or loggers.acquire(blocking=is_late):
            if is_late or not _importers() & _ours():
                return
            if loggers is not None:
                loggers.release()


def _importers() -> set[int | None]:
    # Weak references by name, in each Python from 3.11 to 3.14.
    held: dict[str, Any] = getattr(importing, "_module_locks", {})
    return {getattr(reference(), "owner", None) for reference in list(held.values())} - {None}


def _ours() -> set[int | None]:
    threads = threading.enumerate()
    return {thread.ident for thread in threads if thread.name.startswith("runguard-")}
