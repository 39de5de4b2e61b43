"""One round of all that nobody should have to wait for.

Its parts fail apart: one that raises is told, and the others go on. Any number of processes may
run rounds at once; each thing is done by one of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from .._clock import now, ticks
from .._events import Events, error_text
from .._failure.introspection import printable
from .._run.reaper import reap
from .._run.spool_replay import replay

if TYPE_CHECKING:
    from uuid import UUID

    from .._run.spool import Spool
    from .._settings import Settings
    from .._store.operator import OperatorStore

STORE_TIMEOUT_SECONDS: Final = 30.0
REPLAY_SECONDS: Final = 30.0
LONGEST_TROUBLE: Final = 500

Part = Callable[[], Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """What a round did. All but the last three are counts.

    Attributes:
        lost: Runs that were closed since their process had died.
        replayed: Records that waited on this machine, and are in the store now.
        set_aside: Records that the store refuses, which wait no longer.
        waiting: Records that still wait.
        troubles: The parts that failed, each with what went wrong.
        began_at: When it began, by this machine's clock.
        seconds: How long it took.
    """

    lost: int = 0
    replayed: int = 0
    set_aside: int = 0
    waiting: int = 0
    troubles: Mapping[str, str] = field(default_factory=dict)
    began_at: datetime
    seconds: float

    @property
    def is_idle(self) -> bool:
        """Whether there was nothing to do."""
        return not (self.lost or self.replayed or not self.is_good)

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong that somebody should look at."""
        return not (self.troubles or self.waiting or self.set_aside)


class Rounds:
    """Runs rounds on a store, one after the other.

    Args:
        store: Where runs and alerts are.
        settings: As a run of this process would have them.
        spool: The folder of records that wait for this store.
        events: Where to tell what went wrong.
        await_beat: Waits as long as a heartbeat takes. None: what a heartbeat must decide is left
            to a later round.
    """

    def __init__(
        self,
        store: OperatorStore,
        settings: Settings,
        spool: Spool,
        events: Events,
        *,
        await_beat: Callable[[int], None] | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._spool = spool
        self._events = events
        self._await_beat = await_beat
        self._doubted: dict[UUID, float] = {}  # silent runs that may be alive, and since when

    def run(self, *, stops: Callable[[], bool] = lambda: False) -> RoundReport:
        """Run one round. Never raises; `stops` says before each part whether to leave the rest."""
        began_at, began = now(), ticks()
        counts: Counter[str] = Counter()
        troubles: dict[str, str] = {}
        for name, part in self._parts():
            if stops():
                break
            try:
                counts.update(part())
            except Exception as trouble:  # the other parts may do better
                self._events.internal_error(name, trouble)
                clean = self._settings.redactor.clean
                troubles[name] = printable(clean(error_text(trouble)), LONGEST_TROUBLE)
        return RoundReport(
            **counts, troubles=troubles, began_at=began_at, seconds=round(ticks() - began, 3)
        )

    def _parts(self) -> Iterator[tuple[str, Part]]:
        yield "reap", self._reap
        yield "replay", self._replay

    def _reap(self) -> Mapping[str, int]:
        """Close the runs whose process died; a doubt counts only when a heartbeat is past."""
        long_ago = ticks() - self._settings.heartbeat_interval.total_seconds()
        doubted = {key for key, since in self._doubted.items() if since <= long_ago}
        closed = reap(
            self._store,
            self._settings,
            timeout=STORE_TIMEOUT_SECONDS,
            doubted=doubted,
            await_beat=self._await_beat,
        )
        lost = sum(1 for _ in closed)
        self._doubted = {key: self._doubted.get(key, ticks()) for key in doubted | {*self._doubted}}
        return {"lost": lost}

    def _replay(self) -> Mapping[str, int]:
        counts: Counter[str] = Counter()
        for replayed in replay(self._spool, self._store, seconds=REPLAY_SECONDS):
            counts["replayed"] += replayed.trouble is None
            counts["set_aside"] += replayed.is_set_aside
            if replayed.trouble is not None:
                self._events.internal_error("replay", replayed.trouble, file=str(replayed.path))
        counts["waiting"] = self._spool.count(at_most=10_000)
        return counts
