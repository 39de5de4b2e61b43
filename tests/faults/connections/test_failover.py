"""Another server takes over between the start of a run and its end."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

import runguard
import runguard.testing
from runguard import run_scope
from runguard._store.migrate import upgrade
from tests.faults.connections.conftest import PATIENT, rows
from tests.support.protocol import ProtocolProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.postgres import PostgresServer

    Events = Callable[[], list[str]]


def take_over(successor: PostgresServer, server: PostgresServer) -> None:
    """Let a server go on from where another is now, as a promoted standby does."""
    successor.stop()
    own_settings = (successor.data / "postgresql.conf").read_text()
    owner = successor.data.stat()
    rows(server.url(), "checkpoint")
    shutil.rmtree(successor.data)  # on the disk, as of all durable ones
    shutil.copytree(server.data, successor.data)
    (successor.data / "postmaster.pid").unlink()
    (successor.data / "postgresql.conf").write_text(own_settings)
    for path in (successor.data, *successor.data.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    successor.start()


def crash(server: PostgresServer) -> None:
    server.kill()


def demote(server: PostgresServer) -> None:
    """It answers on, and its sessions stay, but it writes no more."""
    rows(server.url(), "alter system set default_transaction_read_only = on")
    rows(server.url(), "select pg_reload_conf()")


@pytest.mark.parametrize("fate", [crash, demote])
def test_a_run_that_began_on_one_server_ends_on_its_successor(
    private_postgres: Callable[..., PostgresServer],
    events: Events,
    fate: Callable[[PostgresServer], None],
) -> None:
    server, successor = private_postgres(), private_postgres(durable=True)
    upgrade(server.url())
    with ProtocolProxy(server.url()) as proxy:
        runguard.configure(database_url=proxy.url, store_timeout=PATIENT)
        with pytest.raises(ValueError, match="bad input"), run_scope("enrolment_sync"):
            take_over(successor, server)
            proxy.retarget(successor.url())
            fate(server)
            raise ValueError("bad input")
        runguard.testing.reset()

    assert rows(successor.url(), "select status, alert_outcome from run_log") == [
        ("FAILED", "raised")
    ]
    assert "runguard.internal_error" not in events()
