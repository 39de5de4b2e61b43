"""What the end of a command's stderr says: which statement decides, and which is the headline.

The last statement that says something decides: a status, a timeout, or a reason that is sure to be
something else. An earlier warning of a retry does not, where the command went on to other things;
nor does what stands before the traceback that ended a Python program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from .._models import ErrorGroup
from .._reasons import ErrorReason
from . import known_types as known
from . import tail_words as words
from .exception_evidence import is_named_timeout
from .introspection import LONGEST_TEXT
from .reason import reason_in, reason_of, reason_of_name
from .text_evidence import holds_job_lock, status_in
from .text_timeouts import timeout_in
from .tiers import Verdict, by_status, unknown

_MOST_LINES: Final = 2000  # from the end
_LONGEST_LINE: Final = 8 * 1024
_LONGEST_STATEMENT: Final = 16 * 1024
_URL: Final = r"https?://[^\s\"'<>]{1,500}"
# Of these modules the numbers in a message are no answers of an HTTP server.
_NOT_HTTP_MODULES: Final = (
    *(name.rpartition(".")[0] + "." for name in sorted(known.NOT_HTTP)),
    *("psycopg.", "psycopg2.", "asyncpg.", "aiomysql.", "mysql.", "pymssql.", "django.db."),
)


class Tail(NamedTuple):
    """What decided, and the line that says it best."""

    verdict: Verdict
    headline: str


class _Statement(NamedTuple):
    """A line with those that continue it."""

    text: str
    headline: str
    ends_traceback: bool  # it is the exception below a Python traceback
    begins_chain: bool  # and that traceback follows from no other


def read_tail(text: str) -> Tail:
    r"""Return what the end of a stderr decides, and its headline.

    >>> read_tail("HTTP 503, will retry\nKeyError: 'row'\n").verdict.reason.value
    'bug'
    >>> read_tail("curl: (22) The requested URL returned error: 503\nGiving up.\n").headline
    'curl: (22) The requested URL returned error: 503'
    """
    statements = list(_statements(text[-2 * LONGEST_TEXT :]))
    if holds_job_lock(text):
        lock = Verdict(
            ErrorGroup.LOCK_CONFLICT, 409, "text: job_lock active", ErrorReason.LOCK_HELD
        )
        told = [one.headline for one in statements if holds_job_lock(one.text)]
        return Tail(lock, told[-1] if told else _last_line(text))
    return _Walk().over(statements) or Tail(unknown(), _last_line(text))


class _Walk:
    """The way from the last statement back to the first, until one decides."""

    def __init__(self) -> None:
        self._warning: Tail | None = None  # of a retry, after which nothing came
        self._consequence: Tail | None = None
        self._told: str | None = None  # the last line that says something that nobody knows
        self._generic: str | None = None  # and the last that only gives up
        self._recovered: set[str] = set()  # addresses that answered well later
        self._is_bounded = False  # by the traceback that ended the program

    def over(self, statements: Sequence[_Statement]) -> Tail | None:
        """Return what decides; else the line that says most."""
        for statement in reversed(statements):
            if (decided := self._look_at(statement)) is not None:
                return decided
            if self._is_bounded and statement.begins_chain:
                break
        if self._told is None and (self._warning or self._consequence):
            return self._warning or self._consequence
        headline = self._told or self._generic
        return None if headline is None else Tail(unknown(), headline)

    def _look_at(self, statement: _Statement) -> Tail | None:
        line = statement.headline
        if _matches(words.CONSEQUENCE, line):
            self._consequence = self._consequence or Tail(_verdict_of(statement), line)
            return None
        if _pattern(words.SUCCESS).search(line):
            self._recovered |= set(_urls(line)) or {""}
            return None
        verdict = _verdict_of(statement)
        if verdict.group is ErrorGroup.UNKNOWN and not _is_definite(verdict.reason):
            self._remember(statement)
            return None
        is_warning = _is_retry(statement.text)
        if (is_warning and self._told is not None) or self._has_recovered(line, is_warning):
            return None
        if is_warning and verdict.group is ErrorGroup.UNKNOWN:
            self._warning = self._warning or Tail(verdict, line)
            return None
        return Tail(verdict, line)

    def _remember(self, statement: _Statement) -> None:
        """Keep a line that says nothing that anybody knows, for the headline."""
        if _is_generic(statement.headline):
            self._generic = self._generic or statement.headline
        elif not _is_retry(statement.text):
            self._told = self._told or statement.headline
            self._is_bounded = self._is_bounded or statement.ends_traceback

    def _has_recovered(self, line: str, is_warning: bool) -> bool:  # noqa: FBT001
        """Whether a later line tells that the same request went well."""
        if not self._recovered:
            return False
        urls = _urls(line)
        if urls:
            return not self._recovered.isdisjoint(urls)
        return is_warning or "" in self._recovered


def _statements(text: str) -> Iterator[_Statement]:
    """Yield statements in order, without frames, hints and ornaments."""
    head: list[str] = []
    ends_traceback = is_chained = in_traceback = False
    begins_chain = False
    for line, is_source in _lines(text):
        stripped = line.strip()
        lower = stripped.lower()
        if lower.startswith(words.TRACEBACK):
            if head:
                yield _statement(head, ends_traceback, begins_chain)
            head, in_traceback = [], True
            ends_traceback, begins_chain, is_chained = False, not is_chained, False
            continue
        if lower.startswith(words.CHAINED):
            is_chained = True
            continue
        if in_traceback and line[:1].isspace():
            continue
        if is_source or _pattern(words.FRAMES).match(line) or _matches(words.NOISE, stripped):
            continue
        if head and not in_traceback and _continues(line):
            head.append(line)
            continue
        if head:
            yield _statement(head, ends_traceback, begins_chain)
        head = [line]
        ends_traceback, in_traceback = in_traceback, False
        begins_chain = begins_chain and ends_traceback
    if head:
        yield _statement(head, ends_traceback, begins_chain)


def _continues(line: str) -> bool:
    return (
        line[:1].isspace()
        or line[0] in ",}])"
        or line.startswith(("* ", "- ", "\u2022 "))
        or _pattern(words.CONTINUES).fullmatch(line) is not None
    )


def _statement(lines: Sequence[str], ends_traceback: bool, begins_chain: bool) -> _Statement:  # noqa: FBT001
    text = "\n".join(lines)[:_LONGEST_STATEMENT]
    return _Statement(text, lines[0].strip(), ends_traceback, begins_chain)


def _lines(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the last lines, each with whether it is source code that a caret points at."""
    plain = _pattern(words.ANSI).sub("", text)
    lines = [_bounded(line).rstrip() for line in plain.splitlines()[-_MOST_LINES:]]
    lines = [
        _pattern(words.MARGIN).sub("", line, count=1) if _has_margin(line) else line
        for line in lines
    ]
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        if line.strip():
            pointer = following.strip()
            yield line, bool(pointer) and set(pointer) <= {"^", "~"}


def _bounded(line: str) -> str:
    """Leave the middle out of a line that is too long: its begin or its end says why."""
    if len(line) <= _LONGEST_LINE:
        return line
    half = _LONGEST_LINE // 2
    return f"{line[:half]} ... {line[-half:]}"


def _has_margin(line: str) -> bool:
    return _pattern(words.MARGIN).match(line) is not None


def _verdict_of(statement: _Statement) -> Verdict:
    """Sort one statement: by the type that a traceback names, then by its words."""
    text = statement.text
    named = _pattern(words.EXCEPTION).match(statement.headline.strip())
    name = named[1] if named is not None else ""
    verdict = unknown()
    if name in known.STATUS_OF_TYPE:
        verdict = by_status(known.STATUS_OF_TYPE[name], f"type {name}")
    elif not name.startswith(_NOT_HTTP_MODULES) and (said := status_in(text)) is not None:
        verdict = by_status(said[0], f"text: {said[1]!r}")
    elif name in known.TIMEOUT_TYPES or is_named_timeout(name):
        verdict = Verdict(ErrorGroup.TIMEOUT, None, f"type {name}, a timeout")
    elif (words_of_timeout := timeout_in(text)) is not None:
        verdict = Verdict(ErrorGroup.TIMEOUT, None, f"text: {words_of_timeout!r}")
    reason = reason_of(verdict.group, verdict.http_status_code, (), [text])
    if verdict.group is ErrorGroup.UNKNOWN:
        reason = _reason_of(name, text)
    return verdict._replace(reason=reason)


def _reason_of(name: str, text: str) -> ErrorReason | None:
    """Ask the name of a type before the words, but for what JavaScript keeps in its cause."""
    cause = _pattern(words.CAUSE).search(text)
    if cause is not None and (reason := reason_in(cause[1])) is not None:
        return reason
    if _pattern(words.NOT_JSON).match(text):
        return ErrorReason.DATA
    if _pattern(words.FETCH_FAILED).match(text):
        return reason_in(text.partition(":")[2])
    return reason_of_name(name) or reason_in(text)


def _is_definite(reason: ErrorReason | None) -> bool:
    return reason not in (None, ErrorReason.EXIT_CODE)


def _is_retry(text: str) -> bool:
    """Whether it is to be tried again: `attempt 1/3 failed`, unlike `attempt 3/3 failed`."""
    attempt = _pattern(words.ATTEMPT).search(text)
    if attempt is not None:
        return int(attempt[1]) < int(attempt[2])
    return _pattern(words.RETRY).search(text) is not None


def _urls(line: str) -> list[str]:
    return _pattern(_URL).findall(line)


def _is_generic(line: str) -> bool:
    """Whether a line says only that it failed: `sync failed, giving up after 3 attempts`."""
    said = re.findall(r"[a-z!-]{1,40}", line.lower())
    return all(word.strip("-") in words.GENERIC_WORDS or len(word) == 1 for word in said)


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2].strip()[:_LONGEST_LINE]


def _matches(expressions: Sequence[str], line: str) -> bool:
    return any(_pattern(expression).fullmatch(line) for expression in expressions)


@cache
def _pattern(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.IGNORECASE)
