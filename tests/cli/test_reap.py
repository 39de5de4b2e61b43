"""`runguard reap` and a process that is still here."""

from __future__ import annotations

import importlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from runguard._models import NewRun, TriggerType
from runguard._run.host import host_name
from runguard._run.run_key import new_run_key
from tests.support.stores import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def test_a_silent_process_gets_the_time_of_a_heartbeat_once(
    cli: Callable[..., Any], sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    reap = importlib.import_module("runguard._cli.commands.reap")
    monkeypatch.setattr(reap, "time", SimpleNamespace(sleep=waited.append))
    store = open_store(sqlite_url)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        for job in ("nightly", "hourly"):
            run = NewRun(new_run_key(), job, TriggerType.SCHEDULER, host_name(), process.pid)
            store.start_run(run, timeout=10)
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as connection:
            connection.execute("update run_log set started_at = '2026-01-01 00:00:00.000'")
            connection.commit()
        answer = cli(
            "reap", "--job", "nightly", "--job", "hourly", "--json", "--database-url", sqlite_url
        )
        process.kill()

    assert waited == [35.0, 0.0]
    assert answer.stderr.count("waiting 35 s for a heartbeat") == 1
    assert {lost["job_name"] for lost in answer.json} == {"nightly", "hourly"}
