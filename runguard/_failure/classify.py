"""Sorting a failure into one of six groups, and naming its reason: pure functions.

What they ask, tier by tier, is in `tiers`. It is loaded with the first failure, so that a
job that succeeds never pays for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from .._models import ErrorGroup, Failure, Rule
from .alert import SEVERITY_OF
from .introspection import levels_of, message_of, qualified_name

if TYPE_CHECKING:
    from .tiers import Verdict

LONGEST_REASON: Final = 200
DECLARED: Final = "runguard.Run.fail"  # the type of a failure that was declared, not raised


def classify(
    exc: BaseException, *, rules: Sequence[Rule] = (), clean: Callable[[str], str]
) -> Failure:
    """Sort an exception, whatever its methods and properties do.

    Args:
        exc: any exception.
        rules: the user's own, asked in order before all others.
        clean: what the text passes through before it is kept: redaction and cutting.

    Raises:
        TypeError: it is none.
    """
    if not issubclass(type(exc), BaseException):
        raise TypeError(f"classify: expected an exception, found {exc!r:.80}")
    error_type, error_message = qualified_name(type(exc)), clean(message_of(exc))
    try:
        from .tiers import verdict_of
    except Exception as error:  # no file can be opened any more, or Python shuts down
        return _unsorted(error_type, error_message, error)
    levels = list(levels_of(exc))
    failure = _failure(verdict_of(levels, rules), error_type, error_message)
    upstream = _upstream_of(exc, levels)
    return failure if upstream is None else replace(failure, upstream=clean(upstream))


def _upstream_of(exc: BaseException, levels: list[list[BaseException]]) -> str | None:
    try:
        from .upstream import upstream_of

        return upstream_of(exc, levels)
    except Exception:  # the failure is sorted all the same
        return None


def classify_text(
    text: str, *, http_status_code: int | None = None, clean: Callable[[str], str]
) -> Failure:
    """Sort a failure that was declared in words, with the status as typed evidence."""
    error_message = clean(DECLARED if text.isspace() or not text else text)
    try:
        from .tiers import verdict_of_text
    except Exception as error:
        return _unsorted(DECLARED, error_message, error)
    return _failure(verdict_of_text(text, http_status_code), DECLARED, error_message)


def _failure(verdict: Verdict, error_type: str, error_message: str) -> Failure:
    return Failure(
        error_group=verdict.group,
        severity=SEVERITY_OF[verdict.group],
        http_status_code=verdict.http_status_code,
        error_type=error_type[:LONGEST_REASON],
        error_message=error_message,
        matched_by=verdict.matched_by[:LONGEST_REASON],
        error_reason=verdict.reason,
        matched_depth=verdict.depth,
        matched_rule=verdict.own_rule,
    )


def _unsorted(error_type: str, error_message: str, error: Exception) -> Failure:
    group = ErrorGroup.UNKNOWN
    return Failure(
        error_group=group,
        severity=SEVERITY_OF[group],
        http_status_code=None,
        error_type=error_type[:LONGEST_REASON],
        error_message=error_message,
        matched_by=f"nothing: the rules could not be loaded ({type(error).__name__})",
    )
