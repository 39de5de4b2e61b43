"""A real PgBouncer for the tests: transaction mode, and else its default settings."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import make_url

from tests.support.postgres import KEEPER, PostgresAddress, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

# Debian puts it where only root's PATH leads.
PROGRAM = shutil.which(
    "pgbouncer", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
)
MISSING = "PgBouncer is not installed (on Debian and Ubuntu: apt-get install pgbouncer)"


class PgBouncer(PostgresAddress):
    """A transaction pooler in front of a server, for every database that the server has.

    `settings` go to its configuration as they are.
    """

    def __init__(self, server: PostgresAddress, settings: Mapping[str, str] | None = None) -> None:
        if PROGRAM is None:
            raise RuntimeError(MISSING)
        self.folder = Path(tempfile.mkdtemp(prefix="rg-pgbouncer-", dir="/tmp"))
        self._keeper = subprocess.Popen(
            [sys.executable, "-I", "-S", KEEPER, self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        super().__init__(server.base.set(host="127.0.0.1", port=self.port, query={}))
        self._configure(server, settings or {})

    def through(self, url: str) -> str:
        """The same URL but for its port: what a user changes to go through the pooler."""
        return make_url(url).set(host="127.0.0.1", port=self.port).render_as_string(False)

    def _configure(self, server: PostgresAddress, settings: Mapping[str, str]) -> None:
        here = {
            "listen_addr": "127.0.0.1",
            "listen_port": str(self.port),
            "unix_socket_dir": str(self.folder),
            "pidfile": str(self.folder / "pgbouncer.pid"),
            "auth_type": "trust",
            "auth_file": str(self.folder / "users"),
            "pool_mode": "transaction",
        }
        lines = [
            "[databases]",
            f"* = host={server.base.host or '127.0.0.1'} port={server.base.port or 5432}",
            "[pgbouncer]",
            *(f"{name} = {value}" for name, value in {**here, **settings}.items()),
        ]
        (self.folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        (self.folder / "users").write_text(
            f'"{server.base.username}" "{server.base.password or ""}"\n'
        )

    def _process_options(self) -> dict[str, Any]:
        """PgBouncer refuses root: let `nobody` own the folder and run it."""
        if os.geteuid() != 0:
            return {}
        nobody = pwd.getpwnam("nobody")
        for path in (self.folder, *self.folder.iterdir()):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def log_text(self) -> str:
        """What it has written to its log so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Start it and return when it accepts connections."""
        assert PROGRAM is not None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAM, str(self.folder / "pgbouncer.ini")],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal is for pytest, which then stops it.
                start_new_session=True,
                **self._process_options(),
            )
        deadline = time.monotonic() + 30
        while not self._accepts():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PgBouncer did not start; its log says:\n{self.log_text()}")
            time.sleep(0.01)
        return self

    def _accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def stop(self) -> None:
        """End it at once: every client's connection is cut."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)
        self.process = None

    def restart(self) -> None:
        """Stop and start on the same port."""
        self.stop()
        self.start()

    def close(self) -> None:
        """Stop it and remove everything of it."""
        try:
            self.stop()
        finally:
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
