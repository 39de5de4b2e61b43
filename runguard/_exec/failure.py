"""What a command that failed leaves behind: its group, its reason and its message."""

from __future__ import annotations

import locale
import os
import re
import signal
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from .._events import LEVELS
from .._failure.alert import SEVERITY_OF
from .._failure.reason import reason_of_exit
from .._failure.tail import read_tail
from .._failure.throughout import Throughout
from .._failure.tiers import Verdict
from .._failure.traceback import fit, last_traceback
from .._models import ErrorGroup, Failure, RunNote
from .._monitor.wording import LONGEST_QUOTED
from .._reasons import ErrorReason
from .._run.log_tail import last_lines
from .._settings import Settings
from .child import NOT_EXECUTABLE, NOT_FOUND
from .result import SIGNALLED, TIMED_OUT, CommandResult, Output
from .streams import LONGEST_TAIL

LONGEST_SHOWN: Final = 8 * 1024  # bytes of what it said in a message
LONGEST_HALF_LINE: Final = 8 * 1024  # characters of a line that was too long to be kept whole
CUT: Final = "..."
_ASCII: Final = frozenset({"ANSI_X3.4-1968", "ASCII", "US-ASCII", "646"})
_KILLED: Final = SIGNALLED + signal.SIGKILL
_REASON_OF_CODE: Final = {
    NOT_EXECUTABLE: ErrorReason.FORBIDDEN,
    NOT_FOUND: ErrorReason.NOT_FOUND,
}
# What runguard logs where the command is itself a tracked program: no error of the command's.
_OWN_LINE: Final = re.compile(rf"^.*(?<![\w.])(?:{'|'.join(map(re.escape, LEVELS))})\b.*\n?", re.M)


class _Said(NamedTuple):
    """What an output said: the verdict on it, and what of it may be shown."""

    output: Output
    verdict: Verdict
    headline: str
    cleaned: str
    is_half_a_line: bool

    @property
    def says_nothing(self) -> bool:
        return self.verdict.group is ErrorGroup.UNKNOWN and self.verdict.reason is None


def failure_of(
    result: CommandResult, outputs: Sequence[Output], *, clean: Callable[..., str]
) -> Failure:
    """Sort a failed command by the ends of its outputs, the one to be asked first in front."""
    said = [_read(output, clean) for output in outputs]
    telling = [one for one in said if not one.says_nothing] or [one for one in said if one.headline]
    best = (telling or said)[0]
    verdict = _verdict_on(result, best.verdict)
    return _failure(verdict, result, _message(result.words, best.headline, said))


def note_of(outputs: Sequence[Output], settings: Settings) -> RunNote:
    """Keep the last lines of what a failed command said, and the traceback in them."""
    cleaner = Throughout(settings.redactor)
    shown = [_read(output, cleaner.clean).cleaned for output in reversed(outputs)]
    said = cleaner.hide("\n".join(filter(None, shown)))  # stderr last: it says why
    note = RunNote(log_tail=last_lines(said) if settings.capture_logs else None)
    if not settings.capture_traceback or (found := last_traceback(said)) is None:
        return note
    home = os.path.expanduser("~")  # noqa: PTH111 - as everywhere else in this package
    return note._replace(traceback=fit(found, home))


def decoded(tail: bytes, *, is_cut: bool) -> str:
    """Read bytes as UTF-8 where they are; else as the locale says that programs write here."""
    start = 0
    while is_cut and start < min(len(tail), 3) and tail[start] & 0xC0 == 0x80:
        start += 1  # of a letter that was cut in half
    try:
        return tail[start:].decode()
    except UnicodeDecodeError:
        try:
            return tail.decode(_encoding_here(), errors="replace")
        except LookupError:
            return tail.decode(errors="replace")


def _encoding_here() -> str:
    """Return the encoding of the locale, also of one that this machine has only the name of."""
    encoding = locale.getencoding()
    if encoding.upper() not in _ASCII:
        return encoding
    names = (os.environ.get(name) for name in ("LC_ALL", "LC_CTYPE", "LANG"))
    named = next(filter(None, names), "")
    return named.partition("@")[0].partition(".")[2] or "utf-8"


def _read(output: Output, clean: Callable[..., str]) -> _Said:
    is_cut = output.length > len(output.tail)
    text = decoded(output.tail, is_cut=is_cut)
    if is_cut:
        whole_lines = text.partition("\n")[2]
        is_cut = not whole_lines.strip()
        text = text if is_cut else whole_lines  # half a line says half of what it said
    text = _OWN_LINE.sub("", text)
    # Secrets are hidden before anything is cut, so that no half of one is left.
    cleaned = clean(text, limit=4 * LONGEST_TAIL).strip()
    if is_cut:
        text, cleaned = text[-LONGEST_HALF_LINE:], cleaned[-LONGEST_HALF_LINE:]
    headline = read_tail(cleaned).headline
    # Of half a line the end says why.
    shown = CUT + headline[-LONGEST_QUOTED:] if is_cut else headline[:LONGEST_QUOTED]
    return _Said(output, read_tail(text).verdict, shown, cleaned, is_cut)


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
        reason = ErrorReason.OVERLOADED if result.is_unstarted else _REASON_OF_CODE.get(code)
        return said._replace(reason=reason or ended_by)
    return said


def _message(words: str, headline: str, said: Sequence[_Said]) -> str:
    """Say how it ended, with the line that says why; then the ends of all that it said."""
    first = f"{words}: {headline}" if headline else words
    shown = [one for one in said if one.cleaned not in ("", headline)]
    blocks = [_block(one, LONGEST_SHOWN // len(shown), is_named=len(said) > 1) for one in shown]
    return "\n\n".join([first, *blocks])


def _block(said: _Said, longest: int, *, is_named: bool) -> str:
    name, cleaned = said.output.name, said.cleaned
    shown = cleaned.encode()[-longest:].decode(errors="ignore")
    if len(shown) == len(cleaned) and not said.is_half_a_line:
        return f"[{name}]\n{shown}" if is_named else shown
    shown = shown.partition("\n")[2] or shown
    return f"[the end of {said.output.length:,} bytes of {name}]\n{shown}"
