"""What a failed run says in its alert: the key, the severity, the texts.

The cooldown itself is the store's: see `_storage/postgresql_cooldown.py` and its SQLite twin.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from ._models import AlertDraft, AlertKey, ErrorGroup, Failure, Severity

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


def failure_key(job_name: str, group: ErrorGroup) -> AlertKey:
    """Return the cooldown key of a job's failures of one group.

    `source_id` is `<job>:<group>`; a job's name may hold colons, a group holds none, so it splits
    from the right.
    """
    return AlertKey(FAILURE_SOURCE_TYPE, f"{job_name}:{group}", FAILURE_ALERT_TYPE)


def failure_alert(
    *,
    run_key: UUID,
    job_name: str,
    failure: Failure,
    location: str | None,
    cooldown: timedelta,
    versions: str | None = None,
) -> AlertDraft:
    """Draft the alert of a failed run. The store adds `run_id` to its detail.

    A run raises one alert at most, so the run's key is the alert's as well. `versions` says what
    ran, where that is known.
    """
    status = failure.http_status_code
    is_a_range = failure.error_group in (ErrorGroup.HTTP_4XX, ErrorGroup.HTTP_5XX)
    number = f" ({status})" if is_a_range and status is not None else ""
    detail: dict[str, Any] = {
        "job_name": job_name,
        "error_group": failure.error_group.value,
        "http_status_code": status,
        "error_type": failure.error_type,
        "error_message": failure.error_message,
        "error_location": location,
        "matched_by": failure.matched_by,
    }
    if versions is not None:
        detail["versions"] = versions
    return AlertDraft(
        uuid=run_key,
        key=failure_key(job_name, failure.error_group),
        severity=failure.severity,
        title=f"{job_name} {_WHAT_HAPPENED[failure.error_group]}{number}",
        message=failure.error_message,
        detail=detail,
        cooldown=cooldown,
    )
