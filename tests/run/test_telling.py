"""Jobs that tell people, as processes of their own, with real servers at the other end."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.http_receiver import HttpReceiver
from tests.support.mail_server import MailServer
from tests.support.processes import ROOT, until

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNGUARD = Path(sys.executable).with_name("runguard")
FAILS = """
from contextlib import suppress
import runguard
from runguard._run import delivery

delivery.Delivery.wait_at_exit.__defaults__ = (0.5,)
with suppress(ValueError), runguard.run_scope("nightly"):
    raise ValueError("bad input")
"""


class World:
    """A folder with a store, and the environment of a cron job: nothing but what it sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "runguard.db"
        self.environ = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "RUNGUARD_DATABASE_URL": f"sqlite:///{self.file}",
        }

    def run(self, *command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env={**self.environ, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,  # whose end is waited for, as `$(…)`, cron and ssh do
            text=True,
            timeout=60,
            check=False,
        )

    def fail(self, **environ: str) -> float:
        """Let a job fail; return the seconds that it took."""
        began = time.monotonic()
        done = self.run(sys.executable, "-c", FAILS, PYTHONPATH=str(ROOT), **environ)
        assert done.returncode == 0, done.stderr
        return time.monotonic() - began

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.file, timeout=30)) as database, database:
            return database.execute(statement).fetchall()

    def children(self) -> list[psutil.Process]:
        """The processes that deliver for jobs of this world."""
        return [
            process
            for process in psutil.process_iter()
            if "runguard._rounds.child" in _command_of(process)
            and _folder_of(process) == self.folder
        ]


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _folder_of(process: psutil.Process) -> Path | None:
    try:
        return Path(process.cwd())
    except (psutil.Error, OSError):
        return None


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path.resolve())
    yield world
    for child in world.children():
        child.kill()


@pytest.fixture
def hook(world: World) -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        (world.folder / "runguard.toml").write_text(
            f'[channels.hook]\nwebhook = "{receiver.url("/hook?token=hunter2")}"\n'
        )
        yield receiver


def test_a_command_of_cron_that_fails_sends_a_mail(world: World) -> None:
    with MailServer() as server:
        command = ("exec", "nightly", "--", "sh", "-c", "echo no space left >&2; exit 3")
        done = world.run(RUNGUARD, *command, RUNGUARD_NOTIFY=server.url())
        until(lambda: server.mails)

    assert done.returncode == 3
    [mail] = server.mails
    assert "nightly failed" in mail.message["Subject"]
    assert "no space left" in mail.text


def test_a_hanging_channel_holds_no_job_and_what_is_under_way_goes_out_after_it(
    world: World, hook: HttpReceiver
) -> None:
    fifo, arrived = world.folder / "fifo", world.folder / "arrived"
    os.mkfifo(fifo)
    with (world.folder / "runguard.toml").open("a") as file:
        slow = f"cat > {arrived}.part; cat {fifo}; mv {arrived}.part {arrived}"
        file.write(f'[channels.slow]\ncommand = ["sh", "-c", "{slow}"]\n')
    hook.behave(manner="hang")
    world.fail(RUNGUARD_DELIVER="off")  # what is measured has its files in memory
    seconds = world.fail(ALERT_COOLDOWN_MINUTES="0")
    until(lambda: hook.requests)
    [child] = world.children()
    argv = child.cmdline()
    assert not arrived.exists()
    fifo.write_bytes(b"")
    until(arrived.exists)

    assert seconds < 5
    assert child.is_running()  # the other channel still hangs
    assert "hunter2" not in " ".join(argv)
    assert str(world.file) not in " ".join(argv)


def test_what_a_killed_child_was_sending_is_sent_by_a_later_round(
    world: World, hook: HttpReceiver
) -> None:
    hook.behave(manner="hang")
    world.fail()
    until(lambda: hook.requests)
    first = hook.requests[0]
    [child] = world.children()
    child.send_signal(signal.SIGKILL)
    until(lambda: not psutil.pid_exists(child.pid) or child.status() == psutil.STATUS_ZOMBIE)
    hook.behave()
    world.sql("update alert_delivery set claim_expires_at = datetime('now', '-1 minute')")
    done = world.run(RUNGUARD, "monitor", "--once")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 message sent" in done.stdout
    [again] = hook.requests
    assert again.headers["Idempotency-Key"] == first.headers["Idempotency-Key"]
    assert world.sql("select state, attempts from alert_delivery") == [("sent", 2)]


def test_a_later_run_of_any_job_has_told_what_was_left(world: World, hook: HttpReceiver) -> None:
    world.fail(RUNGUARD_DELIVER="off")
    assert hook.requests == []
    code = "import runguard\nwith runguard.run_scope('another'): pass"
    done = world.run(sys.executable, "-c", code, PYTHONPATH=str(ROOT))
    until(lambda: hook.requests)

    assert done.returncode == 0, done.stderr
    assert "nightly failed" in hook.requests[0].json["subject"]


def test_with_the_store_away_no_child_is_started_and_nothing_is_lost(
    world: World, hook: HttpReceiver
) -> None:
    spool = str(world.folder / "spool")
    world.fail(
        RUNGUARD_DATABASE_URL="postgresql://127.0.0.1:1/x",
        RUNGUARD_STORE_TIMEOUT_SECONDS="0.5",
        RUNGUARD_SPOOL_DIR=spool,
    )

    assert world.children() == []
    assert len(list(Path(spool).rglob("*.end.json"))) == 1


def test_an_isolated_interpreter_delivers_too(world: World, hook: HttpReceiver) -> None:
    done = world.run(
        sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{FAILS}"
    )
    until(lambda: hook.requests)

    assert done.returncode == 0, done.stderr
