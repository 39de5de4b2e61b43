"""The tiers of evidence, in order: the first that says something decides.

1. the user's own rules;
2. `job_lock active` in any text of the chain;
3. the exception's own type and attributes;
4. the same for what stands behind it, nearest first (what stands equally near counts as one);
5. its text, then the texts of the chain.

Inside a tier an HTTP status comes before a timeout. Loaded when a failure is sorted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final, NamedTuple

from .._models import NO_RULE_MATCHED, ErrorGroup, Rule
from .._reasons import ErrorReason
from . import word_stems as stems
from .exception_evidence import (
    carried_status,
    http_status,
    page_in,
    sqlstate,
    text_is_not_http,
    text_tells_no_timeout,
    timeout_evidence,
)
from .introspection import LONGEST_TEXT, qualified_name, text_of
from .pieces import LONGEST as LONGEST_LOOKED_UP
from .pieces import PieceIndex
from .reason import reason_in, reason_of, timeout_reason_in
from .text_evidence import HINTS as HINTS_OF_STATUSES
from .text_evidence import holds_job_lock, holds_number, status_in
from .text_timeouts import HINTS as HINTS_OF_TIMEOUTS
from .text_timeouts import timeout_in
from .type_names import type_names

LONGEST_TEXTS: Final = 8 * LONGEST_TEXT  # of a whole chain: a group may hold many

# The exception, what stands directly behind it, and so on: neighbours at one distance are equals.
Levels = Sequence[Sequence[BaseException]]
Texts = Sequence[Sequence[str]]


class Verdict(NamedTuple):
    """A group, the HTTP status that goes with it, which rule decided, and the reason.

    `depth` is how far behind the exception stands what decided, None where nothing did; `own_rule`
    is the number of the user's rule, if one decided.
    """

    group: ErrorGroup
    http_status_code: int | None
    matched_by: str
    reason: ErrorReason | None = None
    depth: int | None = 0
    own_rule: int | None = None


def verdict_of(levels: Levels, rules: Sequence[Rule]) -> Verdict:
    """Ask the tiers about an exception and its chain, as `levels_of` has found it."""
    texts = _texts(levels)
    verdict = next(_tiers(levels, texts, rules))
    reason = reason_of(
        verdict.group,
        verdict.http_status_code,
        levels,
        (text for level in texts for text in level),
    )
    return verdict._replace(reason=reason)


def verdict_of_text(text: str, http_status_code: object = None) -> Verdict:
    """Ask the tiers about a text, with a status as typed evidence."""
    beginning = text[:LONGEST_TEXT]
    if holds_job_lock(beginning):
        verdict = Verdict(ErrorGroup.LOCK_CONFLICT, 409, "text: job_lock active")
    elif status := http_status(http_status_code):
        verdict = by_status(status, "the status given to fail()")
    else:
        verdict = _by_text([beginning], [beginning], 0) or unknown()
    reason = reason_of(verdict.group, verdict.http_status_code, (), [beginning])
    return verdict._replace(reason=reason)


def _tiers(levels: Levels, texts: Texts, rules: Sequence[Rule]) -> Iterator[Verdict]:
    """Yield what each tier says, in order; the first counts."""
    yield from _own_rules(levels, rules)
    for distance, level in enumerate(texts):
        if any(holds_job_lock(text) for text in level):
            matched_by = "text: job_lock active"
            yield Verdict(ErrorGroup.LOCK_CONFLICT, 409, matched_by, depth=distance)
    for distance, level_of_exceptions in enumerate(levels):
        yield from _by_evidence(level_of_exceptions, distance)
    yield from _by_texts(levels, texts)
    yield unknown()


def _texts(levels: Levels) -> list[list[str]]:
    """Read each text once, since a `__str__` may answer differently the next time."""
    left = LONGEST_TEXTS
    texts: list[list[str]] = []
    for level in levels:
        texts.append([])
        for exc in level:
            text = text_of(exc)[:left]
            left -= len(text)
            texts[-1].append(text)
    return texts


def _own_rules(levels: Levels, rules: Sequence[Rule]) -> Iterator[Verdict]:
    for number, rule in enumerate(rules, start=1):
        for distance, level in enumerate(levels):
            if any(_matches(rule, exc) for exc in level):
                group = ErrorGroup(rule.error_group)
                status = http_status(rule.http_status_code)
                if status is None and group in (ErrorGroup.HTTP_409, ErrorGroup.LOCK_CONFLICT):
                    status = 409
                yield Verdict(group, status, f"own rule {number}", depth=distance, own_rule=number)


def _matches(rule: Rule, exc: BaseException) -> bool:
    match = rule.match
    try:
        if isinstance(match, str):
            return match in type_names(exc)
        if isinstance(match, type):
            return issubclass(type(exc), match)
        return bool(match(exc))
    except BaseException:  # a predicate that fails says no, whatever it raises
        return False


def _by_evidence(level: Sequence[BaseException], distance: int) -> Iterator[Verdict]:
    """Read types and attributes: of neighbours at one distance, a status before a timeout."""
    for exc in level:
        if (carried := carried_status(exc)) is not None:
            status, place = carried
            name = qualified_name(type(exc))
            yield by_status(status, f"{place} = {status} of {name}", distance)
    for exc in level:
        if (timeout := timeout_evidence(exc)) is not None:
            yield Verdict(ErrorGroup.TIMEOUT, None, f"{timeout}, a timeout", depth=distance)


def _by_texts(levels: Levels, texts: Texts) -> Iterator[Verdict]:
    # A database's message quotes its users' data: numbers in it are no answers of an upstream.
    is_sql = any(sqlstate(exc) for level in levels for exc in level)
    tells_no_timeout = is_sql and any(
        text_tells_no_timeout(exc) for level in levels for exc in level if sqlstate(exc)
    )
    for distance, (level, texts_of_level) in enumerate(zip(levels, texts, strict=True)):
        for exc in level:
            if (page := page_in(exc)) is not None:
                yield by_status(page[0], f"page: {page[1]!r}", distance)
        both = list(zip(level, texts_of_level, strict=True))
        may_hold_status = [
            _with_its_type(type(exc), text)
            for exc, text in both
            if not is_sql and not text_is_not_http(exc)
        ]
        may_tell_timeout = [
            text for exc, text in both if not tells_no_timeout and not text_tells_no_timeout(exc)
        ]
        verdict = _by_text(may_hold_status, may_tell_timeout, distance)
        if verdict is not None:
            yield verdict


def told_by(cls: type, text: str, group: ErrorGroup) -> tuple[object, ...]:
    """Return what the text of an exception tells that is of this type and was sorted so.

    Exceptions that differ in their text alone, and tell the same, are sorted alike.
    """
    if is_silent(text):
        return False, None, None, None
    reason = timeout_reason_in if group is ErrorGroup.TIMEOUT else reason_in
    status = status_in(_with_its_type(cls, text))
    return holds_job_lock(text), status, timeout_in(text), reason(text)


def is_silent(text: str) -> bool:
    """Whether a short text tells nothing: it holds no piece of what any expression looks for."""
    return (
        len(text) <= LONGEST_LOOKED_UP
        and text.isascii()
        and not text.lstrip("(")[:1].isdigit()  # which may belong to the type's name
        and not holds_number(text)
        and not _telling().found_in(text.lower())
    )


@cache
def _telling() -> PieceIndex:
    tables = stems.OF_REASONS, stems.OF_TIMEOUTS, stems.SAID_OTHERWISE
    of_expressions = [stem for table in tables for row in table.rows for stem in row]
    return PieceIndex([(*of_expressions, *HINTS_OF_TIMEOUTS, *HINTS_OF_STATUSES)])


def _with_its_type(cls: type, text: str) -> str:
    """Put the type's name before a text that begins with a number: a traceback shows both."""
    if not text.lstrip("(")[:1].isdigit():
        return text
    name = qualified_name(cls)
    if "." not in name:  # one of Python's own says nothing of a number
        return text
    return f"{name}{text}" if text.startswith("(") else f"{name}: {text}"


def _by_text(
    may_hold_status: Sequence[str], may_tell_timeout: Sequence[str], distance: int
) -> Verdict | None:
    for text in may_hold_status:
        if (said := status_in(text)) is not None:
            status, words = said
            return by_status(status, f"text: {words!r}", distance)
    for text in may_tell_timeout:
        if (words_of_timeout := timeout_in(text)) is not None:
            matched_by = f"text: {words_of_timeout!r}"
            return Verdict(ErrorGroup.TIMEOUT, None, matched_by, depth=distance)
    return None


def by_status(status: int, matched_by: str, distance: int = 0) -> Verdict:
    """Return the verdict on an HTTP status."""
    if status == 409:
        group = ErrorGroup.HTTP_409
    else:
        group = ErrorGroup.HTTP_5XX if status >= 500 else ErrorGroup.HTTP_4XX
    return Verdict(group, status, matched_by, depth=distance)


def unknown() -> Verdict:
    """Return the verdict where nothing said anything."""
    return Verdict(ErrorGroup.UNKNOWN, None, NO_RULE_MATCHED, depth=None)
