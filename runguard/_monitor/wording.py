"""The words for durations, ages, times, counts and states: the same ones everywhere.

The command line, the pages, messages and explanations take them from here. `static/wording.js`
says durations and ages once more, for what a page keeps current; a test compares the two.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import floor
from typing import Final

from .._frozen import frozen
from .._models import RunStatus, Severity
from .states import FindingType, JobState, ProblemState, ReviewStatus

NOTHING: Final = "–"
JUST_NOW_SECONDS: Final = 10

_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


class Tone(StrEnum):
    """How a word is meant, for whoever gives it a colour."""

    BAD = "bad"
    WARN = "warn"
    OK = "ok"
    BUSY = "run"
    NEUTRAL = "none"


@frozen
class Label:
    """A word with its tone, and a sign for those who see no colour."""

    word: str
    tone: Tone = Tone.NEUTRAL
    sign: str = "·"


_STATUSES: Final[Mapping[str, Label]] = {
    RunStatus.RUNNING: Label("running", Tone.BUSY, "▸"),
    RunStatus.SUCCESS: Label("success", Tone.OK, "✓"),
    RunStatus.FAILED: Label("failed", Tone.BAD, "✕"),
}
_STATES: Final[Mapping[str, Label]] = {
    JobState.FAILING: Label("failing", Tone.BAD, "✕"),
    JobState.MISSED: Label("missed", Tone.BAD, "○"),
    JobState.STUCK: Label("running too long", Tone.WARN, "◔"),
    JobState.LATE: Label("late", Tone.WARN, "◷"),
    JobState.UNUSUAL: Label("unusual", Tone.WARN, "!"),
    JobState.FLAPPING: Label("flapping", Tone.WARN, "≈"),
    JobState.QUIET: Label("quiet", sign="◌"),
    JobState.RUNNING: Label("running", Tone.BUSY, "▸"),
    JobState.OK: Label("ok", Tone.OK, "✓"),
    JobState.UNKNOWN: Label("not finished yet"),
    JobState.NEVER_RAN: Label("never ran"),
}
_FINDINGS: Final[Mapping[FindingType, str]] = {  # each goes before "3 h ago", when it began
    FindingType.MISSED: "did not start when it was due",
    FindingType.STUCK: "exceeded the time that it may take",
    FindingType.SLOW: "took longer than usual",
    FindingType.FAST: "took less time than usual",
    FindingType.EMPTY: "had too few records",
    FindingType.FREQUENT: "started too often",
    FindingType.WRONG_ZONE: "started in another time zone than declared",
    FindingType.UNWATCHED: "is not watched by any monitor",
}
_STANDINGS: Final[Mapping[str, Label]] = {
    "running too long": _STATES[JobState.STUCK],
    "silent": Label("silent", Tone.WARN, "◌"),
}
_SEVERITIES: Final[Mapping[str, Label]] = {
    Severity.HIGH: Label("high", Tone.BAD),
    Severity.MEDIUM: Label("medium", Tone.WARN),
    Severity.LOW: Label("low"),
}
_REVIEW_STATUSES: Final[Mapping[str, Label]] = {
    ReviewStatus.AUTO: Label("not reviewed"),
    ReviewStatus.ACKNOWLEDGED: Label("acknowledged", Tone.BUSY),
    ReviewStatus.IN_PROGRESS: Label("in progress", Tone.BUSY),
    ReviewStatus.FALSE_ALARM: Label("false alarm"),
    ReviewStatus.DONE: Label("done", Tone.OK),
}
_PROBLEM_STATES: Final[Mapping[str, Label]] = {
    ProblemState.BROKEN: Label("still broken", Tone.BAD, "✕"),
    ProblemState.RECOVERED: Label("recovered", Tone.OK, "✓"),
    ProblemState.UNKNOWN: Label("unknown"),
}
_ALERT_STATES: Final = (Label("open", Tone.BAD, "●"), Label("resolved", Tone.OK, "✓"))
_COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT_COMMIT: Final = 7
_ABBREVIATIONS: Final = ("dns", "tls")
_NO_TYPES: Final = ("runguard.Run.fail", "timeout")  # of failures without an exception
_ORDINALS: Final = (
    *("first", "second", "third", "fourth", "fifth"),
    *("sixth", "seventh", "eighth", "ninth", "tenth"),
)
_TOPICS: Final[Mapping[str, str]] = {
    "state": "State",
    "error": "Error",
    "changes": "What changed",
    "group": "Why this group",
    "alert": "Alert",
    "told": "Told",
    "cooldown": "Cooldown",
    "progress": "Progress",
    "noted": "Noted",
    "history": "Before and since",
    "job": "Job",
    "lost": "Lost",
    "lock": "Lock",
    "record": "Record",
}


def duration(length: timedelta | float | None) -> str:
    """Say how long, in at most two units; a number is in seconds.

    >>> [duration(one) for one in (0.0042, 0.85, 3.21, 48.6, 250, 7500)]
    ['4 ms', '850 ms', '3.2 s', '49 s', '4 min 10 s', '2 h 5 min']
    >>> duration(timedelta(minutes=30)), duration(timedelta(days=1, hours=2, minutes=3))
    ('30 min', '1 d 2 h')
    """
    if length is None:
        return NOTHING
    seconds = length.total_seconds() if isinstance(length, timedelta) else length
    seconds = max(0.0, seconds)
    # Half is rounded up: JavaScript can do the same, and not what `round` does.
    thousandths, tenths = floor(seconds * 1000 + 0.5), floor(seconds * 10 + 0.5)
    if thousandths < 1000:
        return f"{thousandths} ms"
    if tenths < 100:
        return f"{tenths // 10}.{tenths % 10} s".replace(".0 ", " ")
    left = floor(seconds + 0.5)
    words = []
    for unit, size in _UNITS:
        count, left = divmod(left, size)
        if count:
            words.append(f"{count} {unit}")
        elif words:
            break
    return " ".join(words[:2])


def age(instant: datetime, now: datetime) -> str:
    """Say how long ago something was, or in how long it will be.

    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> [age(noon - timedelta(minutes=one), noon) for one in (0, 3, 200, 5000, -12)]
    ['just now', '3 min ago', '3 h ago', '3 d ago', 'in 12 min']
    """
    seconds = (now - instant).total_seconds()
    size = abs(seconds)
    if size < JUST_NOW_SECONDS:
        return "just now"
    unit, many = next((unit, many) for unit, many in _UNITS if size >= many)
    count = f"{floor(size / many)} {unit}"
    return f"{count} ago" if seconds > 0 else f"in {count}"


def utc(instant: datetime, *, exactly: bool = False) -> str:
    """Spell a time in UTC, to the minute, or to the second.

    >>> instant = datetime(2026, 3, 1, 2, 31, 9, tzinfo=UTC)
    >>> utc(instant), utc(instant, exactly=True)
    ('2026-03-01 02:31 UTC', '2026-03-01 02:31:09 UTC')
    """
    # Not by `strftime`, which takes five times as long: a page holds thousands of times.
    length = 19 if exactly else 16
    return f"{instant.astimezone(UTC).isoformat(' ')[:length]} UTC"


def iso(instant: datetime) -> str:
    """Spell a time for programs, and for a URL.

    >>> iso(datetime(2026, 3, 1, 2, 31, tzinfo=UTC))
    '2026-03-01T02:31:00Z'
    """
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def ordinal(number: int) -> str:
    """Say which one it is in a row.

    >>> [ordinal(one) for one in (1, 3, 10, 11, 22, 1013)]
    ['first', 'third', 'tenth', '11th', '22nd', '1,013th']
    """
    if 1 <= number <= len(_ORDINALS):
        return _ORDINALS[number - 1]
    is_teen = number % 100 in (11, 12, 13)
    ending = "th" if is_teen else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def error(error_type: str | None, message: str | None, *, longest: int = 120) -> str:
    r"""Say an error in one line: its type, without its module, and the first line of its message.

    >>> error("django.core.management.base.CommandError", "no such file\nat line 7")
    'CommandError: no such file'
    >>> error("KeyError", "KeyError: 'id'"), error(None, None)
    ("KeyError: 'id'", 'an error without a message')
    >>> error("runguard.Run.fail", "3 pages failed"), error("SIGINT", "killed by SIGINT (signal 2)")
    ('3 pages failed', 'killed by SIGINT (signal 2)')
    """
    name = (error_type or "").rpartition(".")[2].strip() or (error_type or "")
    if message and (error_type in _NO_TYPES or f"killed by {name} " in message):
        name = ""
    line = (message or "").strip().partition("\n")[0].strip()
    if (
        name
        and not line.startswith((f"{name}:", f"{error_type}:"))
        and line not in (name, error_type)
    ):
        line = f"{name}: {line}" if line else name
    if len(line) > longest:
        line = f"{line[: longest - 1]}…"
    return line or "an error without a message"


LONGEST_QUOTED: Final = 200  # letters of a line that the message of a command quotes first


def noted_value(value: object) -> str:
    """Write a value that a job noted: a text as it is, any other as JSON.

    >>> noted_value("2026-1"), noted_value([1, True])
    ('2026-1', '[1, true]')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def in_a_list(message: str | None) -> str:
    r"""Return a message without the line that its first one quotes, as those of commands do.

    >>> in_a_list("exit code 3: no such file\n\nstarting\nno such file")
    'exit code 3: no such file\nstarting'
    """
    first, _, rest = (message or "").partition("\n\n")
    lines = [line for line in rest.split("\n") if not _is_quoted(line.strip(), first)]
    return "\n".join([first, *lines]).rstrip()


def _is_quoted(line: str, first: str) -> bool:
    """Whether the first line of a message quotes this one, whole or its beginning."""
    quoted = first.partition(": ")[2]
    is_long = len(quoted) >= LONGEST_QUOTED
    return bool(quoted) and (line == quoted or (is_long and line.startswith(quoted)))


def counted(count: int, noun: str) -> str:
    """Say how many there are.

    >>> counted(1, "job"), counted(2000, "job")
    ('1 job', '2,000 jobs')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def starts_refused(count: int) -> str:
    """Say how many starts were refused; nothing where none was.

    >>> starts_refused(1), starts_refused(0)
    ('1 start refused', '')
    """
    return f"{counted(count, 'start')} refused" if count else ""


def percent(part: int, whole: int) -> str:
    """Say a share, never rounding a failure away.

    >>> [percent(*one) for one in ((30, 30), (999, 1000), (1, 3))]
    ['100 %', '99 %', '33 %']
    """
    return f"{part * 100 // whole} %" if whole else NOTHING


def run_status(status: str) -> Label:
    """Return the label of a run's status; another program's word stays as it is."""
    return _STATUSES.get(status) or Label(status)


def job_state(state: JobState) -> Label:
    """Return the label of how a job stands."""
    return _STATES[state]


def found(kind: FindingType) -> str:
    """Say what a finding is, behind the name of its job."""
    return _FINDINGS[kind]


def run_standing(status: str, standing: str) -> Label:
    """Return the label of a run's status, or of what is wrong with one that is not over."""
    return _STANDINGS.get(standing) or run_status(status)


def severity(word: str | None) -> Label:
    """Return the label of a severity; another program's word stays, and counts as medium."""
    if not word:
        return Label(NOTHING)
    return _SEVERITIES.get(word) or Label(word, Tone.WARN)


def problem_state(state: ProblemState) -> Label:
    """Return the label of whether a problem is over."""
    return _PROBLEM_STATES[state]


def alert_state(*, resolved: bool | None) -> Label:
    """Return the label of whether an alert is open or resolved."""
    return _ALERT_STATES[bool(resolved)]


def review_status(word: str | None) -> Label:
    """Return the label of a review status; another program's word stays as it is."""
    return _REVIEW_STATUSES.get(word or "") or Label(word or NOTHING)


def reason(word: str) -> str:
    """Say a failure's reason in words.

    >>> reason("rate_limited"), reason("dns")
    ('rate limited', 'DNS')
    """
    return word.upper() if word in _ABBREVIATIONS else word.replace("_", " ")


def version(text: str) -> str:
    """Say which version ran; a commit by its first letters, as Git shows it.

    >>> version("9fceb02d0ae598e95dc970b74767f19372d61af8"), version("2026.11.3")
    ('9fceb02', '2026.11.3')
    """
    return text[:_SHORT_COMMIT] if _COMMIT.fullmatch(text) else text


def topic(name: str) -> str:
    """Return the heading of what a sentence of an explanation is about."""
    return _TOPICS[name]
