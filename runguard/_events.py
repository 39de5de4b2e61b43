"""The log events: their names, and the one place that emits them.

runguard configures no logging. Where the host has configured structlog its configuration is used;
elsewhere events go to the standard logger `runguard`, so an unconfigured script shows warnings
on stderr and never a line on stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from ._failure.introspection import printable, qualified_name, text_of
from ._failure.redaction import Redactor
from ._models import AlertOutcome, AlertVerdict

if TYPE_CHECKING:
    from logging import Logger

RUN_STARTED: Final = "runguard.run_started"
RUN_FINISHED: Final = "runguard.run_finished"
ALERT_CREATED: Final = "runguard.alert_created"
ALERT_SUPPRESSED: Final = "runguard.alert_suppressed"
LOCK_LOST: Final = "runguard.lock_lost"
LOCK_NOT_TAKEN: Final = "runguard.lock_not_taken"
INTERNAL_ERROR: Final = "runguard.internal_error"
SPOOLED: Final = "runguard.spooled"
SPOOL_REPLAYED: Final = "runguard.spool_replayed"
SET_ASIDE: Final = "runguard.record_set_aside"
RECORD_LOST: Final = "runguard.record_lost"
EMBEDDED_STORE: Final = "runguard.embedded_store"
UNKNOWN_SETTING: Final = "runguard.unknown_setting"
DELIVERY_UNAVAILABLE: Final = "runguard.delivery_unavailable"
DELIVERY_FAILED: Final = "runguard.delivery_failed"
START_SKIPPED: Final = "runguard.start_skipped"
NOT_EXPECTED: Final = "runguard.schedule_not_expected"

# As `logging` numbers them. It is loaded with the first event: with what it imports, it would take
# a sixth of the time of `import runguard`.
_INFO, _WARNING, _ERROR, _CRITICAL = 20, 30, 40, 50
LEVELS: Final = {
    **dict.fromkeys((RUN_STARTED, RUN_FINISHED, ALERT_SUPPRESSED, SPOOL_REPLAYED), _INFO),
    **dict.fromkeys((ALERT_CREATED, EMBEDDED_STORE, UNKNOWN_SETTING, LOCK_NOT_TAKEN), _WARNING),
    **dict.fromkeys((SPOOLED, START_SKIPPED, NOT_EXPECTED), _WARNING),
    **dict.fromkeys((DELIVERY_UNAVAILABLE, DELIVERY_FAILED), _WARNING),
    **dict.fromkeys((LOCK_LOST, INTERNAL_ERROR, SET_ASIDE), _ERROR),
    RECORD_LOST: _CRITICAL,
}

_LONGEST_FIELD: Final = 4096


@cache
def _loggers() -> tuple[Logger, Logger]:
    """Return the logger `runguard`, and a witness of a host that disables all."""
    from logging import getLogger

    return getLogger("runguard"), getLogger("runguard.events")


if "logging" in sys.modules:  # the host may be about to configure it
    _loggers()


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
        level = LEVELS.get(event, _CRITICAL)  # what only delivery tells is critical
        try:
            structlog = configured_structlog()
            if structlog is None and not standard_logger().isEnabledFor(level):
                return
            clean = self._redactor().clean
            fields = {
                name: printable(clean(value, limit=_LONGEST_FIELD), _LONGEST_FIELD)
                if isinstance(value, str)
                else value
                for name, value in fields.items()
            }
            if structlog is None or not _took_it(structlog, level, event, fields):
                line = _Line(event, fields)
                standard_logger().log(level, "%s", line, extra={"runguard": fields})
        except Exception:  # see the docstring
            # The standard library's own switch for such faults.
            if getattr(sys.modules.get("logging"), "raiseExceptions", True):
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
    """Return structlog if the host has configured it, else None; importing it would be slow."""
    structlog = sys.modules.get("structlog")
    return structlog if structlog is not None and structlog.is_configured() else None


def standard_logger() -> Logger:
    """Return the logger `runguard`, enabled again if dictConfig has disabled all that it found."""
    logger, witness = _loggers()
    if logger.disabled and witness.disabled:
        logger.disabled = witness.disabled = False
    return logger


def _took_it(structlog: Any, level: int, event: str, fields: dict[str, Any]) -> bool:
    """Log through the host's structlog; False where its loggers cannot be used from here."""
    from logging import getLevelName

    try:
        logger = structlog.get_logger("runguard").bind()
        if hasattr(type(logger), "sync_bl"):
            logger = logger.sync_bl  # what an AsyncBoundLogger wraps
        answer = getattr(logger, getLevelName(level).lower())(event, **fields)
        if hasattr(answer, "__await__"):
            answer.close()  # nobody would await it
        return not hasattr(answer, "__await__")
    except Exception:  # of the host's wrapper or processors
        return False


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
