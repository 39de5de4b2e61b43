"""A notifier's role tells people, settles incidents, reaps and replays; and does no more."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from runguard._events import Events
from runguard._monitor.expectations import (
    Closing,
    Declarer,
    Expectation,
    Finding,
    FindingType,
    JobDeclaration,
    MonitorRecord,
    Verdict,
)
from runguard._monitor.records import Purpose
from runguard._notify.config import NotifyConfig
from runguard._notify.dispatcher import Dispatcher
from runguard._run.reaper import reap
from runguard._settings import Settings
from runguard._store.declaring import declare_jobs, raise_unwatched
from tests.notify.senders import Letterbox, PostingChannel
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.faults.privileges.conftest import World


def fail_and_succeed(world: World) -> None:
    store = open_store(world.url("job"))
    for ending_of in (failure, success):
        run = new_run()
        store.start_run(run, timeout=TIMEOUT)
        store.finish_run(ending_of(run), timeout=TIMEOUT)
    store.close()


@pytest.mark.parametrize("may_watch", [True, False])
def test_it_tells_of_a_failure_and_of_its_recovery(
    world: World, tmp_path: Path, *, may_watch: bool
) -> None:
    fail_and_succeed(world)
    if not may_watch:
        world.run("revoke all on job, monitor, monitor_gap from runguard_notifier", "migrator")
    box = tmp_path / "box"
    store = open_store(world.url("notifier"))
    channel = PostingChannel(Letterbox(str(box), lambda _count: None))
    dispatcher = Dispatcher(store, [channel], NotifyConfig(), Events())
    try:
        list(reap(store, Settings()))
        for _ in range(2):
            dispatcher.dispatch()
            dispatcher.deliver_due()
            store.settle_incidents()
    finally:
        store.close()

    assert len(box.read_text().splitlines()) == 2
    assert world.run("select kind, state from alert_delivery order by id") == [
        ("opened", "sent"),
        ("recovered", "sent"),
    ]


def test_it_watches_jobs_that_declare_themselves(world: World) -> None:
    jobs, store = open_store(world.url("job")), open_store(world.url("notifier"))
    said = JobDeclaration(job_name="nightly", expectation=Expectation(every=timedelta(hours=1)))
    no_time = timedelta(0)
    try:
        declare_jobs(jobs, [said], timeout=TIMEOUT)
        assert raise_unwatched(jobs, after=no_time, cooldown=no_time, timeout=TIMEOUT)
        store.declare_file([replace(said, by=Declarer.FILE)], who="runguard.toml")
        now, _ = store.begin_round(no_time)
        assert store.close_unwatched()
        about = {"type": FindingType.MISSED, "title": "late", "message": ""}
        found, over = (
            {"findings": (Finding(since=now, **about),)},
            {"closings": (Closing(**about),)},
        )
        for verdict in (found, over):
            [facts] = store.jobs_to_judge(limit=9)
            told = [Verdict(job=facts.job, **verdict)]
            assert store.write_verdicts(told, cooldown=no_time)
        for rounds in (1, 2):
            record = MonitorRecord(
                who="a:1", kind="monitor", started_at=now, last_round_at=now, rounds=rounds
            )
            store.note_round(record, gap_after=no_time)
    finally:
        jobs.close()
        store.close()

    assert world.run("select alert_type from alert order by id") == [
        ("UNWATCHED",),
        ("RECOVERED",),
        ("MISSED",),
        ("RECOVERED",),
    ]


def test_doctor_finds_nothing_that_it_lacks(
    world: World, cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = world.url("notifier")
    store = open_store(url)
    try:
        assert store.diagnose(Purpose.NOTIFIER).lacking == ()
    finally:
        store.close()
    world.run("revoke update on channel_state from runguard_notifier", "migrator")
    answer = cli("doctor", "--for", "notifier", "--database-url", url)
    assert answer.exit_code == 1
    assert "UPDATE on channel_state" in answer.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "delete from alert",
        "delete from alert_delivery",
        "delete from job",
        "update alert set title = 'x'",
        "insert into silence (job, ends_at, reason, created_by) values ('*', now(), 'x', 'x')",
        "drop table alert_delivery",
        "create table mine (x int)",
    ],
)
def test_it_can_do_no_more(world: World, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        world.run(f"begin; {statement}; rollback", "notifier")


def test_a_job_that_may_what_the_notifier_may_delivers_itself(world: World, tmp_path: Path) -> None:
    fail_and_succeed(world)
    world.run("grant runguard_notifier to runguard_job")
    box = tmp_path / "box"
    store = open_store(world.url("job"))
    channel = PostingChannel(Letterbox(str(box), lambda _count: None))
    try:
        dispatcher = Dispatcher(store, [channel], NotifyConfig(), Events())
        dispatcher.dispatch()
        dispatcher.deliver_due()
    finally:
        store.close()
        world.run("revoke runguard_notifier from runguard_job")

    assert len(box.read_text().splitlines()) == 1
