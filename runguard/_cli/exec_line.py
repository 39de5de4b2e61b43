"""The usual line of `runguard exec`, read without Typer: cron starts it thousands of times a day.

Typer stays the judge: what is not plain here (help, a mistake, a form that hardly anybody types)
is left to it, and a test compares the two readers on lines of every kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from .._monitor.filters import read_duration
from .._settings import MOST_FAILURES_TO_ALERT
from .lengths import read_cooldown, read_length

LARGEST_EXIT_CODE: Final = 255
_SEPARATOR: Final = "--"


class _NotPlain(ValueError):
    """The line is left to Typer."""


def _number(most: int) -> Callable[[str], int]:
    """Return a reader of a whole number from 1 on."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= most):
            raise _NotPlain
        return int(text)

    return read


# Options by the names of their parameters.
_FLAGS: Final = frozenset(
    {"lock", "skip_if_locked", "quiet_when_suppressed", "keep_stdout_tail", "keep_env"}
)
_REPEATED: Final = frozenset({"note", "ok_exit"})
_READERS: Final[dict[str, Callable[[str], Any]]] = {
    **dict.fromkeys(
        ("trigger", "environment", "note", "cron", "calendar", "tz", "database_url"), str
    ),
    **dict.fromkeys(("timeout", "kill_after", "wait_lock"), read_duration),
    **dict.fromkeys(("lock_ttl", "store_timeout", "every", "grace", "max_runtime"), read_length),
    "cooldown": read_cooldown,
    "failures_to_alert": _number(MOST_FAILURES_TO_ALERT),
    "ok_exit": _number(LARGEST_EXIT_CODE),
}


def read_plain(line: Sequence[str]) -> dict[str, Any] | None:
    """Read the arguments of `runguard exec`; None where Typer has to.

    Returns:
        The arguments of `execution.execute` that the line names.
    """
    if _SEPARATOR not in line:
        return None
    end = line.index(_SEPARATOR)
    command = list(line[end + 1 :])
    try:
        given = _read_options(line[:end])
    except (ValueError, OverflowError):  # Typer says what is wrong
        return None
    return {**given, "command": command} if command and "job" in given else None


def _read_options(words: Sequence[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            if not word or "job" in given:
                raise _NotPlain
            given["job"] = word
            continue
        option, equals, value = word.partition("=")
        name = option.removeprefix("--").replace("-", "_")
        if f"--{name.replace('_', '-')}" != option:
            raise _NotPlain
        if name in _FLAGS and not equals:
            given[name] = True
            continue
        if name not in _READERS:
            raise _NotPlain
        text = value if equals else next(rest, "")
        if not text or text.startswith("-"):
            raise _NotPlain
        read = _READERS[name](text)
        given[name] = [*given.get(name, ()), read] if name in _REPEATED else read
    return given
