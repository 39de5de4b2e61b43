"""What every test may ask for: PostgreSQL databases, and a world of its own."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support import pgbouncer as pooling
from tests.support.postgres import PostgresAddress, PostgresServer, SharedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.redis import RedisServer

# Programs that tests start buffer their output and keep what they compile, as those of users do.
os.environ.pop("PYTHONUNBUFFERED", None)
# Nor do they know that they are tested: else they would keep to a temporary store, and tell nobody.
os.environ.pop("PYTEST_VERSION", None)
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# A shell starts what it runs in the background deaf to Ctrl-C, and the programs of tests would be.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Thousands of tests are many objects: looking through them often is a tenth of what tests take.
gc.set_threshold(50_000)
# No test is timed: how long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
# Read here once: inside a test the environment holds no RUNGUARD_ name.
EXTERNAL_URL = os.environ.get("RUNGUARD_TEST_DATABASE_URL")
VERSION = int(os.environ.get("RUNGUARD_TEST_POSTGRES_VERSION", "18"))

pytest_plugins = ["pytester"]  # for the tests of runguard's own plugin

_shared_server = pytest.StashKey[PostgresServer]()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Let pytest-xdist's controller own the one server that all its workers use."""
    if EXTERNAL_URL:
        return
    stash = node.config.stash
    if _shared_server not in stash:
        stash[_shared_server] = PostgresServer(version=VERSION).start()
    node.workerinput["postgres_url"] = stash[_shared_server].url()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Have more workers than processors: a third of a test's time is spent waiting.

    `make test` takes four at most: each may run a browser.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return cores + (cores + 1) // 2


def pytest_report_header() -> str:
    """Say at the top whether the pooler is there; the tests that need it are skipped if not."""
    return f"pooler: {pooling.PROGRAM or pooling.MISSING}"


def pytest_collection_finish() -> None:
    """What was collected stays to the end: let the garbage collector look at what tests make."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(_shared_server, None):
        server.close()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[PostgresAddress]:
    """The shared server: make databases on it, never stop it (that is `private_postgres`)."""
    given = EXTERNAL_URL or getattr(request.config, "workerinput", {}).get("postgres_url")
    with contextlib.ExitStack() as stack:
        if not given:
            given = stack.enter_context(PostgresServer(version=VERSION)).url()
        yield stack.enter_context(SharedPostgres(given))


@pytest.fixture
def pg_url(postgres: PostgresAddress) -> Iterator[str]:
    """The SQLAlchemy URL of an empty database that nobody else uses."""
    with postgres.database() as name:
        yield postgres.url(name)


@pytest.fixture(scope="session")
def _migrated_template(postgres: PostgresAddress) -> Iterator[str]:
    from runguard._store.migrate import upgrade

    with postgres.database() as name:
        upgrade(postgres.url(name))
        yield name


@pytest.fixture
def migrated_pg_url(postgres: PostgresAddress, _migrated_template: str) -> Iterator[str]:
    """The same with runguard's newest schema in it."""
    with postgres.database(template=_migrated_template) as name:
        yield postgres.url(name)


@pytest.fixture(scope="session")
def pgbouncer(postgres: PostgresAddress) -> Iterator[pooling.PgBouncer]:
    """A transaction pooler with default settings in front of the shared server."""
    if pooling.PROGRAM is None:
        pytest.skip(pooling.MISSING)
    with pooling.PgBouncer(postgres) as pooler:
        yield pooler


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """The one Redis of a worker's session: empty it, never stop it."""
    from tests.support import redis

    if redis.PROGRAM is None:
        pytest.skip(redis.MISSING)
    with redis.RedisServer() as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty Redis that no other test uses meanwhile."""
    redis_server.empty()
    return redis_server.url()


@pytest.fixture
def private_postgres() -> Iterator[Callable[..., PostgresServer]]:
    """Starts servers of the test's own, to be stopped, killed and restarted; takes its options."""
    with contextlib.ExitStack() as servers:
        yield lambda **options: servers.enter_context(
            PostgresServer(**{"version": VERSION, **options})
        )


def _log_as_by_default() -> None:
    """Let events reach pytest's handler, whatever a test or a library has left behind."""
    logging.disable(logging.NOTSET)
    logger = logging.getLogger("runguard")
    logger.disabled, logger.propagate = False, True
    logger.setLevel(logging.NOTSET)  # it also forgets what a level allowed that was patched
    if (structlog := sys.modules.get("structlog")) is not None:
        structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _world_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No setting of the developer's and no state of another test reaches a test."""
    for name in os.environ:
        if name.startswith("RUNGUARD_") or name in {
            "ALERT_COOLDOWN_MINUTES",
            "JOB_LOCK_TTL_SECONDS",
        }:
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    _log_as_by_default()
    yield
    if "runguard" in sys.modules:
        from runguard.testing import reset

        reset()
