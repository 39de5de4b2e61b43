"""Monitors that are killed, and many of them at once: nothing is lost, nothing is doubled."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from contextlib import closing
from threading import Barrier, Thread
from typing import TYPE_CHECKING

import pytest

from runguard._monitor.expectations import FindingType
from tests.rounds.conftest import World
from tests.support.http_receiver import HttpReceiver
from tests.support.processes import ROOT
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator

# A round of a process that is killed before its first write, of one before its second, …, until one
# gets to its end. Between two writes nothing changes.
KILLED_BEFORE_EACH_WRITE = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from runguard._events import Events
from runguard._rounds.channels import Channels
from runguard._rounds.round import Rounds
from runguard._run.spool import Spool
from runguard._settings import Settings
from tests.support.stores import open_store

url, folder = sys.argv[1], Path(sys.argv[2])

def one_round(url, folder, writes):
    store, left = open_store(url), [writes]

    def executes(connection, cursor, statement, *_):
        left[0] -= statement.split()[0].upper() in ("INSERT", "UPDATE", "DELETE")
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(store.engine, "before_cursor_execute", executes)
    channels, spool = Channels({}, folder), Spool(folder / "spool")
    report = Rounds(store, Settings(), spool, Events(), channels=channels, kind="once").run()
    return len(report.troubles)

one_round(f"sqlite:///{folder}/other.db", folder / "empty", 100)  # all is imported now
for writes in range(100):
    child = os.fork()
    if child == 0:
        os._exit(one_round(url, folder, writes))
    status = os.waitpid(child, 0)[1]
    if os.WIFEXITED(status):
        print(writes, os.WEXITSTATUS(status))
        break
"""


@pytest.fixture
def hook(world: World) -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        world.configure(f'[channels.hook]\nwebhook = "{receiver.url()}"\n')
        yield receiver


def alerts_of(world: World) -> Counter[tuple[str, str]]:
    rows = world.back_door.rows("select source_id, alert_type from alert")
    return Counter((row["source_id"], row["alert_type"]) for row in rows)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_a_monitor_that_is_killed_between_any_two_steps_loses_and_doubles_nothing(
    world: World, store_url: str, hook: HttpReceiver
) -> None:
    world.expect("late", "missed")
    world.look()
    world.round()
    world.run("late")
    world.expect("another")
    hook.behave()
    done = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_EACH_WRITE, store_url, str(world.folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    kills, troubles = done.stdout.split()
    world.back_door.age("alert_delivery.claim_expires_at", 300)  # of those that died
    world.round()
    told = {one.headers["Idempotency-Key"]: one.json["data"] for one in hook.requests}

    assert (int(kills) > 8, troubles) == (True, "0"), done.stderr
    assert alerts_of(world) == {
        ("late", "MISSED"): 1,
        ("late", "RECOVERED"): 1,
        ("missed", "MISSED"): 1,
        ("another", "MISSED"): 1,
    }
    assert sorted((one["job"], one["kind"]) for one in told.values()) == [
        ("another", "opened"),
        ("late", "recovered"),
    ]


def two_rounds_at_once(world: World, store_url: str) -> None:
    """Let two monitors of their own begin a round at the same time."""
    barrier, reports = Barrier(2), []

    def monitor() -> None:
        with closing(open_store(store_url)) as store:
            store.job_names()  # both are connected
            rounds = World(store, world.back_door, world.folder).rounds()
            barrier.wait()
            reports.append(rounds.run())

    threads = [Thread(target=monitor) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [report.troubles for report in reports] == [{}, {}]


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_two_monitors_at_once_tell_each_finding_once(
    world: World, store_url: str, hook: HttpReceiver
) -> None:
    jobs = [f"job{number}" for number in range(12)]
    world.expect(*jobs)
    world.look()
    for runs in ((), (jobs[0],)):
        for job in runs:
            world.run(job)
        two_rounds_at_once(world, store_url)

    assert alerts_of(world) == {
        **{(job, FindingType.MISSED): 1 for job in jobs},
        (jobs[0], "RECOVERED"): 1,
    }
