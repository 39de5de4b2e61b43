"""However many records wait, a run does a bounded part of the work, and each gets further."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard._api import runtime
from runguard._run import spool_replay
from runguard._run.spool_listing import count_of
from runguard._run.spool_replay import BATCH, replay
from runguard._run.spool_view import waiting_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Put = Callable[..., Path]
    Sql = Callable[..., list[dict[str, Any]]]

MANY = 20 * BATCH


@pytest.fixture
def many(sqlite_url: str, put: Put) -> Path:
    """A folder in which one record waits under very many names."""
    first = put("waited")
    folder = first.parent
    for number in range(MANY):
        os.link(first, folder / f"{number:08}.end.json")
    return folder


def test_a_round_looks_at_a_bounded_part_of_the_folder(
    many: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted, not timed: names read and files asked for their time."""
    asked = 0
    written_at = spool_replay._written_at

    def counted(handle: int, name: str) -> int:
        nonlocal asked
        asked += 1
        return written_at(handle, name)

    monkeypatch.setattr(spool_replay, "_written_at", counted)
    rounds = replay(runtime.spool(), runtime.store(), seconds=60)
    for _ in range(10):
        next(rounds)
    rounds.close()

    assert asked <= BATCH


def test_every_round_gets_further(many: Path) -> None:
    runtime.store()
    left = []
    for _ in range(3):
        list(replay(runtime.spool(), runtime.store(), seconds=0.3))
        left.append(count_of(runtime.spool()))

    assert MANY + 1 > left[0] > left[1] > left[2]


def test_a_run_takes_no_longer_for_the_counting(many: Path, sql: Sql) -> None:
    began = time.process_time()
    assert runtime.spool().is_due()

    assert time.process_time() - began < 0.05
    with runguard.run_scope("later"):
        pass
    assert count_of(runtime.spool(), at_most=5) == 5
    shutil.rmtree(many)


def test_records_that_the_store_fails_on_do_not_stand_in_the_way_of_the_next_round(
    sqlite_url: str, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three that always run into a timeout, say, and one behind them."""
    slow = {put("slow").name.partition(".")[0] for _ in range(3)}
    put("quick")
    store = runtime.store()
    write = store.replay_run

    def replay_run(record: Any, *, timeout: float) -> Any:
        if str(record.run.key) in slow:
            raise runguard.StoreUnavailable("statement timeout")
        return write(record, timeout=timeout)

    monkeypatch.setattr(store, "replay_run", replay_run)
    for _ in range(2):
        list(replay(runtime.spool(), store, seconds=60))

    assert {path.name.partition(".")[0] for path in waiting_files(runtime.spool())} == slow
