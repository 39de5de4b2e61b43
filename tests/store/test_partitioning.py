"""`run_log` partitioned by the recipe in `examples/`: runguard and its operators notice nothing."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import event

from runguard._models import NewRun, RunStatus
from runguard._store import migrate as migrations
from tests.benchmarks.dataset import fill
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.store.test_query_plans import RUNS, VIEWS, Sent, explain, libpq, nodes
from tests.store.test_races import JOBS, alerts_by_key, one_for_each_key, racing
from tests.support.processes import race
from tests.support.stores import newest_runs, open_store
from tests.usage.docs.pages import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._store.operator import OperatorStore
    from tests.support.postgres import PostgresAddress

RECIPE = (Path(__file__).parents[2] / "examples" / "partitioned_run_log.sql").read_text()
FIRST = "run_log_before"  # where the rows lie that were there before
OTHERS = "run_log_others"


def partition(connection: psycopg.Connection) -> None:
    with connection.transaction():
        connection.execute(RECIPE.encode())
    connection.execute("select run_log_housekeeping(days_ahead => 7, days_kept => 90)")


@pytest.fixture(scope="module")
def _filled(postgres: PostgresAddress, _migrated_template: str) -> Iterator[str]:
    with postgres.database(template=_migrated_template) as name:
        with postgres.connect(name) as connection:
            fill(connection, runs=20_000, alerts=5_000)
            connection.execute("insert into run_log (job_name) values ('of another program')")
        yield name


@pytest.fixture
def url(postgres: PostgresAddress, _filled: str) -> Iterator[str]:
    """A database of months of runs, and one row of another program."""
    with postgres.database(template=_filled) as name:
        yield postgres.url(name)


@pytest.fixture
def before(url: str) -> Iterator[psycopg.Connection]:
    """An operator's session, before the table is partitioned."""
    with psycopg.connect(libpq(url), autocommit=True) as connection:
        yield connection


@pytest.fixture
def connection(before: psycopg.Connection) -> psycopg.Connection:
    """The same session, after."""
    partition(before)
    return before


@pytest.fixture
def store(url: str, connection: psycopg.Connection) -> Iterator[OperatorStore]:
    store = open_store(url)
    yield store
    store.close()


def partitions_of(url: str) -> list[str]:
    with psycopg.connect(libpq(url)) as connection:
        return partitions(connection)


def partitions(connection: psycopg.Connection) -> list[str]:
    return [
        name
        for (name,) in connection.execute(
            "select inhrelid::regclass::text from pg_inherits"
            " where inhparent = 'run_log'::regclass order by 1"
        )
    ]


def lying_in(connection: psycopg.Connection, key: UUID) -> str:
    [(name,)] = connection.execute(
        "select tableoid::regclass::text from run_log where run_key = %s", [key]
    ).fetchall()
    return str(name)


def run_in(connection: psycopg.Connection, days: int) -> NewRun:
    """A run that begins at noon, UTC, so many days from now."""
    [(first,)] = connection.execute(
        "select run_key_at(date_trunc('day', now(), 'UTC') + %s)",
        [timedelta(days=days, hours=12)],
    ).fetchall()
    run = new_run()
    key = UUID(int=first.int | run.key.int & (2**80 - 1))
    return NewRun(
        key=key,
        job_name=run.job_name,
        trigger_type=run.trigger_type,
        host=run.host,
        pid=run.pid,
    )


def test_no_row_is_lost_and_none_is_copied(before: psycopg.Connection) -> None:
    [(file,)] = before.execute("select pg_relation_filenode('run_log')").fetchall()

    partition(before)

    found = Counter(
        name for (name,) in before.execute("select tableoid::regclass::text from run_log")
    )
    assert found == {FIRST: 20_000, OTHERS: 1}
    assert before.execute(f"select pg_relation_filenode('{FIRST}')").fetchall() == [(file,)]


def test_what_operators_type_finds_what_it_found_before(before: psycopg.Connection) -> None:
    statements = [block.text.encode() for block in blocks("docs/reference/tables.md", "sql")]
    found = [before.execute(statement).fetchall() for statement in statements]
    assert all(found)

    partition(before)

    assert [before.execute(statement).fetchall() for statement in statements] == found


@pytest.fixture
def sent(store: OperatorStore) -> list[Sent]:
    found: list[Sent] = []
    event.listen(
        store.engine,  # type: ignore[attr-defined]
        "before_cursor_execute",
        lambda _connection, _cursor, sql, parameters, *_: found.append(Sent(sql, parameters)),
    )
    return found


def test_everything_that_the_store_does_works_and_reads_no_table_whole(
    store: OperatorStore, sent: list[Sent], url: str
) -> None:
    for work in (*RUNS.values(), *VIEWS.values()):
        work(store)
    sent += [Sent(block.text, None) for block in blocks("docs/reference/tables.md", "sql")]

    for statement in sent:
        for node in nodes(explain(url, statement)):
            whole = (node["Node Type"], node.get("Relation Name"))
            assert whole not in {("Seq Scan", FIRST), ("Seq Scan", "alert")}, statement.sql


@pytest.mark.parametrize("name", ["success", "failure, covered", "failure, alerting"])
def test_a_run_looks_into_its_own_partition_only(
    store: OperatorStore, sent: list[Sent], url: str, name: str
) -> None:
    RUNS[name](store)

    _start, ending, *_ = sent
    looked_into = {node.get("Relation Name") for node in nodes(explain(url, ending))}
    assert looked_into & {FIRST, *partitions_of(url)} == {FIRST}


def test_a_run_lies_in_the_partition_of_its_day(
    store: OperatorStore, connection: psycopg.Connection
) -> None:
    run = run_in(connection, days=3)

    first, again = (store.start_run(run, timeout=TIMEOUT) for _ in range(2))
    finished = store.finish_run(failure(run), timeout=TIMEOUT)

    assert first == again == finished.run_id
    [(day,)] = connection.execute(
        "select to_char(now() at time zone 'UTC' + interval '3 days', 'YYYYMMDD')"
    ).fetchall()
    assert lying_in(connection, run.key) == f"run_log_{day}"


def test_numbers_go_on_where_they_were(
    store: OperatorStore, connection: psycopg.Connection
) -> None:
    [(highest,)] = connection.execute("select max(id) from run_log").fetchall()

    assert store.start_run(new_run(), timeout=TIMEOUT) == highest + 1


def test_rights_and_indexes_are_kept(before: psycopg.Connection) -> None:
    rights = (
        "select grantee::text, privilege_type from pg_class, aclexplode(relacl)"
        " where oid = 'run_log'::regclass order by 1, 2"
    )
    indexes = (
        "select relname from pg_index join pg_class on oid = indexrelid"
        " where indrelid = 'run_log'::regclass and not indisprimary"
    )
    before.execute("grant select, insert on run_log to public")
    had = [before.execute(rights).fetchall(), set(before.execute(indexes))]

    partition(before)

    has = [before.execute(rights).fetchall(), set(before.execute(indexes))]
    assert has == [had[0], had[1] | {("runguard_run_log_id",)}]


def test_housekeeping_drops_what_is_old_and_a_second_time_nothing(
    store: OperatorStore, connection: psycopg.Connection
) -> None:
    """Days kept are counted from today: a negative number moves the limit instead of the rows."""
    soon = run_in(connection, days=2)
    later = run_in(connection, days=4)
    for run in (soon, later):
        store.start_run(run, timeout=TIMEOUT)
    made = partitions(connection)

    for _ in range(2):
        connection.execute("select run_log_housekeeping(days_ahead => 7, days_kept => -3)")

        assert len(partitions(connection)) == len(made) - 2
        assert FIRST not in partitions(connection)
    assert store.finish_run(success(soon), timeout=TIMEOUT).recorded is False
    assert store.finish_run(success(later), timeout=TIMEOUT).recorded is True


def test_a_record_that_comes_after_its_partition_is_gone_finds_a_place(
    store: OperatorStore, connection: psycopg.Connection
) -> None:
    connection.execute("select run_log_housekeeping(days_ahead => 7, days_kept => -3)")
    run = new_run()

    store.start_run(run, timeout=TIMEOUT)

    assert store.finish_run(success(run), timeout=TIMEOUT).recorded
    assert lying_in(connection, run.key) == OTHERS
    [record] = newest_runs(store, limit=1, status=RunStatus.SUCCESS)
    assert record.job_name == run.job_name


def test_one_alert_for_each_key_among_8_processes(url: str, connection: psycopg.Connection) -> None:
    [(failed,)] = connection.execute(
        "select count(*) from run_log where status = 'FAILED'"
    ).fetchall()
    connection.execute("delete from alert")

    race(racing("runguard_fails", url, 1), count=8, rounds=1)

    assert alerts_by_key(url) == one_for_each_key(1)
    [(now_failed,)] = connection.execute(
        "select count(*) from run_log where status = 'FAILED'"
    ).fetchall()
    assert now_failed == failed + 8 * len(JOBS)


def test_check_tells_that_the_table_is_partitioned(
    url: str, connection: psycopg.Connection
) -> None:
    assert migrations.check(url) == ["run_log: found a partitioned table, needed an ordinary table"]
