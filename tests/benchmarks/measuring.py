"""Side by side: every contender does some runs in each round, in a new order each time.

A busy machine is slower by a factor from one second to the next. Two neighbours in the same round
meet the same machine, so their ratio holds where their times do not: what is reported is the
median over all rounds of (contender's median in the round / baseline's median in the round).

Turns are taken one by one, or in hot batches: a batch finds the caches of the processor full of
its own code and data, as no job does that records one run, and flatters whoever computes most.
"""

from __future__ import annotations

import contextlib
import gc
import random
import statistics
import time
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

NOTHING = contextlib.nullcontext()


Turns = Literal["one by one", "hot batches"]


@dataclass(frozen=True)
class Contender:
    """One way to record a run.

    Attributes:
        prepare: makes a run; what that takes is never timed.
        time: does these runs inside of the context and returns what each took, in nanoseconds.
    """

    name: str
    prepare: Callable[[], Callable[[], Any]]
    time: Callable[[Sequence[Callable[[], Any]], AbstractContextManager[object]], list[int]]

    def prepared(self, count: int) -> list[Callable[[], Any]]:
        """So many runs that are ready to go."""
        return [self.prepare() for _ in range(count)]

    def timed(self, count: int, around: AbstractContextManager[object] = NOTHING) -> list[int]:
        """Do so many runs."""
        return self.time(self.prepared(count), around)


class Spread(NamedTuple):
    """A median, and where the middle eighty per cent lie."""

    median: float
    p10: float
    p90: float


@dataclass
class Comparison:
    """What was measured: for each contender, the times of each round."""

    rounds: dict[str, list[list[int]]] = field(default_factory=dict)
    """Nanoseconds of wall time for each run."""
    cpu: dict[str, list[float]] = field(default_factory=dict)
    """Nanoseconds of this process's CPU time for one run, by round."""

    def wall_ms(self, name: str) -> Spread:
        """Wall time of one run, in milliseconds, over all rounds."""
        return spread([ns / 1e6 for batch in self.rounds[name] for ns in batch])

    def cpu_ms(self, name: str) -> Spread:
        """CPU time of one run in this process, in milliseconds; the server's is not in it."""
        return spread([ns / 1e6 for ns in self.cpu[name]])

    def ratio(self, name: str, baseline: str) -> Spread:
        """How many times as long a run takes as the baseline's in the same round."""
        return ratios(self.rounds[name], self.rounds[baseline])

    def cpu_ratio(self, name: str, baseline: str) -> Spread:
        """The same for CPU time."""
        return ratios([[ns] for ns in self.cpu[name]], [[ns] for ns in self.cpu[baseline]])


def compare(
    contenders: Sequence[Contender],
    *,
    rounds: int,
    batch: int,
    warm_up: int,
    turns: Turns = "hot batches",
    order: random.Random | None = None,
) -> Comparison:
    """Let the contenders run side by side, `batch` runs of each in a round.

    `warm_up` runs of each come first, unmeasured.
    """
    order = order or random.Random(1)
    names = [contender.name for contender in contenders]
    comparison = Comparison({name: [] for name in names}, {name: [] for name in names})
    measure = _one_by_one if turns == "one by one" else _in_batches
    for contender in contenders:
        contender.timed(warm_up)
    for _ in range(rounds):
        for name, (times, cpu) in measure(contenders, batch, order).items():
            comparison.rounds[name].append(times)
            comparison.cpu[name].append(cpu / batch)
    return comparison


Round = dict[str, tuple[list[int], int]]
"""For each contender: the wall time of each run, and the CPU time of all, in nanoseconds."""


def _in_batches(contenders: Sequence[Contender], batch: int, order: random.Random) -> Round:
    found = {}
    for contender in order.sample(contenders, len(contenders)):
        gc.collect()
        clock = _CpuClock()
        found[contender.name] = (contender.timed(batch, clock), clock.used)
    return found


def _one_by_one(contenders: Sequence[Contender], batch: int, order: random.Random) -> Round:
    # All is prepared before the first turn: to prepare may warm up what is measured.
    runs = {contender.name: iter(contender.prepared(batch)) for contender in contenders}
    times: dict[str, list[int]] = {name: [] for name in runs}
    clocks = {name: _CpuClock() for name in runs}
    gc.collect()
    for _ in range(batch):
        for contender in order.sample(contenders, len(contenders)):
            name = contender.name
            times[name] += contender.time([next(runs[name])], clocks[name])
    return {name: (times[name], clocks[name].used) for name in runs}


@contextlib.contextmanager
def short_collections() -> Iterator[None]:
    """Keep what is there out of the collections before each batch: short, and alike for all."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _CpuClock:
    """The CPU time of the block, in nanoseconds, in all threads of this process."""

    used = 0

    def __enter__(self) -> None:
        self.used -= time.process_time_ns()

    def __exit__(self, *exc_info: object) -> None:
        self.used += time.process_time_ns()


def peak_kib(contender: Contender, *, runs: int) -> float:
    """The most memory that Python objects of one run hold at a time, in KiB; the median."""
    peaks: list[float] = []

    @contextlib.contextmanager
    def noting_the_peak() -> Iterator[None]:
        gc.collect()
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        yield
        peaks.append((tracemalloc.get_traced_memory()[1] - before) / 1024)

    contender.timed(2)
    tracemalloc.start()
    try:
        contender.timed(2)
        for _ in range(runs):
            contender.timed(1, noting_the_peak())
    finally:
        tracemalloc.stop()
    return statistics.median(peaks)


def repeated(name: str, prepare: Callable[[], Callable[[], object]]) -> Contender:
    """A contender whose runs are called one after another."""

    def time_each(
        runs: Sequence[Callable[[], object]], around: AbstractContextManager[object]
    ) -> list[int]:
        clock = time.perf_counter_ns
        times = []
        with around:
            for run in runs:
                begun = clock()
                run()
                times.append(clock() - begun)
        return times

    return Contender(name, prepare, time_each)


def repeated_in_loop(
    name: str,
    loop: asyncio.AbstractEventLoop,
    prepare: Callable[[], Callable[[], Awaitable[object]]],
) -> Contender:
    """The same for coroutines, inside a loop that is already running when the clock starts."""

    async def time_each(
        runs: Sequence[Callable[[], Awaitable[object]]], around: AbstractContextManager[object]
    ) -> list[int]:
        clock = time.perf_counter_ns
        times = []
        with around:
            for run in runs:
                begun = clock()
                await run()
                times.append(clock() - begun)
        return times

    return Contender(
        name, prepare, lambda runs, around: loop.run_until_complete(time_each(runs, around))
    )


def ratios(contender: Sequence[Sequence[float]], baseline: Sequence[Sequence[float]]) -> Spread:
    """Divide the medians round by round, and spread the quotients."""
    return spread(
        [
            statistics.median(ours) / statistics.median(theirs)
            for ours, theirs in zip(contender, baseline, strict=True)
        ]
    )


def spread(values: Sequence[float]) -> Spread:
    """Median, tenth and ninetieth percentile."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return Spread(statistics.median(values), tenths[0], tenths[-1])
