"""How long to measure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """The sizes of one run of the suite; `rounds` of `batch` runs each."""

    name: str
    rounds: int
    batch: int
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


FULL = Effort("full", 150, 10, 20, 40, 8, 4.0)
QUICK = Effort("quick", 15, 8, 10, 6, 2, 1.0)
