"""What breaks behind a pooler reaches its clients as an error of the pooler's own."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Literal

import pytest
from sqlalchemy import make_url

import runguard
import runguard.testing
from runguard import run_scope
from tests.faults.pooler.conftest import PATIENT
from tests.support.postgres import PostgresAddress

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.pgbouncer import PgBouncer
    from tests.support.protocol import ProtocolProxy

    Rows = Callable[[str], list[tuple[Any, ...]]]
    Events = Callable[[], list[str]]


def until(happened: Callable[[], bool], limit: float = 60) -> None:
    """Return when it has happened, as another process's log tells."""
    deadline = time.monotonic() + limit
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def run_once(*, fails: bool) -> None:
    with contextlib.suppress(ValueError), run_scope("enrolment_sync"):
        if fails:
            raise ValueError("bad input")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("statement", ["insert into run_log", "update run_log"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_statement_cut_off_behind_the_pooler_is_repeated_without_doubling(
    pooler: PgBouncer,
    behind: ProtocolProxy,
    rows: Rows,
    events: Events,
    *,
    statement: str,
    when: Literal["before", "after"],
    fails: bool,
) -> None:
    run_once(fails=False)
    sprung = behind.cut_at(statement, when=when)
    run_once(fails=fails)

    assert sprung.is_set()
    assert rows("select status, alert_outcome from run_log order by id offset 1") == [
        ("FAILED", "raised") if fails else ("SUCCESS", "none")
    ]
    assert rows("select count(*) from alert") == [(int(fails),)]
    # The one who raised it tells of it, though the answer came at the second asking.
    assert events().count("runguard.alert_created") == int(fails)
    assert "runguard.internal_error" not in events()


def test_a_jobs_own_alert_whose_answer_was_lost_behind_the_pooler_is_raised_once(
    pooler: PgBouncer, behind: ProtocolProxy, rows: Rows
) -> None:
    with run_scope("enrolment_sync") as run:
        sprung = behind.cut_at("insert into alert", when="after")
        raised = run.emit_alert(
            "NEW", source_type="a", source_id="b", severity="low", title="t", message="m"
        )

    assert sprung.is_set()
    assert raised
    assert rows("select count(*) from alert") == [(1,)]


def test_a_server_that_comes_back_behind_the_pooler_gets_the_ending(
    pooler: PgBouncer, behind: ProtocolProxy, rows: Rows, events: Events
) -> None:
    def come_back_when_it_was_missed() -> None:
        until(lambda: "closing because: connect failed" in pooler.log_text())
        behind.resume()

    rescue = threading.Thread(target=come_back_when_it_was_missed)
    with run_scope("enrolment_sync"):
        behind.refuse()
        rescue.start()
    rescue.join()

    assert rows("select status from run_log") == [("SUCCESS",)]


def test_a_pooler_that_restarts_in_mid_run_gets_the_ending(
    pooler: PgBouncer, rows: Rows, events: Events
) -> None:
    with run_scope("enrolment_sync"):
        pooler.restart()

    assert rows("select status from run_log") == [("SUCCESS",)]
    assert "runguard.internal_error" not in events()


def test_a_pooler_that_is_full_for_a_moment_is_asked_again(
    behind: ProtocolProxy,
    private_pgbouncer: Callable[..., PgBouncer],
    migrated_pg_url: str,
    rows: Rows,
) -> None:
    pooler = private_pgbouncer(PostgresAddress(behind.url), max_client_conn=1)
    runguard.configure(database_url=pooler.through(migrated_pg_url), store_timeout=PATIENT)
    occupant = pooler.connect(make_url(migrated_pg_url).database)

    def leave_when_another_was_refused() -> None:
        until(lambda: "no more connections allowed" in pooler.log_text())
        occupant.close()

    leaving = threading.Thread(target=leave_when_another_was_refused)
    leaving.start()
    run_once(fails=False)
    leaving.join()
    runguard.testing.reset()

    assert rows("select status from run_log") == [("SUCCESS",)]
