"""A queue's attempt at a task as a run: what the integrations of queues have in common.

The worker begins an attempt before the task's body and ends it after. Where the worker died in
between, whoever survived closes the run by its key, which both make from the task's id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

from .._api import runtime
from .._models import TriggerType
from .._run.handle import Run
from .._run.options import make_options
from .._run.scope import RunScope

if TYPE_CHECKING:
    from .._models import TriggerTypeName

_KEYS: Final = UUID("6a0f5c0e-5d0f-4c39-9c1b-1a4f6f0f7d11")


def key_of(queue: str, task_id: str, attempt: int) -> UUID:
    """Return the key of the run of one attempt, the same in every process.

    Args:
        queue: The library, such as `celery`.
        task_id: Its id of the task.
        attempt: 0 for the first one.
    """
    return uuid5(_KEYS, f"{queue}:{task_id}:{attempt}")


class Attempt:
    """One attempt at a task as a run, from the worker's signals before and after its body."""

    def __init__(
        self,
        job_name: str,
        *,
        attempt: int = 0,
        key: UUID | None = None,
        trigger_type: TriggerType | TriggerTypeName | None = None,
        **options: Any,
    ) -> None:
        """Take what `run_scope` takes; nothing is written yet.

        A further attempt is a RETRY, whatever started the first one.
        """
        self._attempt = attempt
        trigger = TriggerType.RETRY if attempt else trigger_type
        made = make_options(job_name, trigger_type=trigger, **options)
        self._scope = RunScope(replace(made, key=key), runtime)
        self.run: Run | None = None

    def begin(self) -> Run:
        """Write the RUNNING row; `current_run()` returns the run from here on.

        Raises:
            JobLockActive: With `lock=True`, another run holds the lock.
        """
        self.run = self._scope.__enter__()
        self.run.retry_count = self._attempt
        return self.run

    def end(self, error: BaseException | None, *, is_tried_again: bool = False) -> None:
        """End the run as its body ended. Nothing is raised here.

        Args:
            error: What left the body, or None.
            is_tried_again: Whether the queue makes another attempt: this one then raises no alert.
        """
        if self.run is not None:
            self.run._is_tried_again = is_tried_again
            kind = None if error is None else type(error)
            self._scope.__exit__(kind, error, None if error is None else error.__traceback__)
