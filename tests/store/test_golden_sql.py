"""The SQL that matters, as it is sent: each file in `golden/` is what one intent sends.

`RUNGUARD_TEST_GOLDEN=write` writes the files anew; read the difference before it is committed.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import sqlalchemy
import sqlparse
from sqlalchemy import event

from runguard._models import LockHolder, RunNote
from tests.store.drafts import TIMEOUT, failure, new_run, own_alert, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

FOLDER: Final = Path(__file__).with_name("golden")
WRITE: Final = os.environ.get("RUNGUARD_TEST_GOLDEN") == "write"
TTL: Final = timedelta(minutes=15)

pytestmark = pytest.mark.skipif(
    sqlalchemy.__version__ < "2.1", reason="SQLAlchemy 2.0 spells casts and names otherwise"
)


@pytest.fixture(params=["postgresql", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def start(store: OperatorStore) -> Callable[[], object]:
    return lambda: store.start_run(new_run(), timeout=TIMEOUT)


def start_relaxed(store: OperatorStore) -> Callable[[], object]:
    store.relaxed_start = True
    return lambda: store.start_run(new_run(), timeout=TIMEOUT)


def start_with_version(store: OperatorStore) -> Callable[[], object]:
    run = new_run()._replace(version="a1b2c3d", trace_id="0af7651916cd43dd8448eb211c80319c")
    return lambda: store.start_run(run, timeout=TIMEOUT)


def end_with_success(store: OperatorStore) -> Callable[[], object]:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    return lambda: store.finish_run(success(run), timeout=TIMEOUT)


def end_with_failure(store: OperatorStore) -> Callable[[], object]:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    return lambda: store.finish_run(failure(run), timeout=TIMEOUT)


def end_with_success_and_note(store: OperatorStore) -> Callable[[], object]:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    note = RunNote(context={"term": "2026-2"})
    return lambda: store.finish_run(success(run)._replace(note=note), timeout=TIMEOUT)


def end_with_failure_and_note(store: OperatorStore) -> Callable[[], object]:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    note = RunNote("Traceback: …", links=(("report", "https://example.org/"),), done=3, total=9)
    return lambda: store.finish_run(failure(run)._replace(note=note), timeout=TIMEOUT)


def end_with_failure_without_alert(store: OperatorStore) -> Callable[[], object]:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    return lambda: store.finish_run(failure(run, alerts=False), timeout=TIMEOUT)


def raise_alert(store: OperatorStore) -> Callable[[], object]:
    return lambda: store.raise_alert(own_alert(), timeout=TIMEOUT)


def beat(store: OperatorStore) -> Callable[[], object]:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    return lambda: store.beat([run.key], timeout=TIMEOUT)


def beat_with_progress(store: OperatorStore) -> Callable[[], object]:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    return lambda: store.beat([run.key], timeout=TIMEOUT, progress={run.key: (3, 9)})


def acquire_lock(store: OperatorStore) -> Callable[[], object]:
    return lambda: store.acquire_lock("job", "host:1:a", TTL, timeout=TIMEOUT)


def renew_lock(store: OperatorStore) -> Callable[[], object]:
    lease = store.acquire_lock("job", "host:1:a", TTL, timeout=TIMEOUT)
    assert not isinstance(lease, LockHolder)
    return lambda: store.renew_lock(lease, TTL, timeout=TIMEOUT)


def release_lock(store: OperatorStore) -> Callable[[], object]:
    lease = store.acquire_lock("job", "host:1:a", TTL, timeout=TIMEOUT)
    assert not isinstance(lease, LockHolder)
    return lambda: store.release_lock(lease, timeout=TIMEOUT)


def find_lost(store: OperatorStore) -> Callable[[], object]:
    return lambda: find_lost_runs(store)


def find_lost_runs(store: OperatorStore) -> Any:
    return store.find_lost_runs(
        silent_for=timedelta(minutes=5), job_name=None, limit=500, timeout=TIMEOUT
    )


def close_lost(store: OperatorStore, back_door: BackDoor) -> Callable[[], object]:
    run = new_run()
    store.start_run(run, timeout=TIMEOUT)
    back_door.age("run_log.started_at", 600)
    [lost] = find_lost_runs(store)
    return lambda: store.close_lost_run(
        lost, failure(run), silent_for=timedelta(minutes=5), timeout=TIMEOUT
    )


INTENTS: Final[tuple[Callable[..., Callable[[], object]], ...]] = (
    *(
        start,
        start_relaxed,
        end_with_success,
        end_with_failure,
        end_with_failure_without_alert,
        raise_alert,
    ),
    *(start_with_version, end_with_success_and_note, end_with_failure_and_note),
    *(beat, beat_with_progress, acquire_lock, renew_lock, release_lock, find_lost, close_lost),
)


def sent_by(store: OperatorStore, act: Callable[[], object]) -> str:
    """Every statement that `act` sends, in order, spelled for a reader."""
    sent: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(store.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(store.engine, "before_cursor_execute", note)
    spelled = (sqlparse.format(one, reindent=True, wrap_after=90).strip() for one in sent)
    return "".join(f"{statement};\n\n" for statement in spelled).rstrip("\n") + "\n"


@pytest.mark.parametrize("intent", INTENTS, ids=lambda intent: intent.__name__)
def test_each_intent_sends_the_sql_of_its_file(
    store: OperatorStore,
    store_kind: str,
    back_door: BackDoor,
    intent: Callable[..., Callable[[], object]],
) -> None:
    act = intent(store, back_door) if intent is close_lost else intent(store)

    found = sent_by(store, act)

    file = FOLDER / store_kind / f"{intent.__name__}.sql"
    if WRITE:
        file.parent.mkdir(exist_ok=True)
        file.write_text(found)
    assert found == file.read_text()


def test_every_file_belongs_to_an_intent() -> None:
    names = {intent.__name__ for intent in INTENTS}

    assert {file.stem for file in FOLDER.rglob("*.sql")} == names
    assert len(list(FOLDER.rglob("*.sql"))) == 2 * len(names)
