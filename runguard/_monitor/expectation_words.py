"""What is expected of a job, in words: the same ones on the command line and on the page."""

from __future__ import annotations

from collections.abc import Iterator

from .expectations import Expectation
from .wording import NOTHING, counted, duration


def schedule(expectation: Expectation) -> str:
    """Say when a job should start.

    >>> schedule(Expectation(cron="0 2 * * *", tz="Asia/Seoul")), schedule(Expectation(learn=True))
    ('cron 0 2 * * * (Asia/Seoul)', 'as usual')
    """
    if expectation.every is not None:
        return f"every {duration(expectation.every)}"
    zone = f" ({expectation.tz or 'UTC'})"
    if expectation.cron is not None:
        return f"cron {expectation.cron}{zone}"
    if expectation.calendar is not None:
        has_zone = expectation.tz is None and ends_with_zone(expectation.calendar)
        return f"calendar {expectation.calendar}{'' if has_zone else zone}"
    return "as usual" if expectation.learn else NOTHING


def rules(expectation: Expectation) -> str:
    """Say what else is expected; nothing where nothing is.

    >>> from datetime import timedelta
    >>> rules(Expectation(every=timedelta(hours=1), max_runtime=timedelta(minutes=5)))
    'runs at most 5 min'
    """
    return ", ".join(_rules(expectation))


def everything(expectation: Expectation) -> str:
    """Say all that is expected, in one line."""
    parts = [part for part in (schedule(expectation), rules(expectation)) if part]
    return ", ".join(part for part in parts if part != NOTHING) or NOTHING


def ends_with_zone(calendar: str) -> bool:
    """Whether a calendar expression names its own zone.

    >>> ends_with_zone("Mon 02:00 Asia/Seoul"), ends_with_zone("*-*-01/4 02:00")
    (True, False)
    """
    last = calendar.rpartition(" ")[2]
    return last == "UTC" or (last[:1].isalpha() and "/" in last)


def _rules(expectation: Expectation) -> Iterator[str]:
    if expectation.grace is not None:
        yield f"up to {duration(expectation.grace)} late"
    if expectation.max_runtime is not None:
        yield f"runs at most {duration(expectation.max_runtime)}"
    if expectation.min_records is not None:
        yield f"at least {counted(expectation.min_records, 'record')}"
    if expectation.ping_url is not None:
        yield f"tells {expectation.ping_url}"
