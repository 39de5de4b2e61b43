"""Failures that no rule sorts: which are common, and the rule of your own that would sort them."""

from __future__ import annotations

import builtins
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from .._frozen import frozen
from .._models import ErrorGroup
from .._reasons import ErrorReason
from .records import RunRecord

LONGEST_MASKED: Final = 160
LEAST_PHRASE: Final = 8  # characters of a text that a rule may look for
_LONGEST_READ: Final = 2_000
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)

_MASKS: Final = (
    (re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"), "…"),
    (re.compile(r"'[^'\n]{0,500}'"), "'…'"),
    (re.compile(r'"[^"\n]{0,500}"'), '"…"'),
    (re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s'\"<>]{1,500}"), "…"),
    (re.compile(r"(?<![\w…])~?/[\w.@+-][^\s'\":,;()]{0,500}"), "…"),
    (re.compile(r"\b(?=[0-9a-fA-F]*\d)(?=[0-9a-fA-F]*[a-fA-F])[0-9a-fA-F]{8,}\b"), "…"),
    (re.compile(r"\d+(?:[.,:]\d+)*"), "…"),
    (re.compile(r"…(?:[-_/.:]?…)+"), "…"),
)
# What a reason says of the group; the others leave it to the reader.
_GROUP_OF: Final[dict[str, ErrorGroup]] = {
    **dict.fromkeys(
        (
            *(ErrorReason.REFUSED, ErrorReason.RESET, ErrorReason.DNS, ErrorReason.UNREACHABLE),
            *(ErrorReason.OVERLOADED, ErrorReason.SERVER_ERROR, ErrorReason.BAD_GATEWAY),
        ),
        ErrorGroup.HTTP_5XX,
    ),
    **dict.fromkeys(
        (
            *(ErrorReason.AUTH, ErrorReason.FORBIDDEN, ErrorReason.NOT_FOUND),
            *(ErrorReason.INVALID_REQUEST, ErrorReason.TOO_LARGE, ErrorReason.RATE_LIMITED),
        ),
        ErrorGroup.HTTP_4XX,
    ),
    ErrorReason.TIME_LIMIT: ErrorGroup.TIMEOUT,
}


@frozen
class UnknownFailure:
    """Failures of one kind that no rule sorts.

    Attributes:
        error_type: the exception's qualified type; `exit code 3` of a command.
        message: the first line, with numbers, ids, names in quotes, paths and addresses as `…`.
        failures: how many there were.
        jobs: whose they were, in the order of the alphabet.
        last_failure_at: when the newest began; None where no row says so.
        example_run: the newest one's run.
        error_reason: what is known of it, such as `refused`; None where nothing is.
        rule: Python that sorts it, to be put into `configure(rules=[…])`; None where a rule
            cannot, since the failure is no exception. Its group is a proposal.
    """

    error_type: str
    message: str
    failures: int
    jobs: tuple[str, ...]
    last_failure_at: datetime | None
    example_run: int
    error_reason: str | None
    rule: str | None


def is_unknown(run: RunRecord) -> bool:
    """Whether a run failed with something that no rule sorts."""
    return run.error_group == ErrorGroup.UNKNOWN and run.matched_by == "no rule matched"


def masked(text: str) -> str:
    r"""Return the first line of a message without what differs from one failure to the next.

    >>> masked("order 4711 of 'Kim' is locked\nDETAIL: …")
    "order … of '…' is locked"
    """
    line = text[:_LONGEST_READ].strip().partition("\n")[0].strip()
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return line if len(line) <= LONGEST_MASKED else f"{line[: LONGEST_MASKED - 1]}…"


class UnknownFailures:
    """Counts failures by kind, one run after the other."""

    def __init__(self) -> None:
        """Have counted none."""
        self._newest: dict[tuple[str, str], RunRecord] = {}
        self._failures: dict[tuple[str, str], int] = {}
        self._jobs: dict[tuple[str, str], set[str]] = {}

    def add(self, runs: Iterable[RunRecord]) -> None:
        """Count runs; those that some rule sorted are passed over."""
        for run in filter(is_unknown, runs):
            kind = (run.error_type or "", masked(run.error_message or ""))
            newest = self._newest.setdefault(kind, run)
            if (run.started_at or _LONG_AGO, run.id) > (newest.started_at or _LONG_AGO, newest.id):
                self._newest[kind] = run
            self._failures[kind] = self._failures.get(kind, 0) + 1
            self._jobs.setdefault(kind, set()).add(run.job_name)

    def commonest(self) -> list[UnknownFailure]:
        """Return the kinds, the commonest first."""
        found = [
            UnknownFailure(
                error_type=kind[0],
                message=kind[1],
                failures=self._failures[kind],
                jobs=tuple(sorted(self._jobs[kind])),
                last_failure_at=run.started_at,
                example_run=run.id,
                error_reason=run.error_reason,
                rule=rule_for(*kind, error_reason=run.error_reason),
            )
            for kind, run in self._newest.items()
        ]
        return sorted(found, key=lambda one: (-one.failures, one.error_type, one.message))


def rule_for(error_type: str, message: str, *, error_reason: str | None = None) -> str | None:
    """Return Python that sorts a kind of failure, or None where no rule can.

    >>> rule_for("billing.errors.Declined", "card … declined", error_reason="forbidden")
    "Rule('billing.errors.Declined', 'HTTP_4XX')"
    """
    group = _GROUP_OF.get(error_reason or "", ErrorGroup.HTTP_5XX)
    ending = f"{str(group)!r})"
    if not all(part.isidentifier() for part in error_type.split(".")):
        return None  # a command's exit, or a failure that was declared
    if error_type.startswith("runguard."):
        return None
    if not hasattr(builtins, error_type):
        return f"Rule({error_type!r}, {ending}"
    text = message.removeprefix(f"{error_type}: ")  # which stands before the key of a KeyError
    phrase = max(re.split("…|'|\"", text), key=len).strip()
    if len(phrase) < LEAST_PHRASE:
        return f"Rule({error_type!r}, {ending}"
    test = f"isinstance(exc, {error_type}) and {phrase!r} in str(exc)"
    return f"Rule(lambda exc: {test}, {ending}"
