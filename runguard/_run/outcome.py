"""Which endings of a body are failures, and which failures raise an alert (SPEC 3.5).

Control flow that travels as an exception is told from failure here, by type name where the type
belongs to a library that may not be installed.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from .._failure.introspection import qualified_name
from .._models import TriggerType


class Outcome(Enum):
    """How a body ended."""

    SUCCESS = "success"
    FAILED = "failed, and alerts"
    FAILED_QUIETLY = "failed, recorded without an alert"


_BY_NAME: Final = {
    # The task runs again: the last attempt alerts.
    "celery.exceptions.Retry": Outcome.FAILED_QUIETLY,
    "celery.exceptions.Ignore": Outcome.SUCCESS,
    "celery.exceptions.Reject": Outcome.SUCCESS,
}


def outcome_of(
    exc: BaseException | None,
    *,
    trigger_type: TriggerType,
    no_alert_on: tuple[type[BaseException], ...] = (),
) -> Outcome:
    """Say how a body ended that raised `exc`, or None."""
    if exc is None or isinstance(exc, GeneratorExit):
        return Outcome.SUCCESS
    if isinstance(exc, SystemExit) and _exits_cleanly(exc.code):
        return Outcome.SUCCESS
    for base in type(exc).__mro__:
        if (ending := _BY_NAME.get(qualified_name(base))) is not None:
            return ending
    if isinstance(exc, no_alert_on):
        return Outcome.FAILED_QUIETLY
    if isinstance(exc, KeyboardInterrupt) and not interruption_alerts(trigger_type):
        return Outcome.FAILED_QUIETLY
    return Outcome.FAILED


def interruption_alerts(trigger_type: TriggerType) -> bool:
    """Whether an interruption such as Ctrl-C raises an alert: who started a run by hand knows."""
    return trigger_type is not TriggerType.MANUAL


def _exits_cleanly(code: object) -> bool:
    # As the interpreter does: what is no integer is printed, and the process ends with 1.
    return code is None or (isinstance(code, int) and code == 0)
