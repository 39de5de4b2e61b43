"""Connections that die between the start of a run and its end, in the ways that they do."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

import runguard
from runguard import run_scope
from tests.faults.connections.conftest import PATIENT, rows

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.protocol import Direction, ProtocolProxy

    Events = Callable[[], list[str]]

# Half of it is for the connection that is dead, and half for the next.
STORE_TIMEOUT = timedelta(seconds=8)


def terminate_sessions(url: str) -> None:
    rows(
        url,
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where application_name = 'runguard' and datname = current_database()",
    )


@pytest.mark.parametrize("fails", [False, True])
def test_a_session_terminated_in_mid_run_is_replaced(
    proxy: ProtocolProxy, migrated_pg_url: str, events: Events, *, fails: bool
) -> None:
    runguard.configure(database_url=proxy.url, store_timeout=PATIENT)
    with (
        contextlib.suppress(ValueError),
        proxy.counting() as traffic,
        run_scope("enrolment_sync"),
    ):
        terminate_sessions(migrated_pg_url)
        if fails:
            raise ValueError("bad input")

    assert traffic.connections == 2
    assert rows(migrated_pg_url, "select status from run_log") == [
        ("FAILED" if fails else "SUCCESS",)
    ]
    assert rows(migrated_pg_url, "select count(*) from alert") == [(int(fails),)]
    assert "runguard.internal_error" not in events()


@pytest.mark.parametrize(
    ("direction", "status"), [("to_server", "SUCCESS"), ("to_client", "FAILED")]
)
def test_a_connection_that_fell_silent_is_given_up_for_a_new_one(
    proxy: ProtocolProxy, migrated_pg_url: str, events: Events, direction: Direction, status: str
) -> None:
    runguard.configure(database_url=proxy.url, store_timeout=STORE_TIMEOUT)
    with contextlib.suppress(ValueError), run_scope("enrolment_sync"):
        # Without a FIN: the client finds out only because it stops to wait. Where the answer alone
        # is swallowed, the first try has been committed.
        proxy.freeze(direction)
        if status == "FAILED":
            raise ValueError("bad input")

    assert rows(migrated_pg_url, "select status from run_log") == [(status,)]
    assert rows(migrated_pg_url, "select count(*) from alert") == [(int(status == "FAILED"),)]
    assert events().count("runguard.alert_created") == int(status == "FAILED")
    assert "runguard.internal_error" not in events()


def test_a_lock_is_taken_once_though_the_connection_fell_silent(
    proxy: ProtocolProxy, migrated_pg_url: str
) -> None:
    runguard.configure(database_url=proxy.url, store_timeout=STORE_TIMEOUT)
    with run_scope("warm-up"):
        pass
    proxy.freeze("to_client")
    with run_scope("enrolment_sync", lock=True) as run:
        assert run.fence is not None

    assert rows(migrated_pg_url, "select status from run_log where job_name <> 'warm-up'") == [
        ("SUCCESS",)
    ]
