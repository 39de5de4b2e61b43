"""What a silence and an acknowledgement ask for: what, until when, and why.

Nothing is muted without an end and a reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.datastructures import FormData

from .._frozen import frozen
from .._models import ErrorGroup
from .._monitor import wording
from .._monitor.filters import UnreadableFilter, When, read_when, read_word
from .forms import text_in
from .query import LONGEST_TEXT, WITHOUT_ZONE, is_storable

# How long, as a form offers it; an empty one leaves it to the field for a time.
LENGTHS: Final = (
    ("1h", "1 hour"),
    ("2h", "2 hours"),
    ("4h", "4 hours"),
    ("8h", "8 hours"),
    ("1d", "1 day"),
    ("3d", "3 days"),
    ("1w", "1 week"),
)
USUAL: Final = "4h"
_FIELDS: Final = ("job", "group", "from", "until", "for", "reason", "until_recovered")


class UnusableField(ValueError):
    """A field of a form that cannot be used; says what was expected, and what was found."""

    def __init__(self, field: str, expected: str, found: str) -> None:
        """Name the field as its form does."""
        super().__init__(f"{field}: expected {expected}, found {repr(found) if found else 'none'}")


@frozen
class SilenceAsked:
    """A silence that somebody asks for."""

    job: str
    error_group: str | None
    starts_at: datetime | None
    ends_at: datetime
    reason: str
    until_recovered: bool


def end_of(when: When, *, now: datetime, starts_at: datetime | None = None) -> datetime:
    """Return when something is muted no more: a time, or so long after the start.

    Raises:
        UnreadableFilter: that is over, or before the start.
    """
    begins = starts_at or now
    ends_at = begins + when if isinstance(when, timedelta) else when
    if ends_at <= now:
        raise UnreadableFilter("a time that is still to come", wording.utc(ends_at))
    if ends_at <= begins:
        raise UnreadableFilter("a time after the start", wording.utc(ends_at))
    return ends_at


def silence_in(form: FormData, *, now: datetime) -> SilenceAsked:
    """Read the form of a silence.

    Raises:
        UnusableField: a field cannot be used.
    """
    job = _text(form, "job", "Job", "the name of a job, or a pattern such as billing.*")
    group, begins = text_in(form, "group"), text_in(form, "from")
    starts_at = _instant(begins, "From", now) if begins else None
    return SilenceAsked(
        job=job,
        error_group=_group(group) if group else None,
        starts_at=starts_at,
        ends_at=end_in(form, now=now, starts_at=starts_at),
        reason=reason_in(form),
        until_recovered="until_recovered" in form,
    )


def end_in(form: FormData, *, now: datetime, starts_at: datetime | None = None) -> datetime:
    """Read until when: `until` is a time, `for` is how long.

    Raises:
        UnusableField: neither can be used, or it is over.
    """
    until, length = text_in(form, "until"), text_in(form, "for")
    if not until and not length:
        raise UnusableField("Until", "how long or a time, since nothing is muted for good", "")
    try:
        when = _instant(until, "Until", now) if until else read_when(length)
        return end_of(when, now=now, starts_at=starts_at)
    except UnreadableFilter as error:
        raise UnusableField("Until", error.expected, until or length) from None


def reason_in(form: FormData) -> str:
    """Read why.

    Raises:
        UnusableField: there is no reason.
    """
    return _text(form, "reason", "Reason", "why, for those who wonder later")


def fields_of(given: Mapping[str, Any]) -> dict[str, str]:
    """Return what the fields of a silence's form hold, to be shown there."""
    return {name: str(given.get(name, "")).strip()[:LONGEST_TEXT] for name in _FIELDS}


def _group(text: str) -> str:
    try:
        return read_word(text, ErrorGroup)
    except UnreadableFilter as error:
        raise UnusableField("Group", error.expected, text) from None


def _instant(text: str, name: str, now: datetime) -> datetime:
    """Read a time; without a script, what a browser's field for times sends has no zone: UTC."""
    try:
        found = read_when(f"{text}Z" if WITHOUT_ZONE.fullmatch(text) else text)
    except UnreadableFilter as error:
        raise UnusableField(name, error.expected, text) from None
    return now + found if isinstance(found, timedelta) else found


def _text(form: FormData, field: str, name: str, expected: str) -> str:
    text = text_in(form, field)
    if not text or len(text) > LONGEST_TEXT or not is_storable(text):
        raise UnusableField(name, expected, text[:100])
    return text
