"""APScheduler 3: every start of a job is a run.

What a scheduler hands to its executors is wrapped, never what it stores: a job's function and its
reference stay yours. In a pool of processes the run is the child's; where a child dies, the
scheduler's process closes it, since it made the run's key.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID
from weakref import WeakKeyDictionary

from apscheduler import events
from apscheduler.executors.base import MaxInstancesReachedError
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.cron.expressions import (
    AllExpression,
    LastDayOfMonthExpression,
    RangeExpression,
    WeekdayPositionExpression,
)
from apscheduler.triggers.cron.fields import MAX_VALUES, MIN_VALUES
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger
from apscheduler.util import iscoroutinefunction_partial

from .._api import runtime
from .._errors import ConfigurationError
from .._frozen import frozen
from .._models import TriggerType
from .._run.options import make_options
from .._run.run_key import new_run_key
from ._attempts import REFUSALS, Attempt, Choice, close_by_key, is_tracked, unharmed
from ._schedules import (
    CannotBeSaid,
    Rule,
    Schedules,
    allowing,
    clock_rule,
    tell_skipped,
    zone_name,
)

if TYPE_CHECKING:
    from apscheduler.executors.base import BaseExecutor
    from apscheduler.job import Job
    from apscheduler.schedulers.base import BaseScheduler

LEAST_AHEAD: Final = timedelta(hours=1)  # a single start that is due sooner is not declared

_MADE_ID: Final = re.compile("[0-9a-f]{32}")  # what a job gets that was given no id
_MOST_REMEMBERED: Final = 10_000  # jobs: some programs make one for each of their customers
_POSITION: Final = ("weekday", "option_num")
_LAST: Final = WeekdayPositionExpression.options.index("last")
_A_WEEK: Final = 7
_HANDED_ON: Final = "apscheduler_settings"
_OF_ALL: Final = (
    events.EVENT_SCHEDULER_STARTED
    | events.EVENT_JOBSTORE_ADDED
    | events.EVENT_JOBSTORE_REMOVED
    | events.EVENT_ALL_JOBS_REMOVED
)
_OF_ONE: Final = events.EVENT_JOB_ADDED | events.EVENT_JOB_MODIFIED
_SUBMITTED: Final = events.EVENT_JOB_SUBMITTED

T = TypeVar("T")


def install(
    scheduler: BaseScheduler,
    *,
    only: Iterable[str] | str | None = None,
    skip: Iterable[str] | str = (),
    name: Callable[[str], str] | Mapping[str, str] | None = None,
    expect_schedule: bool = True,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
) -> None:
    """Make every start of a job of this scheduler a run, and have its triggers watched.

    Call it before or after jobs and executors are added, and before or after the scheduler starts.
    A second call replaces what the first one said.

    Args:
        scheduler: A scheduler of APScheduler 3.
        only: Names of the jobs that become runs, or patterns such as `reports.*`. None: all.
        skip: The same, of those that do not.
        name: From a job's name to the one it has here: a function, or a mapping of those that
            differ. The name is the id that the job was given; without one, and where it starts at
            a single date, it is APScheduler's `job.name`, which is the function's unless given.
        expect_schedule: Whether this process declares the triggers as what is expected.
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
    make_options("apscheduler", **options)
    choice = Choice(only=only, skip=skip, name=name)
    if (installed := _installed.get(scheduler)) is None:
        installed = _installed[scheduler] = _Installed(choice, options, expects=expect_schedule)
        scheduler.add_listener(partial(_listen, installed, scheduler))
    installed.choice, installed.options, installed.expects = choice, options, expect_schedule
    for executor in list(scheduler._executors.values()):
        _wrap(executor, installed)
    if scheduler.running:
        _expect_all(installed, scheduler)


class _Recent(dict[str, T]):
    """What is known of the jobs that were set last, by their ids."""

    def __setitem__(self, job_id: str, value: T) -> None:
        self.pop(job_id, None)
        if len(self) >= _MOST_REMEMBERED:
            del self[next(iter(self))]
        super().__setitem__(job_id, value)


@dataclass(slots=True)
class _Installed:
    """What `install` was told for a scheduler, and what is known of its jobs meanwhile."""

    choice: Choice
    options: Mapping[str, Any]
    expects: bool
    schedules: Schedules = field(default_factory=Schedules)
    names: _Recent[str] = field(default_factory=_Recent)
    skipped: _Recent[int] = field(default_factory=_Recent)  # how many starts since the last one
    begin_later: set[str] = field(default_factory=set)  # ids of jobs whose triggers wait

    def job_name_of(self, job: Job) -> str | None:
        """Return the name of the job here; None where its starts get no run."""
        if is_tracked(job.func):
            return None
        was_given_an_id = not (_MADE_ID.fullmatch(job.id) or isinstance(job.trigger, DateTrigger))
        name = self.choice.job_name_of(job.id if was_given_an_id else job.name)
        if name is not None:
            self.names[job.id] = name
        return name

    def skip(self, job_id: str, due: datetime, reason: str, *, before: int = 0) -> None:
        """Tell of a start that was left out, now and with the next run of the job."""
        if (name := self.names.get(job_id)) is not None:
            self.skipped[job_id] = self.skipped.get(job_id, 0) + before + 1
            tell_skipped(name, due, reason)


_installed: Final[WeakKeyDictionary[BaseScheduler, _Installed]] = WeakKeyDictionary()


# Runs --------------------------------------------------------------------------------------------


@frozen
class _Start:
    """What the run of a start is made from, in whatever process. `keys`: one a run."""

    job_name: str
    keys: tuple[UUID, ...]
    context: Mapping[str, Any]
    options: Mapping[str, Any]
    settings: Mapping[str, Any] = field(default_factory=dict)  # for a process that has none

    def attempts(self) -> Iterator[Attempt]:
        """Make a run for each time that a job is called."""
        for key in chain(self.keys, repeat(None)):
            yield Attempt(
                self.job_name,
                key=key,
                trigger_type=TriggerType.SCHEDULER,
                context=self.context,
                **self.options,
            )


class _TrackedJob:
    """A job as an executor is handed it: every call of its function is a run."""

    def __init__(self, job: Job, start: _Start, *, id: str) -> None:  # noqa: A002 - as a job's
        self._job = job
        self._start = start
        self.id = id
        self.func = _tracked(job.func, start)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._job, name)

    def __str__(self) -> str:
        return str(self._job)

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the job does, by the reference to its function.

        What is the user's travels packed: a process that could not read it would end there.
        """
        start = self._start
        packed = replace(start, options=_packed(start.options), settings=_packed(start.settings))
        return _in_this_process, (self._job, packed)


class _StartedId(str):
    """A job's id that knows its start: an executor hands back the id of a job, and no more."""

    __slots__ = ("start",)
    start: _Start

    def __new__(cls, job_id: str, start: _Start) -> _StartedId:
        made = super().__new__(cls, job_id)
        made.start = start
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)


def _tracked(function: Callable[..., Any], start: _Start) -> Callable[..., Any]:
    attempts = start.attempts()
    names = {"job_name": start.job_name}
    if iscoroutinefunction_partial(function):

        async def call_coroutine(*args: Any, **kwargs: Any) -> Any:
            attempt = next(attempts)
            with unharmed("start", REFUSALS, **names):
                await attempt.abegin()
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                await attempt.aend(error)
                raise
            await attempt.aend(None)
            return result

        return call_coroutine

    def call(*args: Any, **kwargs: Any) -> Any:
        attempt = next(attempts)
        with unharmed("start", REFUSALS, **names):
            attempt.begin()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            attempt.end(error)
            raise
        attempt.end(None)
        return result

    return call


def _wrap(executor: BaseExecutor, installed: _Installed) -> None:
    """Have an executor handed jobs that are tracked."""
    if isinstance(vars(executor).get("submit_job"), _Submit):
        return
    executor.submit_job = _Submit(executor, installed)
    if isinstance(executor, ProcessPoolExecutor):
        executor._run_job_error = partial(_end_in_parent, executor._run_job_error)


class _Submit:
    """An executor's `submit_job`."""

    def __init__(self, executor: BaseExecutor, installed: _Installed) -> None:
        self._submit = executor.submit_job
        self._is_process_pool = isinstance(executor, ProcessPoolExecutor)
        self._installed = installed

    def __call__(self, job: Job, run_times: list[datetime]) -> None:
        submitted: Any = job
        # Before it is submitted: it may be over, and left out itself, when `_submit` returns.
        skipped = self._installed.skipped.pop(job.id, 0)
        with unharmed("start", job_name=job.name):
            if (name := self._installed.job_name_of(job)) is not None:
                submitted = self._tracked(job, name, run_times, skipped)
        try:
            self._submit(submitted, run_times)
        except MaxInstancesReachedError:
            with unharmed("start", job_name=job.name):
                due = run_times[-1]
                self._installed.skip(job.id, due, "max_instances", before=skipped)
            raise

    def _tracked(self, job: Job, name: str, run_times: list[datetime], skipped: int) -> _TrackedJob:
        make_options(name)
        start = _Start(
            name,
            keys=tuple(new_run_key() for _ in run_times),
            context={
                "job_id": job.id,
                "executor": job.executor,
                "due_at": run_times[-1].astimezone(UTC).isoformat(timespec="seconds"),
                "skipped_starts": skipped or None,
            },
            options=self._installed.options,
            settings=_settings_to_hand_on() if self._is_process_pool else {},
        )
        if not self._is_process_pool:
            return _TrackedJob(job, start, id=job.id)
        _packed(start.options)  # else the job would fail for what does not travel of ours
        return _TrackedJob(job, start, id=_StartedId(job.id, start))


def _end_in_parent(
    told: Callable[..., None], job_id: str, error: BaseException, traceback: Any = None
) -> None:
    """Close the runs of a start that came back from its pool of processes without an answer."""
    if isinstance(job_id, _StartedId):
        start = job_id.start
        for key in start.keys:
            close_by_key(
                key,
                start.job_name,
                error,
                trigger_type=TriggerType.SCHEDULER,
                context=start.context,
                **start.options,
            )
    told(job_id, error, traceback)


def _in_this_process(job: Job, start: _Start) -> _TrackedJob:
    start = replace(start, options=_unpacked(start.options), settings=_unpacked(start.settings))
    with unharmed("configure"):
        is_configured = runtime._settings is not None or any(
            value is not None for value in runtime._explicit.values()
        )
        if start.settings and not is_configured:
            runtime.configure(dict(start.settings))
    return _TrackedJob(job, start, id=job.id)


def _packed(values: Mapping[str, Any]) -> Mapping[str, bytes]:
    return {name: pickle.dumps(value) for name, value in values.items() if value is not None}


def _unpacked(packed: Mapping[str, bytes]) -> Mapping[str, Any]:
    """Return what this process can read, and tell of the rest."""
    values = {}
    for name, value in packed.items():
        with unharmed("configure", setting=name):
            values[name] = pickle.loads(value)  # noqa: S301 - by the pool's own pipe
    return values


def _settings_to_hand_on() -> Mapping[str, Any]:
    """Return what `configure` was told here, for processes that do not call it."""
    known: Mapping[str, Any] | None = runtime.made_late.get(_HANDED_ON)
    if known is None:
        known = runtime.made_late[_HANDED_ON] = _portable_settings()
    return known


def _portable_settings() -> Mapping[str, Any]:
    explicit = {name: value for name, value in runtime._explicit.items() if value is not None}
    settings = runtime.settings_so_far()
    for path in ("database_url", "spool_dir"):  # relative ones begin at our folder
        if path in explicit:
            explicit[path] = getattr(settings, path)
    for name, value in [*explicit.items()]:
        try:
            pickle.dumps(value)
        except Exception as problem:
            del explicit[name]
            lost = ConfigurationError(
                f"{name}: expected what other processes can be given, found"
                f" {type(value).__name__}: call configure() where the pool's processes import it,"
                " or set the variable"
            )
            lost.__cause__ = problem
            runtime.events.internal_error("configure", lost)
    return explicit


# Schedules ---------------------------------------------------------------------------------------


def _listen(installed: _Installed, scheduler: BaseScheduler, event: Any) -> None:
    """Follow what becomes of the scheduler's jobs and executors."""
    with unharmed("schedule"):
        code = event.code
        if code == events.EVENT_EXECUTOR_ADDED:
            _wrap(scheduler._executors[event.alias], installed)
        elif code == events.EVENT_JOB_MISSED:
            installed.skip(event.job_id, event.scheduled_run_time, "misfire")
        elif code == events.EVENT_JOB_REMOVED:
            installed.begin_later.discard(event.job_id)
            installed.schedules.drop(event.job_id)
        elif not scheduler.running:
            pass  # all jobs are looked at when it starts
        elif code & _OF_ALL:
            _expect_all(installed, scheduler)
        elif code & _OF_ONE or (code == _SUBMITTED and event.job_id in installed.begin_later):
            job = scheduler.get_job(event.job_id, event.jobstore)
            if job is not None:
                _expect(installed, job, has_begun=code == _SUBMITTED)


def _expect_all(installed: _Installed, scheduler: BaseScheduler) -> None:
    jobs = scheduler.get_jobs()
    installed.schedules.drop_others({job.id for job in jobs})
    for job in jobs:
        _expect(installed, job)


def _expect(installed: _Installed, job: Job, *, has_begun: bool = False) -> None:
    """Declare what the job's trigger says now; nothing while it is paused or has not begun."""
    name = installed.job_name_of(job)
    is_due = name is not None and installed.expects and job.next_run_time is not None
    installed.begin_later.discard(job.id)
    rule = None
    if is_due and not has_begun and _begins_later(job.trigger):
        installed.begin_later.add(job.id)
    elif is_due:
        try:
            rule = rule_of(job.trigger)
        except CannotBeSaid as reason:
            installed.schedules.tell(name or "", job.trigger, str(reason))
    if rule is None or name is None:
        installed.schedules.drop(job.id)
    else:
        installed.schedules.expect(job.id, name, rule)


def _begins_later(trigger: Any) -> bool:
    """Whether a trigger has a start date before which it is not due as its rule says."""
    start_date = getattr(trigger, "start_date", None)
    if not isinstance(start_date, datetime):
        return False
    first = timedelta(0)
    if isinstance(trigger, IntervalTrigger):  # which always has one, usually one interval ahead
        first = trigger.interval + timedelta(seconds=trigger.jitter or 0)
    return start_date - datetime.now(UTC) > first


def rule_of(trigger: Any) -> Rule | None:
    """Return when starts are due, or None for a single start that is due soon.

    Raises:
        CannotBeSaid: No expectation says exactly what the trigger does.
    """
    kind = type(trigger)
    if kind is DateTrigger:
        due = trigger.run_date.astimezone(UTC)
        if due - datetime.now(UTC) < LEAST_AHEAD:
            return None
        return {"calendar": f"{due:%Y-%m-%d %H:%M:%S}", "tz": "UTC"}
    rule: Rule
    if kind is IntervalTrigger:
        rule = {"every": trigger.interval}
    elif kind is CronTrigger:
        rule = _rule_of_cron(trigger)
    else:
        raise CannotBeSaid(f"no expectation says what a {kind.__name__} does")
    return allowing(rule, timedelta(seconds=trigger.jitter)) if trigger.jitter else rule


def _rule_of_cron(trigger: Any) -> Rule:
    """Read the fields, all of which must fit; its weekdays begin with 0 for Monday."""
    fields = {its.name: its for its in trigger.fields}
    for name in ("year", "week"):
        if _values(fields.pop(name)) is not None:
            raise CannotBeSaid(f"no expectation says which {name}s")
    day, weekdays = fields.pop("day"), _values(fields.pop("day_of_week"))
    chosen: dict[str, Any] = {f"{name}s": _values(its) for name, its in fields.items()}
    chosen["seconds"] = chosen["seconds"] or range(60)
    return clock_rule(tz=zone_name(trigger.timezone), **chosen, **_days(day, weekdays))


def _values(its: Any) -> set[int] | None:
    """Return the numbers that fit a field; None: any."""
    first, last = MIN_VALUES[its.name], MAX_VALUES[its.name]
    chosen: set[int] = set()
    for one in its.expressions:
        if isinstance(one, RangeExpression):
            chosen.update(
                range(one.first, (last if one.last is None else one.last) + 1, one.step or 1)
            )
        elif type(one) is AllExpression:
            if not one.step:
                return None
            chosen.update(range(first, last + 1, one.step))
        else:
            raise CannotBeSaid(f"no expectation says {str(its)!r}")
    return chosen


def _days(its: Any, weekdays: set[int] | None) -> dict[str, Any]:
    """Read the day of the month, which may also be `last`, or such as `2nd fri` or `last fri`."""
    if all(isinstance(one, LastDayOfMonthExpression) for one in its.expressions):
        return {"days": {1}, "from_end": True, "weekdays": weekdays}
    if not all(isinstance(one, WeekdayPositionExpression) for one in its.expressions):
        return {"days": _values(its), "weekdays": weekdays}
    which, weeks = ({getattr(one, name) for one in its.expressions} for name in _POSITION)
    if weekdays is not None or len(which) > 1 or (_LAST in weeks and len(weeks) > 1):
        raise CannotBeSaid(f"no expectation says {str(its)!r}")
    if weeks == {_LAST}:
        return {"days": range(1, _A_WEEK + 1), "from_end": True, "weekdays": which}
    days = {day for day in range(1, 32) if (day - 1) // _A_WEEK in weeks}
    return {"days": days, "weekdays": which}
