"""Deleting old runs, alerts and guards of the cooldown, in small batches beside live traffic."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from .._errors import ConfigurationError
from .._frozen import frozen
from .._monitor.records import Prunable
from .._monitor.wording import duration
from .operator import OperatorStore

BATCH: Final = 1000


@frozen
class PrunePlan:
    """What is old enough to go.

    Alerts and guards stay for `alerts_older_than`, which is more where some run recorded a longer
    cooldown: an alert that could still cover a failure is never removed.
    """

    runs_older_than: timedelta
    alerts_older_than: timedelta
    include_foreign: bool
    environment: str | None = None

    def age_of(self, what: Prunable) -> timedelta:
        """Return the age from which rows of this kind go."""
        is_of_runs = what in (Prunable.RUNS, Prunable.NOTES)
        return self.runs_older_than if is_of_runs else self.alerts_older_than


def plan_pruning(
    store: OperatorStore,
    *,
    older_than: timedelta,
    cooldown: timedelta,
    include_foreign: bool = False,
    environment: str | None = None,
) -> PrunePlan:
    """Find out what may go, of all environments or of one; `none` stands for what has none.

    Raises:
        ConfigurationError: `older_than` is less than the cooldown.
    """
    if older_than < cooldown:
        raise ConfigurationError(
            f"--older-than: expected at least the cooldown, {duration(cooldown)}, found"
            f" {duration(older_than)}:"
            " an alert inside its window must stay, or the next failure would alert again"
        )
    alerts_older_than = max(older_than, store.longest_cooldown())
    return PrunePlan(older_than, alerts_older_than, include_foreign, environment)


def count_prunable(store: OperatorStore, plan: PrunePlan, what: Prunable) -> int:
    """Count what would go now."""
    return store.count_prunable(
        what,
        older_than=plan.age_of(what),
        include_foreign=plan.include_foreign,
        environment=plan.environment,
    )


def prune(
    store: OperatorStore, plan: PrunePlan, what: Prunable, *, batch: int = BATCH
) -> Iterator[int]:
    """Delete what is old, and yield the rows of each batch; it may be left at any time."""
    after = None
    while True:
        pruned = store.prune_batch(
            what,
            older_than=plan.age_of(what),
            include_foreign=plan.include_foreign,
            environment=plan.environment,
            limit=batch,
            after=after,
        )
        yield pruned.rows
        if pruned.rows < batch:
            return
        after = pruned.last
