"""A store with many jobs remembers their strips, and shows what a store without memory shows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from runguard._models import ErrorGroup
from runguard._store.queries import jobs, strip_memory
from runguard._store.queries.jobs import JobKey
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.store.test_lost_runs import FIVE_MINUTES, reap_all
from tests.store.test_operator_queries import BAD, GOOD, foreign_run, play
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from runguard._models import NewRun, RunEnding
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

pytestmark = pytest.mark.parametrize("store_kind", ["postgresql", "sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def two_jobs_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip_memory, "FEWEST_JOBS", 2)


@pytest.fixture(autouse=True)
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let seconds pass, as a part of those after which each strip is read anew; else none do."""
    now = 0.0

    def later(part: float) -> None:
        nonlocal now
        now += part * strip_memory.EACH_AFTER

    monkeypatch.setattr(strip_memory, "monotonic", lambda: now)
    return later


@pytest.fixture
def agrees(store: OperatorStore, store_url: str) -> Iterator[Callable[[], bool]]:
    """Whether the store shows the same as one that remembers nothing."""
    other = open_store(store_url)

    def agrees() -> bool:
        for name in ("_remembered", "_alert_sums"):
            vars(other).pop(name, None)
        return store.overview(strip=3) == other.overview(strip=3)

    play(store, "a", GOOD, BAD, GOOD, GOOD)
    play(store, "b", GOOD)
    assert agrees()
    yield agrees
    other.close()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The jobs whose strips are read from now on, look by look."""
    asked: list[list[str]] = []
    read = jobs._Strips.strips_of

    def strips_of(self: jobs._Strips, wanted: Collection[JobKey]) -> object:
        asked.append([its.job_name for its in wanted])
        return read(self, wanted)

    monkeypatch.setattr(jobs._Strips, "strips_of", strips_of)
    return asked


def test_what_began_and_ended_since_is_seen_and_nothing_else_is_read(
    store: OperatorStore,
    agrees: Callable[[], bool],
    asked: list[list[str]],
) -> None:
    run = new_run("a")
    before, again = store.overview(strip=3), store.overview(strip=3)
    assert all(one is same for one, same in zip(before, again, strict=True))

    store.start_run(run, timeout=TIMEOUT)
    assert agrees()
    store.finish_run(success(run), timeout=TIMEOUT)
    assert agrees()
    play(store, "a new job", ErrorGroup.TIMEOUT)
    assert agrees()

    assert asked == [[], [], ["a"], ["a"], ["a new job"]]


def test_a_run_that_was_recorded_late_is_seen(
    agrees: Callable[[], bool], back_door: BackDoor
) -> None:
    foreign_run(back_door, job_name="b", started_at="2020-01-01 00:00:00")

    assert agrees()


@pytest.mark.parametrize("job_name", ["c", "b"])
def test_rows_whose_ids_are_far_beyond_all_others_hide_no_run_that_follows(
    store: OperatorStore, agrees: Callable[[], bool], back_door: BackDoor, job_name: str
) -> None:
    far = {"started_at": "2020-01-01 00:00:00", "finished_at": "2020-01-01 00:00:01"}
    for beyond in range(3):
        foreign_run(back_door, id=10**9 + beyond, job_name=job_name, **far)
    assert agrees()

    play(store, "b", BAD)

    assert agrees()


def test_a_start_that_was_refused_is_in_no_strip(
    agrees: Callable[[], bool], back_door: BackDoor
) -> None:
    foreign_run(back_door, job_name="b", refused=True)
    foreign_run(back_door, job_name="never began", refused=True)

    assert agrees()


@pytest.mark.parametrize("ending_of", [success, partial(failure, group=ErrorGroup.UNKNOWN)])
def test_a_lost_run_that_ends_after_all_is_seen(
    store: OperatorStore,
    *,
    agrees: Callable[[], bool],
    back_door: BackDoor,
    later: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
    ending_of: Callable[[NewRun], RunEnding],
) -> None:
    monkeypatch.setattr(strip_memory, "OVERLAP", 0)
    run = new_run("a")
    store.start_run(run, timeout=TIMEOUT)
    back_door.age("run_log.started_at", FIVE_MINUTES)
    assert len(reap_all(store)) == 1
    play(store, "b", GOOD)
    later(1)  # the times of all runs were moved
    assert agrees()

    store.finish_run(ending_of(run), timeout=TIMEOUT)

    assert agrees()


def test_rows_that_are_gone_are_shown_no_more(
    store: OperatorStore, agrees: Callable[[], bool], back_door: BackDoor
) -> None:
    store.start_run(new_run("a"), timeout=TIMEOUT)
    assert agrees()
    back_door.rows("delete from run_log where status = 'RUNNING'")
    assert agrees()


def test_what_somebody_did_by_hand_is_seen_in_time(
    agrees: Callable[[], bool], back_door: BackDoor, later: Callable[[float], None]
) -> None:
    back_door.rows("update run_log set version = 'by hand'")

    later(0.4)  # of two jobs, the one that was read longest ago
    assert not agrees()
    later(0.4)
    assert agrees()


def test_a_job_whose_rows_are_all_gone_is_shown_no_more(
    store: OperatorStore,
    agrees: Callable[[], bool],
    back_door: BackDoor,
    later: Callable[[float], None],
) -> None:
    back_door.rows("delete from run_log where job_name = 'b'")

    later(1)

    assert agrees()
    assert [job.job_name for job in store.overview(strip=3)] == ["a"]


def test_a_store_with_few_jobs_remembers_nothing(
    store: OperatorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strip_memory, "FEWEST_JOBS", 3)
    play(store, "a", GOOD)
    play(store, "b", GOOD)
    store.overview(strip=3)
    monkeypatch.setattr(jobs._Strips, "strips_of", lambda *_: pytest.fail("remembered"))

    assert len(store.overview(strip=3)) == 2


def test_so_many_changes_are_read_as_a_whole(
    store: OperatorStore, agrees: Callable[[], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strip_memory, "MOST_CHANGES", 1)
    monkeypatch.setattr(jobs._Strips, "strips_of", lambda *_: pytest.fail("read one by one"))
    play(store, "b", BAD, GOOD)

    assert agrees()


def test_an_alert_that_somebody_else_resolves_counts_no_longer(
    store: OperatorStore, agrees: Callable[[], bool], back_door: BackDoor
) -> None:
    before = [job.open_alerts for job in store.overview(strip=3)]
    back_door.rows("update alert set resolved = true")

    assert agrees()
    after = [job.open_alerts for job in store.overview(strip=3)]
    assert (before, after) == ([1, 0], [0, 0])


def test_open_alerts_that_stay_the_same_are_added_up_once(
    store: OperatorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(store, "a", BAD)
    play(store, "b", GOOD)
    before = store.overview(strip=3)
    monkeypatch.setattr(jobs, "_by_job", lambda _: pytest.fail("added up again"))

    assert store.overview(strip=3) == before
    assert before[0].open_alerts == 1


def test_what_is_remembered_hides_no_other_question(store: OperatorStore) -> None:
    play(store, "a", BAD)
    play(store, "b", GOOD)
    store.overview(strip=3)

    assert not [name for name in vars(store) if callable(getattr(type(store), name, None))]


def test_a_page_and_metrics_make_each_other_forget_nothing(
    store: OperatorStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(store, "a", GOOD)
    play(store, "b", BAD)
    store.overview(strip=3)
    store.overview(strip=10)
    monkeypatch.setattr(jobs._Strips, "all_strips", lambda _: pytest.fail("read anew"))

    assert len(store.overview(strip=10)) == len(store.overview(strip=3)) == 2
