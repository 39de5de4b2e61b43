"""The tables with their indexes, checks and defaults, for whoever makes or compares a schema.

Apart from the tables: SQLAlchemy imports a whole dialect for one option that begins with its name,
and a job or a command on another database would wait for it.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import CheckConstraint, Column, DefaultClause, Index, Text, and_, cast, text

from .clock import db_now
from .lock_table import metadata
from .notice_tables import alert_cooldown, alert_delivery, silence
from .tables import MADE_BY_US, alert, run_log, run_note
from .watch_tables import job, monitor, monitor_gap

__all__ = ["metadata"]

for _table in (run_log, alert, alert_cooldown, run_note):
    _table.comment = MADE_BY_US
for _time in (
    run_log.c.started_at,
    run_log.c.updated_at,
    alert.c.created_at,
    run_note.c.created_at,
):
    _time.server_default = DefaultClause(db_now())
run_log.append_constraint(
    CheckConstraint(
        "error_group in ('LOCK_CONFLICT','HTTP_409','HTTP_5XX','HTTP_4XX','TIMEOUT','UNKNOWN')",
        name="error_group",
    )
)
run_log.append_constraint(
    CheckConstraint("http_status_code between 400 and 599", name="http_status_code")
)
run_log.append_constraint(
    CheckConstraint(
        "alert_outcome in ('raised','suppressed','excluded','none','waiting')", name="alert_outcome"
    )
)

# A number that was deleted is never given to another row.
for _table in (run_log, alert, alert_delivery, silence, monitor_gap):
    _table.dialect_options["sqlite"]["autoincrement"] = True

# Our name stands in front, so that no index of an adopted table is taken for ours or ours for it.
Index("runguard_run_log_run_key", run_log.c.run_key, unique=True)
Index("runguard_run_log_started_at", run_log.c.started_at)
Index("runguard_run_log_job_started_at", run_log.c.job_name, run_log.c.started_at)
# Job, group and reason let failures be found and counted by each without a look at the rows.
Index(
    "runguard_run_log_failures",
    run_log.c.started_at,
    run_log.c.job_name,
    run_log.c.error_group,
    run_log.c.error_reason,
    postgresql_where=run_log.c.status == text("'FAILED'"),
    sqlite_where=run_log.c.status == text("'FAILED'"),
)
Index(
    "runguard_run_log_running",
    run_log.c.job_name,
    postgresql_where=run_log.c.status == text("'RUNNING'"),
    sqlite_where=run_log.c.status == text("'RUNNING'"),
)
Index(
    "runguard_run_log_refused",
    run_log.c.job_name,
    run_log.c.started_at,
    postgresql_where=text("refused"),
    sqlite_where=text("refused"),
)
_HAS_ENVIRONMENT = text("environment IS NOT NULL")
Index(
    "runguard_run_log_environment",
    run_log.c.environment,
    run_log.c.job_name,
    run_log.c.started_at,
    postgresql_where=_HAS_ENVIRONMENT,
    sqlite_where=_HAS_ENVIRONMENT,
)
Index("runguard_alert_alert_key", alert.c.alert_key, unique=True)
Index("runguard_alert_created_at", alert.c.created_at)
Index(
    "runguard_alert_cooldown_key",
    alert.c.source_type,
    alert.c.source_id,
    alert.c.alert_type,
    alert.c.created_at,
)
# What operators look for may be rare: a type, what nobody has resolved, what somebody reviewed.
_OPEN = alert.c.resolved.is_not(True)
_OPEN_FAILURE = and_(
    alert.c.source_type == text("'run_log'"), alert.c.alert_type == text("'FAILED'"), _OPEN
)
_REVIEWED = alert.c.review_status != text("'AUTO'")
Index("runguard_alert_type_created_at", alert.c.alert_type, alert.c.created_at)
Index(
    "runguard_alert_open_created_at",
    alert.c.created_at,
    postgresql_where=_OPEN,
    sqlite_where=_OPEN,
)
Index(
    "runguard_alert_open_failures",
    alert.c.source_id,
    alert.c.severity,
    postgresql_where=_OPEN_FAILURE,
    sqlite_where=_OPEN_FAILURE,
)
Index(
    "runguard_alert_reviewed",
    alert.c.review_status,
    alert.c.created_at,
    postgresql_where=_REVIEWED,
    sqlite_where=_REVIEWED,
)
# What operators join and filter by, by hand. SQLite spells the same expressions differently, and
# an embedded file does not need them.
Index("runguard_run_log_id_text", cast(run_log.c.id, Text)).ddl_if(dialect="postgresql")
Index("runguard_alert_detail_run_id", text("(detail ->> 'run_id')"), _table=alert).ddl_if(
    dialect="postgresql"
)
Index(
    "runguard_alert_detail_error_group",
    text("(detail ->> 'error_group')"),
    alert.c.created_at,
    _table=alert,
).ddl_if(dialect="postgresql")


def _partial(name: str, condition: str, *columns: Column[Any]) -> None:
    Index(name, *columns, postgresql_where=text(condition), sqlite_where=text(condition))


_DELIVERIES: Final = alert_delivery.c
_partial("runguard_alert_pending", "dispatch = 'pending'", alert.c.id)
_partial("runguard_alert_expired", "dispatch = 'expired' AND told_at IS NULL", alert.c.id)
_partial("runguard_alert_incident", "incident IS NOT NULL", alert.c.incident)
_partial(
    "runguard_alert_cooldown_open", "open_alert_id IS NOT NULL", alert_cooldown.c.open_alert_id
)
_partial(
    "runguard_alert_delivery_due",
    "state = 'pending' OR state = 'sending'",
    _DELIVERIES.channel,
    _DELIVERIES.next_attempt_at,
)
_partial(
    "runguard_alert_delivery_covered_by", "covered_by IS NOT NULL", alert_delivery.c.covered_by
)
Index("runguard_alert_delivery_incident", _DELIVERIES.incident, _DELIVERIES.channel)
Index("runguard_alert_delivery_created_at", _DELIVERIES.created_at)
Index("runguard_silence_ends_at", silence.c.ends_at)
_partial("runguard_job_look_at", "retired_at IS NULL", job.c.look_at)
Index("runguard_monitor_last_round_at", monitor.c.last_round_at)
Index("runguard_monitor_gap_ended_at", monitor_gap.c.ended_at)
Index("runguard_run_note_created_at", run_note.c.created_at)
