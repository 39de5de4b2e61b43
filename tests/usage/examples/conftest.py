"""The examples as a person runs them: set up by the environment, beside a real upstream."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import NullPool, create_engine, text

from examples.upstream import Upstream
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def sqlite_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both databases are files: runguard's, and the job's own."""
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", url)
    monkeypatch.setenv("ENROLMENT_DATABASE_URL", f"sqlite:///{tmp_path / 'enrolments.db'}")
    return url


@pytest.fixture(params=["postgresql", "sqlite"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Either store; on PostgreSQL the job's table stands beside runguard's."""
    if request.param == "sqlite":
        return request.getfixturevalue("sqlite_url")
    url = request.getfixturevalue("migrated_pg_url")
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", url)
    monkeypatch.setenv("ENROLMENT_DATABASE_URL", url)
    return url


@pytest.fixture
def sql(request: pytest.FixtureRequest) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask runguard's store by hand, as an operator would."""
    name = "url" if "url" in request.fixturenames else "sqlite_url"
    return asker(request.getfixturevalue(name))


@pytest.fixture
def job_sql(sql: object) -> Callable[[str], list[tuple[Any, ...]]]:
    """Ask the job's own database."""
    return asker(os.environ["ENROLMENT_DATABASE_URL"])


def asker(url: str) -> Callable[[str], list[tuple[Any, ...]]]:
    def ask(query: str) -> list[tuple[Any, ...]]:
        with create_engine(url, poolclass=NullPool).connect() as connection:
            return [tuple(row) for row in connection.execute(text(query))]

    return ask


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upstream]:
    with Upstream() as upstream:
        monkeypatch.setenv("ENROLMENT_UPSTREAM_URL", upstream.url)
        yield upstream


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The jobs give up after 0.2 seconds."""
    monkeypatch.setenv("ENROLMENT_TIMEOUT_SECONDS", "0.2")
    monkeypatch.setenv("ENROLMENT_DEADLINE_SECONDS", "0.2")


@pytest.fixture
def run_example() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `python examples/NAME.py ARGUMENTS…` to its end."""

    def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, f"examples/{name}.py", *arguments],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
