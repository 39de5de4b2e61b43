"""What a filter asks for, read from text: durations, times, words, names of jobs.

The command line, the pages and the JSON API read their filters here, so that one text means the
same everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from .._errors import nearest

# Where every database can go; no run is older, and none that is newer has begun.
EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
LONGEST: Final = timedelta(days=36_500)
A_DURATION: Final = "a duration such as 90s, 15m, 24h or 7d"
NO_ENVIRONMENT: Final = "none"  # what asks for those without one
ANY_TEXT: Final = "*"
ANY_LETTER: Final = "?"

_CUT_COMMIT: Final = re.compile(r"[0-9a-f]{7,39}")
# Each unit once, the largest first: "30m2h" is a slip.
_DURATION: Final = re.compile(
    "".join(
        rf"(?:(?P<{unit}>\d{{1,7}}){unit[0]})?"
        for unit in ("weeks", "days", "hours", "minutes", "seconds")
    ),
    re.IGNORECASE | re.ASCII,
)

# What `since` and `until` give: so long ago, or a time.
When = timedelta | datetime


class UnreadableFilter(ValueError):
    """A text that no filter understands; says what was expected, and what was found."""

    def __init__(self, expected: str, found: str, *, hint: str = "") -> None:
        """Keep what was expected apart, for those who say it in another way."""
        super().__init__(f"expected {expected}, found {found!r}{hint}")
        self.expected = expected


def read_duration(text: str) -> timedelta:
    """Read `90m`, `24h`, `2h30m` or `7d`; a century at most.

    Raises:
        UnreadableFilter: it is no duration, or none at all.

    >>> read_duration("90m"), read_duration("2h30m")
    (datetime.timedelta(seconds=5400), datetime.timedelta(seconds=9000))
    """
    found = _DURATION.fullmatch(text.strip())
    parts = found.groupdict(default="0") if found is not None else {}
    length = timedelta(**{unit: int(count) for unit, count in parts.items()})
    if not length:
        raise UnreadableFilter(A_DURATION, text)
    return min(LONGEST, length)


def read_when(text: str, *, localize: Callable[[datetime], datetime] | None = None) -> When:
    """Read `24h`, which is so long ago, or a time.

    Args:
        text: What was typed.
        localize: Gives a time without a zone its own; without it such a time is refused.

    Raises:
        UnreadableFilter: it is neither.

    >>> read_when("2026-03-01T02:30Z")
    datetime.datetime(2026, 3, 1, 2, 30, tzinfo=datetime.timezone.utc)
    """
    example = "2026-03-01T02:30" if localize is not None else "2026-03-01T02:30Z, with its zone"
    try:
        return read_duration(text)
    except UnreadableFilter:
        pass
    try:
        instant = datetime.fromisoformat(text.strip())
        if instant.tzinfo is None and localize is not None:
            instant = localize(instant)
    except (ValueError, OverflowError, OSError):
        instant = None
    if instant is None or instant.tzinfo is None:
        raise UnreadableFilter(f"{A_DURATION}, or a time such as {example}", text)
    return min(max(instant, EARLIEST), LATEST).astimezone(UTC)


def instant_of(when: When | None, *, now: datetime) -> datetime | None:
    """Return the time that was meant; `now` is the database's clock."""
    return max(EARLIEST, now - when) if isinstance(when, timedelta) else when


def read_word(text: str, known: Iterable[str]) -> str:
    """Read one of the known words, in any case.

    Raises:
        UnreadableFilter: it is none of them.

    >>> read_word("failed", ["RUNNING", "FAILED"])
    'FAILED'
    """
    words = {str(word).lower(): str(word) for word in known}
    typed = text.strip().lower()
    if typed not in words:
        near = nearest(typed, words)
        hint = "" if near is None else f" (did you mean {words[near]!r}?)"
        raise UnreadableFilter(f"one of {', '.join(words.values())}", text, hint=hint)
    return words[typed]


def read_environment(text: str) -> str:
    """Read the name of an environment, or `none` for what has none.

    Raises:
        UnreadableFilter: no environment can have that name.

    >>> read_environment("staging")
    'staging'
    """
    if not re.fullmatch(r"[a-z0-9_-]{1,40}", text.strip()):
        raise UnreadableFilter(f"an environment such as staging, or {NO_ENVIRONMENT}", text)
    return text.strip()


def environment_asked(text: str) -> str | None:
    """Return the environment that a filter asks for: None for what has none."""
    return None if text == NO_ENVIRONMENT else text


def environment_text(environment: str | None) -> str:
    """Return what asks for an environment, or for what has none."""
    return NO_ENVIRONMENT if environment is None else environment


def versions_asked(text: str) -> tuple[str, ...]:
    """Return what fits the version that somebody means: a commit may be cut, as lists show it.

    >>> versions_asked("1.4.2"), versions_asked("d4e5f60")
    (('1.4.2',), ('d4e5f60', 'd4e5f60*'))
    """
    return (text, f"{text}{ANY_TEXT}") if _CUT_COMMIT.fullmatch(text) else (text,)


def upstreams_asked(text: str) -> tuple[str, ...]:
    """Return what fits the upstream that somebody means: a host stands for all its ports.

    >>> upstreams_asked("db-1:5432"), upstreams_asked("db-1")
    (('db-1:5432',), ('db-1', 'db-1:*'))
    """
    host, colon, port = text.rpartition(":")
    has_port = bool(host and colon and port) and not text.endswith("]")
    return (text,) if has_port or text.endswith(ANY_TEXT) else (text, f"{text}:{ANY_TEXT}")


def is_pattern(job: str) -> bool:
    """Whether a job's name stands for several: `*` for any text, `?` for any letter.

    >>> is_pattern("billing.*"), is_pattern("billing.daily")
    (True, False)
    """
    return ANY_TEXT in job or ANY_LETTER in job


def fits(job_name: str, asked: str) -> bool:
    """Whether a job is asked for by a name or a pattern.

    >>> fits("billing.daily", "billing.*"), fits("billing.daily", "billing")
    (True, False)
    """
    signs = {ANY_TEXT: ".*", ANY_LETTER: "."}
    form = "".join(signs.get(letter) or re.escape(letter) for letter in asked)
    return re.fullmatch(form, job_name, re.DOTALL) is not None
