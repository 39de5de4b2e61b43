"""What a failed run says in its alert: the key, the severity, the texts.

The cooldown itself is the store's: see `_store/postgresql/cooldown.py` and its SQLite twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from .._models import (
    AlertDraft,
    AlertKey,
    CooldownBy,
    ErrorGroup,
    Failure,
    Severity,
    in_environment,
    named_in,
)
from .._reasons import ErrorReason

SEVERITY_OF: Final[Mapping[ErrorGroup, Severity]] = MappingProxyType(
    {
        ErrorGroup.LOCK_CONFLICT: Severity.LOW,
        ErrorGroup.HTTP_409: Severity.MEDIUM,
        ErrorGroup.HTTP_5XX: Severity.HIGH,
        ErrorGroup.HTTP_4XX: Severity.MEDIUM,
        ErrorGroup.TIMEOUT: Severity.HIGH,
        ErrorGroup.UNKNOWN: Severity.MEDIUM,
    }
)

FAILURE_SOURCE_TYPE: Final = "run_log"
FAILURE_ALERT_TYPE: Final = "FAILED"

_WHAT_HAPPENED: Final[Mapping[ErrorGroup, str]] = MappingProxyType(
    {
        ErrorGroup.LOCK_CONFLICT: "did not run: another run holds its lock",
        ErrorGroup.HTTP_409: "failed: upstream answered 409",
        ErrorGroup.HTTP_5XX: "failed: upstream is broken",
        ErrorGroup.HTTP_4XX: "failed: upstream refused the request",
        ErrorGroup.TIMEOUT: "failed: timed out",
        ErrorGroup.UNKNOWN: "failed",
    }
)
# Reasons that a word of their own says better, or that add nothing to what the group says.
_REASON_IN_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        ErrorReason.AUTH: "not authenticated",
        ErrorReason.BUG: "an error in the code",
        ErrorReason.CONFLICT: "",
        ErrorReason.CONNECT_TIMEOUT: "while connecting",
        ErrorReason.CONSTRAINT: "constraint violated",
        ErrorReason.DATA: "bad data",
        ErrorReason.DB_LOCK: "waiting for a lock of the database",
        ErrorReason.DNS: "name not resolved",
        ErrorReason.GATEWAY_TIMEOUT: "timed out behind the gateway",
        ErrorReason.LOCK_HELD: "",
        ErrorReason.LOST: "its process is lost",
        ErrorReason.POOL_TIMEOUT: "no connection free",
        ErrorReason.READ_TIMEOUT: "waiting for an answer",
        ErrorReason.REFUSED: "connection refused",
        ErrorReason.RESET: "connection reset",
        ErrorReason.SCHEMA: "no such table or column",
        ErrorReason.SERIALIZATION: "could not serialize",
        ErrorReason.SERVER_ERROR: "",
        ErrorReason.TLS: "TLS failed",
    }
)


def failure_key(job_name: str, group: ErrorGroup, environment: str | None = None) -> AlertKey:
    """Return the cooldown key of a job's failures of one group.

    `source_id` is `<job>:<group>`, or `<job>:<group>@<environment>`; a job's name may hold colons,
    a group and an environment hold none, so it splits from the right.
    """
    source_id = in_environment(f"{job_name}:{group}", environment)
    return AlertKey(FAILURE_SOURCE_TYPE, source_id, FAILURE_ALERT_TYPE)


def failure_alert(
    *,
    run_key: UUID,
    job_name: str,
    failure: Failure,
    location: str | None,
    cooldown: timedelta,
    cooldown_by: CooldownBy = "group",
    failures_to_alert: int = 1,
    versions: str | None = None,
    environment: str | None = None,
) -> AlertDraft:
    """Draft the alert of a failed run. The store adds `run_id` to its detail.

    A run raises one alert at most, so the run's key is the alert's as well. `versions` says what
    ran, where that is known. With `cooldown_by="reason"` an UNKNOWN failure for a reason that is
    known is covered by alerts for the same reason only. It waits for `failures_to_alert` failures
    in a row.
    """
    detail: dict[str, Any] = {
        "job_name": job_name,
        "error_group": failure.error_group.value,
        "http_status_code": failure.http_status_code,
        "error_type": failure.error_type,
        "error_message": failure.error_message,
        "error_location": location,
        "matched_by": failure.matched_by,
        "reason": failure.error_reason,
    }
    if failure.upstream is not None:  # many jobs that fail at one service are told together
        detail["upstream"] = failure.upstream
    if versions is not None:
        detail["versions"] = versions
    if environment is not None:
        detail["environment"] = environment
    by_reason = cooldown_by == "reason" and failure.error_group is ErrorGroup.UNKNOWN
    if by_reason:
        detail["cooldown_by"] = cooldown_by
    return AlertDraft(
        uuid=run_key,
        key=failure_key(job_name, failure.error_group, environment),
        severity=failure.severity,
        title=f"{named_in(job_name, environment)} {_what_happened(failure)}",
        message=failure.error_message,
        detail=detail,
        cooldown=cooldown,
        reason=failure.error_reason if by_reason else None,
        failures_to_alert=failures_to_alert,
        environment=environment,
    )


def _what_happened(failure: Failure) -> str:
    """Say it in one line: the group, the status within it, the reason.

    >>> _what_happened(Failure(ErrorGroup.UNKNOWN, Severity.MEDIUM, None, "", "", "", "refused"))
    'failed: connection refused'
    """
    words = _WHAT_HAPPENED[failure.error_group]
    status = failure.http_status_code
    if status is not None and failure.error_group in (ErrorGroup.HTTP_4XX, ErrorGroup.HTTP_5XX):
        words += f" ({status})"
    reason = failure.error_reason or ""
    said = _REASON_IN_WORDS.get(reason, reason.replace("_", " "))
    if not said:
        return words
    return f"{words}: {said}" if failure.error_group is ErrorGroup.UNKNOWN else f"{words}, {said}"
