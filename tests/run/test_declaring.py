"""A job's process tells the store what is expected of the job, once, beside its first ending."""

from __future__ import annotations

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Engine, create_engine, event

import runguard
import runguard.testing
from runguard import Expect
from runguard._run.declaring import MOST_TRIES
from runguard._store import declaring
from runguard._store.migrate import upgrade
from tests.run.conftest import PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Sql = Callable[..., list[dict[str, Any]]]
    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

NIGHTLY = Expect(
    cron="0 2 * * *",
    tz="Asia/Seoul",
    grace="30m",
    max_runtime="2h",
    min_records=1,
    owner="data-team",
    runbook="https://wiki.example/backup",
    description="Copies the database.",
)


@pytest.fixture
def statements(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Every statement of this process that names the table `job`."""
    seen: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        if "job " in statement.replace('"', "").replace("(", " ") and "job_lock" not in statement:
            seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    yield seen
    event.remove(Engine, "before_cursor_execute", note)


def ask(url: str, statement: str) -> list[Any]:
    engine = create_engine(url)
    with engine.connect() as connection:
        answer = connection.exec_driver_sql(statement).scalars().all()
    engine.dispose()
    return list(answer)


def declared(statements: list[str]) -> int:
    return sum(one.startswith("INSERT INTO job ") for one in statements)


@pytest.mark.usefixtures("url")
def test_a_decorated_job_is_declared_after_its_first_ending(sql: Sql) -> None:
    @runguard.tracked_run("nightly_backup", expect=NIGHTLY)
    def nightly_backup() -> None:
        assert sql("select * from job") == []  # not before

    nightly_backup()

    [row] = sql("select * from job")
    expectation = row["expectation"]
    if isinstance(expectation, str):
        expectation = json.loads(expectation)
    assert expectation == {
        **{"cron": "0 2 * * *", "tz": "Asia/Seoul", "min_records": 1},
        **{"grace": 1800.0, "max_runtime": 7200.0},
    }
    assert (row["job_name"], row["environment"]) == ("nightly_backup", "")
    assert (row["declared_by"], row["declared_who"]) == ("code", os.uname().nodename)
    assert (row["owner"], row["description"]) == ("data-team", "Copies the database.")
    assert row["runbook"] == "https://wiki.example/backup"


@pytest.mark.usefixtures("url")
def test_once_a_process_in_one_statement_however_it_ends(statements: list[str]) -> None:
    @runguard.tracked_run("job", expect="learn")
    def job(number: int) -> None:
        if number % 2:
            raise ValueError("x")

    for number in range(4):
        with suppress(ValueError):
            job(number)

    assert declared(statements) == 1
    asked = [one for one in statements if one.startswith("SELECT")]
    assert len(asked) == 1  # whether anybody watches, not again for five minutes


@pytest.mark.usefixtures("url")
def test_once_although_several_threads_end_their_first_runs_at_once(statements: list[str]) -> None:
    job = runguard.tracked_run("job", expect=Expect(every="1h"))(Barrier(4).wait)

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(job)

    assert declared(statements) == 1


@pytest.mark.usefixtures("url")
def test_each_job_of_a_process_is_declared_and_a_change_too(statements: list[str]) -> None:
    for job, every in (("a", "1h"), ("b", "1h"), ("a", "1h"), ("a", "2h")):
        with runguard.run_scope(job, expect=Expect(every=every)):
            pass

    assert declared(statements) == 3


@pytest.mark.usefixtures("sqlite_url")
def test_a_job_that_expects_nothing_asks_nothing(statements: list[str]) -> None:
    with runguard.run_scope("another"):
        pass
    statements.clear()  # of the schema
    with runguard.run_scope("job"):
        pass

    assert statements == []


def test_a_job_that_is_registered_apart_is_declared(
    sqlite_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_url
    registered: dict[str, Expect] = {}
    for module in ("declaring", "lifecycle"):
        monkeypatch.setattr(f"runguard._run.{module}.EXPECTED", registered)
    runguard.expect("cache_refresh", every="15m")

    for job, expect in (("cache_refresh", None), ("other", None)):
        with runguard.run_scope(job, expect=expect):
            pass

    assert [row["job_name"] for row in sql("select job_name from job")] == ["cache_refresh"]


async def test_a_coroutine_is_declared_off_the_loop(sqlite_url: str, sql: Sql) -> None:
    @runguard.tracked_run("job", expect=Expect(every="1h"))
    async def job() -> None: ...

    assert sqlite_url
    await job()

    assert len(sql("select * from job")) == 1


def test_a_refused_run_is_an_ending_too(sqlite_url: str, sql: Sql) -> None:
    assert sqlite_url
    with (
        runguard.run_scope("job", lock=True),
        suppress(runguard.JobLockActive),
        runguard.run_scope("job", lock=True, expect=Expect(every="1h")),
    ):
        pass

    assert len(sql("select * from job")) == 1


def test_texts_alone_declare_no_expectation(sqlite_url: str, sql: Sql) -> None:
    assert sqlite_url
    with runguard.run_scope("job", expect=Expect(owner="ops")):
        pass

    [row] = sql("select owner, expectation from job")
    assert row == {"owner": "ops", "expectation": None}


def test_the_environment_of_the_process_is_declared(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    runguard.configure(database_url=url, store_timeout=PATIENT, environment="staging")
    with runguard.run_scope("job", expect=Expect(every="1h")):
        pass

    assert ask(url, "select environment from job") == ["staging"]


def test_what_could_not_be_declared_is_declared_with_the_next_ending(
    sqlite_url: str, sql: Sql, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_url

    def busy(*_: object, **__: object) -> None:
        raise runguard.StoreUnavailable("busy")

    for fault in (busy, None):
        with monkeypatch.context() as patched:
            if fault is not None:
                patched.setattr(declaring, "declare_jobs", fault)
            with runguard.run_scope("job", expect=Expect(every="1h")) as run:
                pass
            assert run.status == "SUCCESS"

    assert len(sql("select * from job")) == 1
    told = [fields for name, fields in events() if name == "runguard.internal_error"]
    assert [(one["stage"], one["error"]) for one in told] == [("declare", "StoreUnavailable: busy")]


def test_a_role_that_may_not_declare_is_told_once_and_goes_on(
    sqlite_url: str, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_url
    tries = []

    def refused(*_: object, **__: object) -> None:
        tries.append(1)
        raise runguard.StoreUnavailable("permission denied for table job (SQLSTATE 42501)")

    monkeypatch.setattr(declaring, "declare_jobs", refused)
    for _ in range(MOST_TRIES + 2):
        with runguard.run_scope("job", expect=Expect(every="1h")) as run:
            pass
        assert run.status == "SUCCESS"

    assert len(tries) == MOST_TRIES
    assert sum(fields.get("stage") == "declare" for _, fields in events()) == 1


def test_a_store_that_is_away_is_asked_when_it_is_back(
    tmp_path: Path, sql: Sql, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from runguard._store.sqlite.recorder import SqliteRecorder

    runguard.configure(
        database_url=f"sqlite:///{tmp_path / 'runguard.db'}",
        store_timeout=timedelta(seconds=30),
        spool_dir=tmp_path / "spool",
    )

    def away(*_: object, **__: object) -> None:
        raise runguard.StoreUnavailable("away")

    job = runguard.tracked_run("job", expect=Expect(every="1h"))(lambda: None)
    with monkeypatch.context() as patched:
        for method in ("start_run", "finish_run", "replay_run"):
            patched.setattr(SqliteRecorder, method, away)
        job()
        assert declared(statements) == 0
    job()

    assert declared(statements) == 1
    assert len(sql("select * from job")) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_declares_its_own_job(sqlite_url: str, sql: Sql) -> None:
    assert sqlite_url
    with runguard.run_scope("parent", expect=Expect(every="1h")):
        pass
    child = os.fork()
    if child == 0:
        code = 1
        with suppress(BaseException):
            with runguard.run_scope("child", expect=Expect(every="1h")):
                pass
            code = 0
        os._exit(code)

    assert os.waitpid(child, 0)[1] == 0
    names = [row["job_name"] for row in sql("select job_name from job order by 1")]
    assert names == ["child", "parent"]


def test_a_run_that_expects_something_raises_that_nobody_watches(
    sqlite_url: str, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_url
    job = runguard.tracked_run("job", expect=Expect(every="1h"))(lambda: None)
    job()
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    sql("update job set declared_at = :then", then=f"{an_hour_ago:%Y-%m-%d %H:%M:%S.000}")
    job()
    too_early = sql("select * from alert")
    monkeypatch.setattr("runguard._run.declaring.ASK_EVERY_SECONDS", 0.0)
    runguard.testing.reset()
    runguard.configure(database_url=sqlite_url, store_timeout=PATIENT)
    job()
    job()

    assert too_early == []  # it asks every five minutes at most
    assert [row["alert_type"] for row in sql("select * from alert")] == ["UNWATCHED"]


def test_the_question_whether_anybody_watches_may_fail(
    sqlite_url: str, sql: Sql, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_url

    def refused(*_: object, **__: object) -> bool:
        raise runguard.StoreUnavailable("no")

    monkeypatch.setattr(declaring, "raise_unwatched", refused)
    for _ in range(2):
        with runguard.run_scope("job", expect=Expect(every="1h")) as run:
            pass
        assert run.status == "SUCCESS"

    assert len(sql("select * from job")) == 1
    assert sum(fields.get("stage") == "declare" for _, fields in events()) == 1


def test_on_the_schema_of_an_earlier_release_runs_are_recorded_and_it_is_told_once(
    pg_url: str, events: Events
) -> None:
    upgrade(pg_url, "0004")
    runguard.configure(database_url=pg_url, store_timeout=PATIENT)
    for _ in range(2):
        with runguard.run_scope("job", expect=Expect(every="1h")):
            pass

    assert ask(pg_url, "select status from run_log") == ["SUCCESS", "SUCCESS"]
    [told] = [fields for name, fields in events() if name == "runguard.internal_error"]
    assert told["stage"] == "declare"
    assert "runguard db upgrade" in told["error"]


def test_a_run_that_ends_when_nothing_can_be_imported_ends_as_it_should(
    sqlite_url: str, sql: Sql, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sqlite_url
    with runguard.run_scope("job", expect=Expect(every="1h")) as run:
        monkeypatch.setitem(sys.modules, "runguard._run.declaring", None)

    assert run.status == "SUCCESS"
    assert [row["status"] for row in sql("select status from run_log")] == ["SUCCESS"]
    assert [fields.get("stage") for _, fields in events() if "stage" in fields] == ["declare"]
