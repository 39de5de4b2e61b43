"""Renews the leases of job locks while their bodies run.

One daemon thread for the process, there only while a lease is held. It renews each at a third of
its time to live, so two renewals may fail or come late before the lease is lost. Code that holds
the interpreter's lock for longer than that (one long call into C) starves it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from . import _events
from ._models import Lease
from ._ports import RunRepository

if TYPE_CHECKING:
    from ._run import Run

RENEWALS_PER_TTL: Final = 3


@dataclass(slots=True)
class _Kept:
    run: Run
    lease: Lease
    ttl: timedelta
    due: float

    def put_off(self) -> None:
        self.due = time.monotonic() + self.ttl.total_seconds() / RENEWALS_PER_TTL


class LeaseKeeper:
    """Keeps leases until told to forget them."""

    def __init__(self, store: Callable[[], RunRepository]) -> None:
        """Take how to get at the store; no thread is started yet."""
        self._store = store
        self._changed = threading.Condition()
        self._kept: dict[str, _Kept] = {}
        self._thread: threading.Thread | None = None

    def keep(self, run: Run, lease: Lease, ttl: timedelta) -> None:
        """Renew this lease from now on; set `run.lock_lost` if it goes to another."""
        kept = _Kept(run, lease, ttl, due=0.0)
        kept.put_off()
        with self._changed:
            self._kept[lease.owner] = kept
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, name="runguard-lease-keeper", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def forget(self, lease: Lease) -> None:
        """Renew this lease no more."""
        with self._changed:
            self._kept.pop(lease.owner, None)
            self._changed.notify()

    def after_fork(self) -> None:
        """Begin anew in a child: its parent's leases, lock and thread are not its own."""
        self.__init__(self._store)  # type: ignore[misc]

    def _work(self) -> None:
        while (kept := self._wait_for_next()) is not None:
            self._renew(kept)

    def _wait_for_next(self) -> _Kept | None:
        """Return the lease that is due; None, and no thread any more, when none is left."""
        with self._changed:
            while self._kept:
                kept = min(self._kept.values(), key=lambda one: one.due)
                wait = kept.due - time.monotonic()
                if wait <= 0:
                    return kept
                self._changed.wait(wait)
            self._thread = None
            return None

    def _renew(self, kept: _Kept) -> None:
        timeout = kept.ttl.total_seconds() / RENEWALS_PER_TTL
        kept.put_off()
        names = {"job_name": kept.run.job_name, "run_id": kept.run.id}
        try:
            still_ours = self._store().renew_lock(kept.lease, kept.ttl, timeout=timeout)
        except Exception as trouble:  # the next renewal may go through
            _events.internal_error("renew_lock", trouble, **names)
            return
        with self._changed:
            if still_ours or self._kept.pop(kept.lease.owner, None) is None:
                return  # renewed; or released by its run while we asked
        kept.run.lock_lost = True
        _events.emit(_events.LOCK_LOST, **names, fence=kept.lease.fence)
