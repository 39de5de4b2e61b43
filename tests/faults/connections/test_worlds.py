"""Servers, URLs and machines that are set up in unusual ways: it works, or one error says why."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url
from typer.testing import CliRunner

import runguard
import runguard.testing
from runguard import run_scope
from runguard._cli.app import app
from runguard._store import migrate as migrations
from tests.run.conftest import events
from tests.support.stores import newest_runs, open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.postgres import PostgresAddress

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

__all__ = ["events"]

SOMEBODY_WITHOUT_A_NAME = (
    *("setpriv", "--reuid=54321", "--clear-groups", "--inh-caps=-all,+dac_read_search"),
    *("--ambient-caps=-all,+dac_read_search", "--bounding-set=-all,+dac_read_search"),
)


def fail() -> None:
    with pytest.raises(ValueError, match="bad"), run_scope("job", lock=True):
        raise ValueError("bad")


def statuses(url: str) -> list[str]:
    runguard.testing.reset()
    store = open_store(url)
    try:
        return [run.status for run in newest_runs(store)]
    finally:
        store.close()


def cli(*arguments: str) -> Any:
    return CliRunner().invoke(app, arguments, prog_name="runguard")


@pytest.mark.parametrize("as_engine", [False, True])
def test_dates_may_be_written_in_any_style(
    postgres: PostgresAddress, migrated_pg_url: str, events: Events, *, as_engine: bool
) -> None:
    name = make_url(migrated_pg_url).database
    with postgres.connect(name) as connection:
        connection.execute(f"alter database {name} set datestyle = 'SQL, DMY'".encode())
    if as_engine:
        runguard.configure(engine=create_engine(migrated_pg_url))
    else:
        runguard.configure(database_url=migrated_pg_url)
    fail()
    fail()

    fields = dict(events())
    assert "runguard.internal_error" not in fields
    assert fields["runguard.alert_suppressed"]["window_ends_at"] is not None
    assert statuses(migrated_pg_url) == ["FAILED", "FAILED"]
    assert cli("doctor", "--database-url", migrated_pg_url).exit_code == 0


def test_the_first_of_several_hosts_may_be_away(
    pg_url: str, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = make_url(pg_url)
    url = f"postgresql://{there.username}@127.0.0.1:1,127.0.0.1:{there.port}/{there.database}"
    migrations.upgrade(url)
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", f'"{url}?pgbouncer=true"')
    fail()

    assert "runguard.internal_error" not in dict(events())
    assert statuses(pg_url) == ["FAILED"]
    told = cli("doctor")
    assert told.exit_code == 0
    assert f"@127.0.0.1:1,127.0.0.1:{there.port}/" in told.stdout


def test_the_schema_of_a_url_is_where_the_tables_are(
    postgres: PostgresAddress, pg_url: str
) -> None:
    with postgres.connect(make_url(pg_url).database) as connection:
        connection.execute("create schema ops")
        url = f"{pg_url}?schema=ops"
        migrations.upgrade(url)
        runguard.configure(database_url=url)
        fail()
        assert connection.execute("select count(*) from ops.run_log").fetchone() == (1,)


def test_a_parameter_that_nobody_knows_is_told_before_the_body(
    pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", f"{pg_url}?sslmod=require")

    with (
        pytest.raises(runguard.ConfigurationError, match=r"RUNGUARD_DATABASE_URL: .*'sslmod'"),
        run_scope("job"),
    ):
        raise AssertionError("the body ran")


@pytest.mark.parametrize("folder", ["a%2Fb", "100% mine", "what?", "räume"])
def test_the_state_folder_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / folder))
    fail()
    runguard.testing.reset()

    assert (tmp_path / folder / "runguard" / "runguard.db").exists()
    assert "FAILED" in cli("runs").stdout
    doctor = cli("doctor")
    assert (doctor.exit_code, "the file does not exist" in doctor.stdout) == (0, False)


def test_a_relative_file_may_be_in_a_folder_of_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "a%2Fb?"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", "sqlite:///runs.db")
    fail()

    assert (folder / "runs.db").exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)
def test_a_user_without_a_name_is_told_to_name_one(tmp_path: Path) -> None:
    script = "import runguard\nwith runguard.run_scope('job'): print('ran')"
    environ = {
        "PATH": os.environ["PATH"],
        "RUNGUARD_DATABASE_URL": "postgresql://127.0.0.1:1/db",
        "RUNGUARD_SPOOL_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [*SOMEBODY_WITHOUT_A_NAME, sys.executable, "-c", script],
        env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, "ran\n")
    assert "local user with ID 54321 does not exist: name the user in the URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_user_and_a_home_one_error_names_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    ended = cli("runs")

    assert ended.exit_code != 0
    assert "set RUNGUARD_DATABASE_URL, or HOME, or XDG_STATE_HOME" in ended.stderr
