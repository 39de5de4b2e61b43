"""Reading a record back: what a file says is checked before a store sees it.

Whoever may write to the folder may have written anything. So every field is read by its type and
its range; what a record does not need is ignored, as a later release may have written it.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any, Final, NoReturn, TypeVar
from uuid import UUID

from .._failure.introspection import printable
from .._models import (
    AlertDraft,
    AlertKey,
    Counters,
    ErrorGroup,
    Failure,
    LockHolder,
    NewRun,
    RunEnding,
    RunNote,
    Severity,
    SpooledAlert,
    SpooledRun,
    TriggerType,
)
from .spool_format import FORMAT, Record

MOST_BYTES: Final = 8 * 1024 * 1024  # of one record; the longest that a run makes has a tenth
DEEPEST: Final = 100  # levels of an alert's detail

_LARGEST_COUNT: Final = 2**63 - 1
_LARGEST_INTEGER: Final = 2**31 - 1
_LONGEST: Final = timedelta(days=3650)
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe would hold the job

E = TypeVar("E", bound=StrEnum)


class UnreadableRecord(ValueError):
    """What a file holds is no record of ours."""


class NewerRecord(UnreadableRecord):
    """A record that a later release wrote, and will replay."""


def content_of(handle: int, name: str) -> bytes:
    """Read a file of ours; never one that blocks, has no end, or is another user's."""
    with opened(handle, name) as file:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableRecord("expected a file, found something else")
        if found.st_uid != os.fstat(handle).st_uid:
            raise UnreadableRecord(f"expected a file of the folder's owner, found {found.st_uid}'s")
        if found.st_size > MOST_BYTES:
            raise UnreadableRecord(f"expected at most {MOST_BYTES} bytes, found {found.st_size}")
        with open(file, "rb", closefd=False) as stream:
            content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UnreadableRecord(f"expected at most {MOST_BYTES} bytes, found more")
    return content


@contextmanager
def opened(handle: int, name: str) -> Iterator[int]:
    """Open a file for reading, where it is one; give its descriptor."""
    try:
        file = os.open(name, _READ, dir_fd=handle)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link, a socket
            raise UnreadableRecord("expected a file, found something else") from error
        if error.errno == errno.EACCES:
            raise UnreadableRecord("expected a file of this user's, found none to read") from error
        raise
    try:
        yield file
    finally:
        os.close(file)


def decode(content: bytes) -> Record:
    """Return the record that `encode` wrote.

    Raises:
        UnreadableRecord: it is none.
        NewerRecord: a later release wrote it.
    """
    data = _parsed(content)
    _check_format(data.whole("format"))
    try:
        return SpooledAlert(_draft(data.part("draft"))) if _is_alert(data) else _run(data)
    except UnreadableRecord:
        raise
    except (ValueError, OverflowError) as error:
        raise UnreadableRecord(f"expected a record: {error}") from error


def store_of(content: bytes) -> str | None:
    """Read which store a record is for; None where an earlier release wrote it.

    Raises:
        UnreadableRecord: it is none.
    """
    data = _parsed(content)
    return data.text_or_none("store") or None


def _parsed(content: bytes) -> _Fields:
    try:
        return _Fields(json.loads(content.decode("utf-8"), parse_constant=_no_number))
    except UnreadableRecord:
        raise
    except RecursionError:
        raise UnreadableRecord("expected a record, found JSON that is nested too deep") from None
    except ValueError as error:
        raise UnreadableRecord(f"expected a record as JSON: {error}") from error


def _check_format(found: int) -> None:
    if found > FORMAT:
        raise NewerRecord(f"expected format {FORMAT}, found {found}: upgrade runguard here")
    if found != FORMAT:
        raise UnreadableRecord(f"expected format {FORMAT}, found {found}")


def _is_alert(data: _Fields) -> bool:
    kind = data.text("kind")
    if kind not in (SpooledAlert.__name__, SpooledRun.__name__):
        raise UnreadableRecord(f"kind: expected a run or an alert, found {printable(kind, 64)}")
    return kind == SpooledAlert.__name__


def _run(data: _Fields) -> SpooledRun:
    run = data.part("run")
    new = NewRun(
        key=run.key("key"),
        job_name=run.text("job_name"),
        trigger_type=run.word("trigger_type", TriggerType),
        host=run.text("host"),
        pid=run.whole("pid", _LARGEST_INTEGER),
        lost_after=None if run.is_null("lost_after") else run.length("lost_after", _LONGEST),
        environment=run.text_or_none("environment"),
        version=run.text_or_none("version"),
        trace_id=run.text_or_none("trace_id"),
    )
    started_at = data.instant("started_at")
    if data.is_null("ending"):
        return SpooledRun(new, started_at)
    ending = _ending(data.part("ending"))
    if ending.key != new.key:
        raise UnreadableRecord("expected one run, found the keys of two")
    return SpooledRun(new, started_at, data.instant("finished_at"), ending)


def _ending(data: _Fields) -> RunEnding:
    counters = data.part("counters")
    return RunEnding(
        key=data.key("key"),
        counters=Counters(
            **{name: counters.whole(name, _LARGEST_COUNT) for name in Counters._fields}
        ),
        failure=None if data.is_null("failure") else _failure(data.part("failure")),
        error_location=data.text_or_none("error_location"),
        alert=None if data.is_null("alert") else _draft(data.part("alert")),
        refused_by=None if data.is_null("refused_by") else _holder(data.part("refused_by")),
        note=None if data.is_null("note") else _note(data.part("note")),
    )


def _note(data: _Fields) -> RunNote:
    return RunNote(
        traceback=data.text_or_none("traceback"),
        log_tail=data.text_or_none("log_tail"),
        context=None if data.is_null("context") else data.document("context"),
        links=() if data.is_null("links") else data.links("links"),
        done=data.whole_or_none("done"),
        total=data.whole_or_none("total"),
    )


def _holder(data: _Fields) -> LockHolder:
    return LockHolder(
        locked_by=data.text_or_none("locked_by"),
        lock_expires_at=None
        if data.is_null("lock_expires_at")
        else data.instant("lock_expires_at"),
    )


def _failure(data: _Fields) -> Failure:
    return Failure(
        error_group=data.word("error_group", ErrorGroup),
        severity=data.word("severity", Severity),
        http_status_code=data.whole_or_none("http_status_code", 599),
        error_type=data.text("error_type"),
        error_message=data.text("error_message"),
        matched_by=data.text("matched_by"),
        error_reason=data.text_or_none("error_reason"),
        matched_depth=data.whole_or_none("matched_depth", _LARGEST_INTEGER),
        matched_rule=data.whole_or_none("matched_rule", _LARGEST_INTEGER),
        upstream=data.text_or_none("upstream"),
    )


def _draft(data: _Fields) -> AlertDraft:
    key = data.part("key")
    return AlertDraft(
        uuid=data.key("uuid"),
        key=AlertKey(**{name: key.text(name) for name in AlertKey._fields}),
        severity=data.word("severity", Severity),
        title=data.text("title"),
        message=data.text("message"),
        detail=data.document("detail"),
        cooldown=data.length("cooldown", _LONGEST),
        reason=data.text_or_none("reason"),
        failures_to_alert=data.whole_or_none("failures_to_alert", _LARGEST_INTEGER) or 1,
        environment=data.text_or_none("environment"),
    )


class _Fields:
    """A JSON object whose fields are read by type; each error names the field."""

    def __init__(self, data: object, name: str = "the file") -> None:
        if not isinstance(data, dict):
            raise UnreadableRecord(f"{name}: expected an object, found {type(data).__name__}")
        self._data: dict[str, Any] = data

    def is_null(self, name: str) -> bool:
        return self._data.get(name) is None

    def part(self, name: str) -> _Fields:
        return _Fields(self._data.get(name), name)

    def text(self, name: str) -> str:
        value = self._data.get(name)
        if not isinstance(value, str):
            raise UnreadableRecord(f"{name}: expected a text, found {type(value).__name__}")
        if not _is_storable(value):
            raise UnreadableRecord(f"{name}: expected a text, found a NUL or half a character")
        return value

    def text_or_none(self, name: str) -> str | None:
        return None if self.is_null(name) else self.text(name)

    def whole(self, name: str, largest: int = _LARGEST_COUNT) -> int:
        value = self._data.get(name)
        if type(value) is not int:  # a bool is an int, and no number
            raise UnreadableRecord(f"{name}: expected a number, found {type(value).__name__}")
        if not 0 <= value <= largest:
            raise UnreadableRecord(f"{name}: expected 0 to {largest}, found {value}")
        return value

    def whole_or_none(self, name: str, largest: int = _LARGEST_COUNT) -> int | None:
        return None if self.is_null(name) else self.whole(name, largest)

    def length(self, name: str, longest: timedelta) -> timedelta:
        value = self._data.get(name)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise UnreadableRecord(f"{name}: expected seconds, found {type(value).__name__}")
        if not 0 <= value <= longest.total_seconds():
            raise UnreadableRecord(f"{name}: expected 0 s to {longest}, found {value} s")
        return timedelta(seconds=value)

    def instant(self, name: str) -> datetime:
        value = datetime.fromisoformat(self.text(name))
        if value.tzinfo is None:
            raise UnreadableRecord(f"{name}: expected a time with its offset, found none")
        return value.astimezone(UTC)

    def key(self, name: str) -> UUID:
        return UUID(self.text(name))

    def word(self, name: str, words: type[E]) -> E:
        return words(self.text(name))

    def links(self, name: str) -> tuple[tuple[str, str], ...]:
        value = self._data.get(name)
        if not isinstance(value, list):
            raise UnreadableRecord(f"{name}: expected a list, found {type(value).__name__}")
        return tuple(link for one in value for link in _link(one))

    def document(self, name: str) -> dict[str, Any]:
        value = self.part(name)._data
        _check_document(value, name)
        return value


def _link(value: object) -> Iterator[tuple[str, str]]:
    """Yield a link; none where redaction has left no address of it: the run counts."""
    match value:
        case [str(name), str(url)] if _is_storable(name + url):
            if url[:8].lower().startswith(("http://", "https://")):
                yield name, url
        case _:
            raise UnreadableRecord("links: expected pairs of a name and an address")


def _check_document(value: object, name: str, depth: int = 0) -> None:
    if depth > DEEPEST:
        raise UnreadableRecord(f"{name}: expected at most {DEEPEST} levels, found more")
    if isinstance(value, dict):
        for key, one in value.items():
            _check_document(key, name, depth + 1)
            _check_document(one, name, depth + 1)
    elif isinstance(value, list):
        for one in value:
            _check_document(one, name, depth + 1)
    elif isinstance(value, str) and not _is_storable(value):
        raise UnreadableRecord(f"{name}: expected a text, found a NUL or half a character")
    elif isinstance(value, float) and not isfinite(value):
        raise UnreadableRecord(f"{name}: expected a number, found {value}")


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _no_number(name: str) -> NoReturn:
    raise UnreadableRecord(f"expected a number, found {name}")
