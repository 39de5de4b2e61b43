"""The four statements of docs/reference/tables.md find rows, and use an index."""

from __future__ import annotations

import psycopg
import pytest
from sqlalchemy import make_url

from tests.usage.docs.pages import Block, blocks

STATEMENTS = blocks("docs/reference/tables.md", "sql")


@pytest.fixture
def filled_pg_url(migrated_pg_url: str) -> str:
    """40,000 runs of a week, one in a hundred failed, each fifth failure with an alert."""
    libpq = make_url(migrated_pg_url).set(drivername="postgresql")
    url = libpq.render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "insert into run_log (job_name, status, started_at, error_group, alert_outcome)"
            " select 'job_' || n % 50, case when n % 100 = 0 then 'FAILED' else 'SUCCESS' end,"
            " now() - n * interval '15 seconds', case when n % 100 = 0 then 'TIMEOUT' end, 'none'"
            " from generate_series(1, 40000) n"
        )
        connection.execute(
            "insert into alert (source_type, source_id, alert_type, severity, title, detail,"
            " created_at) select 'run_log', job_name || ':TIMEOUT', 'FAILED', 'high', 'x',"
            " jsonb_build_object('run_id', id, 'error_group', 'TIMEOUT'), started_at"
            " from run_log where status = 'FAILED' and id % 5 = 0"
        )
        connection.execute(
            "insert into alert (source_type, source_id, alert_type, severity, title, created_at)"
            " select 'student', n::text, 'NEW', 'low', 'x', now() - n * interval '90 seconds'"
            " from generate_series(1, 20000) n"
        )
        connection.execute("vacuum analyze run_log")
        connection.execute("vacuum analyze alert")
    return url


@pytest.mark.parametrize("block", STATEMENTS, ids=["runs", "alerts", "groups", "join"])
def test_each_statement_for_operators_uses_an_index_and_finds_rows(
    filled_pg_url: str, block: Block
) -> None:
    with psycopg.connect(filled_pg_url) as connection:
        rows = connection.execute(block.text.encode()).fetchall()
        plan = "\n".join(line for (line,) in connection.execute(f"explain {block.text}".encode()))

    assert rows
    assert "Seq Scan" not in plan, plan
    assert "Index" in plan, plan
