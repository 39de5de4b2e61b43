"""The tables that every run needs, as SQLAlchemy Core knows them.

`migrations/` makes them on PostgreSQL; a test proves the two equal. The base columns of `run_log`,
`alert` and `job_lock` may belong to an installation that was there before us, so every constraint
here is on a column of ours. What no run needs stands in `indexes`, `notice_tables` and
`watch_tables`, what few need in `lock_table`.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, Table, Text, Uuid, false
from sqlalchemy.sql.schema import Identity

from ..._models import AlertKey, Counters
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
    Column("started_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in Counters._fields),
    Column("error_message", Text),
    Column("updated_at", UtcDateTime, nullable=False),
    # ours, all nullable: rows of other programs have none of them
    Column("run_key", Uuid),
    Column("error_group", Text),
    Column("http_status_code", Integer),
    *(Column(name, Text) for name in ("error_type", "error_location", "matched_by")),
    Column("alert_outcome", Text),
    Column("covered_by", BigInteger),
    Column("cooldown_seconds", Integer),
    *(Column(name, UtcDateTime) for name in ("heartbeat_at", "lost_at")),
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
    *(Column(name, Text) for name in ("environment", "version", "trace_id", "upstream")),
)

alert = Table(
    "alert",
    metadata,
    Column("id", BIG_ID, Identity(always=False), primary_key=True),
    *(Column(name, Text, nullable=False) for name in AlertKey._fields),
    Column("severity", Text, nullable=False, server_default="medium"),
    Column("title", Text, nullable=False),
    Column("message", Text),
    Column("detail", JSON_DOCUMENT),
    Column("review_status", Text, nullable=False, server_default="AUTO"),
    Column("resolved", Boolean, nullable=False, server_default=false()),
    Column("created_at", UtcDateTime, nullable=False),
    # ours
    Column("alert_key", Uuid),
    Column("resolved_at", UtcDateTime),
    Column("resolved_by", Text),
    Column("reviewed_at", UtcDateTime),
    Column("reviewed_by", Text),
    Column("environment", Text),
)

# The guard rows of the cooldown: when a key last alerted. See `cooldown` of each store.
alert_cooldown = Table(
    "alert_cooldown",
    metadata,
    *(Column(name, Text, primary_key=True) for name in AlertKey._fields),
    Column("last_alert_at", UtcDateTime, nullable=False),
)

# What stands beside a run. A run without a note has no row here.
run_note = Table(
    "run_note",
    metadata,
    Column("run_key", Uuid, primary_key=True),
    Column("created_at", UtcDateTime, nullable=False),
    *(Column(name, Text) for name in ("traceback", "log_tail")),
    Column("context", JSON_DOCUMENT),
    Column("links", JSON_DOCUMENT),  # a list of {"name", "url"}
    *(Column(name, BigInteger) for name in ("done", "total")),
    Column("progress_at", UtcDateTime),
)
