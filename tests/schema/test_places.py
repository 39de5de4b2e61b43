"""A store that the search path hides is found, named, and not made a second time."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from sqlalchemy import make_url
from typer.testing import CliRunner

from runguard import SchemaOutOfDate
from runguard._store import migrate as migrations
from runguard._store.schema.tables import SCHEMA_VERSION
from tests.schema.test_script import psql
from tests.store.drafts import TIMEOUT, new_run
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .databases import Database

STORES = "select schemaname from pg_tables where tablename = 'runguard_version'"


@pytest.fixture
def role(database: Database) -> Iterator[str]:
    """A role of the default search path that may make tables in `public`; a store is in `ops`."""
    name = f"role_{uuid4().hex[:12]}"
    database.rows(f"create schema ops; create role {name} login; grant create on schema public"
                  f" to {name}")  # fmt: skip
    migrations.upgrade(f"{database.url}?options=-csearch_path%3Dops")
    database.rows(f"grant usage on schema ops to {name}; grant all on all tables in schema ops"
                  f" to {name}")  # fmt: skip
    yield name
    database.rows(f"drop owned by {name}; drop role {name}")


@pytest.fixture
def role_url(postgres: Any, database: Database, role: str) -> str:
    return str(postgres.url(make_url(database.url).database, role))


def error_of_a_run(url: str) -> str:
    store = open_store(url)
    try:
        with pytest.raises(SchemaOutOfDate) as raised:
            store.start_run(new_run(), timeout=TIMEOUT)
        return str(raised.value)
    finally:
        store.close()


def test_no_second_store_is_made_beside_one_that_the_path_hides(
    database: Database, role: str, role_url: str
) -> None:
    remedy = rf"the store is in schema ops.*run `alter role {role} set search_path = ops`"
    for attempt in (migrations.upgrade, migrations.sql, migrations.check):
        with pytest.raises(SchemaOutOfDate, match=remedy):
            attempt(role_url)

    assert database.values(STORES) == ["ops"]


def test_a_run_is_told_where_the_store_is_and_not_to_make_one(role: str, role_url: str) -> None:
    told = error_of_a_run(role_url)

    assert f"run `alter role {role} set search_path = ops`" in told
    assert "db upgrade" not in told


def test_the_version_is_none_and_the_store_is_named(role: str, role_url: str) -> None:
    from runguard._cli.app import app

    answer = CliRunner().invoke(app, ["db", "current", "--database-url", role_url])

    assert answer.stdout == "none\n"
    assert f"run `alter role {role} set search_path = ops`" in answer.stderr


def test_what_it_says_is_enough(database: Database, role: str, role_url: str) -> None:
    database.rows(error_of_a_run(role_url).split("`")[1])

    assert migrations.current(role_url) == SCHEMA_VERSION
    assert migrations.check(role_url) == []


def test_a_schema_that_the_role_may_not_use_is_named(
    database: Database, role: str, role_url: str
) -> None:
    database.rows(f"alter role {role} set search_path = ops, public")
    database.rows(f"revoke usage on schema ops from {role}")

    assert f"`grant usage on schema ops to {role}`" in error_of_a_run(role_url)
    with pytest.raises(SchemaOutOfDate, match="may not use schema ops"):
        migrations.upgrade(role_url)


def test_a_role_whose_path_was_chosen_may_have_a_store_of_its_own(
    database: Database, role: str, role_url: str
) -> None:
    database.rows(f"alter role {role} set search_path = public")

    assert "or run `runguard db upgrade` for a second store, in schema public" in error_of_a_run(
        role_url
    )
    said: list[str] = []
    migrations.upgrade(role_url, progress=said.append)

    assert sorted(database.values(STORES)) == ["ops", "public"]
    assert said[0].startswith("a second store is made here; the first stays as it is: the store is")
    assert "in schema ops" in said[0]


def test_another_programs_table_before_ours_is_named(
    database: Database, role: str, role_url: str
) -> None:
    database.rows(
        f"create table public.run_log (id int); alter role {role} set search_path = public, ops"
    )

    told = error_of_a_run(role_url)

    assert "run_log means public.run_log, a table of another program" in told
    assert f"alter role {role} set search_path = ops" in told


def test_a_missing_table_is_not_called_a_missing_schema(database: Database, role_url: str) -> None:
    database.rows("drop table ops.job_lock, ops.run_log")

    url = f"{database.url}?options=-csearch_path%3Dops"

    assert "`runguard db check` names it" in error_of_a_run(url)


def test_the_script_goes_to_its_schema_whoever_runs_it(database: Database) -> None:
    database.rows('create schema "My ops"')
    script = migrations.sql(f"{database.url}?options=-csearch_path%3D%22My%5C%20ops%22")

    psql(database.url, script)

    assert database.values(STORES) == ["My ops"]


def test_a_script_that_was_written_unseen_makes_no_second_store(
    database: Database, role: str, role_url: str
) -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        psql(role_url, migrations.sql("postgresql"))

    assert "runguard has a store in another schema of this database" in raised.value.stderr
    assert database.values(STORES) == ["ops"]


def test_the_script_does_not_fall_back_to_public(database: Database) -> None:
    database.rows("create schema ops")
    script = migrations.sql(f"{database.url}?options=-csearch_path%3Dops")
    database.rows("drop schema ops")

    with pytest.raises(subprocess.CalledProcessError):
        psql(database.url, script)

    assert database.values(STORES) == []


def test_tables_to_adopt_in_a_second_schema_are_reached_by_the_script(database: Database) -> None:
    database.rows("create schema ops; create table public.job_lock (job_name text primary key,"
                  " locked_by text not null, locked_at timestamptz not null default now(),"
                  " lock_expires_at timestamptz not null)")  # fmt: skip
    url = f"{database.url}?options=-csearch_path%3Dops,public"

    psql(database.url, migrations.sql(url))

    assert migrations.check(url) == []
    assert database.values("select count(*) from pg_tables where tablename = 'job_lock'") == [1]
