"""What is kept beside runs is read with them, and a first failure with the success before it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from sqlalchemy import event

from runguard._models import ErrorGroup
from runguard._monitor.delivering import ClaimedDelivery
from runguard._monitor.notices import DeliveryRecord, DeliveryState, NoticeFacts, NoticeKind
from runguard._monitor.records import NoteRecord
from runguard._store.queries import notes

from .drafts import TIMEOUT, new_run
from .test_operator_queries import play, spelled, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runguard._store.operator import OperatorStore

    from .conftest import BackDoor

GOOD, BAD = None, ErrorGroup.HTTP_5XX
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def note(back_door: BackDoor, run_id: int, **values: Any) -> None:
    """Write a note of a run by hand."""
    key = back_door.row("select run_key from run_log where id = :id", id=run_id)["run_key"]
    if isinstance(key, UUID):
        key = str(key)
    written = {"run_key": key, "created_at": spelled(back_door, NOON), **values}
    names, parameters = ", ".join(written), ", ".join(f":{name}" for name in written)
    parameters = parameters.replace(":run_key", "cast(:run_key as uuid)")
    if back_door.engine.dialect.name == "sqlite":
        parameters = parameters.replace("cast(:run_key as uuid)", ":run_key")
    for name in ("context", "links"):
        if name in written:
            written[name] = json.dumps(written[name])
            if back_door.engine.dialect.name == "postgresql":
                parameters = parameters.replace(f":{name}", f"cast(:{name} as jsonb)")
    back_door.rows(f"insert into run_note ({names}) values ({parameters})", **written)


def ran_on(back_door: BackDoor, run_id: int, version: str | None, host: str | None) -> None:
    back_door.rows(
        "update run_log set version = :version, host = :host where id = :id",
        version=version,
        host=host,
        id=run_id,
    )


def test_a_note_is_read_with_its_run(store: OperatorStore, back_door: BackDoor) -> None:
    bare, noted = play(store, "sync", GOOD, BAD)
    links = [{"name": "report", "url": "https://r.example/1"}, {"name": 3}, "odd"]
    note(back_door, noted, traceback="T", log_tail="L", context={"a": [1]}, links=links, done=3)

    details = store.run_details(noted)
    assert details is not None
    assert details.note == NoteRecord(
        "T", "L", {"a": [1]}, (("report", "https://r.example/1"),), done=3
    )
    assert store.run_notes([bare, noted, -1, 2**80]) == {noted: details.note}


def test_a_note_in_which_another_program_wrote_is_read_as_far_as_it_goes(
    store: OperatorStore, back_door: BackDoor
) -> None:
    [run_id] = play(store, "sync", BAD)
    note(back_door, run_id, context=["no", "object"], links={"name": "no list"})

    assert store.run_notes([run_id]) == {run_id: NoteRecord()}


def test_a_first_failure_stands_beside_the_success_before_it(
    store: OperatorStore, back_door: BackDoor
) -> None:
    ids = play(store, "sync", BAD, GOOD, GOOD, GOOD, BAD, BAD)
    play(store, "other", GOOD)
    spread(back_door)
    ran_on(back_door, ids[3], "1.4", "w1")
    ran_on(back_door, ids[4], "1.5", "w2")

    for failed in ids[4:]:
        details = store.run_details(failed)
        assert details is not None
        assert details.changed is not None
        assert (details.changed.successes, details.changed.is_all) == (3, True)
        first, before = details.changed.first_failure, details.changed.last_success
        assert (first.id, first.version, first.host) == (ids[4], "1.5", "w2")
        assert before is not None
        assert (before.id, before.version, before.host) == (ids[3], "1.4", "w1")
        assert before.started_at is not None
        assert before.finished_at == before.started_at + timedelta(seconds=1)


def test_without_a_success_there_is_nothing_beside_a_failure(store: OperatorStore) -> None:
    first, second = play(store, "sync", BAD, BAD)
    [good] = play(store, "fine", GOOD)

    details = store.run_details(second)
    assert details is not None
    assert details.changed is not None
    assert (details.changed.first_failure.id, details.changed.last_success) == (first, None)
    fine = store.run_details(good)
    assert fine is not None
    assert fine.changed is None


def test_the_successes_of_a_long_row_are_counted_to_an_end(
    store: OperatorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "MOST_SUCCESSES", 2)
    *_, failed = play(store, "sync", GOOD, GOOD, GOOD, BAD)

    details = store.run_details(failed)
    assert details is not None
    assert details.changed is not None
    assert (details.changed.successes, details.changed.is_all) == (2, False)


def test_the_overview_tells_the_progress_of_the_newest_open_run(
    store: OperatorStore, back_door: BackDoor
) -> None:
    older, newer, quiet = (
        store.start_run(new_run(job_name), timeout=TIMEOUT) for job_name in ("a", "a", "b")
    )
    at = spelled(back_door, NOON)
    note(back_door, older, done=1, total=9)
    note(back_door, newer, done=5, total=20, progress_at=at, traceback="not read for a list")
    note(back_door, quiet, context={"term": 1})

    a, b = store.overview(strip=5)

    assert a.progress == NoteRecord(done=5, total=20, progress_at=NOON)
    assert b.progress is None


def claimed(store: OperatorStore, alert_id: int, kind: NoticeKind) -> ClaimedDelivery:
    record = DeliveryRecord(
        id=1,
        alert_id=alert_id,
        incident=alert_id,
        kind=kind,
        channel="oncall",
        state=DeliveryState.SENDING,
        attempts=1,
        created_at=store.now(),
    )
    return ClaimedDelivery(record=record)


def test_a_message_knows_what_a_failed_run_left_by_two_statements_more(
    store: OperatorStore, back_door: BackDoor
) -> None:
    good, failed = play(store, "sync", GOOD, BAD)
    ran_on(back_door, good, "1.4", "w1")
    ran_on(back_door, failed, "1.5", "w1")
    back_door.rows(
        "update run_log set upstream = 'api.example:443', trigger_type = 'RETRY', retry_count = 2"
        " where id = :id",
        id=failed,
    )
    links = [{"name": "report", "url": "https://r.example/1"}]
    note(back_door, failed, traceback="T", log_tail="L", links=links)
    alert_id = back_door.row("select id from alert")["id"]

    sent: dict[NoticeKind, int] = {}
    facts: dict[NoticeKind, NoticeFacts] = {}
    for kind in (NoticeKind.OPENED, NoticeKind.RECOVERED):
        with counted(store) as statements:
            told = store.notice_facts(claimed(store, alert_id, kind), timeout=TIMEOUT)
        assert told is not None
        sent[kind], facts[kind] = len(statements), told

    opened = facts[NoticeKind.OPENED]
    assert (opened.traceback, opened.log_tail, opened.upstream) == ("T", "L", "api.example:443")
    assert opened.links == (("report", "https://r.example/1"),)
    assert opened.last_success is not None
    assert (opened.last_success.version, opened.last_success.attempt) == ("1.4", None)
    assert opened.failed_run is not None
    assert opened.failed_run.attempt == 3
    assert opened.changed is not None
    assert (opened.changed.code_changed, opened.changed.host_changed) == (True, False)
    assert facts[NoticeKind.RECOVERED].traceback is None
    assert sent[NoticeKind.OPENED] == sent[NoticeKind.RECOVERED] + 2


@contextmanager
def counted(store: OperatorStore) -> Iterator[list[str]]:
    """The statements that a store sends."""
    sent: list[str] = []

    def keep(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(store.engine, "before_cursor_execute", keep)
    yield sent
    event.remove(store.engine, "before_cursor_execute", keep)
