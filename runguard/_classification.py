"""Sorting a failure into one of six groups (SPEC 4): ordered tiers, and one pure function.

The first tier that says something decides; inside a tier an HTTP status comes before a timeout:

1. the user's own rules;
2. `job_lock active` in any text of the chain;
3. the exception's own type and attributes;
4. the same for what stands behind it, nearest first;
5. its text, then the texts of the chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from ._alerting import SEVERITY_OF
from ._evidence import carried_status, http_status, sqlstate, timeout_evidence, type_names
from ._evidence_text import holds_job_lock, status_in, timeout_in
from ._exceptions import chain_of, message_of, qualified_name, text_of
from ._models import ErrorGroup, Failure, Rule

LONGEST_REASON: Final = 200
DECLARED: Final = "runguard.Run.fail"  # the type of a failure that was declared, not raised


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
    chain = (exc, *chain_of(exc))
    verdict = next(_tiers(chain, rules))
    return _failure(verdict, qualified_name(type(exc)), clean(message_of(exc)))


def classify_text(
    text: str, *, http_status_code: int | None = None, clean: Callable[[str], str]
) -> Failure:
    """Sort a failure that was declared in words, with the status as typed evidence."""
    if holds_job_lock(text):
        verdict = Verdict(ErrorGroup.LOCK_CONFLICT, 409, "text: job_lock active")
    elif status := http_status(http_status_code):
        verdict = _by_status(status, "the status given to fail()")
    else:
        verdict = _by_text(text, "text", may_hold_status=True) or _unknown()
    return _failure(verdict, DECLARED, clean(text) or DECLARED)


def _tiers(chain: Sequence[BaseException], rules: Sequence[Rule]) -> Iterator[Verdict]:
    """Yield what each tier says, in order; the first counts."""
    yield from _own_rules(chain, rules)
    for exc, where in _with_place(chain):
        if holds_job_lock(text_of(exc)):
            yield Verdict(ErrorGroup.LOCK_CONFLICT, 409, f"{where}text: job_lock active")
    for exc, where in _with_place(chain):
        yield from _by_evidence(exc, where)
    # A database's message quotes its users' data: numbers in it are no answers of an upstream.
    may_hold_status = not any(sqlstate(exc) for exc in chain)
    for exc, where in _with_place(chain):
        verdict = _by_text(text_of(exc), f"{where}text", may_hold_status=may_hold_status)
        if verdict is not None:
            yield verdict
    yield _unknown()


def _own_rules(chain: Sequence[BaseException], rules: Sequence[Rule]) -> Iterator[Verdict]:
    for number, rule in enumerate(rules, start=1):
        for exc, where in _with_place(chain):
            if _matches(rule, exc):
                group = ErrorGroup(rule.error_group)
                status = http_status(rule.http_status_code)
                if status is None and group in (ErrorGroup.HTTP_409, ErrorGroup.LOCK_CONFLICT):
                    status = 409
                yield Verdict(group, status, f"{where}own rule {number}")


def _matches(rule: Rule, exc: BaseException) -> bool:
    match = rule.match
    if isinstance(match, str):
        return match in type_names(exc)
    if isinstance(match, type):
        return issubclass(type(exc), match)
    try:
        return bool(match(exc))
    except Exception:  # a predicate that fails says no
        return False


def _by_evidence(exc: BaseException, where: str) -> Iterator[Verdict]:
    name = qualified_name(type(exc))
    if (carried := carried_status(exc)) is not None:
        status, place = carried
        yield _by_status(status, f"{where}{place} = {status} of {name}")
    if (timeout := timeout_evidence(exc)) is not None:
        yield Verdict(ErrorGroup.TIMEOUT, None, f"{where}{timeout}, a timeout")


def _by_text(text: str, where: str, *, may_hold_status: bool) -> Verdict | None:
    if may_hold_status and (said := status_in(text)) is not None:
        status, words = said
        return _by_status(status, f"{where}: {words!r}")
    if (words_of_timeout := timeout_in(text)) is not None:
        return Verdict(ErrorGroup.TIMEOUT, None, f"{where}: {words_of_timeout!r}")
    return None


def _by_status(status: int, matched_by: str) -> Verdict:
    if status == 409:
        return Verdict(ErrorGroup.HTTP_409, status, matched_by)
    group = ErrorGroup.HTTP_5XX if status >= 500 else ErrorGroup.HTTP_4XX
    return Verdict(group, status, matched_by)


def _unknown() -> Verdict:
    return Verdict(ErrorGroup.UNKNOWN, None, "no rule matched")


def _with_place(chain: Sequence[BaseException]) -> Iterator[tuple[BaseException, str]]:
    """Pair each member of a chain with where it stands: nothing for the exception itself."""
    for place, exc in enumerate(chain):
        yield exc, f"behind it ({place}): " if place else ""


def _failure(verdict: Verdict, error_type: str, error_message: str) -> Failure:
    return Failure(
        error_group=verdict.group,
        severity=SEVERITY_OF[verdict.group],
        http_status_code=verdict.http_status_code,
        error_type=error_type[:LONGEST_REASON],
        error_message=error_message,
        matched_by=verdict.matched_by[:LONGEST_REASON],
    )
