"""Roles with exactly the rights that the documentation grants, in a schema of their own."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

import runguard.testing
from runguard._store.migrate import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

    from tests.support.postgres import PostgresAddress

PAGE = Path(__file__).parents[3] / "docs" / "howto" / "least-privilege.md"
ROLES = ("runguard_migrator", "runguard_job", "runguard_operator", "runguard_notifier")


def granted() -> list[str]:
    """The blocks of the page: the administrator's, then those of the migrator."""
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(r"^```sql\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class World:
    """A database whose four roles have names of their own, since roles belong to the server."""

    address: PostgresAddress
    database: str
    suffix: str

    def role(self, name: str) -> str:
        return f"runguard_{name}_{self.suffix}"

    def url(self, role: str) -> str:
        return self.address.url(self.database, user=self.role(role))

    def connect(self, role: str | None = None) -> psycopg.Connection[Any]:
        """A session of a role, or of the administrator, in the tables' schema."""
        if role is not None:
            return self.address.connect(self.database, user=self.role(role))
        connection = self.address.connect(self.database)
        connection.execute("set search_path = runguard")
        return connection

    def grant(self, blocks: list[str]) -> None:
        for block in blocks:
            self.run(block, "migrator")

    def run(self, sql: str, role: str | None = None) -> list[tuple[Any, ...]]:
        sql = re.sub("|".join(ROLES), lambda found: f"{found[0]}_{self.suffix}", sql)
        with self.connect(role) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def _world(postgres: PostgresAddress) -> Iterator[World]:
    administrators, *migrators = granted()
    with postgres.database() as database:
        world = World(postgres, database, uuid4().hex[:12])
        world.run(administrators)
        upgrade(world.url("migrator"))
        world.grant(migrators)
        yield world
        world.run(f"drop owned by {', '.join(ROLES)}")
        world.run(f"drop role {', '.join(ROLES)}")


@pytest.fixture
def world(_world: World) -> Iterator[World]:
    """The world with empty tables; whatever a test changed of the job's role is put right."""
    _world.run(
        "truncate run_log, alert, alert_cooldown, job_lock, alert_delivery, channel_state, silence,"
        " job, monitor, monitor_gap, run_note restart identity"
    )
    yield _world
    runguard.testing.reset()
    _world.run("drop trigger if exists full_disk on run_log")
    _world.grant(granted()[1:])
    for setting in ("default_transaction_read_only", "lock_timeout", "statement_timeout"):
        _world.run(f"alter role runguard_job reset {setting}")


@pytest.fixture
def cli() -> Callable[..., Any]:
    from runguard._cli.app import app

    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, arguments, prog_name="runguard")


@pytest.fixture
def events(caplog: pytest.LogCaptureFixture) -> Callable[[], list[tuple[str, dict[str, Any]]]]:
    """What runguard logged, as (event, fields)."""
    caplog.set_level(logging.DEBUG, logger="runguard")
    return lambda: [
        (record.getMessage().split()[0], record.runguard)
        for record in caplog.records
        if hasattr(record, "runguard")
    ]
