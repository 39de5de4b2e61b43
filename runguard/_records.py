"""The words of an operator: what is read from a store, and deleted.

Never imported by a run; like `_models`, it imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Prunable(StrEnum):
    """What `prune` deletes from, by the name of its table."""

    RUNS = "run_log"
    ALERTS = "alert"
    GUARDS = "alert_cooldown"


@dataclass(frozen=True, slots=True)
class PrunedBatch:
    """How many rows one statement deleted, and where the next one goes on."""

    rows: int
    last: tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A row of `run_log` as the operator's views show it. Times are aware, in UTC."""

    id: int
    run_key: UUID | None
    job_name: str
    trigger_type: str
    status: str
    started_at: datetime | None
    finished_at: datetime | None
    total_records: int | None
    changed_records: int | None
    created_alerts: int | None
    retry_count: int | None
    error_group: str | None
    http_status_code: int | None
    error_type: str | None
    error_message: str | None
    error_location: str | None
    matched_by: str | None
    alert_outcome: str | None
    covered_by: int | None
    cooldown_seconds: int | None
    host: str | None
    pid: int | None


@dataclass(frozen=True, slots=True)
class AlertRecord:
    """A row of `alert` as the operator's views show it. Times are aware, in UTC."""

    id: int
    source_type: str
    source_id: str
    alert_type: str
    severity: str
    title: str
    message: str | None
    detail: Mapping[str, Any] | None
    review_status: str | None
    resolved: bool | None
    created_at: datetime
    resolved_at: datetime | None = None
    resolved_by: str | None = None


@dataclass(frozen=True, slots=True)
class GroupCount:
    """Failures of one group (and severity) within the asked hours."""

    error_group: str | None
    severity: str | None
    failures: int
    alerts: int
    jobs: int
    last_failure_at: datetime


@dataclass(frozen=True, slots=True)
class RunWithAlert:
    """A failed run beside the alert that it raised, or that covers it (None: neither)."""

    run: RunRecord
    alert: AlertRecord | None


@dataclass(frozen=True, slots=True)
class OpenRuns:
    """How many runs are open, and since when the oldest is (None: there is none)."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What `doctor` and `configure(check=True)` learn of a store.

    `found` and `needed` are schema versions; `found` is None where there is no schema.
    """

    dialect: str
    location: str
    server_version: str
    found: str | None
    needed: str
    notes: tuple[str, ...] = field(default=())

    @property
    def is_current(self) -> bool:
        """Whether the schema is the one that this version of runguard needs."""
        return self.found == self.needed


@dataclass(frozen=True, slots=True)
class StoreDiagnosis:
    """What may stop a role from recording its runs.

    `tables` are those of runguard's names that exist; `lacking` says what the role may not do
    (`INSERT on alert`); `row_security` names the tables whose policies filter this role; `pooled`
    is whether a pooler stands in between, None where there can be none or it can't be told.
    """

    clock: datetime
    role: str | None = None
    tables: tuple[str, ...] = ()
    read_only: bool = False
    lacking: tuple[str, ...] = ()
    row_security: tuple[str, ...] = ()
    pooled: bool | None = None
