"""Whether the alert that covers a failure was raised for the same error.

A cooldown is kept by job and group, so that an alert of a missing file may cover a missing table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .._models import ErrorGroup
from .._reasons import ErrorReason
from .records import AlertRecord, RunRecord
from .unknowns import masked
from .wording import error

# Reasons that hold errors of many kinds: there the type and the message tell them apart.
_BROAD: Final = frozenset(
    {ErrorReason.BUG, ErrorReason.CRASHED, ErrorReason.DATA, ErrorReason.EXIT_CODE}
)


def other_error(run: RunRecord, alert: AlertRecord | None) -> str | None:
    """Return what the alert that covers a run was raised for, if that is another error.

    Errors are told apart by their reason, then by their type, and those that no rule sorts also by
    their message without numbers, ids, quoted names, paths and addresses. None where it is the
    same error, where no alert covers the run, and where the rows do not tell.
    """
    detail = alert.detail if alert is not None else None
    if alert is None or alert.id != run.covered_by or not isinstance(detail, Mapping):
        return None
    if detail.get("run_id") == run.id or _is_same(run, detail):
        return None
    return error(_text(detail, "error_type"), _text(detail, "error_message") or alert.message)


def _is_same(run: RunRecord, detail: Mapping[str, Any]) -> bool:
    reason, error_type = _text(detail, "reason"), _text(detail, "error_type")
    if reason and run.error_reason:
        if reason != run.error_reason:
            return False
        if reason not in _BROAD:
            return True
    if error_type and run.error_type and error_type != run.error_type:
        return False
    message = _text(detail, "error_message")
    if run.error_group != ErrorGroup.UNKNOWN or not message or not run.error_message:
        return True
    return masked(message) == masked(run.error_message)


def _text(detail: Mapping[str, Any], name: str) -> str | None:
    value = detail.get(name)
    return value if isinstance(value, str) else None
