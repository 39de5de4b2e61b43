"""`runguard reap`: what it prints, and what cron would mail."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.conftest import Answer

    Cli = Callable[..., Answer]


@pytest.mark.parametrize(("options", "said"), [([], "No run was lost.\n"), (["--quiet"], "")])
def test_where_no_run_was_lost_quiet_says_nothing(
    cli: Cli, filled_file: str, options: list[str], said: str
) -> None:
    answer = cli("reap", *options, "--database-url", filled_file)

    assert (answer.exit_code, answer.stdout, answer.stderr) == (0, "", said)


def test_quiet_shows_a_run_that_was_lost(cli: Cli, filled_file: str) -> None:
    with closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        connection.execute(
            "update run_log set status = 'RUNNING', finished_at = null,"
            " heartbeat_at = '2026-01-01 00:00:00.000', updated_at = '2026-01-01 00:00:00.000',"
            " started_at = '2026-01-01 00:00:00.000' where job_name = 'invoices'"
        )
        connection.commit()
    answer = cli("reap", "--quiet", "--database-url", filled_file)

    assert "invoices" in answer.stdout
