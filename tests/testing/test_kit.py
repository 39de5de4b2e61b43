"""The test kit without pytest's help: assertions, the clock, what is simulated."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

import runguard
from runguard import ConfigurationError, JobLockActive, classify, run_scope
from runguard._store.schema.indexes import metadata
from runguard._testing.view import StoreView
from runguard.testing import FreshStore, fresh_store, recorded

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def store() -> Iterator[FreshStore]:
    with fresh_store() as fresh:
        yield fresh


def fail(job_name: str, error: BaseException) -> None:
    with pytest.raises(type(error)), run_scope(job_name):
        raise error


def said_by(assertion: Any, *arguments: Any, **columns: Any) -> str:
    with pytest.raises(AssertionError) as failed:
        assertion(*arguments, **columns)
    return str(failed.value)


def test_a_run_that_is_there_is_returned(store: FreshStore) -> None:
    with run_scope("sync", trigger_type="SCHEDULER") as run:
        run.total_records = 3

    found = store.runs.assert_run("sync", status="SUCCESS", trigger_type="SCHEDULER", count=1)

    assert (found.id, found.total_records) == (run.id, 3)
    assert store.runs.assert_no_run("sync", status="FAILED") is None
    assert "expected no run of sync, found 1" in said_by(store.runs.assert_no_run, "sync")
    assert "expected 2 runs of sync, found 1" in said_by(store.runs.assert_run, "sync", count=2)


def test_what_is_kept_beside_a_run_is_read(store: FreshStore) -> None:
    with run_scope("sync") as run:
        run.note(term="2026-1")
    fail("count", ValueError("no number"))

    assert store.runs.note_of(store.runs.assert_run("sync")).context == {"term": "2026-1"}
    traceback = store.runs.note_of(store.runs.assert_run("count")).traceback
    assert traceback is not None
    assert traceback.rstrip().endswith("ValueError: no number")


def test_an_assertion_that_fails_names_what_comes_nearest(store: FreshStore) -> None:
    fail("sync", TimeoutError("no answer"))

    told = said_by(store.runs.assert_run, "synk")
    assert "nearest: run 1, but job_name='sync' (did you mean 'sync'?)" in told
    told = said_by(store.runs.assert_run, "sync", contains="broken")
    assert "nearest: run 1, but error_message='no answer' has no 'broken'" in told
    told = said_by(store.runs.assert_alert, "sync:TIMEOUT", severity="low")
    assert "nearest: alert 1, but severity='high'" in told
    told = said_by(store.runs.assert_suppressed, "sync:TIMEOUT")
    assert "nearest: run 1, but its alert was raised" in told
    told = said_by(store.runs.assert_told, "oncall", contains="broken")
    assert "nearest: TIMEOUT sync failed (high)\nsync failed: " in told
    told = said_by(store.runs.assert_no_alert)
    assert "expected no alert, found 1" in told
    run = "1  sync  FAILED  TIMEOUT/read_timeout  created_alerts=1  alert raised  'no answer'"
    assert f"runs:\n  {run}" in told


def test_a_column_that_is_not_there_is_an_error_and_no_difference(store: FreshStore) -> None:
    with pytest.raises(ConfigurationError, match=r"'total_record' \(did you mean 'total_records'"):
        store.runs.assert_run("sync", total_record=3)  # type: ignore[call-arg]


def test_what_is_recorded_in_a_block_is_told_from_what_was_before_and_after(
    store: FreshStore,
) -> None:
    fail("sync", TimeoutError("before"))
    with store.runs.recorded() as new:
        fail("sync", ValueError("inside"))
    fail("sync", KeyError("after"))

    new.assert_run("sync", count=1, error_message="inside")
    new.assert_alert("sync:UNKNOWN", count=1)
    new.assert_no_alert("sync:TIMEOUT")
    assert [one.subject for one in new.told] == ["UNKNOWN sync failed: bad data (medium)"]
    assert len(store.runs.told) == 2


def test_what_is_recorded_is_found_in_a_store_that_was_there(tmp_path: Path) -> None:
    runguard.configure(database_url=f"sqlite:///{tmp_path / 'mine.db'}")
    with run_scope("sync"):
        pass

    with recorded() as new, run_scope("sync"):
        pass

    assert [run.id for run in new.runs] == [2]


def test_alerts_of_a_store_that_was_there_stay_to_be_told(tmp_path: Path) -> None:
    runguard.configure(database_url=f"sqlite:///{tmp_path / 'mine.db'}")
    with recorded() as new:
        fail("sync", TimeoutError("no answer"))

    alert = new.assert_alert("sync:TIMEOUT")
    with pytest.raises(ConfigurationError, match="expected a store of the test's own"):
        new.assert_not_told()
    with StoreView(f"sqlite:///{tmp_path / 'mine.db'}").reader() as store:
        assert not store.trail([alert.id])


def test_messages_follow_the_routes_of_the_project_and_reach_nobody(
    store: FreshStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runguard.toml").write_text(
        '[channels.team]\nurl = "smtp://127.0.0.1:1/?to=a@example.org&from=b@example.org"\n'
        '[channels.night]\nwebhook = "env:NEVER_SET"\n'
        '[[routes]]\nseverity = ["high"]\nto = ["night"]\n'
        '[[routes]]\nto = ["team"]\n'
        '[[quiet]]\ncron = "* * * * *"\nfor = "1d"\nreason = "always"\n'
    )
    fail("sync", TimeoutError("no answer"))
    fail("count", ValueError("no number"))

    store.runs.assert_told("night", contains="no answer")
    message = store.runs.assert_told("team", contains="no number")
    store.runs.assert_not_told("team", contains="no answer")
    assert message.html is not None
    assert "found 'nights' (did you mean 'night'?)" in said_by(store.runs.assert_told, "nights")


def test_a_recovery_is_told_and_resolves_the_alert(store: FreshStore) -> None:
    fail("sync", TimeoutError("no answer"))
    store.runs.assert_told("oncall", kind="opened")
    with run_scope("sync"):
        pass

    store.runs.assert_told("oncall", kind="recovered", contains="recovered", count=1)
    one = said_by(store.runs.assert_told, "oncall", count=1)

    assert "expected 1 message to oncall, found 2\n" in one
    store.runs.assert_alert("sync:TIMEOUT", alert_type="FAILED", resolved=True)


def times_of(store: FreshStore) -> dict[str, Any]:
    with store.reader() as reader, reader.engine.connect() as connection:
        return {
            f"{table.name}.{column.name} {number}": value
            for table in metadata.sorted_tables
            for number, row in enumerate(connection.execute(select(table)).mappings())
            for column in table.columns
            if hasattr(value := row[column.name], "tzinfo")
        }


def test_every_time_of_every_row_moves(store: FreshStore) -> None:
    fail("sync", TimeoutError("no answer"))
    with run_scope("locked", lock=True):
        pass
    with store.reader() as reader:
        in_an_hour = reader.now() + timedelta(hours=1)
        reader.add_silence(job="other", ends_at=in_an_hour, reason="work", created_by="me")
    assert store.runs.told
    before = times_of(store)

    store.clock.forward("31m")

    after = times_of(store)
    assert {name.split(".")[0] for name in before} >= {
        *(
            "run_log",
            "alert",
            "alert_cooldown",
            "alert_delivery",
            "job_lock",
            "channel_state",
            "silence",
        )
    }
    assert {name: before[name] - after[name] for name in before} == dict.fromkeys(
        before, timedelta(minutes=31)
    )


@pytest.mark.parametrize("length", ["31", "soon", "-1h", timedelta(0)])
def test_time_only_goes_forward(store: FreshStore, length: str | timedelta) -> None:
    with pytest.raises(ConfigurationError, match=r"forward: expected a timedelta or a text"):
        store.clock.forward(length)


@pytest.mark.parametrize("library", [None, "httpx", "requests", "aiohttp", "urllib"])
@pytest.mark.parametrize(("status", "group"), [(503, "HTTP_5XX"), (409, "HTTP_409")])
def test_an_answer_of_each_client_is_its_own_exception(
    store: FreshStore, library: str | None, status: int, group: str
) -> None:
    error = store.simulate.http(status, library=library)

    assert type(error).__module__.startswith(library or "httpx")
    assert (classify(error).error_group, classify(error).http_status_code) == (group, status)


@pytest.mark.parametrize(
    "library",
    [None, "httpx", "requests", "aiohttp", "urllib3", "psycopg", "asyncio", "socket", "subprocess"],
)
def test_a_timeout_of_each_library_is_its_own_exception(
    store: FreshStore, library: str | None
) -> None:
    error = store.simulate.timeout(library)

    assert classify(error).error_group == "TIMEOUT"
    assert not str(type(error).__module__).startswith("runguard")


def test_a_library_that_is_not_there_is_named_beside_those_that_are(
    store: FreshStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"found 'htpx' \(did you mean 'httpx'\?\)"):
        store.simulate.timeout("htpx")
    monkeypatch.setattr(
        "runguard._testing.exceptions.find_spec", lambda name: name != "httpx" or None
    )
    with pytest.raises(ConfigurationError, match=r"installed \(requests, .*found 'httpx'"):
        store.simulate.timeout("httpx")


def test_a_lock_is_held_by_another_host_for_the_block(store: FreshStore) -> None:
    with (
        store.simulate.lock_held("sync"),
        pytest.raises(JobLockActive, match="another-host"),
        run_scope("sync", lock=True),
    ):
        raise AssertionError("expected no body")
    with run_scope("sync", lock=True) as run:
        pass

    store.runs.assert_run("sync", error_group="LOCK_CONFLICT", refused=True, count=1)
    assert run.status == "SUCCESS"


def test_a_store_that_is_away_leaves_records_in_the_spool_and_takes_them_when_it_is_back(
    store: FreshStore,
) -> None:
    with store.simulate.store_away():
        fail("sync", TimeoutError("no answer"))
    assert store.runs.waiting
    assert "in the spool, for a store that is away" in said_by(store.runs.assert_run, "sync")

    with run_scope("another"):
        pass

    assert store.runs.waiting == 0
    store.runs.assert_run("sync", status="FAILED", error_group="TIMEOUT")
    store.runs.assert_alert("sync:TIMEOUT", count=1)


def test_with_its_store_away_a_locked_job_does_not_begin(store: FreshStore) -> None:
    with (
        store.simulate.store_away(),
        pytest.raises(runguard.StoreUnavailable),
        run_scope("sync", lock=True),
    ):
        raise AssertionError("expected no body")


def test_a_killed_run_is_found_by_the_next_one(store: FreshStore) -> None:
    run_id = store.simulate.killed("sync")
    store.runs.assert_run("sync", status="RUNNING")

    with run_scope("sync"):
        pass

    assert store.runs.assert_run("sync", status="FAILED", error_reason="lost").id == run_id
    store.runs.assert_alert("sync:UNKNOWN", contains="its process died")


def test_the_environment_and_the_settings_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", "sqlite:////never/mine.db")
    monkeypatch.setenv("RUNGUARD_DISABLED", "1")

    with fresh_store() as store:
        assert os.environ["RUNGUARD_DATABASE_URL"] == store.url
        runguard.configure(cooldown=timedelta(0))
        with run_scope("sync"):
            pass
        store.runs.assert_run("sync")

    assert os.environ["RUNGUARD_DATABASE_URL"] == "sqlite:////never/mine.db"
    assert "RUNGUARD_DELIVER" not in os.environ
    runguard.configure(cooldown=timedelta(1))  # no run of this process has begun


UNDER_UNITTEST = """
import sys
import unittest

sys.modules["pytest"] = None  # cannot be imported

from runguard import run_scope
from runguard.testing import fresh_store


class TestSync(unittest.TestCase):
    def setUp(self):
        self.runs = self.enterContext(fresh_store()).runs

    def test_a_run(self):
        with run_scope("sync") as run:
            run.total_records = 3
        self.runs.assert_run("sync", count=1, total_records=3)

    def test_no_run(self):
        self.runs.assert_run("sync")


class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_a_run(self):
        with fresh_store() as store:
            async with run_scope("sync"):
                pass
            store.runs.assert_run("sync", count=1)
"""


def test_unittest_needs_no_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_jobs.py").write_text(UNDER_UNITTEST)

    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "unittest"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert "Ran 3 tests" in done.stderr
    assert "FAILED (failures=1)" in done.stderr
    assert "AssertionError: expected a run of sync, found none\nruns: none\n" in done.stderr
