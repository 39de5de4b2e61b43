"""No statement reads a whole table: what runs send, and what operators ask."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest
from sqlalchemy import event, make_url

from runguard._models import RunEnding, RunNote
from runguard._run.run_key import new_run_key
from tests.benchmarks.dataset import fill
from tests.store.drafts import TIMEOUT, failure, new_run, own_alert, success
from tests.support.stores import open_store
from tests.usage.docs.pages import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runguard._store.operator import OperatorStore
    from tests.support.postgres import PostgresAddress

BIG = {"run_log", "run_note", "alert"}
DAY = timedelta(hours=24)
NOTE = RunNote(traceback="Traceback: …", context={"term": "2026-2"})
NOTES = """
insert into run_note (run_key, created_at, traceback, done)
select run_key, finished_at, 'Traceback: …', id from run_log where status = 'FAILED';
insert into run_note (run_key, created_at, context)
select gen_random_uuid(), now() - n * interval '1 minute', '{}' from generate_series(1, 20000) n;
analyze run_note
"""


class Sent(NamedTuple):
    """A statement as the store sent it, with its parameters."""

    sql: str
    parameters: Any


# Few failures alerted, and nearly all was resolved: what operators look for is rare.
CALM = """
delete from alert where alert_type = 'FAILED' and id not in (
    select id from alert where alert_type = 'FAILED' order by created_at desc limit 5
);
update alert set resolved = true where id not in (
    select id from alert order by created_at desc limit 3
)
"""


@pytest.fixture(scope="module", params=["busy", "calm"])
def filled(
    request: pytest.FixtureRequest, postgres: PostgresAddress, _migrated_template: str
) -> Iterator[str]:
    """40,000 runs and 20,000 alerts, one in 25 of them of a failed run; or five of all."""
    with postgres.database(template=_migrated_template) as name:
        with postgres.connect(name) as connection:
            fill(connection, runs=40_000, alerts=20_000)
            connection.execute(NOTES)
            if request.param == "calm":
                connection.execute(CALM)
                connection.execute("vacuum (full, analyze) alert")
        yield postgres.url(name)


@pytest.fixture
def store(filled: str) -> Iterator[OperatorStore]:
    store = open_store(filled)
    yield store
    store.close()


@pytest.fixture
def sent(store: OperatorStore) -> list[Sent]:
    """What the store sends, in order."""
    found: list[Sent] = []
    event.listen(
        store.engine,  # type: ignore[attr-defined]
        "before_cursor_execute",
        lambda _connection, _cursor, sql, parameters, *_: found.append(Sent(sql, parameters)),
    )
    return found


def run(store: OperatorStore, ending_of: Callable[[Any], RunEnding]) -> None:
    started = new_run("job_7")
    store.start_run(started, timeout=TIMEOUT)
    store.finish_run(ending_of(started), timeout=TIMEOUT)


def lose(store: OperatorStore) -> None:
    started = new_run("job_8")
    store.start_run(started, timeout=TIMEOUT)
    silent = timedelta(seconds=-1)
    [lost] = [
        lost
        for job in ("job_8", None)
        for lost in store.find_lost_runs(silent_for=silent, job_name=job, limit=9, timeout=TIMEOUT)
        if lost.key == started.key
    ][:1]
    store.close_lost_run(lost, failure(started), silent_for=silent, timeout=TIMEOUT)


RUNS: dict[str, Callable[[OperatorStore], object]] = {
    "success": lambda store: run(store, success),
    "failure, alerting": lambda store: run(
        store, lambda started: failure(started, cooldown=timedelta())
    ),
    "failure, covered": lambda store: [run(store, failure) for _ in range(2)],
    "failure without an alert": lambda store: run(
        store, lambda started: failure(started, alerts=False)
    ),
    "refused": lambda store: store.record_refused_run(
        one := new_run("job_9"), failure(one), timeout=TIMEOUT
    ),
    "success with a note": lambda store: run(
        store, lambda started: success(started)._replace(note=NOTE)
    ),
    "failure with a note": lambda store: run(
        store, lambda started: failure(started)._replace(note=NOTE)
    ),
    "heartbeat with progress": lambda store: store.beat(
        keys := [new_run_key(), new_run_key()], timeout=TIMEOUT, progress={keys[0]: (1, 2)}
    ),
    "heartbeat": lambda store: store.beat([new_run_key(), new_run_key()], timeout=TIMEOUT),
    "lost": lose,
    "alert of a job's own": lambda store: store.raise_alert(own_alert(), timeout=TIMEOUT),
}
VIEWS: dict[str, Callable[[OperatorStore], object]] = {
    "failures by group": lambda store: store.failures_by_group(since=DAY),
    "failures of a job by group": lambda store: store.failures_by_group(since=DAY, jobs=["job_7"]),
    "failed runs with alerts": lambda store: store.failed_runs_with_alerts(limit=20),
    "failed runs of a job with alerts": lambda store: store.failed_runs_with_alerts(
        limit=20, job_name="job_7"
    ),
    "names of jobs": lambda store: store.job_names(),
    "open runs of others": lambda store: store.foreign_open_runs(older_than=DAY),
}


@pytest.mark.parametrize("name", [*RUNS, *VIEWS])
def test_what_the_store_sends_uses_an_index(
    store: OperatorStore, sent: list[Sent], filled: str, name: str
) -> None:
    {**RUNS, **VIEWS}[name](store)

    assert sent
    for statement in sent:
        assert_no_table_is_read_whole(filled, statement)


@pytest.mark.parametrize(
    "block", blocks("docs/reference/tables.md", "sql"), ids=["runs", "alerts", "groups", "join"]
)
def test_what_operators_type_uses_an_index(filled: str, block: Any) -> None:
    assert_no_table_is_read_whole(filled, Sent(block.text, None))


def test_no_statement_reads_a_table_whole_however_often_it_is_sent(
    store: OperatorStore, filled: str
) -> None:
    """A statement that is prepared gets a plan for all parameters after five times."""
    with psycopg.connect(libpq(filled), autocommit=True) as connection:
        before = whole_reads(connection)
        for work in (*RUNS.values(), *VIEWS.values()):
            for _ in range(8):
                work(store)
        store.close()

        await_no_other_session(connection)
        assert whole_reads(connection) == before


def whole_reads(connection: psycopg.Connection) -> list[tuple[Any, ...]]:
    connection.execute("select pg_stat_clear_snapshot()")
    return connection.execute(
        "select relname, seq_scan from pg_stat_user_tables where relname = any(%s) order by 1",
        [list(BIG)],
    ).fetchall()


def await_no_other_session(connection: psycopg.Connection) -> None:
    """A session tells what it has read at its end."""
    deadline = time.monotonic() + 60
    while connection.execute(
        "select from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    ).fetchall():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def assert_no_table_is_read_whole(url: str, statement: Sent) -> None:
    plan = explain(url, statement)
    scans = [(node["Node Type"], node.get("Relation Name")) for node in nodes(plan)]
    read_whole = [scan for scan in scans if scan[0] == "Seq Scan" and scan[1] in BIG]
    assert not read_whole, f"{statement.sql}\n{json.dumps(plan, indent=1)}"


def explain(url: str, statement: Sent) -> dict[str, Any]:
    """The plan that the planner makes, the parameters known."""
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        [[[found]]] = connection.execute(
            f"explain (format json) {statement.sql}".encode(), statement.parameters
        ).fetchall()
    plan: dict[str, Any] = found["Plan"]
    return plan


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def libpq(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
