"""Sorting a failure into one of six groups (SPEC 4): ordered tiers, and one pure function.

The first tier that says something decides; inside a tier an HTTP status comes before a timeout:

1. the user's own rules;
2. `job_lock active` in any text of the chain;
3. the exception's own type and attributes;
4. the same for what stands behind it, nearest first (what stands equally near counts as one);
5. its text, then the texts of the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from .._models import ErrorGroup, Failure, Rule
from .alert import SEVERITY_OF
from .exception_evidence import (
    carried_status,
    http_status,
    sqlstate,
    text_is_not_http,
    timeout_evidence,
    type_names,
)
from .introspection import LONGEST_TEXT, levels_of, message_of, qualified_name, text_of
from .text_evidence import holds_job_lock, status_in, timeout_in

LONGEST_REASON: Final = 200
LONGEST_TEXTS: Final = 8 * LONGEST_TEXT  # of a whole chain: a group may hold many
DECLARED: Final = "runguard.Run.fail"  # the type of a failure that was declared, not raised


# The exception, what stands directly behind it, and so on: neighbours at one distance are equals.
Levels = Sequence[Sequence[BaseException]]


class Verdict(NamedTuple):
    """A group, the HTTP status that goes with it, and which rule decided."""

    group: ErrorGroup
    http_status_code: int | None
    matched_by: str


def classify(
    exc: BaseException, *, rules: Sequence[Rule] = (), clean: Callable[[str], str]
) -> Failure:
    """Sort an exception. Never raises, whatever the exception's methods and properties do.

    Args:
        exc: any exception.
        rules: the user's own, asked in order before all others.
        clean: what the text passes through before it is kept: redaction and cutting.
    """
    verdict = next(_tiers(list(levels_of(exc)), rules))
    return _failure(verdict, qualified_name(type(exc)), clean(message_of(exc)))


def classify_text(
    text: str, *, http_status_code: int | None = None, clean: Callable[[str], str]
) -> Failure:
    """Sort a failure that was declared in words, with the status as typed evidence."""
    beginning = text[:LONGEST_TEXT]
    if holds_job_lock(beginning):
        verdict = Verdict(ErrorGroup.LOCK_CONFLICT, 409, "text: job_lock active")
    elif status := http_status(http_status_code):
        verdict = _by_status(status, "the status given to fail()")
    else:
        verdict = _by_text([beginning], [beginning], "") or _unknown()
    return _failure(verdict, DECLARED, clean(DECLARED if text.isspace() or not text else text))


def _tiers(levels: Levels, rules: Sequence[Rule]) -> Iterator[Verdict]:
    """Yield what each tier says, in order; the first counts."""
    yield from _own_rules(levels, rules)
    texts = _texts(levels)
    for distance, level in enumerate(texts):
        if any(holds_job_lock(text) for text in level):
            yield Verdict(ErrorGroup.LOCK_CONFLICT, 409, f"{_place(distance)}text: job_lock active")
    for distance, level_of_exceptions in enumerate(levels):
        yield from _by_evidence(level_of_exceptions, _place(distance))
    # A database's message quotes its users' data: numbers in it are no answers of an upstream.
    is_sql = any(sqlstate(exc) for level in levels for exc in level)
    for distance, level in enumerate(texts):
        may_hold_status = [
            text
            for exc, text in zip(levels[distance], level, strict=True)
            if not is_sql and not text_is_not_http(exc)
        ]
        verdict = _by_text(may_hold_status, level, _place(distance))
        if verdict is not None:
            yield verdict
    yield _unknown()


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
                yield Verdict(group, status, f"{_place(distance)}own rule {number}")


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


def _by_evidence(level: Sequence[BaseException], where: str) -> Iterator[Verdict]:
    """Read types and attributes: of neighbours at one distance, a status before a timeout."""
    for exc in level:
        if (carried := carried_status(exc)) is not None:
            status, place = carried
            name = qualified_name(type(exc))
            yield _by_status(status, f"{where}{place} = {status} of {name}")
    for exc in level:
        if (timeout := timeout_evidence(exc)) is not None:
            yield Verdict(ErrorGroup.TIMEOUT, None, f"{where}{timeout}, a timeout")


def _by_text(
    may_hold_status: Sequence[str], all_texts: Sequence[str], where: str
) -> Verdict | None:
    for text in may_hold_status:
        if (said := status_in(text)) is not None:
            status, words = said
            return _by_status(status, f"{where}text: {words!r}")
    for text in all_texts:
        if (words_of_timeout := timeout_in(text)) is not None:
            return Verdict(ErrorGroup.TIMEOUT, None, f"{where}text: {words_of_timeout!r}")
    return None


def _by_status(status: int, matched_by: str) -> Verdict:
    if status == 409:
        return Verdict(ErrorGroup.HTTP_409, status, matched_by)
    group = ErrorGroup.HTTP_5XX if status >= 500 else ErrorGroup.HTTP_4XX
    return Verdict(group, status, matched_by)


def _unknown() -> Verdict:
    return Verdict(ErrorGroup.UNKNOWN, None, "no rule matched")


def _place(distance: int) -> str:
    """Say how far behind the exception something stands: nothing for the exception itself."""
    return f"behind it ({distance}): " if distance else ""


def _failure(verdict: Verdict, error_type: str, error_message: str) -> Failure:
    return Failure(
        error_group=verdict.group,
        severity=SEVERITY_OF[verdict.group],
        http_status_code=verdict.http_status_code,
        error_type=error_type[:LONGEST_REASON],
        error_message=error_message,
        matched_by=verdict.matched_by[:LONGEST_REASON],
    )
