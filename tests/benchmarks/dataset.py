"""A store after some months: `run_log` and `alert` filled as jobs and other programs fill them.

The rows are made by the server, since a million runs through runguard would take an hour. They
span ninety days up to now, come in the order of time as real ones do, and are the same at each
call: some jobs, of which some run often, one run in twenty-five failed, in all six groups, half of
the failures with an alert and half covered by an earlier one. Other programs' alerts (`NEW` and
`CHANGED`) make up the rest.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psycopg

JOBS: Final = 200
DAYS: Final = 90
VACUUM_SECONDS: Final = 60

# The alert of a failed run has the number of the run, so that later runs can say what covers them.
_RUNS: Final = """
with run as materialized (
    select
        number,
        floor(power(random(), 2) * %(jobs)s)::int as job,
        random() < 0.04 as failed,
        random() < 0.5 as raised,
        1 + floor(random() * 6)::int as kind,
        random() as took_part,
        random() * interval '1 minute' as took,
        now() - (%(runs)s - number) * (%(days)s * interval '1 day' / %(runs)s) as started_at
    from generate_series(1, %(runs)s) as number
),
covering as (
    select
        number,
        max(case when raised then number end)
            over (partition by job, kind order by number) as alert_id
    from run
    where failed
)
insert into run_log (
    job_name, trigger_type, status, started_at, finished_at, updated_at, total_records,
    changed_records, created_alerts, error_message, run_key, error_group, http_status_code,
    error_type, error_location, matched_by, alert_outcome, covered_by, cooldown_seconds, host, pid
)
select
    'job_' || job,
    case when job %% 10 = 0 then 'MANUAL' else 'SCHEDULER' end,
    case when failed then 'FAILED' else 'SUCCESS' end,
    started_at,
    started_at + took,
    started_at + took,
    (took_part * 1000)::int,
    (took_part * 100)::int,
    case when failed and raised then 1 else 0 end,
    case when failed then
        'HTTP ' || (410 + job %% 100) || ' from https://upstream.example/v2/enrolments?page='
        || number || ' after 3 attempts'
    end,
    -- Time-ordered, as runguard's own keys are: the milliseconds, the version, and chance.
    (lpad(to_hex((extract(epoch from started_at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(number::text), 1, 3) || '8' || substr(md5(number::text), 4, 15))::uuid,
    case when failed then groups[kind] end,
    case when failed then statuses[kind] end,
    case when failed then 'httpx.HTTPStatusError' end,
    case when failed then 'jobs/job_' || job || '.py:42 in pull' end,
    case when failed then 'status of the response' end,
    case when not failed then 'none' when raised then 'raised' else 'suppressed' end,
    case when not raised then alert_id end,
    case when failed then 1800 end,
    'worker-' || number %% 20,
    1000 + number %% 30000
from run left join covering using (number),
    (values (
        array['HTTP_5XX', 'TIMEOUT', 'UNKNOWN', 'HTTP_4XX', 'HTTP_409', 'LOCK_CONFLICT'],
        array[503, null, null, 404, 409, 409]
    )) as choice (groups, statuses)
order by number
"""

_ALERTS: Final = """
insert into alert (
    id, source_type, source_id, alert_type, severity, title, message, detail, created_at, alert_key
)
select
    id, source_type, source_id, alert_type, severity, title, message, detail, created_at, alert_key
from (
    select
        id,
        'run_log' as source_type,
        job_name || ':' || error_group as source_id,
        'FAILED' as alert_type,
        'high' as severity,
        job_name || ' failed: ' || error_group as title,
        error_message as message,
        jsonb_build_object(
            'job_name', job_name, 'error_group', error_group, 'http_status_code', http_status_code,
            'error_message', error_message, 'error_type', error_type, 'location', error_location,
            'run_id', id
        ) as detail,
        finished_at as created_at,
        run_key as alert_key
    from run_log
    where alert_outcome = 'raised'
    union all
    select
        %(runs)s + number,
        'student',
        'student-' || number %% 50000,
        case when number %% 3 = 0 then 'NEW' else 'CHANGED' end,
        'low',
        'A student changed',
        null,
        jsonb_build_object('term', '2026-2', 'student', number),
        now() - (%(others)s - number) * (%(days)s * interval '1 day' / greatest(%(others)s, 1)),
        null
    from generate_series(1, %(others)s) as number
) as raised
order by created_at
"""

_GUARDS: Final = """
insert into alert_cooldown (source_type, source_id, alert_type, last_alert_at)
select source_type, source_id, alert_type, max(created_at)
from alert
where alert_type = 'FAILED'
group by 1, 2, 3
"""

_HIDDEN: Final = "select relpages - relallvisible from pg_class where oid = %s::regclass"


def fill(connection: psycopg.Connection, *, runs: int, alerts: int, jobs: int = JOBS) -> None:
    """Fill the empty tables of a migrated database; the connection is in autocommit.

    `alerts` counts all of them. Where the failed runs alone raise more, there are no others. The
    tables are left as autovacuum leaves them: an index alone answers what it can.
    """
    # Vacuum takes no page for visible to all whose rows are of a commit that is not on disk yet.
    connection.execute("set synchronous_commit = on")
    with connection.transaction():
        connection.execute("select setseed(0.5)")
        connection.execute(_RUNS, {"runs": runs, "jobs": jobs, "days": DAYS})
        [raised] = connection.execute(
            "select count(*) from run_log where alert_outcome = 'raised'"
        ).fetchone() or [0]
        others = max(alerts - raised, 0)
        connection.execute(_ALERTS, {"runs": runs, "others": others, "days": DAYS})
        connection.execute(f"alter table alert alter id restart with {runs + others + 1}")
        connection.execute(_GUARDS)
    for table in ("run_log", "alert", "alert_cooldown"):
        _vacuum(connection, table)
    connection.execute("checkpoint")


def _vacuum(connection: psycopg.Connection, table: str) -> None:
    """Vacuum until each page is known to be visible to all.

    Vacuum passes over a page that another process looks at, as one that writes it to disk does,
    and over rows that an older transaction does not see.
    """
    deadline = time.monotonic() + VACUUM_SECONDS
    while True:
        connection.execute(f"vacuum (analyze) {table}")
        hidden = connection.execute(_HIDDEN, [table]).fetchone()
        if hidden == (0,):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"{table} still has pages that are not visible to all: {hidden}")
        time.sleep(0.02)
