"""Tables that were there before runguard, full of rows that other programs go on writing."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from sqlalchemy import make_url

from runguard import StoreUnavailable, configure, run_scope
from runguard._errors import SchemaConflict
from runguard._store import migrate as migrations

from .databases import TABLES, Installation, dsn, insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .databases import Database

    Install = Callable[..., Database]

SPELLINGS = {
    "as today": Installation(),
    "serial ids, limited texts, json": Installation(
        id="serial", text="varchar(200)", counter="integer", document="json"
    ),
    "texts without a limit, numeric counters": Installation(text="varchar", counter="numeric"),
    "generated ids, small counters": Installation(
        id="bigint generated always as identity", counter="smallint"
    ),
}


def fail(job_name: str) -> None:
    with pytest.raises(ValueError, match="bad input"), run_scope(job_name):
        raise ValueError("bad input")


@contextmanager
def other_programs(database: Database) -> Iterator[list[int]]:
    """Insert into all tables without a pause for as long as the block runs; one entry a round."""
    rounds: list[int] = []
    over = threading.Event()
    faults: list[Exception] = []

    def write() -> None:
        try:
            with psycopg.connect(dsn(database.url), autocommit=True) as connection:
                while not over.is_set():
                    insert(connection)
                    rounds.append(1)
        except psycopg.Error as error:
            faults.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield rounds
    finally:
        over.set()
        thread.join()
    assert faults == []


@pytest.mark.parametrize(
    ("spelling", "tables"),
    [
        *((spelling, TABLES) for spelling in SPELLINGS.values()),
        (Installation(), ("run_log",)),
        (Installation(), ("alert", "job_lock")),
    ],
    ids=[*SPELLINGS, "run_log alone", "alert and job_lock"],
)
def test_runguard_works_on_adopted_tables(
    database: Database, spelling: Installation, tables: tuple[str, ...]
) -> None:
    database.rows(spelling.statements(tables))
    insert(database.connection, count=5, tables=tables)

    migrations.upgrade(database.url)

    configure(database_url=database.url)
    with run_scope("sync", lock=True):
        pass
    fail("sync")
    assert migrations.check(database.url) == []
    assert database.values("select status from run_log where run_key is not null order by id") == [
        "SUCCESS",
        "FAILED",
    ]
    # The operators' join, typed by hand.
    assert database.values(
        "select a.source_id from alert a join run_log r on a.detail->>'run_id' = r.id::text"
    ) == ["sync:UNKNOWN"]


def test_no_row_is_lost_or_changed(filled: Database) -> None:
    columns = {
        table: ", ".join(
            filled.values(
                "select column_name::text from information_schema.columns"
                f" where table_name = '{table}' order by ordinal_position"
            )
        )
        for table in TABLES
    }
    query = " union all ".join(
        f"select '{table}', count(*), md5(string_agg(t::text, ',' order by t::text))"
        f" from (select {columns[table]} from {table}) t"
        for table in TABLES
    )
    query += " order by 1"
    before = filled.rows(query)

    migrations.upgrade(filled.url)

    assert filled.rows(query) == before
    assert [count for _, count, _ in before] == [10_000] * 3


def test_other_programs_write_before_during_and_after(filled: Database) -> None:
    with other_programs(filled) as rounds:
        migrations.upgrade(filled.url)
    during = len(rounds)
    insert(filled.connection)

    assert during > 0
    assert filled.values("select count(*) from run_log") == [10_000 + during + 1]


def test_an_alert_that_was_there_counts_for_the_cooldown(install: Install) -> None:
    database = install()
    database.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title, message, detail,"
        " review_status, resolved, created_at) values ('run_log', 'sync:UNKNOWN', 'FAILED',"
        " 'medium', 't', 'm', '{}', 'AUTO', true, now() - interval '29 minutes')"
    )
    migrations.upgrade(database.url)
    configure(database_url=database.url, cooldown=timedelta(minutes=30))

    fail("sync")
    fail("another")

    assert database.rows(
        "select job_name, alert_outcome from run_log where run_key is not null order by id"
    ) == [("sync", "suppressed"), ("another", "raised")]


def test_the_base_columns_are_not_made_stricter(install: Install) -> None:
    database = install()
    nullable = (
        "select table_name::text, column_name::text, is_nullable, column_default"
        " from information_schema.columns where (table_name, column_name) in (select * from base)"
        " order by 1, 2"
    )
    database.rows(
        "create table base as select table_name::text, column_name::text"
        " from information_schema.columns where table_schema = 'public'"
    )
    before = database.rows(nullable)

    migrations.upgrade(database.url)

    assert database.rows(nullable) == before
    assert (
        database.rows(
            "select c.conrelid::regclass::text, a.attname::text from pg_constraint c"
            " join pg_attribute a on a.attrelid = c.conrelid and a.attnum = any (c.conkey)"
            " join base on (c.conrelid::regclass::text, a.attname) = (table_name, column_name)"
            " where contype = 'c'"
        )
        == []
    )


def test_our_checks_are_validated_and_our_indexes_the_same_as_on_a_new_table(
    install: Install, migrated_pg_url: str
) -> None:
    database = install()

    migrations.upgrade(database.url)

    with psycopg.connect(dsn(migrated_pg_url)) as connection:
        new = type(database)(migrated_pg_url, connection).schema()
    adopted = database.schema()
    assert adopted["indexes"] == new["indexes"]
    assert {row for row in adopted["constraints"] if "NOT NULL" not in row[2]} == {
        row for row in new["constraints"] if "NOT NULL" not in row[2]
    }
    assert {row[:5] for row in adopted["columns"]} >= {
        row[:5] for row in new["columns"] if row[1] in ("run_key", "heartbeat_at", "fence")
    }


def test_indexes_of_filled_tables_are_built_concurrently(install: Install) -> None:
    said: list[str] = []

    migrations.upgrade(install().url, progress=said.append)

    built = [line for line in said if "INDEX" in line]
    assert len(built) == 24
    assert all("INDEX CONCURRENTLY" in line for line in built)
    # A role's statement_timeout would end a long build.
    assert said.index("SET statement_timeout = 0") < said.index(built[0])


def test_an_index_that_serves_already_is_not_built_again(install: Install) -> None:
    database = install()
    database.rows(
        "create index run_log_started_at_idx on run_log (started_at desc);"
        "create index by_key on alert (source_type, source_id, alert_type, created_at, id)"
    )

    migrations.upgrade(database.url)

    ours = database.values(
        "select indexname::text from pg_indexes where indexname like 'runguard%'"
    )
    assert "runguard_run_log_started_at" not in ours
    assert "runguard_alert_cooldown_key" not in ours
    assert "runguard_run_log_job_started_at" in ours
    assert migrations.check(database.url) == []


def test_an_id_without_a_key_gets_an_index(install: Install) -> None:
    database = install()
    database.rows("alter table run_log drop constraint run_log_pkey")

    migrations.upgrade(database.url)

    assert database.values(
        "select indexdef from pg_indexes where indexname = 'runguard_run_log_id'"
    ) == ["CREATE INDEX runguard_run_log_id ON public.run_log USING btree (id)"]
    assert migrations.check(database.url) == []


def test_limited_texts_become_text_without_a_rewrite(install: Install) -> None:
    database = install(text="varchar(50)")
    files = "select relname::text, relfilenode from pg_class where relname ~ '^(run_log|job_lock)'"
    before = set(database.rows(files))

    migrations.upgrade(database.url)

    assert database.values(
        "select distinct data_type::text from information_schema.columns where table_name ="
        " 'run_log' and column_name in ('job_name', 'status', 'error_message')"
    ) == ["text"]
    assert set(database.rows(files)) >= before


def test_a_text_without_a_limit_stays_where_a_view_needs_it(install: Install) -> None:
    database = install(text="varchar")
    database.rows("create view failures as select job_name from run_log where status = 'FAILED'")

    migrations.upgrade(database.url)

    assert migrations.check(database.url) == []
    assert database.rows("select count(*) from failures") == [(4,)]


def test_missing_base_columns_are_added(install: Install) -> None:
    database = install()
    database.rows(
        "alter table run_log drop finished_at, drop retry_count, drop updated_at;"
        " alter table alert drop resolved, drop detail"
    )

    migrations.upgrade(database.url)

    # Counts begin at 0; of anything else nobody knows what it was.
    assert database.rows("select distinct finished_at, retry_count, updated_at from run_log") == [
        (None, 0, None)
    ]
    assert database.rows("select distinct resolved, detail from alert") == [(None, None)]
    [updated] = database.values(
        "insert into run_log (job_name, trigger_type, status, started_at, total_records,"
        " changed_records, created_alerts) values ('j', 'MANUAL', 'RUNNING', now(), 0, 0, 0)"
        " returning updated_at = now()"
    )
    assert updated is True


def test_tables_are_adopted_where_the_search_path_finds_them(database: Database) -> None:
    name = make_url(database.url).database
    database.rows("create schema ops; set search_path = ops")
    database.rows(Installation().statements(("alert",)))
    database.rows(f"alter database {name} set search_path = runs, ops; create schema runs")

    migrations.upgrade(database.url)

    assert database.rows(
        "select tablename::text, schemaname::text from pg_tables"
        " where schemaname in ('ops', 'runs', 'public') order by 1"
    ) == [
        ("alert", "ops"),
        ("alert_cooldown", "runs"),
        ("alert_delivery", "runs"),
        ("channel_state", "runs"),
        ("job", "runs"),
        ("job_lock", "runs"),
        ("monitor", "runs"),
        ("monitor_gap", "runs"),
        ("run_log", "runs"),
        ("run_note", "runs"),
        ("runguard_version", "runs"),
        ("silence", "runs"),
    ]
    assert migrations.check(database.url) == []


CONFLICTS = [
    (
        "alter table run_log alter id drop identity; alter table run_log alter id type numeric",
        "run_log.id: found numeric, needed bigint or in",
    ),
    (
        "alter table run_log alter id drop identity",
        "run_log.id: found no default, needed one (ALTER TABLE run_log ALTER COLUMN id ADD GENER",
    ),
    ("alter table alert alter id type smallint", "alert.id: found smallint, needed bigint or int"),
    (
        "alter table alert alter created_at type timestamp",
        "alert.created_at: found timestamp without time zone, needed timestamp with time zone (AL",
    ),
    ("alter table alert alter detail type text", "alert.detail: found text, needed jsonb or json"),
    (
        "alter table alert alter resolved type text",
        "alert.resolved: found text, needed boolean",
    ),
    (
        "alter table run_log alter job_name type char(20)",
        "run_log.job_name: found character(20), needed text or character varying",
    ),
    (
        "create type state as enum ('SUCCESS', 'FAILED');"
        "alter table run_log alter status type state using status::state",
        "run_log.status: found state, needed text or character varying",
    ),
    (
        "alter table run_log add run_key text",
        "run_log.run_key: found text, needed uuid",
    ),
    ("alter table alert drop source_id", "alert.source_id: found no such column, needed text"),
    (
        "alter table job_lock drop lock_expires_at",
        "job_lock.lock_expires_at: found no such column, needed timestamp with time zone",
    ),
    (
        "alter table job_lock drop constraint job_lock_pkey",
        "job_lock: found no primary key on job_name, needed one (ALTER TABLE job_lock ADD PRIMARY",
    ),
    (
        "alter table run_log rename to runs; create view run_log as select * from runs",
        "run_log: found a view, needed an ordinary table",
    ),
    (
        "drop table run_log; create table run_log (id bigint) partition by range (id)",
        "run_log: found a partitioned table, needed an ordinary table",
    ),
    (
        "alter table run_log add tenant int not null default 0;"
        "alter table run_log alter tenant drop default",
        "run_log.tenant: found integer NOT NULL without a default, needed a default or no NOT NULL",
    ),
    (
        "truncate run_log; alter table run_log alter finished_at set not null",
        "run_log.finished_at: found timestamp with time zone NOT NULL without a default",
    ),
    (
        "alter table run_log drop total_records;"
        "alter table run_log add total_records bigint generated always as (1) stored",
        "run_log.total_records: found a generated column, needed one that can be written",
    ),
    (
        "alter table run_log alter job_name type varchar(20);"
        "create view jobs as select job_name from run_log",
        "run_log.job_name: found character varying(20) used by rule _RETURN on view jobs, needed",
    ),
    (
        "create unique index one on alert (source_type, source_id) where not resolved",
        "alert: found the unique index one on source_type, source_id, needed room for several",
    ),
    (
        "alter table alert add constraint kinds check (alert_type in ('NEW', 'CHANGED'))",
        "alert: found the constraint kinds, CHECK (alert_type = ANY (ARRAY['NEW'::text, 'CHANGED'"
        "::text])), needed one that allows alert_type = FAILED",
    ),
    (
        "alter table run_log add constraint ends"
        " check (status <> 'FAILED' or retry_count > 0) not valid",
        "run_log: found the constraint ends, CHECK ((status <> 'FAILED'::text) OR (retry_count >"
        " 0)), needed one that allows status = FAILED",
    ),
]


@pytest.mark.parametrize(("change", "conflict"), CONFLICTS, ids=[c for _, c in CONFLICTS])
def test_what_cannot_be_adopted_is_refused_before_the_first_change(
    install: Install, change: str, conflict: str
) -> None:
    database = install()
    for statement in change.split(";"):
        database.rows(statement)
    before = database.schema()

    with pytest.raises(SchemaConflict) as refused:
        migrations.upgrade(database.url)

    [line] = refused.value.conflicts
    assert line.startswith(conflict)
    assert database.schema() == before


@pytest.mark.parametrize(
    "harmless",
    [
        "alter table run_log add tenant int not null default 7",
        "alter table run_log add note text check (length(note) < 5)",
        "alter table run_log add check (status in ('RUNNING', 'SUCCESS', 'FAILED'))",
        "alter table run_log add check (finished_at is not null or status = 'RUNNING')",
        "alter table run_log add check (finished_at >= started_at and total_records >= 0)",
        "alter table alert add check (severity ~ '^(low|medium|high)$' and id > 0)",
        "create unique index once on run_log (job_name, started_at)",
        "create index by_title on alert (lower(title))",
        "alter table job_lock drop constraint job_lock_pkey, add unique (job_name)",
        "create view runs as select * from run_log",
        "alter table alert alter message drop not null",
        "create table child (alert_id bigint references alert)",
    ],
)
def test_what_does_no_harm_is_adopted(install: Install, harmless: str) -> None:
    database = install()
    database.rows("update run_log set started_at = started_at - id * interval '1 second'")
    database.rows(harmless)

    migrations.upgrade(database.url)

    configure(database_url=database.url)
    fail("sync")
    assert database.values("select alert_outcome from run_log order by id desc limit 1") == [
        "raised"
    ]


def test_all_conflicts_are_told_at_once(install: Install) -> None:
    database = install()
    database.rows("alter table run_log alter status type char(9), alter id type smallint")
    database.rows("alter table job_lock alter locked_at type timestamp")

    with pytest.raises(SchemaConflict) as refused:
        migrations.upgrade(database.url)

    assert [line.partition(":")[0] for line in refused.value.conflicts] == [
        "run_log.id",
        "run_log.status",
        "job_lock.locked_at",
    ]
    assert all(line in str(refused.value) for line in refused.value.conflicts)


def test_a_table_in_use_is_tried_again_when_it_is_free(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = install()
    monkeypatch.setattr(migrations, "PAUSE_SECONDS", 0.0)
    said: list[str] = []
    with psycopg.connect(dsn(database.url)) as reader:
        reader.execute("select count(*) from run_log")

        def listen(line: str) -> None:
            said.append(line)
            if line.startswith("a table is in use"):
                insert(database.connection)  # nobody queues behind an ALTER that has given up
                reader.rollback()

        migrations.upgrade(database.url, progress=listen)

    assert sum(line.startswith("a table is in use") for line in said) == 1
    assert migrations.check(database.url) == []


def test_a_table_that_stays_in_use_is_given_up(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = install()
    monkeypatch.setattr(migrations, "MOST_LOCK_ATTEMPTS", 1)
    before = database.schema()
    with psycopg.connect(dsn(database.url), application_name="nightly") as reader:
        reader.execute("select count(*) from run_log")
        process = reader.info.backend_pid

        with pytest.raises(StoreUnavailable, match=rf"run_log by process {process} \(nightly\)"):
            migrations.upgrade(database.url)

    assert database.schema() == before


@pytest.mark.parametrize("step", ["DROP INDEX", "CREATE INDEX", "ANALYZE", "RESET"])
def test_an_aborted_upgrade_is_finished_by_the_next(install: Install, step: str) -> None:
    database = install()
    # A build that fails leaves an invalid index of that name, as a killed one does.
    with pytest.raises(psycopg.errors.UniqueViolation):
        database.rows(
            "create unique index concurrently runguard_run_log_started_at on run_log (status)"
        )

    def abort(line: str) -> None:
        if line.startswith(step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        migrations.upgrade(database.url, progress=abort)
    assert migrations.current(database.url) is None

    migrations.upgrade(database.url)

    assert migrations.check(database.url) == []
    assert (
        database.values("select indexrelid::regclass::text from pg_index where not indisvalid")
        == []
    )


def test_a_downgrade_leaves_an_installation_as_it_was(install: Install) -> None:
    database = install()
    database.rows("create index run_log_started_at_idx on run_log (started_at)")
    before = database.schema()
    migrations.upgrade(database.url)
    configure(database_url=database.url)
    fail("sync")

    migrations.downgrade(database.url, "base")

    assert database.schema() == before
    assert database.values("select count(*) from run_log") == [21]


def test_what_a_downgrade_would_delete_is_counted_without_the_installation_s_rows(
    install: Install,
) -> None:
    database = install()
    migrations.upgrade(database.url)
    configure(database_url=database.url)
    fail("sync")

    losses = migrations.losses(database.url, "base")

    assert not [line for line in losses if "(table run_log)" in line or "(table alert)" in line]
    assert "1 guard row (table alert_cooldown)" in losses
    assert "1 value of run_log.error_group" in losses


def test_a_downgrade_drops_only_the_tables_that_were_made(database: Database) -> None:
    database.rows(Installation().statements(("alert",)))
    before = database.schema()
    migrations.upgrade(database.url)

    migrations.downgrade(database.url, "base")

    assert database.schema() == before


def test_a_downgrade_keeps_a_column_of_the_installation_s_own(install: Install) -> None:
    database = install()
    database.rows("alter table run_log add host text default 'here'")
    migrations.upgrade(database.url)

    migrations.downgrade(database.url, "base")

    assert database.values("select distinct host from run_log") == ["here"]


def test_a_downgrade_drops_nothing_that_has_lost_its_mark(database: Database) -> None:
    migrations.upgrade(database.url)
    database.rows("comment on table run_log is null")

    migrations.downgrade(database.url, "base")

    assert database.values("select tablename::text from pg_tables where schemaname = 'public'") == [
        "run_log"
    ]


def test_adopted_tables_can_be_upgraded_again_after_a_downgrade(install: Install) -> None:
    database = install()
    migrations.upgrade(database.url)
    once = database.schema()

    migrations.downgrade(database.url, "base")
    migrations.upgrade(database.url)

    assert database.schema() == once
