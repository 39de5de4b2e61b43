"""The words of what is found of a job: what did not begin, runs too long, is not as usual.

The detail of such an alert says it in numbers and times, so that times are those of the reader's
zone. What is missing there, or is of another kind, is left out: then the alert's title says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from .._models import RunStatus
from .._monitor.expectations import JOB_SOURCE_TYPE, FindingType
from .._monitor.incidents import RECOVERED, SILENCE_ENDED
from .._monitor.notices import NoticeFacts, NoticeKind
from .._monitor.wording import counted, duration, ordinal
from .texts import Times, redacted_line

_TYPES: Final = frozenset(one.value for one in FindingType)
_LARGEST: Final = 1e15
_LONGEST_SECONDS: Final = 10 * 365 * 86_400.0
_YEARS: Final = range(1900, 9000)  # no zone carries such a time beyond the calendar

_COVERS: Final[Mapping[str, str]] = {
    FindingType.MISSED: "further missed starts of {name}, until one comes",
    FindingType.STUCK: "this run of {name}, which goes on, until it ends",
    FindingType.FREQUENT: "further starts of {name}, until there is a quiet gap",
    FindingType.WRONG_ZONE: "all starts of {name}, until they fit the declared zone",
    FindingType.UNWATCHED: "all jobs, until a monitor looks again",
}


def is_finding(facts: NoticeFacts) -> bool:
    """Whether the alert tells what was found of a job, or that it is over."""
    return facts.source_type == JOB_SOURCE_TYPE and finding_of(facts) is not None


def finding_of(facts: NoticeFacts) -> str | None:
    """Return the type of what was found; of one that is over, the alert's detail names it."""
    named = facts.alert_type
    if named in (RECOVERED, SILENCE_ENDED):
        named = str(facts.detail.get("finding"))
    return named if named in _TYPES else None


def name_in(facts: NoticeFacts) -> str:
    """Return what a finding is about: its job, or how many are expected."""
    if finding_of(facts) == FindingType.UNWATCHED:
        jobs = _number(facts.detail, "jobs")
        return "runguard" if jobs is None else counted(int(jobs), "expected job")
    return facts.job_name or facts.source_id


def said(facts: NoticeFacts, times: Times) -> str | None:
    """Say what is wrong, without the name of the job; None where the detail does not tell."""
    kind = finding_of(facts)
    saying = _SAYINGS.get(kind or "")
    return None if saying is None else saying(facts.detail, times)


def reminder(facts: NoticeFacts, times: Times) -> str:
    """Say what is still wrong."""
    detail = facts.detail
    missed = None if facts.silences_ended else _number(detail, "missed")
    if finding_of(facts) == FindingType.MISSED and missed is not None and missed > 1:
        first = _time(detail, "first_due") or facts.opened_at
        return f"{ordinal(int(missed))}{_since(first, times)}"
    since = _since(_time(detail, "since") or facts.opened_at, times)
    return f"{said(facts, times) or 'goes on'}{since}"


def over(facts: NoticeFacts, times: Times) -> str | None:
    """Say how a finding ended, without the name of the job; None where the detail does not tell."""
    detail, kind = facts.detail, finding_of(facts)
    if detail.get("changed") is True:  # something else is expected now, as its title says
        return None
    if kind == FindingType.MISSED:
        if detail.get("reported_late") is True:
            return "ran on time, reported late"
        if (due := _time(detail, "next_due")) is not None:
            return f"starts again, at {times.short(due)}"
        late = _length(detail, "late_seconds")
        return None if late is None else f"ran {duration(late)} late"
    if kind == FindingType.STUCK:
        took = _length(detail, "seconds")
        failed = " and failed" if _text(detail, "status") == RunStatus.FAILED else ""
        return None if took is None else f"ended after {duration(took)}{failed}"
    if kind == FindingType.UNWATCHED:
        return "a monitor looks again"
    return None


def facts_of(facts: NoticeFacts, times: Times) -> Iterator[tuple[str, str]]:
    """Say what is known of a finding, a word and its value each."""
    detail = facts.detail
    yield "Schedule", _text(detail, "schedule")
    yield "Due", _moment(detail, "due", times)
    grace = _length(detail, "grace_seconds")
    yield "Grace", "" if grace is None else duration(grace)
    missed = _number(detail, "missed")
    if missed is not None and missed > 1:
        yield "Missed", f"{counted(int(missed), 'start')}{_from(detail, times)}"
    last_start = _moment(detail, "last_start_at", times)
    yield "Last start", last_start or ("none known" if facts_say_all(facts) else "")
    yield "Started", _moment(detail, "started_at", times)
    yield "Nobody looked", _gap(detail, times)
    yield "Last look", _moment(detail, "last_round_at", times)


def facts_say_all(facts: NoticeFacts) -> bool:
    """Whether the facts say all that the message of the alert does, in the reader's zone."""
    is_missed = is_open(facts) and finding_of(facts) == FindingType.MISSED
    return is_missed and _time(facts.detail, "due") is not None


def what_it_covers(facts: NoticeFacts, name: str) -> str:
    """Say which further alerts do not come."""
    kind = finding_of(facts) or ""
    covers = _COVERS.get(kind, f"later runs of {{name}} with {kind}, until one is as expected")
    return f"This covers {covers.replace('{name}', name)}."


def is_open(facts: NoticeFacts) -> bool:
    """Whether the message is about a finding that is not over."""
    return is_finding(facts) and facts.delivery.kind is not NoticeKind.RECOVERED


def _missed(detail: Mapping[str, Any], times: Times) -> str | None:
    due = _time(detail, "due")
    if due is None:
        return None
    missed = _number(detail, "missed")
    often = f", {ordinal(int(missed))} in a row" if missed is not None and missed > 1 else ""
    return f"due {times.short(due)}, not started{often}"


def _stuck(detail: Mapping[str, Any], times: Times) -> str | None:
    began, allowed = _time(detail, "started_at"), _length(detail, "allowed_seconds")
    running = _length(detail, "running_seconds")
    if began is not None:  # it goes on while the message waits to be sent
        running = max(timedelta(0), times.now - began)
    if running is None:
        return None
    limit = "" if allowed is None else f", allowed {duration(allowed)}"
    return f"running {duration(running)}{limit}"


def _took(detail: Mapping[str, Any], _: Times) -> str | None:
    took, usual = _length(detail, "seconds"), _length(detail, "usual_seconds")
    allowed = _length(detail, "allowed_seconds")
    if took is None or (usual or allowed) is None:
        return None
    limit = f"allowed {duration(allowed)}" if usual is None else f"usually {duration(usual)}"
    return f"took {duration(took)}, {limit}"


def _empty(detail: Mapping[str, Any], _: Times) -> str | None:
    records, least = _number(detail, "records"), _number(detail, "least_records")
    usual = _number(detail, "usual_records")
    if records is None:
        return None
    if least is not None:
        return f"{counted(int(records), 'record')}, expected at least {int(least):,}"
    return counted(int(records), "record") + ("" if usual is None else f", usually {int(usual):,}")


def _frequent(detail: Mapping[str, Any], _: Times) -> str | None:
    starts, within = _number(detail, "starts"), _length(detail, "within_seconds")
    if starts is None or within is None:
        return None
    declared = _length(detail, "declared_seconds")
    expected = "" if declared is None else f", expected every {duration(declared)}"
    return f"{counted(int(starts), 'start')} in {duration(within)}{expected}"


def _wrong_zone(detail: Mapping[str, Any], _: Times) -> str | None:
    fits, declared = _text(detail, "fits_zone"), _text(detail, "declared_zone")
    return f"starts fit {fits}, declared {declared}" if fits and declared else None


def _unwatched(detail: Mapping[str, Any], times: Times) -> str:
    looked = _time(detail, "last_round_at")
    if looked is None:
        return "no monitor has ever looked"
    return f"no monitor has looked since {times.short(looked)}"


_SAYINGS: Final[Mapping[str, Callable[[Mapping[str, Any], Times], str | None]]] = {
    FindingType.MISSED: _missed,
    FindingType.STUCK: _stuck,
    FindingType.SLOW: _took,
    FindingType.FAST: _took,
    FindingType.EMPTY: _empty,
    FindingType.FREQUENT: _frequent,
    FindingType.WRONG_ZONE: _wrong_zone,
    FindingType.UNWATCHED: _unwatched,
}


def _from(detail: Mapping[str, Any], times: Times) -> str:
    first = _time(detail, "first_due")
    return "" if first is None else f", the first at {times.full(first)}"


def _since(instant: datetime | None, times: Times) -> str:
    return "" if instant is None else f", since {times.short(instant)}"


def _gap(detail: Mapping[str, Any], times: Times) -> str:
    began, ended = _time(detail, "gap_began_at"), _time(detail, "gap_ended_at")
    if began is None or ended is None:
        return ""
    return f"between {times.short(began)} and {times.full(ended)}"


def _moment(detail: Mapping[str, Any], key: str, times: Times) -> str:
    instant = _time(detail, key)
    return "" if instant is None else times.full(instant)


def _time(detail: Mapping[str, Any], key: str) -> datetime | None:
    value = detail.get(key)
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if instant is None or instant.tzinfo is None or instant.year not in _YEARS:
        return None
    return instant


def _number(detail: Mapping[str, Any], key: str) -> float | None:
    value = detail.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return value if abs(value) < _LARGEST else None  # as no NaN is


def _length(detail: Mapping[str, Any], key: str) -> timedelta | None:
    seconds = _number(detail, key)
    if seconds is None or not 0 <= seconds <= _LONGEST_SECONDS:
        return None
    return timedelta(seconds=seconds)


def _text(detail: Mapping[str, Any], key: str) -> str:
    value = detail.get(key)
    return redacted_line(value, 200) if isinstance(value, str) else ""
