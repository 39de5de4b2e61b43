"""The tables with their indexes, for whoever makes or compares a schema.

Apart from `tables`: SQLAlchemy imports the whole SQLite dialect for one option that begins with
`sqlite_`, and a job on PostgreSQL would wait for it.
"""

from __future__ import annotations

from sqlalchemy import Index, Text, cast, text

from .tables import alert, metadata, run_log

__all__ = ["metadata"]

# A number that was deleted is never given to another row.
for _table in (run_log, alert):
    _table.dialect_options["sqlite"]["autoincrement"] = True

# Our name stands in front, so that no index of an adopted table is taken for ours or ours for it.
Index("runguard_run_log_run_key", run_log.c.run_key, unique=True)
Index("runguard_run_log_started_at", run_log.c.started_at)
Index("runguard_run_log_job_started_at", run_log.c.job_name, run_log.c.started_at)
Index(
    "runguard_run_log_failed_started_at",
    run_log.c.started_at,
    postgresql_where=run_log.c.status == text("'FAILED'"),
    sqlite_where=run_log.c.status == text("'FAILED'"),
)
Index(
    "runguard_run_log_running",
    run_log.c.job_name,
    postgresql_where=run_log.c.status == text("'RUNNING'"),
    sqlite_where=run_log.c.status == text("'RUNNING'"),
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
