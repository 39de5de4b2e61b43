"""Conformance: what is old goes; what is open, newest, in use or inside a window stays."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from sqlalchemy import event

from runguard._errors import ConfigurationError
from runguard._models import RunNote, SpooledRun
from runguard._monitor.records import Prunable
from runguard._settings import Settings
from runguard._store.queries import prune as pruning
from runguard._store.retention import PrunePlan, count_prunable, plan_pruning, prune
from runguard._store.schema.moments import db_now_plus
from tests.store.drafts import TIMEOUT, failure, new_run, own_alert, success
from tests.support.stores import newest_alerts, newest_runs

if TYPE_CHECKING:
    from sqlalchemy import Executable

    from runguard._models import NewRun
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

DAY = 86_400
OLD = timedelta(days=90)
FOREIGN_ROWS = {
    "run_log": "insert into run_log (job_name, status) values ('foreign', 'SUCCESS')",
    "alert": "insert into alert (source_type, source_id, alert_type, severity, title)"
    " values ('student', '1', 'NEW', 'low', 'x')",
}


def succeed(store: OperatorStore, job_name: str = "enrolment_sync") -> NewRun:
    run = new_run(job_name)
    store.start_run(run, timeout=TIMEOUT)
    store.finish_run(success(run), timeout=TIMEOUT)
    return run


def fail(
    store: OperatorStore,
    job_name: str = "enrolment_sync",
    cooldown: timedelta = timedelta(minutes=30),
) -> NewRun:
    run = new_run(job_name)
    store.start_run(run, timeout=TIMEOUT)
    store.finish_run(failure(run, cooldown=cooldown), timeout=TIMEOUT)
    return run


def age_all(back_door: BackDoor, days: float) -> None:
    for name in ("started_at", "finished_at", "updated_at"):
        back_door.age(f"run_log.{name}", days * DAY)
    back_door.age_alerts(days * DAY)


def plan_of(store: OperatorStore, *, include_foreign: bool = False) -> PrunePlan:
    return plan_pruning(
        store, older_than=OLD, cooldown=Settings().cooldown, include_foreign=include_foreign
    )


def prune_all(
    store: OperatorStore, *, include_foreign: bool = False, batch: int = 1000
) -> dict[str, int]:
    plan = plan_of(store, include_foreign=include_foreign)
    expected = {what: count_prunable(store, plan, what) for what in Prunable}
    deleted = {what: sum(prune(store, plan, what, batch=batch)) for what in Prunable}
    assert deleted == expected
    return {what.value: rows for what, rows in deleted.items()}


def jobs(back_door: BackDoor) -> list[str]:
    return [row["job_name"] for row in back_door.rows("select job_name from run_log order by id")]


def test_old_rows_go_and_young_ones_stay(store: OperatorStore, back_door: BackDoor) -> None:
    fail(store)
    store.raise_alert(own_alert(), timeout=TIMEOUT)
    age_all(back_door, 91)
    fail(store)

    pruned = prune_all(store)
    assert pruned.pop("run_note") == 0
    assert pruned == {"run_log": 1, "alert": 2, "alert_cooldown": 1, "alert_delivery": 0}
    assert len(newest_runs(store)) == 1
    assert len(newest_alerts(store)) == 1
    assert back_door.row("select source_type from alert_cooldown") == {"source_type": "run_log"}


def deliver(back_door: BackDoor, alert_id: int, incident: int) -> None:
    back_door.rows(
        "insert into alert_delivery (alert_id, incident, kind, channel, state)"
        " values (:alert, :incident, 'opened', 'mail', 'sent')",
        alert=alert_id,
        incident=incident,
    )


def test_old_deliveries_go(store: OperatorStore, back_door: BackDoor) -> None:
    deliver(back_door, 1, 1)
    back_door.age("alert_delivery.created_at", 91 * DAY)
    deliver(back_door, 2, 2)

    assert prune_all(store)["alert_delivery"] == 1
    assert back_door.rows("select alert_id from alert_delivery") == [{"alert_id": 2}]


def noted(store: OperatorStore, job_name: str, environment: str | None = None) -> NewRun:
    run = new_run(job_name)._replace(environment=environment)
    store.start_run(run, timeout=TIMEOUT)
    note = RunNote(context={"job": job_name})
    store.finish_run(success(run)._replace(note=note), timeout=TIMEOUT)
    return run


def notes(back_door: BackDoor) -> list[UUID]:
    found = back_door.rows("select run_key from run_note order by created_at, run_key")
    return [UUID(str(row["run_key"])) for row in found]


def test_notes_go_with_their_runs(store: OperatorStore, back_door: BackDoor) -> None:
    [*_, newest_of_its_job] = (noted(store, "sync") for _ in range(3))
    orphan = noted(store, "partition dropped")
    back_door.rows("delete from run_log where job_name = 'partition dropped'")
    age_all(back_door, 91)
    back_door.age("run_note.created_at", 91 * DAY)
    young = noted(store, "other")
    young_orphan = noted(store, "partition dropped")
    back_door.rows("delete from run_log where job_name = 'partition dropped'")

    pruned = prune_all(store, batch=2)

    assert (pruned["run_log"], pruned["run_note"]) == (2, 3)
    assert orphan.key not in notes(back_door)
    assert notes(back_door) == [newest_of_its_job.key, young.key, young_orphan.key]


def test_notes_of_runs_of_another_environment_stay(
    store: OperatorStore, back_door: BackDoor
) -> None:
    for environment in ("staging", "production"):
        for _ in range(2):
            noted(store, "sync", environment)
    age_all(back_door, 91)
    back_door.age("run_note.created_at", 91 * DAY)

    plan = plan_pruning(store, older_than=OLD, cooldown=OLD, environment="staging")
    expected = {what: count_prunable(store, plan, what) for what in Prunable}
    deleted = {what: sum(prune(store, plan, what)) for what in Prunable}

    assert deleted == expected
    assert (deleted[Prunable.RUNS], deleted[Prunable.NOTES]) == (1, 1)


def test_all_that_belongs_to_an_open_incident_stays(
    store: OperatorStore, back_door: BackDoor
) -> None:
    fail(store, "still_down")
    fail(store, "fixed")
    back_door.rows(
        "update alert_cooldown set open_alert_id = 1, opened_at = last_alert_at"
        " where source_id like 'still_down%'"
    )
    for alert_id in (1, 2):
        deliver(back_door, alert_id, alert_id)
    back_door.age("alert_delivery.created_at", 91 * DAY)
    age_all(back_door, 91)

    pruned = prune_all(store)

    assert pruned.pop("run_note") == 0
    assert pruned == {"run_log": 0, "alert": 1, "alert_cooldown": 1, "alert_delivery": 1}
    assert [row["id"] for row in back_door.rows("select id from alert")] == [1]
    assert [row["alert_id"] for row in back_door.rows("select alert_id from alert_delivery")] == [1]


def test_a_second_prune_finds_nothing(store: OperatorStore, back_door: BackDoor) -> None:
    fail(store)
    fail(store)
    age_all(back_door, 91)
    prune_all(store)

    assert set(prune_all(store).values()) == {0}


def test_the_newest_run_of_each_job_stays(store: OperatorStore, back_door: BackDoor) -> None:
    for job_name in ["two", "one", "two", "one"]:
        succeed(store, job_name)
    age_all(back_door, 91)
    prune_all(store)

    assert jobs(back_door) == ["two", "one"]
    assert [row["id"] for row in back_door.rows("select id from run_log order by id")] == [3, 4]


def test_an_open_run_stays_however_old(store: OperatorStore, back_door: BackDoor) -> None:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    succeed(store)
    age_all(back_door, 900)
    succeed(store)

    assert prune_all(store)["run_log"] == 1
    assert store.finish_run(success(run), timeout=TIMEOUT).recorded


def test_a_run_that_ended_lately_stays_however_long_ago_it_began(
    store: OperatorStore, back_door: BackDoor
) -> None:
    succeed(store)
    back_door.age("run_log.started_at", 91 * DAY)
    succeed(store)

    assert prune_all(store)["run_log"] == 0


def test_a_run_inside_a_window_of_its_own_stays(store: OperatorStore, back_door: BackDoor) -> None:
    fail(store, cooldown=timedelta(days=120))
    age_all(back_door, 91)
    succeed(store)

    assert prune_all(store)["run_log"] == 0
    age_all(back_door, 30)
    assert prune_all(store)["run_log"] == 1


def test_an_alert_that_the_longest_cooldown_may_still_need_stays(
    store: OperatorStore, back_door: BackDoor
) -> None:
    fail(store, cooldown=timedelta(days=120))
    age_all(back_door, 91)

    assert set(prune_all(store).values()) == {0}
    again = new_run()
    store.start_run(again, timeout=TIMEOUT)
    ending = failure(again, cooldown=timedelta(days=120))
    assert store.finish_run(ending, timeout=TIMEOUT).verdict.outcome == "suppressed"


def test_less_than_the_cooldown_is_refused(store: OperatorStore) -> None:
    settings = Settings(cooldown=timedelta(days=7))

    with pytest.raises(ConfigurationError, match=r"the cooldown, 7 d, found 6 d"):
        plan_pruning(store, older_than=timedelta(days=6), cooldown=settings.cooldown)


def test_a_replayed_run_is_as_old_as_its_record(store: OperatorStore, back_door: BackDoor) -> None:
    run = new_run()
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)  # the clock of a machine without a battery
    store.replay_run(SpooledRun(run, long_ago, long_ago, failure(run)), timeout=TIMEOUT)
    succeed(store)

    assert prune_all(store)["run_log"] == 0
    age_all(back_door, 91)
    assert prune_all(store)["run_log"] == 1


@pytest.mark.parametrize("table", FOREIGN_ROWS)
def test_rows_of_other_programs_go_only_when_asked_for(
    store: OperatorStore, back_door: BackDoor, table: str
) -> None:
    for _ in range(3):
        back_door.rows(FOREIGN_ROWS[table])
    age_all(back_door, 91)
    back_door.rows(FOREIGN_ROWS[table])

    assert prune_all(store)[table] == 0
    assert prune_all(store, include_foreign=True)[table] == 3


def test_small_batches_delete_all_and_no_more_than_they_may(
    store: OperatorStore, back_door: BackDoor
) -> None:
    for number in range(7):
        succeed(store, f"job_{number % 2}")
        store.raise_alert(own_alert(f"student-{number}"), timeout=TIMEOUT)
    age_all(back_door, 91)
    plan = plan_of(store)

    assert list(prune(store, plan, Prunable.RUNS, batch=2)) == [2, 2, 1]
    assert list(prune(store, plan, Prunable.ALERTS, batch=3)) == [3, 3, 1]
    assert list(prune(store, plan, Prunable.GUARDS, batch=7)) == [7, 0]
    assert jobs(back_door) == ["job_1", "job_0"]


def test_a_prune_that_was_left_goes_on_from_where_it_was(
    store: OperatorStore, back_door: BackDoor
) -> None:
    for _ in range(5):
        succeed(store)
    age_all(back_door, 91)
    next(iter(prune(store, plan_of(store), Prunable.RUNS, batch=2)))

    assert len(jobs(back_door)) == 3
    assert prune_all(store, batch=2)["run_log"] == 2


@pytest.mark.parametrize("store_kind", ["postgresql", "pgbouncer"], indirect=True)
def test_a_row_that_another_session_holds_is_skipped_and_not_waited_for(
    store: OperatorStore, back_door: BackDoor
) -> None:
    for _ in range(3):
        succeed(store)
    age_all(back_door, 91)
    with back_door.engine.begin() as other:
        other.exec_driver_sql("select 1 from run_log where id = 1 for update")
        deleted = sum(prune(store, plan_of(store), Prunable.RUNS))

    assert deleted == 1
    assert sum(prune(store, plan_of(store), Prunable.RUNS)) == 1


def plan_told_by(back_door: BackDoor, statement: Executable) -> str:
    with back_door.engine.connect() as connection:

        @event.listens_for(connection, "before_cursor_execute", retval=True)
        def _explain(*call: object) -> tuple[str, object]:
            return f"explain {call[2]}", call[3]

        return "\n".join(row[0] for row in connection.execute(statement).cursor)


@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("what", "index"),
    [
        (Prunable.RUNS, "runguard_run_log_started_at"),
        (Prunable.NOTES, "runguard_run_note_created_at"),
        (Prunable.ALERTS, "runguard_alert_created_at"),
    ],
)
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_batch_looks_at_old_rows_only(
    store: OperatorStore, back_door: BackDoor, what: Prunable, index: str, *, goes_on: bool
) -> None:
    back_door.rows(
        "insert into run_log (job_name, status, started_at, finished_at, updated_at, run_key)"
        " select 'job_' || n % 50, 'SUCCESS', t, t, t, gen_random_uuid()"
        " from generate_series(1, 20000) n, lateral (select now() - n * interval '15 minutes' t) x"
    )
    back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title, created_at,"
        " alert_key) select 'run_log', 'job_' || n, 'FAILED', 'high', 'x',"
        " now() - n * interval '15 minutes', gen_random_uuid() from generate_series(1, 20000) n"
    )
    back_door.rows(
        "insert into run_note (run_key, created_at)"
        " select coalesce(case when id % 2 = 0 then run_key end, gen_random_uuid()), finished_at"
        " from run_log"
    )
    back_door.rows("analyze run_log, run_note, alert")
    place = UUID(int=7) if what is Prunable.NOTES else 7
    statement = pruning.delete_batch(
        what,
        db_now_plus(-90.0 * DAY),
        include_foreign=False,
        limit=10,  # of 20,000 rows; a thousand of them are better read in one go
        after=(datetime.now(UTC) - timedelta(days=95), place) if goes_on else None,
    )
    plan = plan_told_by(back_door, statement)

    assert index in plan
    assert "Seq Scan" not in plan, plan


def test_pruning_beside_failing_jobs_loses_no_run_and_doubles_no_alert(
    store: OperatorStore, back_door: BackDoor
) -> None:
    for round_number in range(1, 4):
        running = [new_run() for _ in range(6)]
        for run in running:
            store.start_run(run, timeout=TIMEOUT)
        at_once = threading.Barrier(len(running) + 2)

        def end(run: NewRun, at_once: threading.Barrier = at_once) -> str:
            at_once.wait()
            return store.finish_run(failure(run), timeout=TIMEOUT).verdict.outcome

        def tidy(at_once: threading.Barrier = at_once) -> None:
            at_once.wait()
            for what in reversed(Prunable):  # the guards first
                sum(prune(store, plan_of(store), what, batch=2))

        with ThreadPoolExecutor(len(running) + 2) as threads:
            tidying = [threads.submit(tidy) for _ in range(2)]
            outcomes = list(threads.map(end, running))
            for one in tidying:
                one.result()

        assert sorted(outcomes) == ["raised", *["suppressed"] * 5], round_number
        kept = {record.run_key for record in newest_runs(store, limit=len(running))}
        assert kept == {run.key for run in running}
        age_all(back_door, 91)  # the next round finds old runs, an old alert and an old guard
