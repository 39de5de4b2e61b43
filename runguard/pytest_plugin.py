"""The pytest plugin: fixtures for the tests of your jobs. `-p no:runguard` leaves it out.

Nothing is imported and nothing is done until a test asks for a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ._store.scratch import ScratchServer
    from .testing import Clock, FreshStore, RecordedRuns, Simulate


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the URL of a server."""
    parser.getgroup("runguard").addoption(
        "--runguard-database-url",
        metavar="URL",
        help="PostgreSQL server of the fixture runguard_store, with a role that may create"
        " databases: each test has one of its own, and no table of yours is touched"
        " (default: each test has a SQLite file)",
    )


@pytest.fixture(scope="session")
def _runguard_server(request: pytest.FixtureRequest) -> Iterator[ScratchServer | None]:
    url = request.config.getoption("--runguard-database-url")
    if not url:
        yield None
        return
    from ._store.scratch import ScratchServer

    server = ScratchServer(url)
    yield server
    server.close()


@pytest.fixture
def runguard_store(
    _runguard_server: ScratchServer | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FreshStore]:
    """A fresh store for this test: every run goes there, and nothing is sent."""
    from ._testing.fresh import fresh_store

    with fresh_store(tmp_path_factory.mktemp("runguard"), server=_runguard_server) as store:
        yield store


@pytest.fixture
def runguard_runs(runguard_store: FreshStore) -> RecordedRuns:
    """What this test has recorded, and assertions of it; it makes `runguard_store`."""
    return runguard_store.runs


@pytest.fixture
def runguard_clock(runguard_store: FreshStore) -> Clock:
    """Lets time pass: rows move into the past; it makes `runguard_store`."""
    return runguard_store.clock


@pytest.fixture
def simulate(runguard_store: FreshStore) -> Simulate:
    """Lets things go wrong: an upstream, a lock, the store; it makes `runguard_store`."""
    return runguard_store.simulate
