"""How long to measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """The sizes of one run of the suite; `rounds` of `batch` runs each."""

    name: str
    rounds: int
    batch: int
    warm_up: int
    """Runs of each contender before the first round."""
    traced_runs: int
    """Runs whose memory is traced."""
    counted_runs: int
    """Runs through the proxy that counts."""
    processes_started: int
    """Interpreters started for each script of the start-up comparison."""
    bursts: int
    """Rounds of the storm and of the throughput."""
    burst_seconds: float

    @property
    def is_quick(self) -> bool:
        """Whether the numbers are only a first look."""
        return self.name != "full"


FULL = Effort(
    "full",
    rounds=50,
    batch=10,
    warm_up=50,
    traced_runs=30,
    counted_runs=20,
    processes_started=20,
    bursts=5,
    burst_seconds=3.0,
)
QUICK = Effort(
    "quick",
    rounds=10,
    batch=5,
    warm_up=10,
    traced_runs=5,
    counted_runs=10,
    processes_started=6,
    bursts=2,
    burst_seconds=1.0,
)
