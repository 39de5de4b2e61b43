"""What a job is expected to do, as its code says it. Loaded only where something is expected."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Final

from .._clock import is_in_utc
from .._errors import ConfigurationError
from .._frozen import frozen
from .._monitor.expectations import Expectation
from .._watch.declaration import check_expectation, check_texts, length_of

LEARN: Final = "learn"

TEXTS: Final = ("owner", "runbook", "description")
_LENGTHS: Final = ("every", "grace", "max_runtime")


@frozen(kw_only=True)
class Expect:
    """What a job is expected to do; the monitor alerts where it does not.

    Nothing is enforced here: `runguard monitor` looks at the rows of the runs. Durations are a
    `timedelta` or a text such as `15m`. At most one of `every`, `cron`, `calendar` and `learn` says
    when the job should start.

    Attributes:
        every: The longest time between two starts.
        cron: Five fields, in `tz`.
        calendar: A calendar expression of systemd, in `tz`.
        tz: The zone that the scheduler runs the job in, such as `Asia/Seoul`. Needed with `cron`
            and `calendar` unless this machine's zone is UTC.
        grace: How late a start may be. None: a tenth of the gap between two starts, at least 10
            minutes, at most half of the smallest gap.
        max_runtime: How long a run may take.
        min_records: The least `total_records` of a successful run.
        learn: Whether the usual cadence counts as declared, once it is known.
        owner: Whose job it is; routes of alerts can ask for it.
        runbook: Address of a page that says what to do.
        description: What the job is for, one line.
        ping_url: `env:NAME` or `file:/path` of an address, as of healthchecks.io, that the monitor
            tells of each ending.

    Raises:
        ConfigurationError: Something cannot be used, or nothing is expected.

    Added in 0.2.

    >>> Expect(every="15m", owner="data-team").every
    datetime.timedelta(seconds=900)
    """

    every: timedelta | str | None = None
    cron: str | None = None
    calendar: str | None = None
    tz: str | None = None
    grace: timedelta | str | None = None
    max_runtime: timedelta | str | None = None
    min_records: int | None = None
    learn: bool = False
    owner: str | None = None
    runbook: str | None = None
    description: str | None = None
    ping_url: str | None = None

    def __post_init__(self) -> None:
        """Read the durations, and refuse what cannot be used, where it was written."""
        for name in _LENGTHS:
            object.__setattr__(self, name, length_of(name, getattr(self, name)))
        given = [
            value for field in fields(self) if (value := getattr(self, field.name)) is not None
        ]
        if given == [False]:  # `learn`, which is never None
            raise ConfigurationError(
                "expect: expected every, cron, calendar or another rule, found none"
            )
        check_expectation(expectation_of(self), in_utc=is_in_utc(), may_lack_library=True)
        check_texts(**{name: getattr(self, name) for name in TEXTS})


def as_expect(value: object) -> Expect:
    """Read the option `expect`.

    Raises:
        ConfigurationError: it is neither an `Expect` nor `learn`.
    """
    if isinstance(value, Expect):
        return value
    if value == LEARN:
        return Expect(learn=True)
    hint = "" if isinstance(value, str) else ": write expect=Expect(every='1h')"
    kind = type(value).__name__
    raise ConfigurationError(
        f"expect: expected runguard.Expect or 'learn', found {kind} {value!r}{hint}"
    )


def expectation_of(expect: Expect) -> Expectation:
    """Return what is expected, without the texts."""
    names = (field.name for field in fields(Expect) if field.name not in TEXTS)
    return Expectation(**{name: getattr(expect, name) for name in names})
