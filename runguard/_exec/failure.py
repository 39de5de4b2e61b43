"""What a command that failed leaves behind: its group, its reason and its message."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Final

from .._failure.alert import SEVERITY_OF
from .._failure.reason import reason_of_exit
from .._failure.tail import read_tail
from .._failure.tiers import Verdict
from .._models import ErrorGroup, ErrorReason, Failure
from .child import NOT_EXECUTABLE, NOT_FOUND
from .result import SIGNALLED, TIMED_OUT, CommandResult
from .stderr import LONGEST_TAIL

LONGEST_SHOWN: Final = 8 * 1024  # bytes of stderr in a message
LONGEST_HEADLINE: Final = 200
_KILLED: Final = SIGNALLED + signal.SIGKILL
_REASON_OF_CODE: Final = {
    NOT_EXECUTABLE: ErrorReason.FORBIDDEN,
    NOT_FOUND: ErrorReason.NOT_FOUND,
}


def failure_of(
    result: CommandResult, tail: bytes, length: int, *, clean: Callable[..., str]
) -> Failure:
    """Sort a failed command by the end of its stderr, which was `length` bytes long in all."""
    text = tail.decode(errors="replace")
    if length > len(tail) and "\n" in text:
        text = text.partition("\n")[2]  # half a line says half of what it said
    # Secrets are hidden before anything is cut, so that no half of one is left.
    cleaned = clean(text, limit=4 * LONGEST_TAIL).strip()
    verdict = _verdict_on(result, read_tail(text).verdict)
    return _failure(verdict, result, _message(result.words, cleaned, length))


def unread_failure(result: CommandResult) -> Failure:
    """Return what is sure of a failed command where its stderr could not be read."""
    said = Verdict(ErrorGroup.UNKNOWN, None, "nothing: its stderr could not be read")
    return _failure(_verdict_on(result, said), result, result.words)


def _failure(verdict: Verdict, result: CommandResult, message: str) -> Failure:
    return Failure(
        error_group=verdict.group,
        severity=SEVERITY_OF[verdict.group],
        http_status_code=verdict.http_status_code,
        error_type=result.error_type,
        error_message=message,
        matched_by=verdict.matched_by,
        error_reason=verdict.reason,
    )


def _verdict_on(result: CommandResult, said: Verdict) -> Verdict:
    """Weigh how a command ended, which is sure, against what its stderr said."""
    if result.timed_out:
        return Verdict(ErrorGroup.TIMEOUT, None, "--timeout", ErrorReason.TIME_LIMIT)
    if said.group is ErrorGroup.LOCK_CONFLICT:
        return said
    code = result.exit_code
    ended_by = reason_of_exit(code)
    if result.by_timeout_command and code == TIMED_OUT:
        return Verdict(
            ErrorGroup.TIMEOUT, None, "exit code 124 of timeout(1)", ErrorReason.TIME_LIMIT
        )
    # It could not say any more what killed it: its last words were of something else.
    if code == _KILLED or ended_by is ErrorReason.CRASHED:
        is_told = said.reason in (ErrorReason.OUT_OF_MEMORY, ErrorReason.CRASHED)
        reason = said.reason if is_told else ended_by
        return Verdict(ErrorGroup.UNKNOWN, None, f"how it ended: {result.words}", reason)
    if said.group is ErrorGroup.UNKNOWN and said.reason is None:
        if code == TIMED_OUT:  # by convention, also where a shell called timeout(1)
            return Verdict(ErrorGroup.TIMEOUT, None, "exit code 124", ErrorReason.TIME_LIMIT)
        return said._replace(reason=_REASON_OF_CODE.get(code, ended_by))
    return said


def _message(words: str, cleaned: str, length: int) -> str:
    """Say how it ended, with the line of its stderr that says why; then the end of all of it."""
    headline = read_tail(cleaned).headline[:LONGEST_HEADLINE]
    first = f"{words}: {headline}" if headline else words
    if cleaned in ("", headline):
        return first
    shown = cleaned.encode()[-LONGEST_SHOWN:].decode(errors="ignore")
    if len(shown) == len(cleaned):
        return f"{first}\n\n{shown}"
    shown = shown.partition("\n")[2] or shown
    return f"{first}\n\n[the end of {length:,} bytes of stderr]\n{shown}"
