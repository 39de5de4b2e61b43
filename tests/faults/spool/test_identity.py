"""Records wait for the store that was meant, and reach no other one."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine

import runguard
from runguard._api import runtime
from runguard._run.spool_listing import count_of
from runguard._store.identity import identity_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    Put = Callable[..., Path]
    Sql = Callable[..., list[dict[str, Any]]]


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def name_of(url: str) -> str:
    return identity_of(url, None).name


ONE_STORE = [
    ("postgresql://app@db/prod", "postgresql://owner:secret@db/prod"),
    ("postgresql://app@localhost/prod", "postgresql://app@127.0.0.1:5432/prod"),
    ("postgresql://app@localhost/prod", "postgresql://app@[::1]/prod"),
    ("postgresql://app@DB.example.com/prod", "postgresql://app@db.example.com./prod"),
    ("postgresql://app@db/prod", "postgresql+psycopg://app@db:5432/prod?sslmode=require"),
    ("postgresql://app@/prod?host=/run/pg", "postgresql://@/prod?host=/run/pg/"),
    (
        "postgresql://app@/prod?host=db1:5432&host=db2:5433",
        "postgresql://app@/prod?host=db2:5433&host=db1:5432&target_session_attrs=read-write",
    ),
    (
        "postgresql://app@db/prod?options=-csearch_path%3Dx,y",
        "postgresql://app@db/prod?options=-c%20statement_timeout%3D5s%20--search-path%3Dx,%5C%20y",
    ),
    ("postgresql://db/prod?user=app", "postgresql://db/prod"),
    ("postgresql:///prod?host=db1,db2&port=6432", "postgresql://db1:6432,db2:6432/prod"),
    (
        "postgresql://db/prod?options=-csearch_path%3DJobs",
        'postgresql://db/prod?options=-csearch_path%3D"jobs"',
    ),
]
TWO_STORES = [
    ("postgresql://app@db/prod", "postgresql://app@db/dev"),
    ("postgresql://app@db1/prod", "postgresql://app@db2/prod"),
    ("postgresql://app@db:5432/prod", "postgresql://app@db:6432/prod"),
    ("postgresql://app@/app?host=/cloudsql/prod", "postgresql://app@/app?host=/cloudsql/dev"),
    ("postgresql://app@db/app", "postgresql://app@db/app?options=-csearch_path%3Ddev"),
    (
        "postgresql://app@db/app?options=-csearch_path%3Dprod",
        "postgresql://app@db/app?options=-c%20search_path%3Ddev",
    ),
    (
        "postgresql://app@db/app?options=-csearch_path%3DJobs",
        'postgresql://app@db/app?options=-csearch_path%3D"Jobs"',
    ),
    ("postgresql://app@db/app?host=other", "postgresql://app@db/app"),
    ("postgresql:///?service=prod", "postgresql:///?service=dev"),
    ("postgresql://one@db", "postgresql://two@db"),  # the database has the user's name
    ("sqlite:////srv/a.db", "sqlite:////srv/b.db"),
]


@pytest.mark.parametrize(("one", "other"), ONE_STORE)
def test_two_spellings_of_one_store_have_one_spool(one: str, other: str) -> None:
    assert name_of(one) == name_of(other)


@pytest.mark.parametrize(("one", "other"), TWO_STORES)
def test_two_stores_have_two_spools(one: str, other: str) -> None:
    assert name_of(one) != name_of(other)


def test_what_libpq_takes_from_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    names = set()
    for host in ("prod", "dev"):
        monkeypatch.setenv("PGHOST", host)
        names.add(name_of("postgresql:///app"))
    monkeypatch.setenv("PGOPTIONS", "-c search_path=x")
    names.add(name_of("postgresql:///app"))

    assert len(names) == 3


def test_a_link_to_a_sqlite_file_leads_to_one_spool(tmp_path: Path) -> None:
    (tmp_path / "link.db").symlink_to(tmp_path / "real.db")

    assert name_of(f"sqlite:///{tmp_path}/link.db") == name_of(f"sqlite:///{tmp_path}/real.db")


def test_the_embedded_file_has_one_spool_by_whatever_name() -> None:
    from runguard._run.embedded import embedded_file

    with runguard.run_scope("job"):
        pass
    by_default = runtime.spool().folder
    runguard.testing.reset()
    runguard.configure(database_url=f"sqlite:///{embedded_file()}")

    assert runtime.spool().folder == by_default


def test_neither_user_nor_password_is_in_the_name_of_a_store() -> None:
    identity = identity_of("postgresql://app:hunter2@db/prod?password=hunter3", None)

    assert identity.label == "postgresql db:5432/prod"


@pytest.mark.parametrize("as_engine", [False, True])
def test_a_record_of_one_schema_never_lands_in_another(
    migrated_pg_url: str, tmp_path: Path, *, as_engine: bool
) -> None:
    """Two schemas of one database, told apart by the URL's options alone."""
    from runguard._store.migrate import upgrade

    with connected(migrated_pg_url) as connection:
        connection.exec_driver_sql("create schema dev")
    dev = f"{migrated_pg_url}?options=-csearch_path%3Ddev"
    upgrade(dev)

    engines: list[Engine] = []

    def use(url: str) -> None:
        runguard.testing.reset()
        engines.append(create_engine(url))
        given = {"engine": engines[-1]} if as_engine else {"database_url": url}
        runguard.configure(**given, spool_dir=tmp_path)  # type: ignore[arg-type]

    use(migrated_pg_url)
    runtime.store().start_run = _away  # type: ignore[method-assign]
    runtime.store().replay_run = _away  # type: ignore[method-assign]
    with runguard.run_scope("of prod"):
        pass
    use(dev)
    with runguard.run_scope("of dev"):
        pass
    use(migrated_pg_url)
    with runguard.run_scope("later"):
        pass

    with connected(migrated_pg_url) as connection:
        jobs = [
            sorted(connection.exec_driver_sql(f"select job_name from {schema}.run_log").scalars())
            for schema in ("public", "dev")
        ]
    for engine in engines:
        engine.dispose()
    assert jobs == [["later", "of prod"], ["of dev"]]


def _away(*_: object, **__: object) -> Any:
    raise runguard.StoreUnavailable("away")


@pytest.fixture
def orphaned(migrated_pg_url: str, tmp_path: Path, put: Put) -> Path:
    """A record that waits for the same database under its former port."""
    runguard.configure(
        database_url="postgresql://app@127.0.0.1:1/prod", store_timeout=timedelta(seconds=0.2)
    )
    folder = put("orphaned").parent
    runguard.testing.reset()
    return folder


def test_status_and_doctor_name_other_folders_and_flush_takes_one(
    orphaned: Path, migrated_pg_url: str, cli: Callable[..., Any]
) -> None:
    at = ("--database-url", migrated_pg_url)
    status = cli("spool", "status", *at)
    rows = cli("spool", "status", "--json", *at).json
    findings = cli("doctor", "--json", *at).json
    doctor = [one["found"] for one in findings if one["check"] == "other spool"]
    flushed = cli("spool", "flush", "--from", str(orphaned), *at)

    assert f"1 record in {orphaned}, for postgresql localhost:1/prod" in status.stdout
    assert f"--from {orphaned}" in status.stderr
    assert [(row["is_own"], row["waiting"]) for row in rows] == [(True, 0), (False, 1)]
    assert any(str(orphaned) in found for found in doctor)
    assert (flushed.exit_code, "1 of 1 replayed" in flushed.stderr) == (0, True)
    with connected(migrated_pg_url) as connection:
        jobs = connection.exec_driver_sql("select job_name from run_log").scalars().all()
    assert jobs == ["orphaned"]
    assert "Not of this store" not in cli("spool", "status", *at).stdout


def test_flush_from_nowhere_is_told(cli: Callable[..., Any], sqlite_url: str) -> None:
    done = cli("spool", "flush", "--from", "/no/such/folder", "--database-url", sqlite_url)

    assert done.exit_code == 2
    assert "/no/such/folder" in done.stderr


def test_status_leaves_a_folder_alone_that_has_only_the_name_of_an_earlier_release(
    cli: Callable[..., Any], sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_SPOOL_DIR", str(tmp_path))
    (project := tmp_path / "embedded").mkdir()
    project.chmod(0o755)

    assert cli("spool", "status", "--database-url", sqlite_url).exit_code == 0
    assert project.stat().st_mode & 0o777 == 0o755


def test_flush_leaves_a_folder_alone_that_is_none_of_a_spool(
    cli: Callable[..., Any], sqlite_url: str, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    project.chmod(0o755)
    (project / "package.json").write_text("{}")

    done = cli("spool", "flush", "--from", str(project), "--database-url", sqlite_url)

    assert done.exit_code == 2
    assert "spool status" in done.stderr
    assert project.stat().st_mode & 0o777 == 0o755
    assert [path.name for path in project.iterdir()] == ["package.json"]


@pytest.mark.parametrize("url", ["postgresql", "embedded"])
def test_what_waits_under_the_name_of_an_earlier_release_is_replayed(
    url: str, request: pytest.FixtureRequest, put: Put
) -> None:
    if url == "postgresql":
        runguard.configure(database_url=request.getfixturevalue("migrated_pg_url"))
    path = put("waited")
    spool = runtime.spool()
    spool.folder.rename(spool.folders[-1])
    runtime.spool().look_again_at = 0.0
    with runguard.run_scope("later"):
        pass

    assert count_of(spool) == 0
    assert not (spool.folders[-1] / path.name).exists()
    assert spool.folders[-1] != spool.folder


def test_a_former_name_that_meant_several_stores_is_not_replayed() -> None:
    assert identity_of("postgresql://app@/prod?host=/cloudsql/a", None).former == ()
    assert len(identity_of("postgresql://app@db/prod?sslmode=require", None).former) == 1


def test_a_record_says_which_store_it_is_for(put: Put, sqlite_url: str) -> None:
    record = json.loads(put().read_text())

    assert record["store"] == identity_of(sqlite_url, None).label
