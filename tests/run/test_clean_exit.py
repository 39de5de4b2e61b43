"""A process that used runguard leaves no open connection behind, however it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

JOB = """
import asyncio, gc, sys, threading
from datetime import timedelta
import runguard, runguard.testing

runguard.configure(database_url=sys.argv[1], heartbeat_interval=timedelta(seconds=0.05),
                   lost_after=timedelta(minutes=1), store_timeout=timedelta(minutes=1))

def job():
    with runguard.run_scope("plain", cooldown=timedelta(0)) as run:
        run.fail("3 of 10 pages failed")

async def coroutine():
    async with runguard.run_scope("async"):
        await asyncio.sleep(0.1)  # a heartbeat or two

job()
thread = threading.Thread(target=job)
thread.start()
thread.join()
asyncio.run(coroutine())
"""
ENDINGS = {
    "exit": "",
    "reset": "runguard.testing.reset(); gc.collect()",
    "used again": "runguard.testing.reset(); gc.collect(); runguard.configure("
    "database_url=sys.argv[1]); job()",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_no_connection_is_left_open(url: str, ending: str) -> None:
    developing = ["-X", "dev", "-W", "error::DeprecationWarning", "-W", "always::ResourceWarning"]
    done = subprocess.run(
        [sys.executable, *developing, "-c", JOB + ending, url],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    # On a busy machine asyncio's debug mode reports steps that took longer than 0.1 s.
    told = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert [line for line in told if not line.startswith("runguard.alert_created")] == []
    assert len(told) >= 2  # what runguard does tell: it did run
