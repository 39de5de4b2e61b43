"""Huey: `runguard.integrations.huey.install(huey)` makes every attempt a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from huey import exceptions
from huey.api import PeriodicTask
from huey.signals import SIGNAL_INTERRUPTED

from ._attempts import REFUSALS, Attempt, Choice, WorkerStopped, get_ready, is_tracked, unharmed
from ._schedules import CannotBeSaid, Rule, Schedules, clock_rule, machine_zone

HOOK: Final = "runguard"
MOST_REMEMBERED: Final = 10_000
STOPPED: Final = "the consumer stopped before the task had ended; Huey does not run it again"


# What a time limit raises in the middle of anything.
_STRIKES: Final = (exceptions.TaskTimeout,) if hasattr(exceptions, "TaskTimeout") else ()


def install(
    huey: Any,
    *,
    only: Iterable[str] | str | None = None,
    skip: Iterable[str] | str = (),
    name: Callable[[str], str] | Mapping[str, str] | None = None,
    expect_schedule: bool = True,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> None:
    """Make every attempt at a task a run, and expect periodic tasks when their crontab says.

    Call it where the `Huey` is made, before its consumer starts. A further call replaces the
    first one's choice.

    Args:
        huey: The `Huey`, whatever its storage.
        only: Tasks that become runs, names or patterns such as `app.reports.*`. None: all.
        skip: Tasks that do not.
        name: From a task's name to its job's: a function, or a mapping of those that differ.
        expect_schedule: Whether the worker declares its schedule as what is expected of the jobs.
        cooldown: As of `run_scope`.
        failures_to_alert: As of `run_scope`.
        no_alert_on: As of `run_scope`.

    Raises:
        ConfigurationError: An option cannot be used.

    Added in 0.2.
    """
    options: dict[str, Any] = {
        "cooldown": cooldown,
        "failures_to_alert": failures_to_alert,
        "no_alert_on": no_alert_on,
    }
    choice = Choice(only, skip, name, options, expect_schedule)
    known = huey._pre_execute.get(HOOK)
    if isinstance(known, _Runs):
        known.choice = choice
        return
    runs = _Runs(huey, choice)
    huey.pre_execute(HOOK)(runs)
    huey.post_execute(HOOK)(runs.decided)
    huey.signal(SIGNAL_INTERRUPTED)(runs.interrupted)
    huey.on_startup(HOOK)(runs.start)


class _Runs:
    """What is asked before and after each task of a Huey."""

    def __init__(self, huey: Any, choice: Choice) -> None:
        self.choice = choice
        self._huey = huey
        self._open: dict[str, Attempt] = {}
        self._schedules = Schedules()
        self._tried: dict[str, int] = {}  # by the task's id, of those that come again

    def __call__(self, task: Any) -> None:
        """Have the task's body run inside a run; another hook may still cancel the task."""
        with unharmed("start", job_name=_name_of(task)):
            job_name = self.choice.job_name_of(_name_of(task))
            if job_name is not None and not is_tracked(_function_of(task)):
                execute = task.execute
                task.execute = lambda: self._execute(task, job_name, execute)

    def _execute(self, task: Any, job_name: str, execute: Callable[[], Any]) -> Any:
        del task.execute  # as it was
        with unharmed("start", (*REFUSALS, *_STRIKES), job_name=job_name):
            number = self._number_of(task)
            attempt = Attempt(
                job_name,
                attempt=number,
                trigger_type="SCHEDULER" if isinstance(task, PeriodicTask) else None,
                context={"task_id": task.id, "queue": self._huey.name, "attempt": number + 1},
                **self.choice.options,
            )
            self._open[task.id] = attempt
            attempt.begin()
        try:
            return execute()
        except Exception:
            raise  # Huey decides first whether it makes another attempt
        except KeyboardInterrupt as error:  # the consumer stops at once
            self._end(task, WorkerStopped(STOPPED).with_traceback(error.__traceback__))
            raise
        except BaseException as error:
            self._end(task, error)
            raise

    def decided(self, task: Any, _value: object, error: BaseException | None) -> None:
        """End the run; by now the task knows how many retries it has left."""
        is_tried_again = error is not None and bool(task.retries)
        number = self._tried.pop(task.id, 0)
        if is_tried_again:
            if len(self._tried) >= MOST_REMEMBERED:  # other workers took them
                self._tried.clear()
            self._tried[task.id] = number + 1
        self._end(task, error, is_tried_again=is_tried_again)

    def interrupted(self, _signal: str, task: Any) -> None:
        """End the run of a task whose thread goes away with the consumer."""
        self._end(task, WorkerStopped(STOPPED))

    def _end(self, task: Any, error: BaseException | None, *, is_tried_again: bool = False) -> None:
        if (attempt := self._open.pop(task.id, None)) is not None:
            with unharmed("finish", job_name=_name_of(task)):
                attempt.end(error, is_tried_again=is_tried_again)

    def _number_of(self, task: Any) -> int:
        """Return how many attempts came before.

        Huey counts the retries that are left, and not those that the task asked for itself: this
        process remembers them.
        """
        counted = (type(task).default_retries or 0) - (task.retries or 0)
        return max(counted, self._tried.get(task.id, 0))

    def start(self) -> None:
        """Say when periodic tasks start; each worker calls it before its first task."""
        get_ready()
        if not self.choice.expects:
            return
        for task in self._huey._registry.periodic_tasks:
            with unharmed("declare", job_name=_name_of(task)):
                job_name = self.choice.job_name_of(_name_of(task))
                if job_name is None or is_tracked(_function_of(task)):
                    continue
                try:
                    rule = _rule_of(task, in_utc=self._huey.utc)
                    self._schedules.expect(_name_of(task), job_name, rule)
                except CannotBeSaid as reason:
                    self._schedules.tell(job_name, "its own", str(reason))


def _name_of(task: Any) -> str:
    """Return the name under which Huey knows the task and logs it."""
    return f"{type(task).__module__}.{task.name}"


def _function_of(task: Any) -> object:
    """Return the function that the user decorated, which only the task's own method holds."""
    return _closure(type(task).execute).get("func")


def _rule_of(task: Any, *, in_utc: bool) -> Rule:
    """Return when a periodic task starts."""
    validate = _closure(type(task).validate_datetime).get("validate_datetime")
    fields = _closure(validate).get("cron_settings")
    if fields is None:
        raise CannotBeSaid("a function of your own says when it starts, not huey.crontab")
    months, days, weekdays, hours, minutes = fields
    return clock_rule(
        tz="UTC" if in_utc else machine_zone(),
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays={(day - 1) % 7 for day in weekdays},  # Huey's week begins on Sunday
    )


def _closure(function: Any) -> dict[str, Any]:
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None)
    if code is None or cells is None:
        return {}
    return {name: cell.cell_contents for name, cell in zip(code.co_freevars, cells, strict=True)}
