"""What may be declared of a job. Code, file and command line check it here, in the same words."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from .._errors import ConfigurationError, did_you_mean
from .._monitor.expectation_words import ends_with_zone
from .._monitor.expectations import Expectation
from .._monitor.filters import UnreadableFilter, read_duration
from .schedule import INSTALL, NO_ZONES, expectation_problem

LONGEST: Final = timedelta(days=3650)
LONGEST_OWNER: Final = 100
LONGEST_TEXT: Final = 1000
MOST_RECORDS: Final = 2**63 - 1
A_LENGTH: Final = "a timedelta, or a text such as '90s', '15m' or '2h30m'"
A_REFERENCE: Final = "env:NAME or file:/path, as an address may be a secret"

_RHYTHMS: Final = ("every", "cron", "calendar", "learn")
_LENGTHS: Final = ("every", "grace", "max_runtime")
_EXAMPLES: Final = {"cron": "0 2 * * *", "calendar": "Mon..Fri 02:00", "tz": "Asia/Seoul"}


def length_of(name: str, value: timedelta | str | None) -> timedelta | None:
    """Read a duration that is given as one, or as a text.

    Raises:
        ConfigurationError: it is neither; the message begins with `name`.
    """
    if value is None or isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise _wrong(name, A_LENGTH, f"{type(value).__name__} {value!r}")
    try:
        return read_duration(value)
    except UnreadableFilter:
        raise _wrong(name, A_LENGTH, repr(value)) from None


def check_expectation(
    expectation: Expectation, *, in_utc: bool, may_lack_library: bool = False
) -> None:
    """See that what is expected makes sense.

    Args:
        expectation: What is declared.
        in_utc: Whether the machine's zone is UTC: elsewhere a cron expression or a calendar needs
            `tz`, since the monitor may run in another zone than the scheduler.
        may_lack_library: Whether an expression counts as right where nothing here can read it: a
            job's own process need not.

    Raises:
        ConfigurationError: it does not; the message begins with the name of what is wrong.
    """
    given = [name for name in _RHYTHMS if getattr(expectation, name)]
    if len(given) > 1:
        raise _wrong(given[0], f"one of {', '.join(_RHYTHMS)}", " and ".join(given))
    if not isinstance(expectation.learn, bool):
        raise _wrong("learn", "True or False", repr(expectation.learn))
    for name in _LENGTHS:
        _check_length(name, getattr(expectation, name))
    for name, example in _EXAMPLES.items():
        text = getattr(expectation, name)
        if text is not None and not _is_line(text):
            raise _wrong(name, f"a text such as {example!r}", repr(text))
    _check_zone_is_right_here(expectation, in_utc=in_utc)
    least: object = expectation.min_records
    if least is not None and (type(least) is not int or not 0 <= least <= MOST_RECORDS):
        raise _wrong("min_records", "a whole number, 0 or more", repr(least))
    if expectation.grace is not None and not given:
        raise _wrong("grace", f"one of {', '.join(_RHYTHMS)} beside it", "none")
    _check_reference(expectation.ping_url)
    problem = expectation_problem(expectation)
    if problem is not None and not (may_lack_library and INSTALL in problem):
        zone = expectation.tz if problem.startswith("tz:") else None
        near = "" if zone is None else did_you_mean(zone, available_timezones() - NO_ZONES)
        raise ConfigurationError(f"{problem}{near}")


def check_texts(
    *, owner: str | None = None, runbook: str | None = None, description: str | None = None
) -> None:
    """See that what is said of a job can be shown.

    Raises:
        ConfigurationError: it cannot; the message begins with the name of what is wrong.
    """
    if owner is not None and not _is_line(owner, longest=LONGEST_OWNER):
        raise _wrong(
            "owner", f"a word or a line of at most {LONGEST_OWNER} characters", _kind(owner)
        )
    if description is not None and not _is_line(description):
        expected = f"a line of at most {LONGEST_TEXT} characters"
        raise _wrong("description", expected, _kind(description))
    if runbook is not None and not _is_address(runbook):
        expected = "an address such as https://wiki.example/backup, without a password"
        raise _wrong("runbook", expected, "something else")


def _check_length(name: str, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, timedelta):
        raise _wrong(name, A_LENGTH, f"{type(value).__name__} {value!r}")
    if not timedelta(0) < value <= LONGEST:
        raise _wrong(name, "more than 0, at most ten years", str(value))


def _check_zone_is_right_here(expectation: Expectation, *, in_utc: bool) -> None:
    clock = "cron" if expectation.cron else "calendar" if expectation.calendar else None
    names_its_zone = clock == "calendar" and ends_with_zone(str(expectation.calendar))
    if expectation.tz is None:
        if clock is not None and not in_utc and not names_its_zone:
            raise _wrong(
                "tz",
                f"the zone that {clock} is meant in, such as 'Asia/Seoul' or 'UTC', since this"
                " machine's zone is not UTC",
                "none",
            )
        return
    if clock is None:
        raise _wrong("tz", "cron or calendar beside it", "none")


def _check_reference(reference: object) -> None:
    """See that a secret is only referred to; what stands there instead is never repeated."""
    if reference is None:
        return
    kind, _, rest = reference.partition(":") if isinstance(reference, str) else ("", "", "")
    is_name = kind == "env" and rest.isascii() and rest.isidentifier()
    is_path = kind == "file" and rest.startswith("/") and _is_line(rest)
    if not (is_name or is_path):
        raise _wrong("ping_url", A_REFERENCE, "another text")


def _is_address(text: object) -> bool:
    if not isinstance(text, str) or not _is_line(text) or any(map(str.isspace, text)):
        return False
    try:
        parts = urlsplit(text)
        has_password = bool(parts.username or parts.password)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not has_password
    except ValueError:
        return False


def _is_line(text: object, *, longest: int = LONGEST_TEXT) -> bool:
    return isinstance(text, str) and text.isprintable() and 0 < len(text.strip()) <= longest


def _kind(value: object) -> str:
    if not isinstance(value, str):
        return type(value).__name__
    return f"{len(value)} characters" if len(value) > LONGEST_OWNER else repr(value)


def _wrong(name: str, expected: str, found: str) -> ConfigurationError:
    return ConfigurationError(f"{name}: expected {expected}, found {found}")
