"""Tasks of `django.tasks`, which came with Django 6, and of its backport `django_tasks`.

What they do is up to their backend; a backend says by two signals when an attempt begins and ends.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .._attempts import Attempt, is_tracked, unharmed

if TYPE_CHECKING:
    from .commands import CommandTracker
    from .project import Project

_SIGNALS: Final = ("django.tasks.signals", "django_tasks.signals")
_MOST_OPEN: Final = 10_000


class TaskFailed(Exception):
    """A task's failure of which its backend tells no more than the text."""

    __module__ = "runguard.integrations.django"


class TaskTracker:
    """Makes a run of each attempt at a task."""

    def __init__(self, project: Project, commands: CommandTracker) -> None:
        """Take what is tracked."""
        self._project = project
        self._commands = commands
        self._open: dict[str, Attempt] = {}

    def install(self) -> None:
        """Listen to what this Django has for tasks, if anything."""
        for name in _SIGNALS:
            try:
                signals = import_module(name)
            except ImportError:
                continue
            uid = f"runguard {name}"
            signals.task_started.connect(self._begin, weak=False, dispatch_uid=f"{uid} started")
            signals.task_finished.connect(self._end, weak=False, dispatch_uid=f"{uid} finished")

    def _begin(self, *, task_result: Any, **_: object) -> None:
        task = task_result.task
        with unharmed("start", job_name=task.module_path):
            if is_tracked(task.func):
                return
            job_name = self._project.job_name_of(task.module_path)
            tries = max(0, task_result.attempts - 1)
            attempt = Attempt(
                job_name,
                attempt=tries,
                context={"task_id": task_result.id, "queue": task.queue_name, "attempt": tries + 1},
                recorder=self._commands.recorder(),
                **self._project.options_of(job_name),
            )
            attempt.begin()
            self._open[task_result.id] = attempt
            if len(self._open) > _MOST_OPEN:  # whose ends were never told
                del self._open[next(iter(self._open))]

    def _end(self, *, task_result: Any, **_: object) -> None:
        with unharmed("finish", job_name=task_result.task.module_path):
            attempt = self._open.pop(task_result.id, None)
            if attempt is not None:
                attempt.end(_error_of(task_result))


def _error_of(task_result: Any) -> BaseException | None:
    """Return why a task failed: the exception, which backends handle while they tell of the end."""
    if str(task_result.status).rpartition(".")[2].upper() != "FAILED":
        return None
    if (error := sys.exception()) is not None:
        return error
    told = task_result.errors[-1] if task_result.errors else None
    last_line = (getattr(told, "traceback", None) or "").strip().rpartition("\n")[2]
    return TaskFailed(last_line or getattr(told, "exception_class_path", "the task failed"))
