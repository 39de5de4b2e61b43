"""Keeps open runs alive: beats their hearts, and renews the leases of their locks.

One daemon thread for the process, parked until something is due. All open runs beat in one
statement, at most once an interval; a run that ends within the first one never does. A lease is
renewed at a third of its time to live, so two renewals may fail or come late before it is lost.
Code that holds the interpreter's lock for longer (one long call into C) starves both.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol

from .._clock import ticks
from .._events import LOCK_LOST, Events
from .._models import Lease

if TYPE_CHECKING:
    from uuid import UUID

    from .repository import RunRepository

RENEWALS_PER_TTL: Final = 3
STORE_TIMEOUT_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 5.0  # after a beat that failed: whoever reaps may be back first


class BeatingRun(Protocol):
    """What the heartbeat needs to know of a run, and the one thing that it tells it."""

    id: int | None
    key: UUID
    job_name: str
    lock_lost: bool
    _progress: tuple[int, int | None] | None


class _HeldLease:
    __slots__ = ("due", "lease", "run", "ttl")

    def __init__(self, run: BeatingRun, lease: Lease, ttl: timedelta, due: float) -> None:
        self.run = run
        self.lease = lease
        self.ttl = ttl
        self.due = due

    def put_off(self) -> None:
        self.due = ticks() + self.ttl.total_seconds() / RENEWALS_PER_TTL


class Heartbeat:
    """Beats for runs and renews leases, from when they are added until they are removed."""

    def __init__(self, store: Callable[[], RunRepository], events: Events) -> None:
        """Take how to get at the store; no thread is started yet."""
        self._store = store
        self._events = events
        self._changed = threading.Condition()
        self._runs: dict[UUID, tuple[BeatingRun, float]] = {}  # with when its first beat is due
        self._leases: dict[UUID, _HeldLease] = {}
        self._progress: dict[UUID, object] = {}  # as it was last written
        self._interval = inf
        self._next_beat = inf
        self._abandoned: deque[Callable[[], None]] = deque()
        self._beat_has_failed = False
        self._thread: threading.Thread | None = None
        self._closed = False

    def add(self, run: BeatingRun, interval: timedelta) -> None:
        """Beat for this run, from one interval from now on."""
        if not self.add_awake(run, interval):
            with self._changed:
                self._interval = interval.total_seconds()
                self._next_beat = min(self._next_beat, ticks() + self._interval)
                self._wake()

    def add_awake(self, run: BeatingRun, interval: timedelta) -> bool:
        """Do the same; False where the clock stands still, and is to be started by `add`."""
        self._runs[run.key] = (run, ticks() + interval.total_seconds())
        return self.is_awake

    @property
    def is_awake(self) -> bool:
        """Whether the clock goes, for one run or another."""
        return self._next_beat < inf

    def add_lease(self, run: BeatingRun, lease: Lease, ttl: timedelta) -> None:
        """Renew this lease from now on; set `run.lock_lost` if it goes to another."""
        held = _HeldLease(run, lease, ttl, due=inf)
        held.put_off()
        with self._changed:
            self._leases[run.key] = held
            self._wake()

    def remove(self, run: BeatingRun) -> None:
        """Beat for this run no more, and leave its lease alone. Takes no lock."""
        self._runs.pop(run.key, None)
        self._progress.pop(run.key, None)
        self._leases.pop(run.key, None)

    def end_abandoned(self, end: Callable[[], None]) -> None:
        """Let the thread end a run soon. To be called from where no lock may be taken."""
        self._abandoned.append(end)

    def close(self) -> None:
        """Let the thread end."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def after_fork(self) -> None:
        """Begin anew in a child: its parent's runs, lock and thread are not its own."""
        self.__init__(self._store, self._events)  # type: ignore[misc]

    def _wake(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            thread = threading.Thread(target=self._work, name="runguard-heartbeat", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter shuts down, or the system has no thread left
                return
            self._thread = thread
        self._changed.notify()

    def _work(self) -> None:
        while not self._closed:
            with self._changed:
                self._changed.wait(self._seconds_until_due())
                beating = self._take_beating_runs()
                due_leases = [held for held in list(self._leases.values()) if held.due <= ticks()]
            while self._abandoned:
                self._abandoned.popleft()()
            if beating:
                self._beat(beating)
            for held in due_leases:
                self._renew(held)

    def _seconds_until_due(self) -> float | None:
        due = min([self._next_beat, *(held.due for held in list(self._leases.values()))])
        return None if due == inf else max(0.0, due - ticks())

    def _take_beating_runs(self) -> list[UUID]:
        """Return the runs that beat now; stop the clock where none is left."""
        now = ticks()
        if self._next_beat > now:
            return []
        self._next_beat = inf  # before it is looked who is there: who comes too late starts it anew
        if self._runs:
            self._next_beat = now + self._interval
        # Also those without an id: another process may have replayed their start meanwhile.
        return [run.key for run, first_beat in list(self._runs.values()) if first_beat <= now]

    def catch_up(self, *, timeout: float) -> None:
        """Beat before others are taken for lost, if the store was away at the last beat."""
        if self._beat_has_failed:
            with self._changed:
                keys = list(self._runs)
            self._beat(keys, timeout=timeout)

    def _beat(self, keys: list[UUID], *, timeout: float = STORE_TIMEOUT_SECONDS) -> None:
        try:
            more: dict[str, Any] = {"progress": progress} if (progress := self._moved(keys)) else {}
            self._store().beat(keys, timeout=min(self._interval, timeout), **more)
            with self._changed:  # a run that has ended meanwhile is not remembered
                self._progress.update({key: progress[key] for key in progress if key in self._runs})
        except Exception as trouble:  # a heartbeat that fails never hurts the job
            if not self._beat_has_failed:  # told once, not at every beat of an outage
                self._events.internal_error("heartbeat", trouble)
            self._beat_has_failed = True
            with self._changed:
                self._next_beat = min(self._next_beat, ticks() + RETRY_SECONDS)
        else:
            self._beat_has_failed = False

    def _moved(self, keys: list[UUID]) -> dict[UUID, tuple[int, int | None]]:
        """Return the progress of those of these runs that came further since it was written."""
        moved = {}
        for key in keys:
            run, _ = self._runs.get(key, (None, 0.0))
            if run is not None and run._progress is not None:
                from .run_note import progress_of  # few jobs say how far they are

                progress = progress_of(run)
                if progress is not None and progress != self._progress.get(run.key):
                    moved[run.key] = progress
        return moved

    def _renew(self, held: _HeldLease) -> None:
        held.put_off()
        timeout = min(held.ttl.total_seconds() / RENEWALS_PER_TTL, STORE_TIMEOUT_SECONDS)
        names = {"job_name": held.run.job_name, "run_id": held.run.id}
        try:
            still_ours = self._store().renew_lock(held.lease, held.ttl, timeout=timeout)
        except Exception as trouble:  # the next renewal may go through
            self._events.internal_error("renew_lock", trouble, **names)
            return
        with self._changed:
            if still_ours or self._leases.pop(held.run.key, None) is None:
                return  # renewed; or released by its run while we asked
        held.run.lock_lost = True
        self._events.emit(LOCK_LOST, **names, fence=held.lease.fence)
