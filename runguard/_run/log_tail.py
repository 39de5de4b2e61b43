"""The last lines that a job logged inside its run: kept in memory, written only with a failure.

A handler at the root logger would be in the host's way: `logging.basicConfig()` does nothing where
there is one, the handler of last resort is silent, `dictConfig` takes it away, and every test of
the host that looks at the handlers finds it. So what calls the handlers is wrapped instead, once in
a process. Levels, filters and configuration stay as they are: what the host does not log is not
kept either.
"""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from time import gmtime, strftime, time
from types import FunctionType
from typing import Any, Final, Protocol

from .._events import LEVELS
from .._failure.introspection import text_from
from .._frozen import NamedTuple
from .._models import RunStatus

MOST_LINES: Final = 50
LONGEST: Final = 16 * 1024  # bytes of UTF-8
# More is kept than is shown, so that a secret is found that goes through several lines.
_MOST_KEPT: Final = 120
_LONGEST_KEPT: Final = 32 * 1024  # characters of one line …
_MOST_TOGETHER: Final = 64 * 1024  # … and of all, where some are long
_SHORT: Final = 256
_LONGEST_SHOWN: Final = 15 * 1024  # bytes of one line

_wrapped: Final[dict[str, object]] = {}


class Line(NamedTuple):
    """What was logged, not cleaned yet. `level` and `name` are empty where the text has its own."""

    at: float
    level: str
    name: str
    text: str


class LoggedRun(Protocol):
    """What is asked of a run, and where its lines are kept."""

    status: RunStatus
    _lines: deque[Any] | None
    _outer: Any


Innermost = ContextVar[Any]  # of a LoggedRun, or None


def begin(run: LoggedRun, innermost: Innermost) -> None:
    """Keep what is logged in the context where this run is the innermost one."""
    run._lines = deque(maxlen=_MOST_KEPT)
    if "logging" not in _wrapped:
        _watch_logging(innermost)
    if "structlog" not in _wrapped:
        base = sys.modules.get("structlog._base")
        # Another thread may be importing it: then a later run finds it whole.
        if hasattr(getattr(base, "BoundLoggerBase", None), "_process_event"):
            _watch_structlog(base, innermost)


def _is_first(what: str) -> bool:
    mine = object()  # two threads may begin their first runs at once
    return _wrapped.setdefault(what, mine) is mine


def _watch_logging(innermost: Innermost) -> None:
    call_handlers = logging.Logger.callHandlers

    def keep_and_call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if (run := innermost.get()) is not None:
            _keep(run, _line_of, record)
        call_handlers(self, record)

    if _is_first("logging"):
        # Who logs is the first frame outside of logging's file, to handlers that hand lines on.
        code = keep_and_call_handlers.__code__.replace(co_filename=logging.__file__)
        keep_and_call_handlers.__code__ = code
        logging.Logger.callHandlers = keep_and_call_handlers  # type: ignore[method-assign]


def _watch_structlog(base: Any, innermost: Innermost) -> None:
    """Look also at structlog's loggers that print by themselves."""
    process_event = base.BoundLoggerBase._process_event

    def process_and_keep(self: Any, method_name: str, event: Any, event_kw: dict[str, Any]) -> Any:
        processed = process_event(self, method_name, event, event_kw)
        if (run := innermost.get()) is not None:
            _keep(run, _structlog_line_of, self, event, processed)
        return processed

    if _is_first("structlog"):
        # Who logs is the first frame that is not structlog's own, by its module's name.
        base.BoundLoggerBase._process_event = FunctionType(
            process_and_keep.__code__,
            {**globals(), "__name__": base.__name__},
            closure=process_and_keep.__closure__,
        )


def _keep(run: LoggedRun | None, line_of: Callable[..., Line | None], *logged: Any) -> None:
    """Add a line to the open runs of this context. A log call never fails for it."""
    try:
        line = line_of(*logged)
        while run is not None and line is not None:
            # What an inner run logs is logged inside the outer one too.
            if run.status is RunStatus.RUNNING and (lines := run._lines) is not None:
                lines.append(line)
                if len(line.text) > _SHORT:
                    _make_room(lines)
            run = run._outer
    except Exception:  # the host's text cannot be made: logging itself tells that
        return


def _make_room(lines: deque[Line]) -> None:
    sizes = [len(line.text) for line in lines.copy()]
    together = sum(sizes)
    for size in sizes[:-1]:
        if together <= _MOST_TOGETHER or not lines:
            break
        lines.popleft()
        together -= size


def _line_of(record: logging.LogRecord) -> Line | None:
    if record.name == "runguard" and hasattr(record, "runguard"):
        return None  # an event of our own
    # What structlog hands to its formatter is a dictionary.
    text = _event_text(record.msg) if type(record.msg) is dict else record.getMessage()
    if record.name == "runguard" and _is_own_event(text):
        return None
    if record.exc_info and record.exc_info[1] is not None:
        text = f"{text}\n{type(record.exc_info[1]).__name__}: {text_from(record.exc_info[1])}"
    return Line(record.created, record.levelname, record.name, _bounded(text))


def _structlog_line_of(logger: Any, event: object, processed: tuple[Any, Any]) -> Line | None:
    if isinstance(logger._logger, logging.Logger) or _is_own_event(event):
        return None  # it comes by standard logging too
    args, fields = processed
    rendered = args[0] if args else fields
    if isinstance(rendered, bytes | bytearray):
        rendered = bytes(rendered[:_LONGEST_KEPT]).decode(errors="replace")
    text = _event_text(rendered) if isinstance(rendered, Mapping) else str(rendered)
    return Line(time(), "", "", _bounded(text))


def _is_own_event(event: object) -> bool:
    return isinstance(event, str) and any(name in event[:_SHORT] for name in LEVELS)


def _event_text(event: Mapping[str, Any]) -> str:
    fields = (
        f"{name}={value}"
        for name, value in event.items()
        if name not in ("event", "level", "timestamp", "logger") and not name.startswith("_")
    )
    return " ".join((str(event.get("event", "")), *fields))


def _bounded(text: str) -> str:
    if (more := len(text) - _LONGEST_KEPT) <= 0:
        return text
    return f"{text[:_LONGEST_KEPT]} … [cut: {more:,} more characters]"


def tail_text(lines: deque[Line], clean: Callable[..., str]) -> str | None:
    """Return the last 50 lines or 16 KiB as text without secrets; None where there are none.

    Times are in UTC.
    """
    kept = lines.copy()
    if not kept:
        return None
    # Secrets are hidden before anything is cut, so that no half of one is left.
    text = clean("\n".join(_shown(line, clean) for line in kept), limit=8 * _MOST_TOGETHER)
    return last_lines(text)


def last_lines(text: str) -> str | None:
    """Return the last 50 lines or 16 KiB of a text that is clean; None where it is empty."""
    last: list[str] = []
    room = LONGEST
    for line in reversed(text.split("\n")[-MOST_LINES:]):
        room -= len(line.encode()) + 1
        if room < -1:
            break
        last.append(line)
    return "\n".join(reversed(last)) or None


def _shown(line: Line, clean: Callable[..., str]) -> str:
    text = line.text
    if len(text) > _LONGEST_SHOWN // 4:
        text = clean(text, limit=_LONGEST_SHOWN)
    if not line.level:
        return text
    return f"{strftime('%H:%M:%SZ', gmtime(line.at))} {line.level} {line.name}: {text}"
