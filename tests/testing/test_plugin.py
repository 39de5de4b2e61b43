"""The pytest plugin, tried on small projects of its own, each in a process of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

import runguard

if TYPE_CHECKING:
    from tests.support.postgres import PostgresAddress

INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = -p no:schemathesis -p no:hypothesispytest -p no:anyio -p no:cacheprovider
"""

# The controller of pytest-xdist runs no test: its plugin has had nothing to load.
CONFTEST = """
import sys


def pytest_sessionfinish(session):
    if not hasattr(session.config, "workerinput"):
        parts = ("runguard._store", "runguard._testing", "runguard.testing", "sqlalchemy")
        print("loaded:", [name for name in sys.modules if name.startswith(parts)])
        print("plugin:", "runguard.pytest_plugin" in sys.modules)
"""

JOBS = """
from runguard import configure, current_run, tracked_run

configure(database_url="postgresql://nobody@127.0.0.1:1/never")


@tracked_run("sync")
def sync(answers=("a", "b"), error=None):
    current_run().total_records = len(answers)
    if error is not None:
        raise error


@tracked_run("fan_out")
async def fan_out():
    current_run().changed_records = 7
"""

TESTS = """
import asyncio

import pytest
import runguard
from jobs import fan_out, sync


@pytest.mark.parametrize("number", range(8))
def test_each_sees_its_own_rows_alone(runguard_runs, number):
    sync("x" * number)
    runguard_runs.assert_run("sync", count=1, total_records=number)


async def test_a_coroutine(runguard_runs):
    await asyncio.gather(fan_out(), fan_out())
    runguard_runs.assert_run("fan_out", count=2, status="SUCCESS", changed_records=7)


def test_the_whole_story(runguard_runs, runguard_clock, simulate):
    with pytest.raises(Exception, match="timed out"):
        sync(error=simulate.timeout("httpx"))
    runguard_runs.assert_run("sync", status="FAILED", error_group="TIMEOUT", total_records=2)
    runguard_runs.assert_alert("sync:TIMEOUT", severity="high")
    message = runguard_runs.assert_told("oncall", contains="timed out", kind="opened")
    assert message.subject == "TIMEOUT sync failed (high)"

    with runguard_runs.recorded() as new, pytest.raises(Exception, match="timed out"):
        sync(error=simulate.timeout("httpx"))
    new.assert_suppressed("sync:TIMEOUT")
    new.assert_no_alert()
    new.assert_not_told()

    runguard_clock.forward("31m")
    with runguard_runs.recorded() as new, pytest.raises(Exception, match="timed out"):
        sync(error=simulate.timeout("httpx"))
    new.assert_alert("sync:TIMEOUT", count=1)


def test_the_application_may_configure(runguard_store, runguard_runs):
    runguard.configure(database_url="sqlite:////never/mine.db")
    sync()
    runguard_runs.assert_run("sync")


def test_that_fails(runguard_runs, simulate):
    with pytest.raises(Exception, match="503"):
        sync(error=simulate.http(503))
    runguard_runs.assert_told("oncall")
    runguard_runs.assert_run("sync", status="FAILED", error_group="TIMEOUT")
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(jobs=JOBS)
    return pytester


def test_tests_in_parallel_record_assert_and_explain_what_they_miss(
    project: pytest.Pytester,
) -> None:
    project.makeconftest(CONFTEST)
    project.makepyfile(test_jobs=TESTS)

    result = project.runpytest_subprocess("-n", "4")

    result.assert_outcomes(passed=11, failed=1)
    result.stdout.fnmatch_lines(["*loaded: []", "plugin: True"])
    result.stdout.fnmatch_lines(
        [
            "E *AssertionError: expected a run of sync with status='FAILED',"
            " error_group='TIMEOUT', found none",
            "E *nearest: run 1, but error_group='HTTP_5XX'",
            "E *runs:",
            'E *  1  sync  FAILED  HTTP_5XX/overloaded  total_records=2 *alert raised  "Server*',
            "E *alerts:",
            "E *  1  sync:HTTP_5XX  FAILED  high  'sync failed: upstream is broken (503)*",
            "E *deliveries:",
            "E *  alert 1 to oncall: opened, sent",
            "E *messages:",
            "E *  oncall: opened: HTTP_5XX sync failed (high)",
        ]
    )
    result.stdout.no_fnmatch_line("*_testing*runs.py:*")


def test_a_program_that_tracks_its_own_tests_is_not_warned() -> None:
    """Pytest warns where a package with a plugin was imported before, unless it says this."""
    assert "PYTEST_DONT_REWRITE" in (runguard.__doc__ or "")


REVERSED = "def pytest_collection_modifyitems(items): items.reverse()"


def test_on_a_server_each_test_has_a_database_and_no_table_of_the_user_is_touched(
    project: pytest.Pytester, pg_url: str, postgres: PostgresAddress
) -> None:
    database = make_url(pg_url).database
    with postgres.connect(database) as connection:
        connection.execute("create table run_log (mine text)")
    project.makeconftest(REVERSED)
    project.makepyfile(
        test_jobs="""
        import pytest
        from jobs import sync


        def test_first(runguard_store, runguard_runs, runguard_clock):
            assert runguard_store.url.startswith("postgresql+psycopg://")
            with pytest.raises(ValueError):
                sync(error=ValueError("no answer"))
            runguard_runs.assert_told("oncall", contains="no answer")
            runguard_clock.forward("31m")
            with pytest.raises(ValueError):
                sync(error=ValueError("no answer"))
            runguard_runs.assert_alert("sync:UNKNOWN", count=2)


        def test_second(runguard_runs, simulate):
            with simulate.store_away():
                sync()
            runguard_runs.assert_no_run()
            sync()
            runguard_runs.assert_run("sync", count=2, status="SUCCESS")
        """
    )

    result = project.runpytest_subprocess("--runguard-database-url", pg_url)

    result.assert_outcomes(passed=2)
    with postgres.connect(database) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = 'public'"
        ).fetchall()
        left = connection.execute(
            "select datname from pg_database where datname like 'runguard\\_test\\_%'"
        ).fetchall()
    assert (tables, left) == ([("run_log",)], [])


def test_without_the_plugin_too_nothing_is_stored_for_good_or_told(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")  # which is not there, and not a temporary place
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv("RUNGUARD_NOTIFY", "webhook+http://127.0.0.1:1/")
    project.makepyfile(
        test_jobs="""
        import subprocess
        import sys
        from pathlib import Path


        def test_the_fixture_is_left_out(runguard_store):
            pass


        def test_a_run_goes_to_a_temporary_file(caplog):
            import runguard
            from runguard._api import runtime

            try:
                with runguard.run_scope("sync"):
                    raise ValueError("x")
            except ValueError:
                pass
            file = Path(runtime.store().engine.url.database)
            assert file.parent.name.startswith("runguard-tests-"), file
            assert runtime._delivery is False
            told = [one.getMessage() for one in caplog.records if "embedded_store" in one.message]
            assert len(told) == 1 and str(file) in told[0]
            code = "import runguard\\nwith runguard.run_scope('sync') as run: print(run.id)"
            child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
            assert child.stdout == "2\\n", child.stderr
            Path("where").write_text(str(file))
        """
    )

    result = project.runpytest_subprocess("-p", "no:runguard")

    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["E *fixture 'runguard_store' not found"])
    assert not Path((project.path / "where").read_text()).exists()
