"""The columns that assertions compare, for type checkers and for messages."""

from __future__ import annotations

from typing import Literal, TypedDict

from .._models import (
    ErrorGroup,
    ErrorGroupName,
    RunStatus,
    Severity,
    SeverityName,
    TriggerType,
    TriggerTypeName,
)

RunStatusName = Literal["RUNNING", "SUCCESS", "FAILED"]
AlertOutcomeName = Literal["raised", "suppressed", "excluded", "waiting", "none"]


class RunColumns(TypedDict, total=False):
    """Columns of `run_log` that `assert_run` compares."""

    status: RunStatus | RunStatusName
    trigger_type: TriggerType | TriggerTypeName
    total_records: int
    changed_records: int
    created_alerts: int
    retry_count: int
    error_group: ErrorGroup | ErrorGroupName | None
    error_reason: str | None
    error_type: str | None
    error_message: str | None
    http_status_code: int | None
    alert_outcome: AlertOutcomeName | None
    environment: str | None
    version: str | None
    upstream: str | None
    trace_id: str | None
    refused: bool | None
    matched_by: str | None
    matched_rule: int | None
    cooldown_seconds: int | None


class AlertColumns(TypedDict, total=False):
    """Columns of `alert` that `assert_alert` compares."""

    source_type: str
    alert_type: str
    severity: Severity | SeverityName
    title: str
    message: str | None
    review_status: str
    resolved: bool
    environment: str | None
