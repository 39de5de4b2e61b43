"""The run of a command: what is judged elsewhere, may wait for its lock, and may keep quiet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._models import AlertOutcome
from .._run.handle import DeclaredFailure
from .._run.lifecycle import Lifecycle
from .._run.outcome import interruption_alerts
from .._run.scope import RunScope

if TYPE_CHECKING:
    from .._models import Failure, RunNote
    from .._run.options import RunOptions
    from .._run.runtime import Runtime


class CommandLifecycle(Lifecycle):
    """A run's life whose refusal need not be recorded, and whose failure is judged elsewhere."""

    def declare(self, failure: Failure, note: RunNote, *, interrupted: bool) -> None:
        """Let the run end FAILED without an exception."""
        alerts = not interrupted or interruption_alerts(self.run.trigger_type)
        self.run._declared = DeclaredFailure(failure, None, alerts, note)


class CommandScope(RunScope):
    """One run of a command.

    Args:
        options: as of any run.
        runtime: likewise.
        records_refusal: whether a run that must not begin, since another holds the lock, leaves
            a row; not where the lock is asked for again, or nobody minds.
    """

    lifecycle = CommandLifecycle

    def __init__(
        self, options: RunOptions, runtime: Runtime, *, records_refusal: bool = True
    ) -> None:
        super().__init__(options, runtime)
        self._records_refusal = records_refusal

    @property
    def is_suppressed(self) -> bool:
        """Whether it failed, and an earlier alert covers that."""
        life = self._life
        return isinstance(life, CommandLifecycle) and life.alert_outcome is AlertOutcome.SUPPRESSED

    def fail_with(self, failure: Failure, note: RunNote, *, interrupted: bool) -> None:
        """Let the run end FAILED with a failure that was judged elsewhere, and keep a note of it.

        What somebody `interrupted` by hand alerts only where a Ctrl-C would.
        """
        life = self._entered()
        assert isinstance(life, CommandLifecycle)  # noqa: S101 - as `lifecycle` says
        life.declare(failure, note, interrupted=interrupted)

    def _begin(self) -> Lifecycle:
        life = super()._begin()
        assert isinstance(life, CommandLifecycle)  # noqa: S101 - likewise
        life.records_refusal = self._records_refusal
        return life
