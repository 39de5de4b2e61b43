"""runguard as a user has it, on either store; what it wrote is looked at everywhere."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from tests.run.conftest import engine, sql, sqlite_url, url

if TYPE_CHECKING:
    from collections.abc import Callable

    Sql = Callable[..., list[dict[str, Any]]]

__all__ = ["engine", "sql", "sqlite_url", "url"]

COMMANDS = ["runs", "alerts", "report", "doctor"]


@pytest.fixture
def log_lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Every record as a handler would write it, whoever logged it, at every level."""
    caplog.set_level(logging.DEBUG)
    return lambda: [f"{record.name} {record.getMessage()}" for record in caplog.records]


@pytest.fixture
def stored(sql: Sql) -> Callable[[], str]:
    """All that the tables hold of runs and alerts, as one text."""

    def read() -> str:
        tables = ("run_log order by id", "alert order by id", "run_note order by created_at")
        rows = [row for table in tables for row in sql(f"select * from {table}")]
        return json.dumps(rows, default=str, ensure_ascii=False)

    return read


@pytest.fixture
def printed() -> Callable[..., str]:
    """What the commands print of a store, in a pipe and as JSON; each line without its end."""
    from runguard._cli.app import app

    def run(url: str) -> str:
        texts = []
        for command in COMMANDS:
            for form in ([], ["--json"]):
                arguments = [command, *form, "--database-url", url]
                done = CliRunner().invoke(app, arguments, prog_name="runguard")
                assert done.exit_code == 0, done.output
                texts += done.stdout.split("\n") + done.stderr.split("\n")
        return "\n".join(texts)

    return run
