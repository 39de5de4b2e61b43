"""Strips of thousands of jobs, kept from one look to the next.

The newest thirty runs of three thousand jobs are 90,000 rows. A page that looks again and again
would read them all each time, though in between a few runs began or ended. So a store with many
jobs remembers them: of these runs it reads anew what has changed, as their ids and starts tell, and
what it has read longest ago, so that nothing is older than five minutes, whatever somebody did by
hand.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from datetime import datetime
from math import ceil
from threading import Lock
from time import monotonic
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from ..._models import RunStatus
from ..._monitor.records import JobOverview, RunCell
from ..._reasons import ErrorReason

FEWEST_JOBS: Final = 500  # that are worth it
EACH_AFTER: Final = 300.0  # seconds after which a strip is read anew, whatever its ids tell
ALL_AFTER: Final = 3600.0  # seconds after which all are: a job may have lost its last row
OVERLAP: Final = 1000  # ids below the newest that may have come late: commits change their order
MOST_LATE: Final = 60.0  # seconds between a start and the moment at which its row can be read
MOST_CHANGES: Final = 20_000  # rows, beyond which all is read anew

K = TypeVar("K", bound=Hashable)
K_co = TypeVar("K_co", bound=Hashable, covariant=True)
Strips = dict[K, Sequence[RunCell]]
_ENDED: Final = frozenset({RunStatus.SUCCESS, RunStatus.FAILED})


def may_change(cell: RunCell) -> bool:
    """Whether a run may still end: one that was declared lost takes a real ending too."""
    return cell.status not in _ENDED or cell.error_reason == ErrorReason.LOST


class Seen(NamedTuple, Generic[K_co]):
    """A run that began lately, or may still end: as much as tells whether its strip knows it."""

    job: K_co
    started_at: datetime | None  # None where no strip has a place for it
    id: int
    status: str
    error_group: str | None
    error_reason: str | None
    finished_at: datetime | None

    def is_known(self, strip: Sequence[RunCell], *, length: int) -> bool:
        """Whether a strip of that length has the run as it is, or is beyond it."""
        if self.started_at is None or self._is_beyond(strip, length):
            return True
        known = (
            (cell.id, cell.status, cell.error_group, cell.error_reason, cell.finished_at)
            for cell in strip
        )
        return self[2:] in known

    def _is_beyond(self, strip: Sequence[RunCell], length: int) -> bool:
        oldest = strip[-1] if len(strip) >= length else None
        if oldest is None or oldest.started_at is None or self.started_at is None:
            return False
        return (self.started_at, self.id) < (oldest.started_at, oldest.id)


class StripReader(Protocol[K]):
    """Who reads strips of a store, each of so many runs."""

    length: int

    def all_strips(self) -> Strips[K]:
        """Read those of all jobs."""

    def strips_of(self, jobs: Collection[K]) -> Strips[K]:
        """Read those of some jobs; nothing of a job that has no row."""

    def runs_since(
        self, after: int, ids: Collection[int], *, seconds: float, limit: int
    ) -> Sequence[Seen[K]]:
        """Read the runs with these ids or a greater one than `after`, and those begun lately."""


class StripMemory(Generic[K]):
    """What a store remembers of its strips, and of the jobs that were described by them."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._lock = Lock()
        self._known: _Known[K] | None = None
        self._described: dict[K, tuple[Sequence[Any], JobOverview]] = {}

    def strips(self, reader: StripReader[K], question: Hashable) -> Strips[K]:
        """Return the strips of all jobs; one thread at a time, since all ask the same.

        Args:
            reader: Who reads what is not known.
            question: What the answer depends on: what is known of another question is forgotten.
        """
        with self._lock:
            known = self._known
            if known is None or known.question != question or not known.update(reader):
                known = _Known(question, reader.all_strips())
                self._known = known if len(known.strips) >= FEWEST_JOBS else None
            return dict(known.strips)

    def describe(
        self, facts: Mapping[K, Sequence[Any]], described: Callable[[K, Sequence[Any]], JobOverview]
    ) -> list[JobOverview]:
        """Describe jobs by facts, the first of them their strips; again only what has changed."""
        before = self._described
        now: dict[K, tuple[Sequence[Any], JobOverview]] = {}
        for job, its_facts in facts.items():
            known, overview = before.get(job, ((None,), None))
            # A strip that is the same object has not changed; comparing others takes longer.
            if overview is None or known[0] is not its_facts[0] or known != its_facts:
                overview = described(job, its_facts)
            now[job] = its_facts, overview
        self._described = now if self._known is not None else {}
        return [overview for _, overview in now.values()]


class _Known(Generic[K]):
    """Strips, and when each was read; not for two threads at a time."""

    def __init__(self, question: Hashable, strips: Strips[K]) -> None:
        self.question, self.strips = question, strips
        self._all_at = self._looked_at = monotonic()
        self._newest_id = 0
        self._open: dict[K, tuple[int, ...]] = {}
        self._by_age = dict.fromkeys(strips)  # what was read longest ago comes first
        self._take(strips)

    def update(self, reader: StripReader[K]) -> bool:
        """Read what may have changed; False where all is to be read anew."""
        now = monotonic()
        share = (now - self._looked_at) / EACH_AFTER
        if share >= 1 or now - self._all_at >= ALL_AFTER:
            return False
        asked = {run_id for ids in self._open.values() for run_id in ids}
        found = reader.runs_since(
            self._newest_id - OVERLAP,
            asked,
            seconds=now - self._looked_at + MOST_LATE,
            limit=MOST_CHANGES,
        )
        if len(found) >= MOST_CHANGES:
            return False
        stale = dict.fromkeys(
            run.job for run in found if not run.is_known(self._strip(run.job), length=reader.length)
        )
        gone = asked - {run.id for run in found}
        stale |= dict.fromkeys(job for job, ids in self._open.items() if not gone.isdisjoint(ids))
        oldest = list(self._by_age)[: ceil(share * len(self._by_age))]
        stale |= dict.fromkeys(oldest)
        read = reader.strips_of(list(stale))
        if any(self._strip(job) and not read.get(job) for job in stale):
            return False  # its rows were deleted: who knows which others
        self._take(read)
        self._newest_id = max(self._newest_id, max((run.id for run in found), default=0))
        self._looked_at = now
        return True

    def _strip(self, job: K) -> Sequence[RunCell]:
        return self.strips.get(job, ())

    def _take(self, read: Strips[K]) -> None:
        for job, cells in read.items():
            known = self.strips.get(job)
            self.strips[job] = known if known == cells else cells  # the same is told as the same
            self._by_age.pop(job, None)
            self._by_age[job] = None
            self._open.pop(job, None)
            # Most have succeeded, and a look at that alone takes a third of the time.
            others = [cell for cell in cells if cell.status != "SUCCESS"]
            if ids := tuple(cell.id for cell in others if may_change(cell)):
                self._open[job] = ids
            self._newest_id = max([self._newest_id, *[cell.id for cell in cells]])
