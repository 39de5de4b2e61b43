"""A real Redis for the tests: on a free port of the loopback, without persistence."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import redis

from tests.support.postgres import KEEPER, free_port

PROGRAM = shutil.which("redis-server")
MISSING = "redis-server is not installed (on Debian and Ubuntu: apt-get install redis-server)"


class RedisServer:
    """A server of our own. It goes away with whoever started it, also where that is killed."""

    def __init__(self) -> None:
        if PROGRAM is None:
            raise RuntimeError(MISSING)
        self.folder = Path(tempfile.mkdtemp(prefix="rg-redis-", dir="/tmp"))
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", KEEPER, self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: int = 0) -> str:
        """What every client takes, `redis://127.0.0.1:PORT/DATABASE`."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def empty(self) -> None:
        """Remove everything that it holds."""
        with redis.Redis(port=self.port) as client:
            client.flushall()

    def start(self) -> Self:
        """Start it and return when it answers."""
        assert PROGRAM is not None
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "dir": str(self.folder),
            "pidfile": str(self.folder / "redis.pid"),
            "save": "",
            "appendonly": "no",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, *(word for name in options for word in (f"--{name}", options[name]))],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal is for pytest, which then stops it.
                start_new_session=True,
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = (self.folder / "log").read_text(errors="replace")
                raise RuntimeError(f"Redis did not start; its log says:\n{text}")
            time.sleep(0.01)
        return self

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False

    def close(self) -> None:
        """Stop it and remove everything of it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)  # there is nothing to save
            self.process.wait(timeout=30)
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(timeout=60)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *exc_info: object) -> None:
        self.close()
