"""Conformance: what a page, `show` and `explain` read of one job, one run, one alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from runguard import ConfigurationError
from runguard._models import ErrorGroup
from runguard._monitor.records import AlertFilter, RunFilter
from tests.store.drafts import TIMEOUT, failure, new_run, own_alert, success
from tests.support.stores import newest_alerts

if TYPE_CHECKING:
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

GOOD = None
BAD = ErrorGroup.HTTP_5XX
SLOW = ErrorGroup.TIMEOUT


def play(store: OperatorStore, job_name: str, *groups: ErrorGroup | None) -> list[int]:
    """Runs of a job, one after the other; their ids, the oldest first."""
    ids = []
    for group in groups:
        run = new_run(job_name)
        ids.append(store.start_run(run, timeout=TIMEOUT))
        ending = success(run) if group is None else failure(run, group=group)
        store.finish_run(ending, timeout=TIMEOUT)
    return ids


def spread(back_door: BackDoor, seconds: int = 60) -> None:
    """Let each run take a second, and begin some time before the next: the newest at noon."""
    newest = back_door.row("select max(id) as id from run_log")["id"]
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for row in back_door.rows("select id, finished_at from run_log"):
        started_at = noon - timedelta(seconds=seconds * (newest - row["id"]))
        back_door.rows(
            "update run_log set started_at = :start, finished_at = case when finished_at is null"
            " then null else :finish end where id = :id",
            start=spelled(back_door, started_at),
            finish=spelled(back_door, started_at + timedelta(seconds=1)),
            id=row["id"],
        )


def spelled(back_door: BackDoor, instant: datetime) -> Any:
    if back_door.engine.dialect.name == "postgresql":
        return instant
    return instant.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")


def foreign_run(back_door: BackDoor, **values: Any) -> int:
    """A row as another program writes it."""
    row = {"job_name": "theirs", "status": "FAILED", **values}
    columns = ", ".join(row)
    places = ", ".join(f":{name}" for name in row)
    [found] = back_door.rows(
        f"insert into run_log ({columns}) values ({places}) returning id", **row
    )
    return int(found["id"])


def foreign_alert(back_door: BackDoor, **values: Any) -> int:
    row = {"source_type": "student", "source_id": "7", "alert_type": "NEW", "title": "t", **values}
    columns = ", ".join(row)
    places = ", ".join(f":{name}" for name in row)
    [found] = back_door.rows(f"insert into alert ({columns}) values ({places}) returning id", **row)
    return int(found["id"])


def test_the_clock_is_the_database_s_and_aware(store: OperatorStore) -> None:
    assert abs(store.now() - datetime.now(UTC)) < timedelta(minutes=5)


def test_an_empty_store_has_nothing_to_tell(store: OperatorStore) -> None:
    assert store.overview(strip=30) == []
    assert store.overview(strip=30, job_name="nobody") == []
    assert (
        store.failure_buckets(since=store.now() - timedelta(days=1), bucket=timedelta(hours=1))
        == []
    )
    assert store.run_details(1) is None
    assert store.alert_details(1) is None
    assert store.last_runs("nobody", limit=9) == []
    assert store.cooldowns("nobody") == []
    assert store.lock_state("nobody") is None


def test_a_run_is_found_by_its_key(store: OperatorStore) -> None:
    run = new_run()
    run_id = store.start_run(run, timeout=TIMEOUT)

    assert store.run_id_of(run.key) == run_id
    assert store.run_id_of(new_run().key) is None


def test_a_job_is_described_by_its_last_runs(store: OperatorStore, back_door: BackDoor) -> None:
    ids = play(store, "sync", GOOD, BAD, GOOD, BAD, BAD)
    spread(back_door)

    [job] = store.overview(strip=4)

    assert job.job_name == "sync"
    assert [cell.id for cell in job.strip] == ids[:0:-1]
    assert [cell.error_group for cell in job.strip] == [BAD, BAD, None, BAD]
    assert (job.finished, job.succeeded) == (4, 1)
    assert (job.median_seconds, job.p95_seconds) == (1.0, 1.0)
    assert job.failing_since == datetime(2026, 3, 1, 11, 59, tzinfo=UTC)
    assert job.last_success_at == datetime(2026, 3, 1, 11, 58, 1, tzinfo=UTC)
    assert (job.open_alerts, job.severity) == (1, "high")
    assert (job.running, job.running_since) == (0, None)


def test_jobs_come_in_the_order_of_the_alphabet(store: OperatorStore) -> None:
    for name in ("b", "a", "c:d", "한국어"):
        play(store, name, GOOD)

    assert [job.job_name for job in store.overview(strip=3)] == store.job_names()
    assert [job.job_name for job in store.overview(strip=3, job_name="c:d")] == ["c:d"]


def test_the_last_success_is_found_beyond_the_strip(
    store: OperatorStore, back_door: BackDoor
) -> None:
    play(store, "sync", GOOD, BAD, BAD, BAD)
    spread(back_door)

    [job] = store.overview(strip=2)

    assert job.succeeded == 0
    assert job.last_success_at == datetime(2026, 3, 1, 11, 57, 1, tzinfo=UTC)


def test_an_open_run_is_seen_in_the_overview(store: OperatorStore) -> None:
    play(store, "sync", GOOD)
    first = store.start_run(new_run("sync"), timeout=TIMEOUT)
    store.start_run(new_run("sync"), timeout=TIMEOUT)

    [job] = store.overview(strip=9)

    assert job.running == 2
    started_at = store.run_details(first).run.started_at  # type: ignore[union-attr]
    assert job.running_since == started_at
    assert (job.finished, job.succeeded) == (1, 1)


def test_resolved_alerts_are_not_counted_as_open(store: OperatorStore) -> None:
    play(store, "sync", BAD, SLOW)
    play(store, "other:job", ErrorGroup.UNKNOWN)
    [newest, *_] = newest_alerts(store, job_name="sync")
    store.resolve_alerts([newest.id], by="ana")

    by_name = {job.job_name: job for job in store.overview(strip=9)}

    assert by_name["sync"].open_alerts == 1
    assert (by_name["other:job"].open_alerts, by_name["other:job"].severity) == (1, "medium")


def test_failures_are_counted_in_stretches_of_time(
    store: OperatorStore, back_door: BackDoor
) -> None:
    play(store, "one", BAD, GOOD, SLOW, BAD, BAD)
    spread(back_door, seconds=600)
    since = datetime(2026, 3, 1, 11, 20, tzinfo=UTC)

    def told(**options: Any) -> list[tuple[str, str | None, int]]:
        buckets = store.failure_buckets(since=since, bucket=timedelta(minutes=30), **options)
        return [(f"{b.starts_at:%H:%M}", b.error_group, b.failures) for b in buckets]

    assert told() == [
        ("11:00", BAD, 1),
        ("11:30", BAD, 1),
        ("11:30", SLOW, 1),
        ("12:00", BAD, 1),
    ]
    assert told(job_name="two") == []
    since = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert told(job_name="one") == [("12:00", BAD, 1)]


@pytest.mark.parametrize("bucket", [timedelta(0), timedelta(seconds=-1), timedelta(seconds=0.5)])
def test_a_stretch_is_of_whole_seconds(store: OperatorStore, bucket: timedelta) -> None:
    with pytest.raises(ConfigurationError, match="bucket: expected whole seconds"):
        store.failure_buckets(since=datetime.now(UTC), bucket=bucket)


def test_everything_about_a_run_is_told(store: OperatorStore, back_door: BackDoor) -> None:
    ids = play(store, "sync", GOOD, BAD, BAD, GOOD)
    [other] = play(store, "other", GOOD)
    spread(back_door)

    details = store.run_details(ids[2])

    assert details is not None
    assert details.run.id == ids[2]
    assert details.run.matched_by == "a test"
    assert details.updated_at is not None
    assert details.clock is None
    assert details.alert is not None
    assert details.alert.source_id == "sync:HTTP_5XX"
    assert details.run.covered_by == details.alert.id
    assert details.cooldown is not None
    assert details.cooldown.error_group == BAD
    assert details.previous_success is not None
    assert details.recovered is not None
    assert details.before is not None
    assert details.after is not None
    assert (details.previous_success.id, details.before.id) == (ids[0], ids[1])
    assert (details.recovered.id, details.after.id) == (ids[3], ids[3])
    assert [run.id for run in details.around] == [other, ids[3], ids[1], ids[0]]


def test_the_run_that_raised_an_alert_shows_it(store: OperatorStore) -> None:
    [first] = play(store, "sync", BAD)

    details = store.run_details(first)

    assert details is not None
    assert details.alert is not None
    assert details.run.covered_by is None
    assert (details.before, details.after, details.recovered) == (None, None, None)


@pytest.mark.parametrize("number", [0, -1, 2**63, 10**30])
def test_an_id_that_cannot_be_is_unknown(store: OperatorStore, number: int) -> None:
    assert store.run_details(number) is None
    assert store.alert_details(number) is None


def test_an_alert_is_told_with_its_run_and_what_it_covers(
    store: OperatorStore, back_door: BackDoor
) -> None:
    ids = play(store, "sync", BAD, BAD, SLOW, BAD, GOOD)
    spread(back_door)
    back_door.rows(
        "update alert set created_at = :then",
        then=spelled(back_door, datetime(2026, 3, 1, 11, 56, 1, tzinfo=UTC)),
    )
    alert_id = store.run_details(ids[0]).alert.id  # type: ignore[union-attr]

    details = store.alert_details(alert_id, limit=1)

    assert details is not None
    assert details.alert.id == alert_id
    assert details.raised_by is not None
    assert details.raised_by.id == ids[0]
    assert details.covered == 2
    assert [run.id for run in details.covered_runs] == [ids[3]]


def test_an_alert_of_a_job_s_own_covers_no_run(store: OperatorStore) -> None:
    verdict = store.raise_alert(own_alert(), timeout=TIMEOUT)
    assert verdict.alert_id is not None

    details = store.alert_details(verdict.alert_id)

    assert details is not None
    assert (details.raised_by, details.covered) == (None, 0)


def test_last_runs_are_cells_the_newest_first(store: OperatorStore, back_door: BackDoor) -> None:
    ids = play(store, "sync", GOOD, BAD, GOOD)
    play(store, "other", GOOD)
    spread(back_door)

    cells = store.last_runs("sync", limit=2)

    assert [cell.id for cell in cells] == [ids[2], ids[1]]
    assert [cell.seconds for cell in cells] == [1.0, 1.0]


def test_starts_of_a_job_are_told_the_newest_first(
    store: OperatorStore, back_door: BackDoor
) -> None:
    play(store, "sync", GOOD, BAD, GOOD)
    spread(back_door)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    minute = timedelta(minutes=1)

    assert store.starts("sync", since=noon - minute) == [noon, noon - minute]
    assert store.starts("sync", since=noon - 9 * minute, limit=1) == [noon]
    assert store.starts("nobody", since=noon - minute) == []
    assert len(store.starts("sync", since=noon - minute, environment=None)) == 2
    assert store.starts("sync", since=noon - minute, environment="staging") == []


def test_a_cooldown_tells_until_when_it_is_quiet_and_what_it_covered(store: OperatorStore) -> None:
    play(store, "sync", BAD, BAD, BAD, SLOW, GOOD)

    slow, bad = store.cooldowns("sync")

    assert (slow.error_group, slow.covered) == (SLOW, 0)
    assert (bad.error_group, bad.covered) == (BAD, 2)
    assert bad.quiet_until == bad.alerted_at + timedelta(minutes=30)


def test_a_cooldown_that_is_over_is_told_as_such(store: OperatorStore, back_door: BackDoor) -> None:
    play(store, "sync", BAD)
    back_door.age_alerts(3600)

    [state] = store.cooldowns("sync")

    assert state.quiet_until is None


def test_deleting_a_newer_alert_does_not_reopen_its_window(
    store: OperatorStore, back_door: BackDoor
) -> None:
    play(store, "sync", BAD)
    back_door.age("alert.created_at", 7200)

    [state] = store.cooldowns("sync")

    assert state.quiet_until is not None


def test_a_cooldown_of_a_foreign_alert_is_unknown(
    store: OperatorStore, back_door: BackDoor
) -> None:
    alert_id = foreign_alert(
        back_door, source_type="run_log", source_id="sync:TIMEOUT", alert_type="FAILED"
    )

    [state] = store.cooldowns("sync")

    assert (state.alert_id, state.quiet_until) == (alert_id, None)


def test_a_lock_tells_whether_it_is_held(store: OperatorStore) -> None:
    lease = store.acquire_lock("sync", "host-1:7", timedelta(minutes=5), timeout=TIMEOUT)
    held = store.lock_state("sync")
    store.release_lock(lease, timeout=TIMEOUT)  # type: ignore[arg-type]
    released = store.lock_state("sync")

    assert held is not None
    assert released is not None
    assert (held.locked_by, held.held) == ("host-1:7", True)
    assert (released.fence, released.held) == (held.fence, False)


def test_rows_of_other_programs_break_nothing(store: OperatorStore, back_door: BackDoor) -> None:
    strange = "a:b'; drop table run_log; --\U0001f4a5 %s :x"
    first = foreign_run(back_door, job_name=strange)
    foreign_run(back_door, job_name="", status="AWAITING")
    play(store, "sync", GOOD, BAD)
    alert_id = foreign_alert(back_door, source_type="run_log", source_id="", alert_type="FAILED")
    foreign_alert(back_door, source_type="run_log", source_id="7", alert_type="FAILED")
    foreign_alert(back_door, severity="DEAFENING", detail="[1]")

    jobs = {job.job_name: job for job in store.overview(strip=9)}
    assert set(jobs) == {strange, "", "sync"}
    assert jobs[strange].finished == 1
    assert jobs[strange].median_seconds is None
    [bucket, *_] = store.failure_buckets(
        since=store.now() - timedelta(hours=1), bucket=timedelta(days=1), job_name=strange
    )
    assert (bucket.error_group, bucket.failures) == (None, 1)
    details = store.run_details(first)
    assert details is not None
    assert (details.alert, details.cooldown) == (None, None)
    told = store.alert_details(alert_id)
    assert told is not None
    assert (told.raised_by, told.covered) == (None, 0)


@pytest.mark.parametrize("name", ["\0", "a\0b", "\ud800", "%", "' or 1=1 --"])
def test_a_hostile_name_is_the_name_of_no_job(store: OperatorStore, name: str) -> None:
    play(store, "sync", BAD)

    assert store.overview(strip=9, job_name=name) == []
    assert store.last_runs(name, limit=9) == []
    assert store.cooldowns(name) == []
    assert store.lock_state(name) is None
    since = store.now() - timedelta(hours=1)
    assert store.failure_buckets(since=since, bucket=timedelta(hours=1), job_name=name) == []


def test_times_without_an_end_break_nothing(store: OperatorStore, back_door: BackDoor) -> None:
    if back_door.engine.dialect.name != "postgresql":
        pytest.skip("SQLite has no infinite times")
    endless = foreign_run(back_door, job_name="theirs", finished_at="infinity")
    foreign_run(back_door, job_name="theirs", started_at="infinity", finished_at="infinity")
    never = foreign_run(back_door, job_name="theirs", started_at="-infinity", status="RUNNING")
    key = {"source_type": "run_log", "source_id": "theirs:TIMEOUT", "alert_type": "FAILED"}
    foreign_alert(back_door, **key, created_at="infinity")
    shown = foreign_alert(back_door, **key, resolved_at="-infinity")
    back_door.rows(
        "insert into job_lock (job_name, locked_by, lock_expires_at)"
        " values ('theirs', 'them', 'infinity')"
    )

    assert [run.id for run in store.run_page(RunFilter(), limit=9).runs] == [endless]
    assert [one.id for one in store.alert_page(AlertFilter(), limit=9).alerts] == [shown]
    assert len(store.failed_runs_with_alerts(limit=9)) == 2
    [job] = store.overview(strip=9)
    assert [cell.finished_at for cell in job.strip] == [None]
    assert (job.running, job.running_since) == (1, None)
    since = store.now() - timedelta(days=1)
    assert len(store.failure_buckets(since=since, bucket=timedelta(days=2))) == 1
    assert [cell.id for cell in store.last_runs("theirs", limit=9)] == [endless]
    assert [state.alert_id for state in store.cooldowns("theirs")] == [shown]
    details = store.run_details(never)
    assert details is not None
    assert details.run.started_at is None
    lock = store.lock_state("theirs")
    assert lock is not None
    assert (lock.held, lock.lock_expires_at.year) == (True, 9999)


def test_a_failure_is_counted_since_the_last_success(
    store: OperatorStore, back_door: BackDoor
) -> None:
    ids = play(store, "sync", BAD, GOOD, BAD, SLOW, BAD, BAD)
    spread(back_door)

    details = store.run_details(ids[4])

    assert details is not None
    assert details.failing_since is not None
    assert (details.failures_in_row, details.failing_since.id) == (3, ids[2])
    assert store.run_details(ids[1]).failures_in_row == 0  # type: ignore[union-attr]


def test_an_open_run_is_told_how_long_its_job_usually_takes(
    store: OperatorStore, back_door: BackDoor
) -> None:
    play(store, "sync", GOOD, GOOD, BAD)
    run_id = store.start_run(new_run("sync"), timeout=TIMEOUT)
    spread(back_door)

    assert run_id is not None
    assert store.run_details(run_id).usual_seconds == 1.0  # type: ignore[union-attr]
