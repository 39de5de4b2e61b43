"""Side by side: every contender does a small batch in each round, in a new order each time.

A busy machine is slower by a factor from one second to the next. Two neighbours in the same round
meet the same machine, so their ratio holds where their times do not: what is reported is the
median over all rounds of (contender's median in the round / baseline's median in the round).
"""

from __future__ import annotations

import gc
import random
import statistics
import time
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

ALLOCATION_RUNS = 20


@dataclass(frozen=True)
class Contender:
    """One way to record a run. `timed(n)` does n runs and returns what each took, in ns."""

    name: str
    timed: Callable[[int], list[int]]


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
    warm_up: int = 20,
    order: random.Random | None = None,
) -> Comparison:
    """Let the contenders run side by side. `warm_up` runs of each come first, unmeasured."""
    order = order or random.Random(1)
    comparison = Comparison(
        {contender.name: [] for contender in contenders},
        {contender.name: [] for contender in contenders},
    )
    for contender in contenders:
        contender.timed(warm_up)
    gc.collect()
    gc.freeze()  # so that the collection before each batch is short, and the same for all
    try:
        for _ in range(rounds):
            for contender in order.sample(contenders, len(contenders)):
                gc.collect()
                before = time.process_time_ns()
                times = contender.timed(batch)
                used = time.process_time_ns() - before
                comparison.rounds[contender.name].append(times)
                comparison.cpu[contender.name].append(used / batch)
    finally:
        gc.unfreeze()
    return comparison


def peak_kib(contender: Contender) -> float:
    """The most memory that Python objects of one run hold at a time, in KiB; the median of some."""
    peaks = []
    tracemalloc.start()
    try:
        contender.timed(2)
        for _ in range(ALLOCATION_RUNS):
            gc.collect()
            tracemalloc.reset_peak()
            before, _ = tracemalloc.get_traced_memory()
            contender.timed(1)
            peaks.append((tracemalloc.get_traced_memory()[1] - before) / 1024)
    finally:
        tracemalloc.stop()
    return statistics.median(peaks)


def repeated(prepare: Callable[[], Callable[[], object]]) -> Callable[[int], list[int]]:
    """Time what `prepare` returns, run by run; preparing itself is not timed."""

    def timed(count: int) -> list[int]:
        runs = [prepare() for _ in range(count)]
        clock = time.perf_counter_ns
        times = []
        for run in runs:
            begun = clock()
            run()
            times.append(clock() - begun)
        return times

    return timed


def repeated_in_loop(
    loop: asyncio.AbstractEventLoop, prepare: Callable[[], Callable[[], Awaitable[object]]]
) -> Callable[[int], list[int]]:
    """The same for coroutines, inside a loop that is already running when the clock starts."""

    async def one_by_one(count: int) -> list[int]:
        runs = [prepare() for _ in range(count)]
        clock = time.perf_counter_ns
        times = []
        for run in runs:
            begun = clock()
            await run()
            times.append(clock() - begun)
        return times

    return lambda count: loop.run_until_complete(one_by_one(count))


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
