"""The documentation's rights are enough for each role, and no more than enough."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

import runguard
from runguard import Expect, JobLockActive, RunguardError, current_run, run_scope
from runguard._models import Lease, LockHolder, SpooledAlert, SpooledRun
from runguard._monitor.expectations import JobDeclaration
from runguard._monitor.records import RunFilter
from runguard._run.reaper import reap
from runguard._run.spool import Spool
from runguard._run.spool_replay import replay
from runguard._settings import Settings
from runguard._store.declaring import declare_jobs
from runguard._store.migrate import current, downgrade, upgrade
from runguard._store.schema import versions
from runguard._store.schema.diagnosis import NEEDED_PRIVILEGES
from tests.store.drafts import TIMEOUT, failure, new_run, own_alert, success
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from runguard._store.operator import OperatorStore
    from tests.faults.privileges.conftest import World

    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

PATIENT = timedelta(minutes=2)
TTL = timedelta(minutes=15)


def fail(job_name: str = "job") -> None:
    with pytest.raises(ValueError, match="bad"), run_scope(job_name) as run:
        run.note(term="2026-2")
        raise ValueError("bad")


def test_a_job_can_do_all_that_runguard_does(world: World, events: Events) -> None:
    runguard.configure(database_url=world.url("job"), store_timeout=PATIENT, check=True)
    with run_scope("job", expect=Expect(every="1h")) as run:
        run.emit_alert(
            "NEW", source_type="s", source_id="1", severity="low", title="t", message="m"
        )
    fail()
    fail()
    with (
        run_scope("locked", lock=True),
        pytest.raises(JobLockActive),
        run_scope("locked", lock=True),
    ):
        raise AssertionError("two inside")

    assert world.run("select status, alert_outcome from run_log order by id") == [
        ("SUCCESS", "none"),
        ("FAILED", "raised"),
        ("FAILED", "suppressed"),
        ("SUCCESS", "none"),
        ("FAILED", "raised"),
    ]
    assert current_run() is None
    assert "runguard.internal_error" not in [event for event, _ in events()]


def test_a_job_that_may_not_declare_is_recorded_all_the_same(world: World, events: Events) -> None:
    world.run("revoke all on job from runguard_job", "migrator")
    runguard.configure(database_url=world.url("job"), store_timeout=PATIENT)
    for _ in range(2):
        with run_scope("job", expect=Expect(every="1h")):
            pass

    assert world.run("select status from run_log") == [("SUCCESS",), ("SUCCESS",)]
    [told] = [fields for event, fields in events() if event == "runguard.internal_error"]
    assert told["stage"] == "declare"
    assert "permission denied for table job" in told["error"]


def test_a_job_that_may_not_write_notes_is_recorded_without_them(
    world: World, events: Events, cli: Callable[..., Any]
) -> None:
    world.run("revoke insert on run_note from runguard_job", "migrator")
    runguard.configure(database_url=world.url("job"), store_timeout=PATIENT)
    for _ in range(2):
        fail()
    with run_scope("other", lock=True) as run:
        run.note(term="2026-2")
    doctor = cli("doctor", "--json", "--database-url", world.url("job"))

    assert world.run("select status, alert_outcome from run_log order by id") == [
        ("FAILED", "raised"),
        ("FAILED", "suppressed"),
        ("SUCCESS", "none"),
    ]
    assert world.run("select count(*) from run_note") == [(0,)]
    [told] = [fields for event, fields in events() if event == "runguard.internal_error"]
    assert told["stage"] == "note"
    assert "permission denied for table run_note" in told["error"]
    assert "grant select, insert, update on run_note" in told["error"]
    [lacking] = [one for one in json.loads(doctor.stdout) if one["check"] == "privileges"]
    assert "lacks INSERT on run_note" in lacking["found"]


def test_an_operator_who_may_not_read_notes_reads_the_rest(world: World) -> None:
    runguard.configure(database_url=world.url("job"), store_timeout=PATIENT)
    fail()
    world.run("revoke select on run_note from runguard_operator", "migrator")
    operator = open_store(world.url("operator"))

    details = operator.run_details(operator.run_page(RunFilter(), limit=1).runs[0].id)
    again = operator.overview(strip=1)
    operator.close()

    assert details is not None
    assert (details.run.status, details.note) == ("FAILED", None)
    assert details.changed is not None
    assert [one.progress for one in again] == [None]


def test_a_beat_goes_on_without_the_grant(world: World) -> None:
    world.run("revoke update on run_note from runguard_job", "migrator")
    store = open_store(world.url("job"))
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    store.beat([run.key], timeout=TIMEOUT, progress={run.key: (1, 2)})
    store.close()

    assert world.run("select heartbeat_at is not null from run_log") == [(True,)]


def test_notes_are_written_again_soon_after_the_grant(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.run("revoke insert on run_note from runguard_job", "migrator")
    runguard.configure(database_url=world.url("job"), store_timeout=PATIENT)
    fail()
    world.run("grant insert on run_note to runguard_job", "migrator")
    monkeypatch.setattr(versions, "ticks", lambda ticks=versions.ticks: ticks() + 600)

    fail("another")  # a job's first start looks for its lost runs

    assert world.run("select count(*) from run_note") == [(1,)]


def test_a_job_can_beat_reap_and_replay(world: World, tmp_path: Path) -> None:
    store = open_store(world.url("job"))
    try:
        lost, waiting = new_run("lost"), new_run("late")
        store.start_run(lost, timeout=TIMEOUT)
        store.beat([lost.key], timeout=TIMEOUT)
        world.run("update run_log set heartbeat_at = now() - interval '1 hour'")
        reaped = list(reap(store, Settings()))
        spool = Spool(tmp_path)
        now = datetime.now(UTC)
        spool.put(SpooledRun(waiting, now, now, failure(waiting)))
        spool.put(SpooledAlert(own_alert()))
        troubles = [replayed.trouble for replayed in replay(spool, store, seconds=60)]
    finally:
        store.close()

    assert [run.key for run in reaped] == [lost.key]
    assert troubles == [None, None]
    assert world.run("select job_name, status from run_log order by id") == [
        ("lost", "FAILED"),
        ("late", "FAILED"),
    ]
    assert world.run("select count(*) from alert") == [(3,)]


def everything(store: OperatorStore) -> None:
    """Each statement that a job's process may send, once."""
    good, bad, quiet = new_run(), new_run(), new_run()
    for run in (good, bad, quiet):
        store.start_run(run, timeout=TIMEOUT)
    store.beat([good.key], timeout=TIMEOUT)
    store.finish_run(success(good), timeout=TIMEOUT)
    store.finish_run(failure(bad), timeout=TIMEOUT)
    store.finish_run(failure(quiet, alerts=False), timeout=TIMEOUT)
    store.raise_alert(own_alert(), timeout=TIMEOUT)
    lease = store.acquire_lock("job", "one", TTL, timeout=TIMEOUT)
    assert isinstance(lease, Lease)
    assert isinstance(store.acquire_lock("job", "two", TTL, timeout=TIMEOUT), LockHolder)
    store.renew_lock(lease, TTL, timeout=TIMEOUT)
    store.release_lock(lease, timeout=TIMEOUT)
    store.find_lost_runs(silent_for=timedelta(minutes=5), job_name=None, limit=9, timeout=TIMEOUT)
    for _ in range(2):
        declare_jobs(store, [JobDeclaration(job_name="job", owner="ops")], timeout=TIMEOUT)
    assert store.inspect().is_current


@pytest.mark.parametrize(
    ("table", "privilege"),
    [(table, right) for table, rights in NEEDED_PRIVILEGES.items() for right in rights],
)
def test_a_job_cannot_do_without_any_of_them(world: World, table: str, privilege: str) -> None:
    world.run(f"revoke {privilege} on {table} from runguard_job", "migrator")
    store = open_store(world.url("job"))
    try:
        with pytest.raises(RunguardError, match=r"permission denied .*\(SQLSTATE 42501\)"):
            everything(store)
    finally:
        store.close()


@pytest.mark.parametrize(
    "statement",
    [
        "delete from run_log",
        "delete from alert",
        "delete from alert_cooldown",
        "delete from job_lock",
        "delete from job",
        "insert into monitor_gap (began_at) values (now())",
        "truncate run_log",
        "update runguard_version set version_num = '9'",
        "alter table run_log add column x int",
        "drop table alert",
        "drop index runguard_run_log_run_key",
        "create table mine (x int)",
        "create index mine on run_log (pid)",
        "create trigger mine before insert on run_log for each row"
        " execute function suppress_redundant_updates_trigger()",
    ],
)
@pytest.mark.parametrize("role", ["job", "operator"])
def test_neither_jobs_nor_operators_can_do_more(world: World, role: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run(f"begin; {statement}; rollback", role)


def test_a_job_resolves_no_alert(world: World) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run("update alert set resolved = true", "job")


def test_an_operator_sees_everything(world: World, cli: Callable[..., Any]) -> None:
    runguard.configure(database_url=world.url("job"), store_timeout=PATIENT)
    fail()
    runguard.testing.reset()
    url = ("--database-url", world.url("operator"))

    [run] = json.loads(cli("runs", "--json", *url).stdout)
    [alert] = json.loads(cli("alerts", "--json", *url).stdout)
    assert (run["status"], alert["source_id"]) == ("FAILED", "job:UNKNOWN")
    assert cli("report", *url).exit_code == 0
    doctor = cli("doctor", "--json", *url)
    problems = [one for one in json.loads(doctor.stdout) if one["state"] == "problem"]
    assert [one["check"] for one in problems] == ["privileges"]
    assert "lacks INSERT on run_log" in problems[0]["found"]
    assert cli("doctor", "--for", "operator", *url).exit_code == 0
    migrator = ("--database-url", world.url("migrator"))
    assert cli("doctor", "--for", "migrator", *migrator).exit_code == 0


def test_an_operator_resolves_an_alert_and_rewrites_none(world: World) -> None:
    world.run(
        "insert into alert (source_type, source_id, alert_type, title)"
        " values ('student', '1', 'NEW', 'A new student')"
    )
    world.run(
        "update alert set resolved = true, resolved_at = now(), resolved_by = 'me',"
        " review_status = 'CONFIRMED' where id = 1",
        "operator",
    )

    assert world.run("select resolved, resolved_by from alert") == [(True, "me")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run("update alert set severity = 'low'", "operator")


@pytest.mark.parametrize(
    "statement",
    ["insert into run_log (job_name) values ('x')", "update run_log set status = 'SUCCESS'"],
)
def test_an_operator_writes_no_run(world: World, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run(statement, "operator")


def test_doctor_finds_nothing_wrong_with_a_job(world: World, cli: Callable[..., Any]) -> None:
    answer = cli("doctor", "--json", "--database-url", world.url("job"))

    assert answer.exit_code == 0
    states = {one["check"]: one["state"] for one in json.loads(answer.stdout)}
    assert (states["privileges"], states["schema"]) == ("ok", "ok")


def test_a_migrator_prunes(world: World, cli: Callable[..., Any]) -> None:
    world.run(
        "insert into run_log (job_name, status, started_at, run_key) select 'job', 'SUCCESS',"
        " now() - n * interval '1 day', gen_random_uuid() from generate_series(1, 100) n"
    )
    arguments = ("prune", "--older-than", "90d", "--json", "--database-url")

    assert cli(*arguments, world.url("job")).exit_code == 3
    [runs, *_] = json.loads(cli(*arguments, world.url("migrator")).stdout)
    assert runs["rows"] == 11


def test_a_migrator_goes_back_and_forth(world: World) -> None:
    url = world.url("migrator")
    downgrade(url, "base")
    gone = world.run("select to_regclass('runguard.run_log')")
    upgrade(url)

    assert gone == [(None,)]
    assert current(url) is not None
