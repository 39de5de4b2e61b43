"""The subject of a message: its meaning in the first 60 characters, never a run's id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from .._models import ErrorGroup, Severity, named_in
from .._monitor.incidents import RECOVERED, REOPENED, SILENCE_ENDED
from .._monitor.notices import Covered, NoticeFacts, NoticeKind
from .._monitor.wording import counted, duration, ordinal
from . import findings
from .texts import Times, line, redacted_line, short_name

LONGEST: Final = 160
LONGEST_NAME: Final = 40
OF_AN_INCIDENT: Final = ("FAILED", RECOVERED, REOPENED, SILENCE_ENDED)
REPEAT: Final = " (may be a repeat)"
MOST_NAMES: Final = 3

_GROUPS: Final = frozenset(one.value for one in ErrorGroup)
_ORDER: Final[dict[str, int]] = {Severity.HIGH: 0, Severity.MEDIUM: 1, Severity.LOW: 2}


def subject_of(facts: NoticeFacts, times: Times) -> str:
    """Say in one line what a message is about."""
    said = _said(facts, times)
    end = REPEAT if facts.is_repeat else ""
    return f"{line(said, LONGEST - len(end))}{end}"


def _said(facts: NoticeFacts, times: Times) -> str:
    match facts.delivery.kind:
        case NoticeKind.OPENED:
            return _reminder(facts, times) if facts.silences_ended else _opened(facts, times)
        case NoticeKind.REMINDER:
            return _reminder(facts, times)
        case NoticeKind.RAISED:
            return _raised(facts, times)
        case NoticeKind.RECOVERED:
            return _recovered(facts, times)
        case NoticeKind.DIGEST:
            return _digest(facts)
        case NoticeKind.UNDELIVERED:
            return _undelivered(facts, times)
        case NoticeKind.TEST:
            return f"TEST runguard: channel {line(facts.delivery.channel, 40)} works"


def word_of(facts: NoticeFacts) -> str:
    """Return the word for what happened: the group of a failure, else the alert's type."""
    found = findings.finding_of(facts) if findings.is_finding(facts) else None
    return line(facts.error_group or found or facts.alert_type, 32) or "ALERT"


def name_of(facts: NoticeFacts, longest: int = LONGEST_NAME) -> str:
    """Return the name of the job, or of what else the alert is about."""
    name = findings.name_in(facts) if findings.is_finding(facts) else facts.job_name
    short = short_name(name or facts.source_id, longest) or "runguard"
    return _in_its_place(short, facts.environment) if facts.job_name else short


def down_time(facts: NoticeFacts) -> timedelta | None:
    """Return how long an incident lasted that is over."""
    seconds = facts.detail.get("down_seconds")
    if isinstance(seconds, int | float) and 0 <= seconds < timedelta.max.total_seconds():
        return timedelta(seconds=seconds)
    run, began = facts.recovered_by, facts.opened_at
    ended = run and (run.finished_at or run.started_at)
    return max(timedelta(0), ended - began) if ended and began else None


def what_happened(facts: NoticeFacts, times: Times) -> str:
    """Say what happened, without the name of the job, which an alert's title begins with.

    A failure's group says it all but for UNKNOWN, whose title ends with its reason.
    """
    if findings.is_finding(facts) and (said := findings.said(facts, times)):
        return said
    rest = without_name(facts.title, facts.job_name, facts.environment)
    if facts.error_group is None or facts.error_group == ErrorGroup.UNKNOWN:
        return rest or "failed"
    return "did not run" if facts.error_group == ErrorGroup.LOCK_CONFLICT else "failed"


def without_name(title: str, job_name: str | None, environment: str | None) -> str:
    """Return what a title says behind the name of the job and its environment."""
    whole, name = redacted_line(title), line(job_name)
    rest = whole.removeprefix(_in_its_place(name, environment))
    return rest.removeprefix(name).lstrip(" :") if name else whole


def by_loudness(covered: Sequence[Covered]) -> list[Covered]:
    """Return the alerts of a digest, the most severe first, those of a kind together."""
    return sorted(
        covered,
        key=lambda one: (_ORDER.get(one.severity, 1), one.subject_word, one.job_name or "", one.at),
    )


def _opened(facts: NoticeFacts, times: Times) -> str:
    word, name, severity = word_of(facts), name_of(facts), f"({line(facts.severity, 16)})"
    if facts.reopened or facts.alert_type == REOPENED:
        return f"AGAIN {word} {name}: {on_and_off(facts)} {severity}"
    happened = what_happened(facts, times)
    if facts.error_group is not None:
        return f"{word} {name} {line(happened, 60)} {severity}"
    is_named = facts.job_name or findings.is_finding(facts)
    return f"{word} {name}: {happened}" if is_named else f"{word} {happened}"


def on_and_off(facts: NoticeFacts) -> str:
    """Say of an incident that came back how often it fails.

    The last runs are not known everywhere.
    """
    runs = facts.recent
    if not runs:
        return f"failed again, the {ordinal(facts.reopened + 1)} time"
    return f"on and off, {runs.count(False)} of the last {len(runs)} runs"


def _reminder(facts: NoticeFacts, times: Times) -> str:
    if findings.is_finding(facts):
        ended = "silence ended, " if facts.silences_ended else ""
        goes_on = findings.reminder(facts, times)
        return f"STILL {word_of(facts)} {name_of(facts)}: {ended}{goes_on}"
    which = "silence ended" if facts.silences_ended else ordinal(facts.failures)
    return f"STILL {word_of(facts)} {name_of(facts)}: {which}{_since(facts, times)}"


def _raised(facts: NoticeFacts, times: Times) -> str:
    now = f"now {line(facts.severity, 16)}"
    return f"WORSE {word_of(facts)} {name_of(facts)}: {now}{_since(facts, times)}"


def _recovered(facts: NoticeFacts, times: Times) -> str:
    if findings.is_finding(facts):
        return f"OK {name_of(facts)}: {_late(facts, times)}{how_it_ended(facts, times)}"
    length = down_time(facts)
    after = "" if length is None else f" after {duration(length)}"
    return f"OK {name_of(facts)}: {_late(facts, times)}recovered{after}"


def how_it_ended(facts: NoticeFacts, times: Times) -> str:
    """Say how a finding ended, without the name of the job."""
    rest = without_name(facts.title, facts.job_name, facts.environment)
    said = findings.over(facts, times) or rest
    return said or f"no longer {word_of(facts)}"


def _late(facts: NoticeFacts, times: Times) -> str:
    """Say first what was wrong, where nobody was told of it."""
    if facts.was_told:
        return ""
    what = word_of(facts) if findings.is_finding(facts) else "failed"
    return f"{what} at {times.short(facts.opened_at)}, " if facts.opened_at else f"had {what}, "


def _since(facts: NoticeFacts, times: Times) -> str:
    return f", since {times.short(facts.opened_at)}" if facts.opened_at else ""


def _digest(facts: NoticeFacts) -> str:
    covered = by_loudness(facts.covered)
    if not covered:
        return f"DIGEST {redacted_line(facts.title)}"
    # Recoveries are good news only where nothing else is told.
    failing = [one for one in covered if one.kind is not NoticeKind.RECOVERED]
    if not failing:
        jobs = _jobs_of(covered)
        return f"OK {counted(len(jobs), 'job')} recovered: {_names(jobs)}"
    over = len(covered) - len(failing)
    return _failures(failing) + (f"; {over:,} recovered" if over else "")


def _failures(failing: Sequence[Covered]) -> str:
    """Say what fails: of one cause, or of many."""
    if len(failing) == 1:
        return _alone_in_digest(failing[0])
    jobs, loudest = _jobs_of(failing), f"({line(failing[0].severity, 16)})"
    words = Counter(line(one.subject_word, 32) for one in failing)
    if len(words) == 1 and len(jobs) == len(failing):
        word, many = next(iter(words)), counted(len(jobs), "job")
        happened = f"{many} failed" if word in _GROUPS else many
        return f"{word} {happened} {loudest}: {_names(jobs)}"
    listed = ", ".join(f"{count:,} {word}" for word, count in words.most_common())
    return f"{counted(len(failing), 'alert')} {loudest}: {listed}"


def _jobs_of(covered: Sequence[Covered]) -> list[str]:
    named = (short_job(one, 24) for one in covered if one.job_name)
    return list(dict.fromkeys(named))


def short_job(one: Covered, longest: int) -> str:
    """Name the job of an alert of a digest."""
    short = short_name(one.job_name, longest)
    return _in_its_place(short, one.environment) if short else ""


def _in_its_place(short: str, environment: str | None) -> str:
    """Name a job with its environment, which another program may have written."""
    return named_in(short, short_name(environment, LONGEST_NAME) or None)


def _names(jobs: Sequence[str]) -> str:
    names = ", ".join(jobs[:MOST_NAMES])
    return names + (f" and {len(jobs) - MOST_NAMES} more" if len(jobs) > MOST_NAMES else "")


def recovered_in_digest(one: Covered) -> str:
    """Say how an alert of a digest ended: the title of a finding that is over says it."""
    is_finding = one.subject_word == RECOVERED
    said = without_name(one.title, one.job_name, one.environment) if is_finding else ""
    return said or "recovered"


def _alone_in_digest(one: Covered) -> str:
    """Say of the only failure in a digest what its own message would."""
    word, name = line(one.subject_word, 32), short_job(one, LONGEST_NAME)
    if name and word in _GROUPS:
        happened = "did not run" if word == ErrorGroup.LOCK_CONFLICT else "failed"
        return f"{word} {name} {happened} ({line(one.severity, 16)})"
    return f"{word} {redacted_line(one.title)}"


def _undelivered(facts: NoticeFacts, times: Times) -> str:
    state = facts.failing_channel
    if state is None:
        return f"UNDELIVERED {redacted_line(facts.title)}"
    since = state.disabled_at or state.failing_since
    what = "is disabled" if state.disabled_at else "is failing"
    return (
        f"UNDELIVERED channel {line(state.channel, 40)} {what}"
        f"{f', since {times.short(since)}' if since else ''}"
    )
