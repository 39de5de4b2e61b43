"""The store refuses, or lets wait: the job runs, its record waits here, the log says why."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, select

import runguard
import runguard.testing
from runguard import StoreUnavailable, run_scope
from runguard._api import runtime
from runguard._run.spool_view import waiting_files
from runguard._store import repeating
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import psycopg

    from tests.faults.privileges.conftest import World

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]
    Trouble = Callable[[World], AbstractContextManager[Any]]

RUNS_OF_ALERTS = (
    "select job_name from alert left join run_log on detail->>'run_id' = run_log.id::text"
)
STORE_TIMEOUT = timedelta(seconds=0.6)
SLOW_MACHINE = timedelta(seconds=4)


@contextmanager
def no_rights(world: World) -> Iterator[None]:
    world.run("revoke all on run_log, alert, alert_cooldown, job_lock from runguard_job")
    yield
    world.run("grant select, insert, update on run_log, alert_cooldown to runguard_job")
    world.run("grant select, insert on alert to runguard_job")


@contextmanager
def no_right_to_alert(world: World) -> Iterator[None]:
    """A run may be recorded, but no alert."""
    world.run("revoke insert on alert from runguard_job")
    yield
    world.run("grant insert on alert to runguard_job")


@contextmanager
def read_only(world: World) -> Iterator[None]:
    """As on a replica: the server says the same, with the same SQLSTATE."""
    world.run("alter role runguard_job set default_transaction_read_only = on")
    yield
    world.run("alter role runguard_job reset default_transaction_read_only")


@contextmanager
def full_disk(world: World) -> Iterator[None]:
    """Simulated: the server raises what it raises where a file of a table cannot grow."""
    world.run(
        "create or replace function full_disk() returns trigger language plpgsql as $$ begin"
        " raise exception using errcode = '53100', message ="
        " 'could not extend file: No space left on device'; end $$"
    )
    world.run(
        "create trigger full_disk before insert or update on run_log"
        " for each row execute function full_disk()"
    )
    yield
    world.run("drop trigger full_disk on run_log")


@contextmanager
def locked_table(world: World) -> Iterator[psycopg.Connection[Any]]:
    """What a migration does to a table while it rewrites it."""
    with world.connect() as migration:
        migration.execute("begin; lock table run_log in access exclusive mode")
        yield migration
        migration.execute("rollback")


@contextmanager
def lock_timeout(world: World) -> Iterator[None]:
    world.run("alter role runguard_job set lock_timeout = '20ms'")
    with locked_table(world):
        yield
    world.run("alter role runguard_job reset lock_timeout")


@contextmanager
def statement_timeout(world: World) -> Iterator[None]:
    world.run("alter role runguard_job set statement_timeout = '20ms'")
    with locked_table(world):
        yield
    world.run("alter role runguard_job reset statement_timeout")


WORLDS: list[tuple[Trouble, str]] = [
    (no_rights, "permission denied for table run_log (SQLSTATE 42501)"),
    (read_only, "in a read-only transaction (SQLSTATE 25006)"),
    (full_disk, "No space left on device (SQLSTATE 53100)"),
    (locked_table, "no answer from the server in time"),
    (lock_timeout, "canceling statement due to lock timeout (SQLSTATE 55P03)"),
    (statement_timeout, "canceling statement due to statement timeout (SQLSTATE 57014)"),
]


def fail() -> None:
    with pytest.raises(ValueError, match="bad"), run_scope("job") as run:
        run.total_records = 7
        raise ValueError("bad")


def flush(world: World, cli: Callable[..., Any]) -> Any:
    runguard.testing.reset()
    return cli("spool", "flush", "--database-url", world.url("job"))


@pytest.fixture
def _job(world: World) -> None:
    runguard.configure(database_url=world.url("job"), store_timeout=STORE_TIMEOUT)


@pytest.mark.usefixtures("_job")
@pytest.mark.parametrize(("trouble", "why"), WORLDS)
def test_the_job_runs_and_its_record_comes_in_later(
    world: World, cli: Callable[..., Any], events: Events, trouble: Trouble, why: str
) -> None:
    began = time.monotonic()
    with trouble(world):
        fail()
        took = timedelta(seconds=time.monotonic() - began)
        told = events()
        waiting = [path.name.partition(".")[2] for path in waiting_files(runtime.spool())]
    flushed = flush(world, cli)

    assert took < STORE_TIMEOUT + SLOW_MACHINE
    [error] = [fields for event, fields in told if event == "runguard.internal_error"]
    assert why in error["error"]
    assert [event for event, _ in told].count("runguard.spooled") == 2
    assert waiting == ["end.json", "start.json"]
    assert (flushed.exit_code, "2 of 2 replayed, 0 wait" in flushed.stderr) == (0, True)
    assert world.run("select status, alert_outcome, total_records from run_log") == [
        ("FAILED", "raised", 7)
    ]
    assert world.run(RUNS_OF_ALERTS) == [("job",)]


@pytest.mark.usefixtures("_job")
@pytest.mark.parametrize(("trouble", "why"), [*WORLDS, (no_right_to_alert, "for table alert")])
def test_trouble_that_begins_inside_the_body_loses_nothing_either(
    world: World, cli: Callable[..., Any], events: Events, trouble: Trouble, why: str
) -> None:
    with ExitStack() as until_the_end:
        with pytest.raises(ValueError, match="bad"), run_scope("job"):
            until_the_end.enter_context(trouble(world))
            runtime.store().close()  # a new session has the role's new settings
            raise ValueError("bad")
        told = events()
    flushed = flush(world, cli)

    [error] = [fields for event, fields in told if event == "runguard.internal_error"]
    assert (error["stage"], why in error["error"]) == ("finish", True)
    assert "1 of 1 replayed, 0 wait" in flushed.stderr
    assert world.run("select status, alert_outcome from run_log") == [("FAILED", "raised")]
    assert world.run(RUNS_OF_ALERTS) == [("job",)]


@pytest.mark.usefixtures("_job")
@pytest.mark.parametrize("trouble", [no_rights, read_only])
def test_what_must_run_alone_is_refused_and_recorded_later(
    world: World, cli: Callable[..., Any], trouble: Trouble
) -> None:
    with (
        trouble(world),
        pytest.raises(StoreUnavailable, match="SQLSTATE"),
        run_scope("job", lock=True),
    ):
        raise AssertionError("the body ran")
    flush(world, cli)

    assert world.run("select status, error_type from run_log") == [
        ("FAILED", "runguard._errors.StoreUnavailable")
    ]


def test_a_lock_that_is_soon_gone_is_waited_for(
    world: World, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("alter role runguard_job set lock_timeout = '20ms'")
    runguard.configure(database_url=world.url("job"), store_timeout=timedelta(minutes=2))
    waits: list[object] = []
    with locked_table(world) as migration:

        def pause(*_: object) -> None:
            waits.append(migration.execute("rollback"))

        monkeypatch.setattr(repeating, "pause", pause)
        with run_scope("job"):
            pass

    assert waits
    assert "runguard.spooled" not in [event for event, _ in events()]
    assert world.run("select status, clock from run_log") == [("SUCCESS", None)]


def test_a_statement_that_takes_too_long_is_tried_twice_and_no_more(world: World) -> None:
    world.run("alter role runguard_job set statement_timeout = '20ms'")
    store = open_store(world.url("job"))
    tries: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *call: tries.append(call[2]))
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        store._rows(select(func.pg_sleep(60)))
    store.close()

    assert len(tries) == 2
