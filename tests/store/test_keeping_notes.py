"""Conformance: what is kept of a run, and beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runguard._models import (
    NOBODY,
    AlertOutcome,
    NewRun,
    RunEnding,
    RunNote,
    SpooledRun,
)
from tests.store.drafts import TIMEOUT, failure, new_run, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

NOTE = RunNote(
    traceback="Traceback (most recent call last): …",
    log_tail="page 3\npage 4",
    context={"term": "2026-2", "pages": [3, 4]},
    links=(("report", "https://example.org/r/1"),),
    done=3,
    total=10,
)
OF_A_SUCCESS = RunNote(context={"term": "2026-2"})
COUNT = "select count(*) as number from run_note"
SILENT = timedelta(minutes=5)


def started(store: OperatorStore) -> NewRun:
    run = new_run()._replace(version="a1b2c3d", trace_id="0af7651916cd43dd8448eb211c80319c")
    store.start_run(run, timeout=TIMEOUT)
    return run


def kept(store: OperatorStore, run: NewRun) -> Any:
    """The note as an operator reads it."""
    run_id = store.run_id_of(run.key)
    assert run_id is not None
    return store.run_notes([run_id]).get(run_id)


def test_a_run_keeps_its_version_and_its_trace(store: OperatorStore, back_door: BackDoor) -> None:
    run = started(store)

    row = back_door.row("select version, trace_id, upstream from run_log")
    assert row == {"version": run.version, "trace_id": run.trace_id, "upstream": None}


@pytest.mark.parametrize("alerts", [True, False])
def test_a_failure_keeps_its_upstream_and_its_note(
    store: OperatorStore, back_door: BackDoor, alerts: bool
) -> None:
    run = started(store)
    ending = failure(run, alerts=alerts)
    assert ending.failure is not None
    ending = ending._replace(failure=replace(ending.failure, upstream="db:5432"), note=NOTE)

    finished = store.finish_run(ending, timeout=TIMEOUT)

    assert finished.verdict.outcome is (AlertOutcome.RAISED if alerts else AlertOutcome.EXCLUDED)
    assert back_door.row("select upstream from run_log") == {"upstream": "db:5432"}
    note = kept(store, run)
    assert (note.traceback, note.log_tail) == (NOTE.traceback, NOTE.log_tail)
    assert (note.context, note.links) == (NOTE.context, NOTE.links)
    assert (note.done, note.total) == (3, 10)
    assert abs(note.progress_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_success_keeps_what_it_noted(store: OperatorStore) -> None:
    run = started(store)

    assert store.finish_run(success(run)._replace(note=OF_A_SUCCESS), timeout=TIMEOUT).recorded

    note = kept(store, run)
    assert (note.context, note.links, note.done, note.progress_at) == (
        OF_A_SUCCESS.context,
        (),
        None,
        None,
    )


@pytest.mark.parametrize("ended", [success, failure])
def test_a_run_without_a_note_has_no_row(
    store: OperatorStore, back_door: BackDoor, ended: Callable[..., RunEnding]
) -> None:
    store.finish_run(ended(started(store)), timeout=TIMEOUT)

    assert back_door.row(COUNT) == {"number": 0}


@pytest.mark.parametrize("alerts", [True, False])
def test_a_refused_run_keeps_its_note(store: OperatorStore, alerts: bool) -> None:
    run = new_run()
    ending = failure(run, alerts=alerts)._replace(refused_by=NOBODY, note=NOTE)

    for _ in range(2):  # a repeat finds its own
        store.record_refused_run(run, ending, timeout=TIMEOUT)

    assert kept(store, run).traceback == NOTE.traceback


@pytest.mark.parametrize(
    "ended", [success, failure, lambda run: failure(run, alerts=False)], ids=["good", "bad", "own"]
)
def test_a_replayed_run_keeps_its_note(
    store: OperatorStore, back_door: BackDoor, ended: Callable[..., RunEnding]
) -> None:
    run = new_run()._replace(version="a1b2c3d")
    then = datetime(2026, 1, 2, tzinfo=UTC)
    record = SpooledRun(run, then, then, ended(run)._replace(note=NOTE))

    for _ in range(2):
        store.replay_run(record, timeout=TIMEOUT)

    assert kept(store, run).links == NOTE.links
    assert back_door.row("select version from run_log") == {"version": "a1b2c3d"}


def test_beats_keep_the_progress_of_runs_that_are_open(store: OperatorStore) -> None:
    one, other, ended, silent = (started(store) for _ in range(4))
    store.finish_run(success(ended), timeout=TIMEOUT)
    keys = [run.key for run in (one, other, ended)]
    for done in (1, 2):
        progress = {one.key: (done, 10), other.key: (done, None), ended.key: (done, 10)}
        store.beat(keys, timeout=TIMEOUT, progress=progress)

    assert (kept(store, one).done, kept(store, one).total) == (2, 10)
    assert (kept(store, other).done, kept(store, other).total) == (2, None)
    assert kept(store, ended) is kept(store, silent) is None


def test_a_beat_touches_the_heart_of_those_without_progress_too(
    store: OperatorStore, back_door: BackDoor
) -> None:
    one, other = started(store), started(store)

    store.beat([one.key, other.key], timeout=TIMEOUT, progress={one.key: (1, 2)})

    assert back_door.rows("select 1 from run_log where heartbeat_at is null") == []


REFUSE = {
    "sqlite": "create trigger no before insert on run_note begin select raise(abort, 'no'); end",
    "postgresql": "create function no() returns trigger language plpgsql as"
    " $$ begin raise 'no notes today'; end $$;"
    " create trigger no before insert on run_note for each row execute function no()",
}


def test_progress_that_is_refused_costs_no_heartbeat(
    store: OperatorStore, back_door: BackDoor
) -> None:
    run = started(store)
    back_door.rows(REFUSE[back_door.engine.dialect.name])

    store.beat([run.key], timeout=TIMEOUT, progress={run.key: (1, 2)})

    assert back_door.rows("select 1 from run_log where heartbeat_at is null") == []


def test_a_note_without_progress_keeps_that_of_the_heartbeat(store: OperatorStore) -> None:
    run = started(store)
    store.beat([run.key], timeout=TIMEOUT, progress={run.key: (7, 10)})
    before = kept(store, run)

    store.finish_run(success(run)._replace(note=OF_A_SUCCESS), timeout=TIMEOUT)

    assert kept(store, run) == replace(before, context=OF_A_SUCCESS.context)


def test_a_lost_run_keeps_the_progress_of_its_last_heartbeat(
    store: OperatorStore, back_door: BackDoor
) -> None:
    run = started(store)
    store.beat([run.key], timeout=TIMEOUT, progress={run.key: (7, 10)})
    for column in ("started_at", "heartbeat_at"):
        back_door.age(f"run_log.{column}", 600)
    [lost] = store.find_lost_runs(silent_for=SILENT, job_name=None, limit=9, timeout=TIMEOUT)
    store.close_lost_run(lost, failure(run), silent_for=SILENT, timeout=TIMEOUT)
    assert kept(store, run).done == 7

    store.finish_run(success(run)._replace(note=NOTE), timeout=TIMEOUT)  # it comes back

    assert kept(store, run).done == NOTE.done


def test_notes_of_unknown_runs_are_none(store: OperatorStore) -> None:
    assert store.run_notes([]) == store.run_notes([1, 2**70]) == {}
