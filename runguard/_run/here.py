"""A run that starts and ends in the caller's own thread, where nothing stands against it.

Two hand-overs to a writer and back cost as much as a statement. So what is plain is done here: the
store answers, a connection is free, all is loaded, nobody listens to events. Whatever else there is
to do, a writer does it all, from the beginning. Loaded by the second run of a process.

An exception may strike between any two steps here: a time limit, Ctrl-C. So no step takes a lock or
catches more than what it calls may raise, and a writer may do each again. `Writers` has it done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import timedelta
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from .._clock import ticks
from .._events import LEVELS, RUN_STARTED, configured_structlog, standard_logger
from .._models import AlertOutcome, Counters, FinishedRun, NewRun, RunEnding, RunStatus
from .again import judge_again
from .handle import COUNTERS, open_run_from
from .options import EXPECTED
from .outcome import LARGEST_COUNT
from .task import Done, Opening

if TYPE_CHECKING:
    from .._settings import Settings
    from .handle import Run
    from .heartbeat import Heartbeat
    from .lost_runs import LostRunWatch
    from .options import RunOptions
    from .reserve import Reserve
    from .spool import Spool

LOOK_EVERY_SECONDS: Final = 10.0  # for records that wait: a writer looks after each ending
# What nobody's handler raises: a writer's thread has more room on its stack.
_OURS: Final = (UnicodeError, RecursionError, MemoryError)

T = TypeVar("T")


class Direct(Protocol):
    """What lets a thread that may be struck use a connection. See `Idle` for the hand."""

    def do(self, hand: deque[Any], work: Callable[[Any], T], deadline: float) -> T | None:
        """Do the work on a connection that is free; None where it is for a writer."""
        ...

    def recover(self, hand: deque[Any]) -> None:
        """Let others have the place of what was struck."""
        ...


class DirectStore(Protocol):
    """A store that can write for a thread that may be struck."""

    def here(self) -> Direct | None:
        """Return how; None where its connections are not its own."""
        ...

    def start_on(self, attempt: Any, run: NewRun) -> int:
        """Write the RUNNING row."""
        ...

    def finish_on(self, attempt: Any, ending: RunEnding) -> FinishedRun | None:
        """End a run; None where it was not open."""
        ...


class Shared(Protocol):
    """What the runs of a process share."""

    heartbeat: Heartbeat
    lost_runs: LostRunWatch
    _delivery: Any
    _reserve: Reserve | None
    _spool: Spool | None

    def store(self) -> Any:
        """Return the store of runs."""
        ...


class PlainLife(Protocol):
    """The life of a run that is opened and closed here."""

    run: Run
    is_open: bool
    alert_outcome: AlertOutcome | None
    _options: RunOptions
    _settings: Settings
    _hand: Hand | None
    _opening: Opening | None
    _struck_as: RunStatus | None
    _ending: RunEnding | None
    _finished: tuple[RunEnding, FinishedRun] | None
    _cooldown: timedelta

    @property
    def _new(self) -> NewRun: ...

    def _seconds_left(self) -> float: ...

    def _save_time(self) -> None: ...


class Hand(deque[Any]):
    """What a run's own thread has of a store just now: nothing, or one connection."""

    def __init__(self, direct: Direct) -> None:
        super().__init__()
        self._direct = direct

    def recover(self) -> None:
        """Let others have the place of what was struck. For a writer."""
        self._direct.recover(self)


class Here:
    """What the plain runs of one process share."""

    def __init__(self, runtime: Shared, store: DirectStore, direct: Direct) -> None:
        """Load what they need."""
        self._runtime = runtime
        self._store = store
        self._direct = direct
        self._look_again_at = 0.0

    def open(self, life: PlainLife) -> Done[Opening] | None:
        """Write the RUNNING row; None where a writer is to open the run."""
        run, runtime = life.run, self._runtime
        is_plain = (
            not life._options.lock
            and runtime._reserve is not None
            and runtime._reserve.is_whole
            and runtime.heartbeat.is_awake
            and runtime.lost_runs._look_again_at.get(run.job_name, -inf) > ticks()
            and not _is_told()
        )
        if not is_plain:
            return None
        life._hand = Hand(self._direct)
        run_id = self._do(life, lambda attempt: self._store.start_on(attempt, life._new))
        interval = life._settings.heartbeat_interval
        if run_id is None or not runtime.heartbeat.add_awake(run, interval):
            return None
        run.id = run_id
        life._save_time()
        life.is_open = True
        life._opening = opening = Opening()  # the last step: a writer leaves alone what is opened
        return Done(opening, None)

    def close(self, life: PlainLife, exc: BaseException | None) -> Done[None] | None:
        """Write how the body has ended; None where a writer is to close the run, or to tell it."""
        run = life.run
        if life._hand is None or run.id is None or _is_told():
            return None
        if (life._options.expect or EXPECTED.get(run.job_name)) is not None:
            return None
        if (counters := _plain_counters(run)) is None or not self._is_nothing_due(run):
            return None
        ending = _plain_success(run, counters)
        if exc is not None:
            ending = _unless_ours(lambda: judge_again(exc, life, counters))
        if ending is None:
            return None
        life._struck_as = ending.status  # unless this returns
        done = self._do(life, lambda attempt: (self._store.finish_on(attempt, ending),))
        if done is None:
            return None
        [finished] = done
        if finished is None:  # it was not open
            life._struck_as = None
            return None
        life._finished = ending, finished
        life._ending = ending
        run.status = ending.status
        if finished.verdict.outcome is AlertOutcome.RAISED:
            return None  # it is to be told, to handlers of logs and to people
        run._outer = open_run_from(run._outer)  # let go of those that are closed
        self._runtime.heartbeat.remove(run)
        life.alert_outcome = finished.verdict.outcome
        life.is_open = False
        return Done(None, None)

    def _do(self, life: PlainLife, work: Callable[[Any], T]) -> T | None:
        hand = life._hand
        assert hand is not None  # noqa: S101 - see who calls
        deadline = ticks() + life._seconds_left() / 2  # the rest is for a writer
        return _unless_ours(lambda: self._direct.do(hand, work, deadline))

    def _is_nothing_due(self, run: Run) -> bool:
        """Whether no record waits, no alert and no incident, as far as is known."""
        runtime, now = self._runtime, ticks()
        if now >= self._look_again_at:
            self._look_again_at = now + LOOK_EVERY_SECONDS
            return False
        if runtime._spool is not None and runtime._spool.look_again_at <= now:
            return False
        delivery = runtime._delivery
        return delivery is False or (delivery is not None and delivery.may_wait(run.job_name))


def here_of(runtime: Shared) -> Here | None:
    """Return what serves the plain runs of a process; None where its store cannot."""
    store: Any = runtime.store()
    direct = store.here() if hasattr(store, "here") else None
    return None if direct is None else Here(runtime, store, direct)


def _is_told() -> bool:
    """Whether anybody would see the events of a run."""
    level = LEVELS[RUN_STARTED]
    return configured_structlog() is not None or standard_logger().isEnabledFor(level)


def _plain_counters(run: Run) -> Counters | None:
    """Return what a run has counted; None where that is to be mended."""
    counts: list[Any] = [getattr(run, name, None) for name in COUNTERS]
    if any(type(count) is not int or not 0 <= count <= LARGEST_COUNT for count in counts):
        return None
    return Counters(*counts)


def _plain_success(run: Run, counters: Counters) -> RunEnding | None:
    """Return the ending of a run that says nothing but its counters."""
    if run._declared is not None or run._kept is not None or run._progress is not None:
        return None
    return RunEnding(run.key, counters)


def _unless_ours(work: Callable[[], T | None]) -> T | None:
    """Return what it returns; None where it fails by itself. What strikes it is raised.

    A signal's handler stands in the traceback, and who raises in another thread has types of its
    own. Errors of Python's own that begin here are ours.
    """
    try:
        return work()
    except _OURS:
        return None
    except Exception as error:
        traceback = error.__traceback__
        while traceback is not None and traceback.tb_next is not None:
            traceback = traceback.tb_next
        package = _unless_ours.__code__.co_filename.rpartition("_run")[0]
        place = "" if traceback is None else traceback.tb_frame.f_code.co_filename
        if type(error).__module__ == "builtins" and place.startswith(package):
            return None
        raise
