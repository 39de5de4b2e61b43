"""The tables that every run needs, as SQLAlchemy Core knows them.

`migrations/` makes them on PostgreSQL; a test proves the two equal. The base columns of `run_log`,
`alert` and `job_lock` may belong to an installation that was there before us, so every constraint
here is on a column of ours. What no run needs stands in `indexes`, `notice_tables` and
`watch_tables`, what few need in `lock_table`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    false,
)
from sqlalchemy.sql.schema import Identity

from .clock import db_now
from .types import BIG_ID, JSON_DOCUMENT, UtcDateTime

SCHEMA_VERSION = "0006"
VERSION_TABLE = "runguard_version"
MADE_BY_US = "made by runguard"  # a table without this comment was there before: never dropped

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

run_log = Table(
    "run_log",
    metadata,
    Column("id", BIG_ID, Identity(always=False), primary_key=True),
    Column("job_name", Text, nullable=False),
    Column("trigger_type", Text, nullable=False, server_default="MANUAL"),
    Column("status", Text, nullable=False, server_default="RUNNING"),
    Column("started_at", UtcDateTime, nullable=False, server_default=db_now()),
    Column("finished_at", UtcDateTime),
    Column("total_records", BigInteger, nullable=False, server_default="0"),
    Column("changed_records", BigInteger, nullable=False, server_default="0"),
    Column("created_alerts", BigInteger, nullable=False, server_default="0"),
    Column("retry_count", BigInteger, nullable=False, server_default="0"),
    Column("error_message", Text),
    Column("updated_at", UtcDateTime, nullable=False, server_default=db_now()),
    # ours, all nullable: rows of other programs have none of them
    Column("run_key", Uuid),
    Column("error_group", Text),
    Column("http_status_code", Integer),
    Column("error_type", Text),
    Column("error_location", Text),
    Column("matched_by", Text),
    Column("alert_outcome", Text),
    Column("covered_by", BigInteger),
    Column("cooldown_seconds", Integer),
    Column("heartbeat_at", UtcDateTime),
    Column("lost_at", UtcDateTime),
    Column("host", Text),
    Column("pid", Integer),
    Column("clock", Text),  # `host` where a record was replayed with its host's times
    Column("error_reason", Text),
    Column("matched_depth", Integer),  # steps behind the exception, 0 for itself
    Column("matched_rule", Integer),  # which of the user's own rules, from 1
    Column("refused", Boolean),  # true where the body never began
    Column("lock_holder", Text),  # who held the job's lock then, as in `job_lock.locked_by`
    Column("lock_held_until", UtcDateTime),
    Column("lost_after_seconds", Integer),  # the run's own limit of silence
    Column("environment", Text),
    Column("version", Text),
    Column("trace_id", Text),
    Column("upstream", Text),
    CheckConstraint(
        "error_group in ('LOCK_CONFLICT','HTTP_409','HTTP_5XX','HTTP_4XX','TIMEOUT','UNKNOWN')",
        name="error_group",
    ),
    CheckConstraint("http_status_code between 400 and 599", name="http_status_code"),
    CheckConstraint(
        "alert_outcome in ('raised','suppressed','excluded','none','waiting')",
        name="alert_outcome",
    ),
    comment=MADE_BY_US,
)

alert = Table(
    "alert",
    metadata,
    Column("id", BIG_ID, Identity(always=False), primary_key=True),
    Column("source_type", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("alert_type", Text, nullable=False),
    Column("severity", Text, nullable=False, server_default="medium"),
    Column("title", Text, nullable=False),
    Column("message", Text),
    Column("detail", JSON_DOCUMENT),
    Column("review_status", Text, nullable=False, server_default="AUTO"),
    Column("resolved", Boolean, nullable=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False, server_default=db_now()),
    # ours
    Column("alert_key", Uuid),
    Column("resolved_at", UtcDateTime),
    Column("resolved_by", Text),
    Column("reviewed_at", UtcDateTime),
    Column("reviewed_by", Text),
    Column("environment", Text),
    comment=MADE_BY_US,
)

# The guard rows of the cooldown: when a key last alerted. See the two *_cooldown.py files.
alert_cooldown = Table(
    "alert_cooldown",
    metadata,
    Column("source_type", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
    Column("alert_type", Text, primary_key=True),
    Column("last_alert_at", UtcDateTime, nullable=False),
    comment=MADE_BY_US,
)

# What stands beside a run. A run without a note has no row here.
run_note = Table(
    "run_note",
    metadata,
    Column("run_key", Uuid, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False, server_default=db_now()),
    Column("traceback", Text),
    Column("log_tail", Text),
    Column("context", JSON_DOCUMENT),
    Column("links", JSON_DOCUMENT),  # a list of {"name", "url"}
    Column("done", BigInteger),
    Column("total", BigInteger),
    Column("progress_at", UtcDateTime),
    comment=MADE_BY_US,
)
