"""What a scheduler says of its jobs, as expectations: the process that schedules declares them.

It does so from a thread of its own, since a scheduler must not wait for the store.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import available_timezones

from .._api import runtime
from .._errors import ConfigurationError
from .._events import NOT_EXPECTED, START_SKIPPED
from .._run.declaring import Declarations, declaration_of
from .._run.expecting import Expect, expectation_of
from .._run.options import EXPECTED
from .._settings import is_disabled
from .._watch.schedule import LEAST_GRACE, schedule_of

if TYPE_CHECKING:
    from .._run.runtime import Runtime

Rule = Mapping[str, Any]
"""When starts are due, as `Expect` takes it: `every`, or `cron` or `calendar` with `tz`."""

LOCAL_TIME: Final = "/etc/localtime"
PATIENCE_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 60.0  # after the store was away

_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LIMITS: Final = {"minutes": (0, 59), "hours": (0, 23), "days": (1, 31), "months": (1, 12)}


def tell_skipped(job_name: str, due: datetime, reason: str) -> None:
    """Log that a scheduler has left a start out.

    Args:
        job_name: The job.
        due: When it should have started.
        reason: `misfire`: it would have been too late. `max_instances`: earlier runs go on.
    """
    at = due.astimezone(UTC).isoformat(timespec="seconds")
    runtime.events.emit(START_SKIPPED, job_name=job_name, due_at=at, reason=reason)


class CannotBeSaid(Exception):
    """A schedule that no expectation says exactly. The text says what in it."""


class Schedules:
    """What one scheduler expects of its jobs, by its own ids of its entries."""

    def __init__(self) -> None:
        """Expect nothing yet."""
        self._rules: dict[str, tuple[str, Rule]] = {}
        self._ours: dict[str, tuple[Expect, Expect | None]] = {}  # with what was expected before
        self._told: set[tuple[str, str]] = set()

    def expect(self, entry: str, job_name: str, rule: Rule) -> None:
        """Have starts of a job expected: an entry has one rule, the last one."""
        self._change(entry, (job_name, rule))

    def drop(self, entry: str) -> None:
        """Expect nothing of an entry any more."""
        self._change(entry, None)

    def drop_others(self, entries: Collection[str]) -> None:
        """Expect nothing any more but of these entries."""
        for entry in set(self._rules).difference(entries):
            self.drop(entry)

    def tell(self, job_name: str, schedule: object, reason: str) -> None:
        """Log, once for each, that nothing is expected of a job although it has a schedule."""
        if (job_name, reason) not in self._told:
            self._told.add((job_name, reason))
            runtime.events.emit(
                NOT_EXPECTED, job_name=job_name, schedule=str(schedule), reason=reason
            )

    def _change(self, entry: str, rule: tuple[str, Rule] | None) -> None:
        before = self._rules.pop(entry, None)
        if rule is not None:
            self._rules[entry] = rule
        if rule != before:
            for job_name in {one[0] for one in (before, rule) if one is not None}:
                self._settle(job_name)

    def _settle(self, job_name: str) -> None:
        """Declare what is expected of a job now."""
        rules = [rule for name, rule in self._rules.values() if name == job_name]
        if any(rule != rules[0] for rule in rules):
            reason = f"{len(rules)} entries of the scheduler share this name"
            self.tell(job_name, "several", reason)
            rules = []
        try:
            self._declare(job_name, rules[0] if rules else None)
        except ConfigurationError as wrong:
            self.tell(job_name, rules[0], str(wrong))
            self._declare(job_name, None)

    def _declare(self, job_name: str, rule: Rule | None) -> None:
        ours, own = self._ours.get(job_name, (None, EXPECTED.get(job_name)))
        if EXPECTED.get(job_name) is not ours:
            own = EXPECTED.get(job_name)  # said by `runguard.expect` meanwhile
        if rule is None:
            self._ours.pop(job_name, None)
            EXPECTED.pop(job_name, None)
            if own is not None:
                EXPECTED[job_name] = own
            if ours is not None:
                announcer().say(job_name, own)
            return
        made = _with_rule(own, rule)
        self._ours[job_name] = (made, own)
        EXPECTED[job_name] = made
        announcer().say(job_name, made)


class Announcer:
    """Tells the store what is expected now, as often as it takes."""

    def __init__(self, of: Runtime) -> None:
        """Have nothing to tell yet."""
        self._runtime = of
        self._lock = threading.Lock()
        self._waiting: dict[str, Expect | None] = {}
        self._thread: threading.Thread | None = None
        self._is_told = False

    def say(self, job_name: str, expect: Expect | None) -> None:
        """Have it told soon; None takes back what was said of the job."""
        if is_disabled(os.environ):
            return
        with self._lock:
            self._waiting[job_name] = expect
            # In a forked child there is the parent's thread, which does not run.
            if self._thread is None or not self._thread.is_alive():
                name = "runguard-schedules"
                self._thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            with self._lock:
                said, self._waiting = self._waiting, {}
                if not said:
                    self._thread = None
                    return
            try:
                self._declare(said)
            except Exception as trouble:  # the scheduler goes on, and so does the next try
                if not self._is_told:
                    self._is_told = True
                    self._runtime.events.internal_error("declare", trouble)
                with self._lock:
                    self._waiting = {**said, **self._waiting}
                threading.Event().wait(RETRY_SECONDS)

    def _declare(self, said: Mapping[str, Expect | None]) -> None:
        its = self._runtime
        its.first_use()
        its.stores.declaring().declare_jobs(
            its.store(),
            [declaration_of(its, name, expect) for name, expect in said.items()],
            timeout=PATIENCE_SECONDS,
        )
        declarations = its.made_late.setdefault("declarations", Declarations(its))
        for name, expect in said.items():
            declarations.settle(name, expect)


def announcer() -> Announcer:
    """Return the one of this process."""
    made: Announcer = runtime.made_late.setdefault("announcer", Announcer(runtime))
    return made


def clock_rule(
    *,
    tz: str | None,
    minutes: Collection[int] | None = None,
    hours: Collection[int] | None = None,
    days: Collection[int] | None = None,
    months: Collection[int] | None = None,
    weekdays: Collection[int] | None = None,
    seconds: Collection[int] = (0,),
    from_end: bool = False,
) -> Rule:
    """Say a schedule whose starts fit all of these; None: any.

    Cron says days of the month and of the week only where either fits, so both at once are a
    calendar expression.

    Args:
        tz: Name of the zone of its clock; None where it has no name.
        minutes: 0 to 59.
        hours: 0 to 23.
        days: 1 to 31.
        months: 1 to 12.
        weekdays: 0, which is Monday, to 6.
        seconds: 0 to 59.
        from_end: Whether days are counted from the end of the month, the last one being 1.

    Raises:
        CannotBeSaid: The zone has no name.

    >>> clock_rule(tz="UTC", minutes=[30], hours=[2], weekdays=range(5))
    {'cron': '30 2 * * MON-FRI', 'tz': 'UTC'}
    >>> clock_rule(tz="UTC", minutes=[0], hours=[2], weekdays=[0], days=range(1, 8))
    {'calendar': 'Mon *-*-01..07 02:00:00', 'tz': 'UTC'}
    """
    if tz is None:
        raise CannotBeSaid("its zone has no name")
    fields = {"minutes": minutes, "hours": hours, "days": days, "months": months}
    of = {name: None if _is_any(name, chosen) else chosen for name, chosen in fields.items()}
    if weekdays is not None and set(weekdays) >= set(range(7)):
        weekdays = None
    if set(seconds) == {0} and not from_end and (of["days"] is None or weekdays is None):
        week = _names(weekdays, "-").upper() or "*"
        return {"cron": " ".join([*(_cron(*one) for one in of.items()), week]), "tz": tz}
    its = {name: _listed(chosen, "..", "02") or "*" for name, chosen in of.items()}
    date = f"*-{its['months']}{'~' if from_end else '-'}{its['days']}"
    time = f"{its['hours']}:{its['minutes']}:{_listed(seconds, '..', '02')}"
    return {"calendar": f"{_names(weekdays, '..')} {date} {time}".strip(), "tz": tz}


def allowing(rule: Rule, jitter: timedelta) -> Rule:
    """Return the rule for a scheduler that starts up to so much later than it says."""
    if rule.get("every") is not None:
        return {**rule, "every": rule["every"] + jitter}
    try:
        schedule = schedule_of(expectation_of(Expect(**rule)))
        usual = LEAST_GRACE if schedule is None else schedule.grace
    except ConfigurationError:  # such as without the library that reads it
        usual = LEAST_GRACE
    return {**rule, "grace": usual + jitter}


def machine_zone() -> str | None:
    """Return the name of this machine's zone; None where it is not known."""
    name = os.environ.get("TZ", "").removeprefix(":")
    if not name:
        _, _, name = os.path.realpath(LOCAL_TIME).partition("/zoneinfo/")
    return name if name in available_timezones() else None


def zone_name(zone: tzinfo | None) -> str | None:
    """Return the name of a zone in the IANA database, as its type knows it.

    >>> from datetime import timezone
    >>> zone_name(UTC), zone_name(timezone(timedelta(hours=9)))
    ('UTC', None)
    """
    for attribute in ("key", "zone"):  # of zoneinfo and pytz
        if isinstance(name := getattr(zone, attribute, None), str):
            return name
    return "UTC" if zone == UTC else None


def _with_rule(own: Expect | None, rule: Rule) -> Expect:
    """Add when starts are due to what somebody expects of the job, unless that says it too."""
    if own is None:
        return Expect(**rule)
    if own.every or own.cron or own.calendar or own.learn:
        return own
    return replace(own, **rule)


def _is_any(name: str, chosen: Collection[int] | None) -> bool:
    first, last = _LIMITS[name]
    return chosen is None or set(chosen) >= set(range(first, last + 1))


def _cron(name: str, chosen: Collection[int] | None) -> str:
    if chosen is None:
        return "*"
    first, last = _LIMITS[name]
    ordered = sorted(set(chosen))
    step = ordered[1] - ordered[0] if len(ordered) > 2 else 0
    if step > 1 and ordered == list(range(first, last + 1, step)):
        return f"*/{step}"
    return _listed(ordered, "-")


def _names(weekdays: Collection[int] | None, dash: str) -> str:
    spans = () if weekdays is None else _spans(weekdays)
    return ",".join(dash.join(_WEEKDAYS[day] for day in dict.fromkeys(span)) for span in spans)


def _listed(values: Collection[int] | None, dash: str, digits: str = "") -> str:
    spans = () if values is None else _spans(values)
    return ",".join(dash.join(f"{one:{digits}}" for one in dict.fromkeys(span)) for span in spans)


def _spans(values: Iterable[int]) -> list[tuple[int, int]]:
    """Return the stretches of numbers that follow each other, as the first and the last of each."""
    spans: list[tuple[int, int]] = []
    for value in sorted(set(values)):
        if spans and spans[-1][1] == value - 1:
            spans[-1] = (spans[-1][0], value)
        else:
            spans.append((value, value))
    return spans
