"""The lock, and a store that is away."""

from __future__ import annotations

import json
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from tests.exec.conftest import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.exec.conftest import Ended, Wrapper

    Execute = Callable[..., Ended]
    Sql = Callable[[str], list[dict[str, Any]]]
    Start = Callable[..., Wrapper]


@pytest.fixture
def away(environ: dict[str, str]) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environ["RUNGUARD_DATABASE_URL"] = f"postgresql://app:hunter2@127.0.0.1:{port}/db"


def test_of_two_with_the_lock_the_second_is_75(
    start: Start, execute: Execute, sql: Sql, tmp_path: Path
) -> None:
    first = start("nightly", "--lock", "--lock-ttl", "1h", "--", "sh", "-c", "echo in; read line")
    first.await_line()

    second = execute("nightly", "--lock", "--", "touch", "begun")

    assert (second.exit_code, second.stdout) == (75, b"")
    assert b"runguard: job_lock active: nightly is held by" in second.stderr
    assert not (tmp_path / "begun").exists()
    assert [
        (row["status"], row["error_group"]) for row in sql("select * from run_log order by id")
    ] == [
        ("RUNNING", None),
        ("FAILED", "LOCK_CONFLICT"),
    ]


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_a_process_of_staging_neither_holds_up_nor_silences_one_of_production(
    start: Start,
    execute: Execute,
    environ: dict[str, str],
    request: pytest.FixtureRequest,
    database: str,
) -> None:
    if database == "postgresql":
        environ["RUNGUARD_DATABASE_URL"] = request.getfixturevalue("migrated_pg_url")
    production = ("sync", "--lock", "--environment", "production", "--")
    inside = start(*production, "sh", "-c", "echo in; read line; exit 1")
    inside.await_line()
    environ["RUNGUARD_ENVIRONMENT"] = "staging"

    staging = execute("sync", "--lock", "--", "false")
    inside.write(b"\n")

    assert (staging.exit_code, inside.end().exit_code) == (1, 1)
    engine = create_engine(environ["RUNGUARD_DATABASE_URL"])
    with engine.connect() as connection:
        rows = connection.execute(text("select environment, source_id from alert order by id"))
        assert [tuple(row) for row in rows] == [
            ("staging", "sync:UNKNOWN@staging"),
            ("production", "sync:UNKNOWN@production"),
        ]
    engine.dispose()


def test_the_lock_is_free_again_afterwards(execute: Execute) -> None:
    codes = [execute("nightly", "--lock", "--", "sh", "-c", "exit 3").exit_code for _ in range(2)]

    assert codes == [3, 3]


@pytest.mark.usefixtures("away")
def test_with_the_store_away_the_command_runs_and_its_record_waits(
    execute: Execute, tmp_path: Path
) -> None:
    ended = execute("nightly", "--", "sh", "-c", "echo out; echo gone >&2; exit 3")

    assert (ended.exit_code, ended.stdout) == (3, b"out\n")
    assert b"runguard.internal_error" in ended.stderr
    assert b"hunter2" not in ended.stderr
    [record] = (tmp_path / "spool").rglob("*.end.json")
    assert "exit code 3: gone" in json.dumps(json.loads(record.read_text()))


def test_with_the_store_away_and_a_lock_wanted_it_is_69(
    execute: Execute, environ: dict[str, str], tmp_path: Path
) -> None:
    environ["RUNGUARD_DATABASE_URL"] = "sqlite:////dev/null/nowhere/runguard.db"

    ended = execute("nightly", "--lock", "--", "touch", "begun")

    assert ended.exit_code == 69
    assert b"\nrunguard: " in ended.stderr
    assert not (tmp_path / "begun").exists()


def test_a_refusal_that_nobody_reads_has_its_exit_code(
    start: Start, environ: dict[str, str]
) -> None:
    environ["RUNGUARD_DATABASE_URL"] = "sqlite:////dev/null/nowhere/runguard.db"
    reading, writing = os.pipe()
    os.close(reading)
    wrapper = start("nightly", "--lock", "--", "true", stderr=writing)
    os.close(writing)

    assert wrapper.process.wait(LIMIT) == 69


def test_a_schema_that_is_missing_and_a_lock_wanted_is_69_and_the_remedy(
    execute: Execute, environ: dict[str, str], pg_url: str
) -> None:
    environ["RUNGUARD_DATABASE_URL"] = pg_url
    ended = execute("nightly", "--lock", "--", "touch", "begun")

    assert ended.exit_code == 69
    assert b"runguard db upgrade" in ended.stderr
