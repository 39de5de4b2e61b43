"""What is kept beside a run: what the job said of it, and of a failed one how it came to that.

Loaded by a job that says something, and by a failure; a success without a word does without.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from .._errors import RunguardError
from .._failure.introspection import printable, text_from
from .._models import RunNote
from .surroundings import home_folder, ids_of

if TYPE_CHECKING:
    from .._events import Events
    from .._failure.redaction import Redactor
    from .._failure.throughout import Throughout
    from .._settings import Settings

LARGEST_CONTEXT: Final = 4 * 1024  # bytes of JSON
LONGEST_VALUE: Final = 1024  # characters of a text in it
LONGEST_NAME: Final = 100
MOST_NAMES: Final = 100
MOST_LINKS: Final = 20
LONGEST_URL: Final = 2048
LARGEST_COUNT: Final = 2**63 - 1

T = TypeVar("T")
_NOTHING: Final = RunNote()
_PLAIN: Final = (type(None), bool, int, float)
_URL: Final = re.compile(r"https?://[^\s\"'<>\\^`{|}]+", re.IGNORECASE)


class Kept:
    """What a job said of its run. It is cleaned when it is written.

    Only what cannot change any more is kept as it is: the job may go on with the rest.
    """

    __slots__ = ("context", "links", "troubles")

    def __init__(self) -> None:
        self.context: dict[str, object] = {}
        self.links: dict[str, str] = {}
        self.troubles: dict[str, None] = {}  # each once, in order

    def add(self, values: Mapping[Any, Any], redactor: Redactor) -> None:
        """Keep values by name. Never raises."""
        try:
            pairs = list(values.items())
        except Exception:
            self._trouble("note: expected names and values, found a mapping that cannot be read")
            return
        for key, value in pairs:
            name = printable(text_from(key), LONGEST_NAME)
            if len(self.context) >= MOST_NAMES and name not in self.context:
                self._trouble(f"note: expected at most {MOST_NAMES} names, found more")
            elif type(value) in _PLAIN or (type(value) is str and len(value) <= LONGEST_VALUE):
                self.context[name] = value
            else:
                self.context[name] = redactor.clean_json(value, characters=LARGEST_CONTEXT)

    def add_link(self, name: object, url: object) -> None:
        """Keep a link by name. Never raises."""
        shown, address = printable(text_from(name), LONGEST_NAME), text_from(url)
        if not _URL.fullmatch(address) or len(address) > LONGEST_URL:
            self._trouble(
                f"link {shown!r}: expected an http or https address of at most {LONGEST_URL}"
                " characters, found another text"
            )
        elif len(self.links) >= MOST_LINKS and shown not in self.links:
            self._trouble(f"link: expected at most {MOST_LINKS} links, found more")
        else:
            self.links[shown] = address

    def _trouble(self, trouble: str) -> None:
        self.troubles[f"{trouble}; it was left out"] = None


class NotedRun(Protocol):
    """What is read of a run."""

    id: int | None
    job_name: str
    _ids: dict[str, str] | None
    _lines: Any
    _progress: Any

    @property
    def _kept(self) -> Kept | None: ...


def note_of(
    run: NotedRun,
    *,
    settings: Settings,
    events: Events,
    exc: BaseException | None = None,
    said: RunNote | None = None,
    has_failed: bool = False,
    known: str | None = None,
) -> RunNote | None:
    """Return what is kept beside a run that has ended; None where that is nothing. Never raises.

    `said` has the traceback and the last lines of a failure that was another process's; `known` is
    a traceback that was printed before.
    """
    troubles: list[str] = []

    def made(make: Callable[[], T | None]) -> T | None:
        try:
            return make()
        except Exception as bug:  # the ending is written without this part
            events.internal_error("note", bug, job_name=run.job_name, run_id=run.id)
            return None

    done, total = progress_of(run, troubles) or (None, None)
    kept, redactor = run._kept, settings.redactor
    links = (made(lambda: _links(kept, redactor)) or ()) if kept is not None else ()
    ids = ids_of(run._ids) if has_failed else None
    context = traceback = log_tail = None
    if kept is not None:
        troubles += kept.troubles
    if kept is not None or ids:
        values = {} if kept is None else kept.context.copy()
        context = made(lambda: context_of(values, redactor, troubles, ids or {}))
    if said is not None:
        traceback, log_tail = said.traceback, said.log_tail
    elif has_failed and known is not None and not run._lines:
        traceback = known
    elif has_failed:
        from .._failure.throughout import Throughout

        cleaner = Throughout(redactor)
        traceback = known or made(lambda: _traceback(exc, settings, cleaner))
        log_tail = made(lambda: _log_tail(run, cleaner))
        if traceback is not None:  # what the log has betrayed may stand there too
            traceback = cleaner.hide(traceback)
    for trouble in troubles:
        told = RunguardError(trouble)
        events.internal_error("note", told, job_name=run.job_name, run_id=run.id)
    note = RunNote(traceback, log_tail, context, links, done, total)
    return None if note == _NOTHING else note


def _links(kept: Kept, redactor: Redactor) -> tuple[tuple[str, str], ...]:
    return tuple(
        (redactor.clean(name), redactor.clean(url, limit=LONGEST_URL))
        for name, url in kept.links.copy().items()
    )


def _traceback(exc: BaseException | None, settings: Settings, cleaner: Throughout) -> str | None:
    if exc is None or not settings.capture_traceback:
        return None
    from .._failure.traceback import traceback_text

    return traceback_text(exc, cleaner.clean, home_folder())


def _log_tail(run: NotedRun, cleaner: Throughout) -> str | None:
    if not run._lines:
        return None
    from .log_tail import tail_text

    return tail_text(run._lines, cleaner.clean)


def context_of(
    values: Mapping[str, object],
    redactor: Redactor,
    troubles: list[str],
    ids: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any] | None:
    """Return the values as cleaned JSON of at most 4 KiB; what is more is left out, and told.

    The `ids` come first, as they are.

    >>> from runguard._failure.redaction import Redactor
    >>> context_of({"term": "2026S", "password": "hunter2"}, Redactor(), [])
    {'term': '2026S', 'password': '[redacted]'}
    """
    cleaned = redactor.clean_json(values, characters=2 * LARGEST_CONTEXT)
    cleaned = cleaned if isinstance(cleaned, dict) else {}
    shown: dict[str, Any] = dict(ids)  # random digits, which would be taken for secrets
    room = LARGEST_CONTEXT - len(json.dumps(shown).encode())
    for name, value in cleaned.items():
        size = len(json.dumps({name: value}).encode())
        if size <= room:
            shown[name] = value
            room -= size
    if left_out := [name for name in cleaned if name not in shown]:
        troubles.append(
            f"note: expected at most {LARGEST_CONTEXT} bytes of JSON, found more:"
            f" {', '.join(left_out[:5])} left out"
        )
    return shown or None


def progress_of(run: Any, troubles: list[str] | None = None) -> tuple[int, int | None] | None:
    """Read how far a run is; what is no number counts as not said, and is told."""
    if (progress := run._progress) is None:
        return None
    done, total = progress
    try:
        return _count(done), None if total is None else _count(total)
    except BaseException:  # hostile code may raise anything
        if troubles is not None:
            troubles.append(
                "progress: expected whole numbers, found"
                f" {type(done).__name__} and {type(total).__name__}; it was left out"
            )
        return None


def _count(value: Any) -> int:
    return max(0, min(LARGEST_COUNT, int(value)))
