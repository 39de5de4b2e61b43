"""What is stored of a record that the store refuses: as much of it as it takes.

A run that cannot be ended would stay RUNNING, and be closed as lost with a false cause. So it is
tried with less and less: characters that the server's encoding lacks are escaped, counters are
bounded for columns of an installation that was there before, what stands beside the run is cut and
then left out, texts are cut for triggers with a limit (NOTIFY has 8,000 bytes), and at last the
alert is left out. What was changed is told.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from typing import Any, Final, NamedTuple, TypeVar

from .._errors import RecordRefused
from .._models import AlertDraft, Counters, Failure, RunEnding, RunNote, SpooledRun

LARGEST_INTEGER: Final = 2**31 - 2  # one less than a column holds: the store may add its alert
LONGEST_TEXT: Final = 1_000  # bytes; a key's parts are shorter, so a record keeps its key
LARGEST_DETAIL: Final = 3_000
UNKNOWN_ENCODING: Final = "ascii"
# Where Python knows an encoding by another name than PostgreSQL.
_CODECS: Final = {"KOI8R": "koi8_r", "KOI8U": "koi8_u", "UHC": "cp949"}

T = TypeVar("T")


class Reduced(NamedTuple):
    """A record with less in it: what was changed, and the alert that was left out."""

    record: tuple[Any, ...]
    changes: str
    left_out: AlertDraft | None = None


def record_less(
    write: Callable[..., T],
    record: tuple[Any, ...],
    refusal: RecordRefused,
    left: Callable[[], float],
) -> tuple[T, AlertDraft | None, RecordRefused]:
    """Write a refused record with less in it.

    Returns the answer, the alert that was left out and waits by itself, and what to tell. `left`
    says how many seconds there are. Raises the refusal where the store takes no part of it.
    """
    for reduced in reductions(record, refusal.encoding):
        try:
            answer = write(*reduced.record, timeout=left())
        except RecordRefused:
            continue
        alert = None if reduced.left_out is None else _of_run(reduced.left_out, answer)
        return answer, alert, RecordRefused(f"{refusal}; it was stored {reduced.changes}")
    raise refusal


def _of_run(alert: AlertDraft, answer: object) -> AlertDraft:
    """Name in an alert that was left out the run that it is about, which is stored without it."""
    return alert._replace(detail={**alert.detail, "run_id": getattr(answer, "run_id", None)})


def reductions(record: tuple[Any, ...], encoding: str | None) -> Iterator[Reduced]:
    """Yield the record with less and less in it."""
    tried = record
    ending = _ending_of(record)
    for step in _steps(encoding, has_note=ending is not None and ending.note is not None):
        smaller: tuple[Any, ...] = step.applied(record)
        if smaller != tried:
            tried = smaller
            left_out = None if step.keeps_alert or ending is None else ending.alert
            yield Reduced(smaller, step.changes, left_out)


class _Step(NamedTuple):
    changes: str
    fits_text: Callable[[str], str]
    fits_document: Callable[[str], str]
    largest_count: int | None = LARGEST_INTEGER
    longest_text: int | None = None
    keeps_alert: bool = True
    longest_note: int | None = None  # of each of its texts; 0: none is kept

    def applied(self, value: Any) -> Any:
        """Return the same value with less in it."""
        if type(value) is str:  # an enumeration's word is none
            return self._cut(self.fits_text(value))
        if isinstance(value, Counters):
            return self._bounded(value)
        if isinstance(value, Failure):
            found = {field.name: getattr(value, field.name) for field in fields(value)}
            return replace(value, **{name: self.applied(one) for name, one in found.items()})
        if isinstance(value, Mapping):
            return self._document(value)
        if isinstance(value, RunEnding) and not self.keeps_alert:
            value = value._replace(alert=None)
        if isinstance(value, RunEnding) and self.longest_note == 0:
            value = value._replace(note=None)
        if isinstance(value, RunNote) and self.longest_note != self.longest_text:
            return self._replace(longest_text=self.longest_note).applied(value)
        if isinstance(value, tuple):
            parts = [self.applied(one) for one in value]
            return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
        return value

    def _bounded(self, counters: Counters) -> Counters:
        if self.largest_count is None:
            return counters
        return Counters(*(min(count, self.largest_count) for count in counters))

    def _document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        room = LARGEST_DETAIL if self.longest_text is not None else None
        for name, value in document.items():
            item = self._item(value)
            if room is not None:
                room -= len(f"{name}{item}".encode())
                if room < 0:
                    kept["cut"] = True
                    break
            kept[self.fits_document(name)] = item
        return kept

    def _item(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._cut(self.fits_document(value))
        if isinstance(value, Mapping):
            return {self.fits_document(str(key)): self._item(one) for key, one in value.items()}
        return [self._item(one) for one in value] if isinstance(value, list | tuple) else value

    def _cut(self, text: str) -> str:
        if self.longest_text is None or len(text.encode()) <= self.longest_text:
            return text
        kept = text.encode()[: self.longest_text].decode(errors="ignore")
        return f"{kept}... [cut: {len(text) - len(kept):,} more characters]"


def _steps(encoding: str | None, *, has_note: bool) -> Iterator[_Step]:
    text, document = _fitting(_codec_of(encoding)), _fitting(_codec_of(encoding))
    if encoding == "SQL_ASCII":  # it takes the bytes of any text, and no escape of JSON
        text, document = _fitting("utf-8"), _fitting("ascii")
    escaped = f"with what {encoding or 'its encoding'} lacks escaped"
    bounded = f"{escaped}, and counters of at most {LARGEST_INTEGER}"
    yield _Step(escaped, text, document, largest_count=None)
    yield _Step(bounded, text, document)
    short_note = f"{bounded}, and a short note"
    yield _Step(short_note, text, document, longest_note=LONGEST_TEXT)
    no_note = f"{bounded}, and without its note" if has_note else bounded
    yield _Step(no_note, text, document, longest_note=0)
    cut = f"{no_note}, and texts of at most {LONGEST_TEXT} bytes"
    yield _Step(cut, text, document, longest_text=LONGEST_TEXT, longest_note=0)
    ascii_only = _fitting("ascii")
    in_ascii = f"in ASCII, with counters of at most {LARGEST_INTEGER} and short texts"
    yield _Step(in_ascii, ascii_only, ascii_only, longest_text=LONGEST_TEXT, longest_note=0)
    yield _Step(
        f"{in_ascii}, and without its alert",
        ascii_only,
        ascii_only,
        longest_text=LONGEST_TEXT,
        keeps_alert=False,
        longest_note=0,
    )


def _codec_of(encoding: str | None) -> str:
    """Return Python's name for a server's encoding; ASCII is part of all that a server may have."""
    name = encoding or UNKNOWN_ENCODING
    name = _CODECS.get(name, name.replace("WIN", "cp"))
    try:
        return codecs.lookup(name).name
    except LookupError:
        return UNKNOWN_ENCODING


def _fitting(codec: str) -> Callable[[str], str]:
    def fit(text: str) -> str:
        text = text.replace("\0", "\\0")
        try:
            return text.encode(codec).decode(codec)
        except UnicodeError:
            fitting = text.encode(codec, errors="backslashreplace").decode(codec)
            return fitting.replace(r"\u2026", "...")  # the only one that is our own

    return fit


def _ending_of(record: tuple[Any, ...]) -> RunEnding | None:
    for part in record:
        ending = part.ending if isinstance(part, SpooledRun) else part
        if isinstance(ending, RunEnding):
            return ending
    return None
