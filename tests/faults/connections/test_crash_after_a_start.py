"""The server crashes right after a run has begun: what is lost, and what the end brings back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest

import runguard
import runguard.testing
from runguard import run_scope
from runguard._api import operator_store, runtime
from runguard._store.migrate import upgrade
from tests.faults.connections.conftest import PATIENT, rows
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._settings import StartDurability

ALL_RUNS = "select job_name, status from run_log order by id"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that writes to the disk when a commit asks for it; see `stop_writing_behind`."""
    settings = {"autovacuum": "off", "bgwriter_lru_maxpages": "0"}
    with PostgresServer(durable=True, settings=settings) as server:
        upgrade(server.url())
        yield server


def stop_writing_behind(server: PostgresServer) -> None:
    """Let no process of the server bring to the disk what no commit has waited for."""
    assert server.process is not None
    children = psutil.Process(server.process.pid).children()
    [walwriter] = [child for child in children if "walwriter" in " ".join(child.cmdline())]
    walwriter.suspend()


@pytest.mark.parametrize(
    ("start_durability", "survivors"),
    [
        ("full", [("before", "SUCCESS"), ("enrolment_sync", "RUNNING")]),
        ("relaxed", [("before", "SUCCESS")]),
    ],
)
def test_a_crash_takes_only_a_start_that_was_relaxed_and_the_end_brings_the_whole_run(
    server: PostgresServer,
    start_durability: StartDurability,
    survivors: list[tuple[str, str]],
) -> None:
    rows(server.url(), "truncate run_log")
    runguard.configure(
        database_url=server.url(), start_durability=start_durability, store_timeout=PATIENT
    )
    with run_scope("before"):
        pass
    stop_writing_behind(server)
    with run_scope("enrolment_sync") as run:
        assert run.id is not None
        server.kill()
        server.start()
        found_after_the_crash = rows(server.url(), ALL_RUNS)
        run.total_records = 512
    runguard.testing.reset()

    assert found_after_the_crash == survivors
    [ended] = rows(
        server.url(),
        "select status, total_records, finished_at >= started_at, host is not null"
        " from run_log where job_name = 'enrolment_sync'",
    )
    assert ended == ("SUCCESS", 512, True, True)


@pytest.mark.parametrize("for_operators", [False, True])
def test_a_relaxed_start_leaves_nothing_in_its_session(
    server: PostgresServer, *, for_operators: bool
) -> None:
    runguard.configure(database_url=server.url(), start_durability="relaxed", max_connections=1)
    store = operator_store(runtime) if for_operators else runtime.store()
    with run_scope("enrolment_sync"):
        with store.engine.connect() as connection:
            found = connection.exec_driver_sql("show synchronous_commit").scalar()
        relaxed = store.relaxed_start
    runguard.testing.reset()

    assert (relaxed, found) == (True, "on")
