"""The log events: their names, and the one place that emits them.

runguard configures no logging. Where the host has configured structlog its configuration is used;
elsewhere events go to the standard logger `runguard`, so an unconfigured script shows warnings
on stderr and never a line on stdout.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Any, Final

from ._failure.introspection import printable, qualified_name, text_of
from ._failure.redaction import Redactor
from ._models import AlertOutcome, AlertVerdict

RUN_STARTED: Final = "runguard.run_started"
RUN_FINISHED: Final = "runguard.run_finished"
ALERT_CREATED: Final = "runguard.alert_created"
ALERT_SUPPRESSED: Final = "runguard.alert_suppressed"
LOCK_LOST: Final = "runguard.lock_lost"
INTERNAL_ERROR: Final = "runguard.internal_error"
SPOOLED: Final = "runguard.spooled"
SPOOL_REPLAYED: Final = "runguard.spool_replayed"
SET_ASIDE: Final = "runguard.record_set_aside"
RECORD_LOST: Final = "runguard.record_lost"
EMBEDDED_STORE: Final = "runguard.embedded_store"
UNKNOWN_SETTING: Final = "runguard.unknown_setting"

LEVELS: Final = {
    RUN_STARTED: logging.INFO,
    RUN_FINISHED: logging.INFO,
    ALERT_CREATED: logging.WARNING,
    ALERT_SUPPRESSED: logging.INFO,
    LOCK_LOST: logging.ERROR,
    INTERNAL_ERROR: logging.ERROR,
    SPOOLED: logging.WARNING,
    SPOOL_REPLAYED: logging.INFO,
    SET_ASIDE: logging.ERROR,
    RECORD_LOST: logging.CRITICAL,
    EMBEDDED_STORE: logging.WARNING,
    UNKNOWN_SETTING: logging.WARNING,
}

_LONGEST_FIELD: Final = 4096

_logger: Final = logging.getLogger("runguard")


class Events:
    """Emits log events; every text in them passes the redactor first.

    Args:
        redactor: Returns the redactor to use. It is asked at each event, so that events told
            before the settings are fixed use what is configured so far.
    """

    __slots__ = ("_redactor",)

    def __init__(self, redactor: Callable[[], Redactor] = Redactor) -> None:
        self._redactor = redactor

    def emit(self, event: str, **fields: Any) -> None:
        """Log an event at its level. Never raises: a broken log handler must not hurt the job."""
        level = LEVELS[event]
        try:
            structlog = configured_structlog()
            if structlog is None and not _logger.isEnabledFor(level):
                return
            clean = self._redactor().clean
            fields = {
                name: printable(clean(value, limit=_LONGEST_FIELD), _LONGEST_FIELD)
                if isinstance(value, str)
                else value
                for name, value in fields.items()
            }
            if structlog is not None:
                structlog.get_logger("runguard").log(level, event, **fields)
            else:
                _logger.log(level, "%s", _Line(event, fields), extra={"runguard": fields})
        except Exception:  # see the docstring
            if logging.raiseExceptions:  # the standard library's own switch for such faults
                sys.stderr.write(f"runguard could not log {event}\n")

    def internal_error(self, stage: str, error: BaseException, **fields: Any) -> None:
        """Tell a fault of runguard's own: the store is away, the schema is missing, or a bug."""
        self.emit(INTERNAL_ERROR, stage=stage, error=error_text(error), **fields)

    def alert(self, verdict: AlertVerdict, **fields: Any) -> None:
        """Tell what became of an alert: raised, or suppressed and by which one until when."""
        if verdict.outcome is AlertOutcome.RAISED:
            self.emit(ALERT_CREATED, alert_id=verdict.alert_id, **fields)
        elif verdict.outcome is AlertOutcome.SUPPRESSED:
            ends_at = verdict.window_ends_at
            self.emit(
                ALERT_SUPPRESSED,
                covered_by=verdict.alert_id,
                window_ends_at=ends_at and ends_at.isoformat(),
                **fields,
            )


def configured_structlog() -> Any:
    """Return the structlog module if the host has configured it, else None.

    A host that has not even imported it has not configured it; importing it costs what a whole
    small script costs.
    """
    structlog = sys.modules.get("structlog")
    return structlog if structlog is not None and structlog.is_configured() else None


class _Line:
    """An event as `name key=value …`, put together only if some handler wants it."""

    __slots__ = ("_event", "_fields")

    def __init__(self, event: str, fields: dict[str, Any]) -> None:
        self._event = event
        self._fields = fields

    def __str__(self) -> str:
        parts = (
            f"{key}={value!r}" if isinstance(value, str) and " " in value else f"{key}={value}"
            for key, value in self._fields.items()
            if value is not None
        )
        return " ".join([self._event, *parts])


def error_text(error: BaseException) -> str:
    """Return an error as one log field, not redacted yet."""
    return f"{qualified_name(type(error)).rpartition('.')[2]}: {text_of(error)}"


def bind_context(**fields: Any) -> Any:
    """Bind fields in structlog's contextvars, if the host uses structlog; return what undoes it."""
    contextvars = sys.modules.get("structlog.contextvars")
    return None if contextvars is None else contextvars.bind_contextvars(**fields)


def restore_context(tokens: Any) -> None:
    """Give the host back what it had bound before."""
    if tokens is not None:
        sys.modules["structlog.contextvars"].reset_contextvars(**tokens)


def bound_logger(**fields: Any) -> Any:
    """Return a structlog logger of the host's configuration, or one over the standard logger."""
    import structlog

    if structlog.is_configured():
        return structlog.get_logger("runguard").bind(**fields)
    return structlog.wrap_logger(
        _logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
    ).bind(**fields)
