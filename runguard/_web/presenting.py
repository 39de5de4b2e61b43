"""How a page says a time, a length, a status and a group, in few words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from .._models import ErrorGroup, RunStatus, Severity
from .._monitor.health import JobState

NOTHING: Final = "–"
_STATUS: Final = {
    RunStatus.RUNNING: ("run", "▸", "running"),
    RunStatus.SUCCESS: ("ok", "✓", "success"),
    RunStatus.FAILED: ("bad", "✕", "failed"),
}
_STATE: Final = {
    JobState.FAILING: ("bad", "✕", "failing"),
    JobState.STUCK: ("warn", "◔", "runs too long"),
    JobState.FLAPPING: ("warn", "≈", "flapping"),
    JobState.RUNNING: ("run", "▸", "running"),
    JobState.OK: ("ok", "✓", "ok"),
    JobState.UNKNOWN: ("none", "·", "not finished yet"),
}
_SEVERITY: Final = {Severity.HIGH: "bad", Severity.MEDIUM: "warn", Severity.LOW: "none"}
_GROUPS: Final = frozenset(map(str, ErrorGroup))
_UNITS: Final = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def status_mark(status: str) -> tuple[str, str, str]:
    """Return the tone, the sign and the word of a run's status."""
    return _STATUS.get(status, ("none", "·", status))  # type: ignore[call-overload, no-any-return]


def state_mark(state: JobState) -> tuple[str, str, str]:
    """Return the tone, the sign and the word of how a job stands."""
    return _STATE[state]


def severity_tone(severity: str | None) -> str:
    """Return the tone of a severity; a word that is not one of ours has none."""
    return _SEVERITY.get(severity or "", "none")  # type: ignore[call-overload, no-any-return]


def group_class(group: str | None) -> str:
    """Return the class that colours a group; only our own names ever become one."""
    return f"g-{group}" if group in _GROUPS else "g-other"


def cell_class(status: str, group: str | None) -> str:
    """Return the class that colours a run in a chart."""
    if status == RunStatus.SUCCESS:
        return "c-ok"
    if status == RunStatus.RUNNING:
        return "c-run"
    return group_class(group) if status == RunStatus.FAILED else "g-other"


def length(seconds: float | None) -> str:
    """Say a length of time, in at most two units.

    >>> [length(one) for one in (0.0042, 0.85, 3.21, 48.6, 250, 7500)]
    ['4 ms', '850 ms', '3.2 s', '49 s', '4 min 10 s', '2 h 5 min']
    """
    if seconds is None:
        return NOTHING
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    left = round(seconds)
    if left < 60:
        return f"{left} s"
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

    >>> from datetime import timedelta
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> [age(noon - timedelta(minutes=one), noon) for one in (0, 3, 200, 5000, -12)]
    ['just now', '3 min ago', '3 h ago', '3 d ago', 'in 12 min']
    """
    seconds = (now - instant).total_seconds()
    size = abs(seconds)
    if size < 10:
        return "just now"
    count, unit = next((int(size // many), unit) for unit, many in _UNITS if size >= many)
    return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"


def utc(instant: datetime) -> str:
    """Spell a time in UTC, to the minute.

    >>> utc(datetime(2026, 3, 1, 2, 31, 9, tzinfo=UTC))
    '2026-03-01 02:31 UTC'
    """
    return f"{instant.astimezone(UTC).isoformat(' ', 'minutes')[:16]} UTC"


def utc_exactly(instant: datetime) -> str:
    """Spell a time in UTC, to the second."""
    # Not by `strftime`, which takes five times as long: a page holds thousands of times.
    return f"{instant.astimezone(UTC).isoformat(' ', 'seconds')[:19]} UTC"


def iso(instant: datetime) -> str:
    """Spell a time for programs, and for a URL.

    >>> iso(datetime(2026, 3, 1, 2, 31, tzinfo=UTC))
    '2026-03-01T02:31:00Z'
    """
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def percent(part: int, whole: int) -> str:
    """Say a share, never rounding a failure away.

    >>> [percent(*one) for one in ((30, 30), (999, 1000), (1, 3))]
    ['100 %', '99 %', '33 %']
    """
    return f"{part * 100 // whole} %" if whole else NOTHING


def counted(count: int, noun: str) -> str:
    """Say how many there are.

    >>> counted(1, "job"), counted(2, "job")
    ('1 job', '2 jobs')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
