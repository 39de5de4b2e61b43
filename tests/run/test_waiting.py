"""How long a run waits for its store, and for whom (SPEC 8)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from sqlalchemy import create_engine

import runguard
import runguard.testing
from runguard import ConfigurationError, StoreUnavailable, run_scope
from runguard._settings import settings_from
from runguard._store import repeating, retry
from tests.support.protocol import ProtocolProxy
from tests.support.stores import newest_runs, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

REFUSES = "postgresql://app@127.0.0.1:1/prod"


async def many_runs(count: int) -> float:
    async def job(number: int) -> None:
        async with run_scope(f"job-{number}"):
            pass

    began = time.perf_counter()
    await asyncio.gather(*(job(number) for number in range(count)))
    return time.perf_counter() - began


@contextlib.contextmanager
def tls_server(certificate: trustme.LeafCert) -> Iterator[tuple[int, list[object]]]:
    """What PostgreSQL does first with a client that wants TLS. Lists who came that far."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    came: list[object] = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # closed: the test is over
            while True:
                client, address = listener.accept()
                came.append(address)
                client.recv(8)
                client.sendall(b"S")
                with contextlib.suppress(OSError), context.wrap_socket(client, server_side=True):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        yield listener.getsockname()[1], came
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


async def test_50_tasks_wait_no_longer_than_one_for_a_server_that_refuses() -> None:
    runguard.configure(database_url=REFUSES, store_timeout=timedelta(seconds=1))

    # One after the other they would take 50 seconds; the bound is wide for a busy machine.
    assert await many_runs(50) < 10


async def test_40_tasks_wait_no_longer_than_one_for_a_server_that_never_answers(
    migrated_pg_url: str,
) -> None:
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=timedelta(seconds=1))
        proxy.stall()

        assert await many_runs(40) < 10
        runguard.testing.reset()


def test_a_server_that_wakes_within_the_time_gets_the_run(
    migrated_pg_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that sleeps between runs refuses until it is up."""
    with ProtocolProxy(migrated_pg_url) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=timedelta(minutes=2))
        proxy.refuse()
        pauses: list[object] = []

        def pause(*_: object) -> None:
            pauses.append(_)
            if len(pauses) == 20:
                proxy.resume()

        monkeypatch.setattr(repeating, "pause", pause)
        with run_scope("enrolment_sync") as run:
            found_at_the_start = run.id

        assert found_at_the_start is not None
        runguard.testing.reset()


def test_a_reader_hears_soon_that_the_server_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long what is asked may take once the server is found."""
    ticks, later = retry.ticks, [0.0]
    for module in (repeating, retry):
        monkeypatch.setattr(module, "ticks", lambda: ticks() + later[0])
    monkeypatch.setattr(repeating, "pause", lambda *_: later.append(later.pop() + 0.5))
    with pytest.raises(StoreUnavailable):
        newest_runs(open_store(REFUSES))

    assert later[0] <= 3


def test_a_pool_of_one_that_the_job_holds_is_named_within_the_time(
    migrated_pg_url: str, events: Events
) -> None:
    engine = create_engine(migrated_pg_url, pool_size=1, max_overflow=0)
    runguard.configure(engine=engine, store_timeout=timedelta(seconds=1))
    began = time.perf_counter()
    with engine.connect(), run_scope("enrolment_sync"):
        pass

    assert time.perf_counter() - began < 15
    [error] = [fields["error"] for event, fields in events() if event == "runguard.internal_error"]
    assert "max_connections" in error
    engine.dispose()


def test_a_database_that_does_not_exist_is_tried_once_a_minute(
    migrated_pg_url: str, events: Events
) -> None:
    with ProtocolProxy(migrated_pg_url) as proxy:
        wrong = proxy.url.rpartition("/")[0] + "/no_such_database"
        runguard.configure(database_url=wrong, store_timeout=timedelta(minutes=2))
        with proxy.counting() as traffic:
            for _ in range(3):
                with run_scope("enrolment_sync"):
                    pass
        runguard.testing.reset()

    assert traffic.connections == 1
    errors = [fields["error"] for event, fields in events() if event == "runguard.internal_error"]
    assert len(errors) == 3
    assert all('"no_such_database" does not exist' in error for error in errors)


@pytest.mark.parametrize("fault", ["another authority", "expired", "no such file"])
def test_a_server_that_cannot_be_trusted_is_tried_once_a_minute(
    tmp_path: Path, events: Events, fault: str
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    over = datetime.now(UTC) - timedelta(days=1)
    certificate = authority.issue_cert("127.0.0.1", not_after=over if fault == "expired" else None)
    trusted = tmp_path / "root.crt"
    if fault != "no such file":
        (other if fault == "another authority" else authority).cert_pem.write_to_path(trusted)
    with tls_server(certificate) as (port, handshakes):
        runguard.configure(
            database_url=f"postgresql://app@127.0.0.1:{port}/prod"
            f"?sslmode=verify-full&sslrootcert={trusted}",
            store_timeout=timedelta(minutes=2),
        )
        for _ in range(3):
            with run_scope("enrolment_sync"):
                pass
        runguard.testing.reset()

    assert len(handshakes) == 1
    errors = [fields["error"] for event, fields in events() if event == "runguard.internal_error"]
    assert len(errors) == 3
    assert all(("root.crt" if fault == "no such file" else "certificate") in one for one in errors)


@pytest.mark.parametrize(
    "broken",
    [
        "import builtins, sys; sys.modules['sqlalchemy'] = None",
        "import os; del os.uname",
        "import resource, runguard; resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))",
    ],
    ids=["an import that fails", "no os.uname", "no file descriptor"],
)
def test_what_is_missing_before_the_run_never_keeps_the_body_from_running(
    tmp_path: Path, broken: str
) -> None:
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    program = (
        f"{broken}\nfrom runguard import configure, run_scope, current_run\nimport os\n"
        f"os.environ['RUNGUARD_DATABASE_URL'] = {url!r}\n"
        "with run_scope('enrolment_sync') as run:\n"
        "    run.total_records += 1\n"
        "    assert current_run() is run\n"
        "    run.emit_alert('NEW', source_type='a', source_id='b', severity='low',"
        " title='t', message='m')\n"
        "    os.write(1, b'ran')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=120
    )

    assert (done.returncode, done.stdout) == (0, b"ran"), done.stderr.decode()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 5),
        ({"RUNGUARD_STORE_TIMEOUT_SECONDS": "20"}, 20),
        ({"RUNGUARD_DATABASE_URL": "postgresql://h/d?connect_timeout=10"}, 20),
        ({"RUNGUARD_DATABASE_URL": "postgresql://h/d?connect_timeout=1"}, 5),
        (
            {
                "RUNGUARD_DATABASE_URL": "postgresql://h/d?connect_timeout=10",
                "RUNGUARD_STORE_TIMEOUT_SECONDS": "7",
            },
            7,
        ),
    ],
)
def test_the_time_for_the_store_comes_from_the_environment_or_the_url(
    environ: dict[str, str], seconds: int
) -> None:
    assert settings_from({}, environ).store_timeout == timedelta(seconds=seconds)


def test_a_time_for_the_store_that_is_no_number_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="RUNGUARD_STORE_TIMEOUT_SECONDS: expected"):
        settings_from({}, {"RUNGUARD_STORE_TIMEOUT_SECONDS": "soon"})
