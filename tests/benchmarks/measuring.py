"""Side by side: every contender does a small batch in each round, in a new order each time.

A busy machine is slower by a factor from one second to the next. Two neighbours in the same round
meet the same machine, so their ratio holds where their times do not: what is reported is the
median over all rounds of (contender's median in the round / baseline's median in the round).
"""

from __future__ import annotations

import contextlib
import gc
import random
import statistics
import time
import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

NOTHING = contextlib.nullcontext()


class Timed(Protocol):
    """Does `count` runs and returns what each took, in nanoseconds.

    What has to be prepared is done before `around` is entered.
    """

    def __call__(
        self, count: int, around: AbstractContextManager[object] = NOTHING, /
    ) -> list[int]:
        """Do the runs."""


@dataclass(frozen=True)
class Contender:
    """One way to record a run."""

    name: str
    timed: Timed


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
    with _short_collections():
        for _ in range(rounds):
            for contender in order.sample(contenders, len(contenders)):
                gc.collect()
                clock = _CpuClock()
                comparison.rounds[contender.name].append(contender.timed(batch, clock))
                comparison.cpu[contender.name].append(clock.used / batch)
    return comparison


@contextlib.contextmanager
def _short_collections() -> Iterator[None]:
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
        self.used = -time.process_time_ns()

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
    with _short_collections():
        tracemalloc.start()
        try:
            contender.timed(2)
            for _ in range(runs):
                contender.timed(1, noting_the_peak())
        finally:
            tracemalloc.stop()
    return statistics.median(peaks)


def repeated(prepare: Callable[[], Callable[[], object]]) -> Timed:
    """Time what `prepare` returns, run by run; preparing itself is not timed."""

    def timed(count: int, around: AbstractContextManager[object] = NOTHING, /) -> list[int]:
        runs = [prepare() for _ in range(count)]
        clock = time.perf_counter_ns
        times = []
        with around:
            for run in runs:
                begun = clock()
                run()
                times.append(clock() - begun)
        return times

    return timed


def repeated_in_loop(
    loop: asyncio.AbstractEventLoop, prepare: Callable[[], Callable[[], Awaitable[object]]]
) -> Timed:
    """The same for coroutines, inside a loop that is already running when the clock starts."""

    async def one_by_one(
        runs: list[Callable[[], Awaitable[object]]], around: AbstractContextManager[object]
    ) -> list[int]:
        clock = time.perf_counter_ns
        times = []
        with around:
            for run in runs:
                begun = clock()
                await run()
                times.append(clock() - begun)
        return times

    def timed(count: int, around: AbstractContextManager[object] = NOTHING, /) -> list[int]:
        runs = [prepare() for _ in range(count)]
        return loop.run_until_complete(one_by_one(runs, around))

    return timed


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
