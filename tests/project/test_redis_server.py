"""The Redis of the tests leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis

from tests.support.processes import ROOT, until
from tests.support.redis import MISSING, PROGRAM

pytestmark = pytest.mark.skipif(PROGRAM is None, reason=MISSING)

KILLED = """
import os, signal
from tests.support.redis import RedisServer
server = RedisServer().start()
print(server.process.pid, server.folder, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_test_finds_an_empty_server(redis_url: str, request: pytest.FixtureRequest) -> None:
    with redis.Redis.from_url(redis_url) as client:
        client.set("left", "by a test")
        request.getfixturevalue("redis_server").empty()
        assert client.get("left") is None


def test_a_server_does_not_outlive_an_owner_that_is_killed() -> None:
    command = [sys.executable, "-c", KILLED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    server, folder = done.stdout.split()

    until(lambda: not Path(folder).exists())
    until(lambda: not _is_running(int(server)))
    assert done.returncode == -signal.SIGKILL


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
