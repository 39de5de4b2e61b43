"""The command line in this process, as a user types it, on a store that jobs have filled."""

from __future__ import annotations

import json
import logging
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import runguard
from runguard import testing
from tests.support.worlds import world_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.postgres import PostgresAddress

HOSTILE = "\x1b[31mred\x1b[0m [bold]markup[/bold] 한국어 \u202eright to left\nsecond line"


@dataclass(frozen=True)
class Answer:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = json.loads(self.stdout)
        return rows

    @property
    def lines(self) -> list[str]:
        return self.stdout.splitlines()


@pytest.fixture
def cli() -> Callable[..., Answer]:
    """Run `runguard` with these arguments; the exceptions that it lets out fail the test."""
    from runguard._cli.app import app

    def run(*arguments: str, **environ: str) -> Answer:
        done = CliRunner().invoke(app, arguments, env=environ, prog_name="runguard")
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Answer(done.exit_code, done.stdout, done.stderr)

    return run


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'runs' / 'runguard.db'}"


@pytest.fixture(params=["postgresql", "sqlite"])
def store_url(request: pytest.FixtureRequest) -> str:
    name = "sqlite_url" if request.param == "sqlite" else "migrated_pg_url"
    url: str = request.getfixturevalue(name)
    return url


# Filled once a module: filling takes longer than most tests, and some of them look at ages.
@pytest.fixture(scope="module")
def _filled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    with world_in(folder):
        fill(f"sqlite:///{folder / 'runguard.db'}")
    return folder / "runguard.db"


@pytest.fixture(scope="module")
def _filled_database(
    postgres: PostgresAddress, _migrated_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with (
        postgres.database(template=_migrated_template) as name,
        world_in(tmp_path_factory.mktemp("filled")),
    ):
        fill(postgres.url(name))
        yield name


@pytest.fixture
def filled_pg_url(postgres: PostgresAddress, _filled_database: str) -> Iterator[str]:
    with postgres.database(template=_filled_database) as name:
        yield postgres.url(name)


@pytest.fixture(params=["postgresql", "sqlite"])
def filled_url(request: pytest.FixtureRequest) -> str:
    name = "filled_file" if request.param == "sqlite" else "filled_pg_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def filled_file(sqlite_url: str, _filled_once: Path) -> str:
    """The same on SQLite alone, where the store makes no difference."""
    file = Path(sqlite_url.removeprefix("sqlite:///"))
    file.parent.mkdir()
    shutil.copy(_filled_once, file)
    return sqlite_url


@pytest.fixture
def hostile_file(filled_file: str) -> str:
    """Texts that went around runguard's own door: other programs write these tables too."""
    with closing(sqlite3.connect(filled_file.removeprefix("sqlite:///"))) as connection:
        connection.execute("update run_log set error_message = ?", [HOSTILE])
        connection.execute("update alert set message = ?", [HOSTILE])
        connection.commit()
    return filled_file


def fill(url: str) -> None:
    """Five runs of three jobs: a success, then failures of three groups."""
    with pytest.MonkeyPatch.context() as world:  # in a checkout or not: nobody knows the version
        world.setattr("runguard._run.capture.find_version", lambda *_: None)
        runguard.configure(database_url=url)
        with runguard.run_scope("payments") as run:
            run.total_records = 512
        fail("payments", "HTTP 503 Service Unavailable")
        fail("payments", "HTTP 503 Service Unavailable")
        fail("invoices", "timed out")
        fail("[red]주문[/red]", "no such column")
    testing.reset()


def fail(job_name: str, reason: str) -> None:
    with runguard.run_scope(job_name) as run:
        run.fail(reason)


@pytest.fixture(autouse=True)
def _plain_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may be on a terminal of any kind; and alerts need not be logged."""
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "LINES", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(logging.getLogger("runguard"), "level", logging.ERROR)
