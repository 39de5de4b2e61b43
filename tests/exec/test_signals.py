"""Signals that the wrapper is sent reach the command's process group, once; its end is written."""

from __future__ import annotations

import os
import select
import signal
import socket
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, make_url, text

from tests.exec.conftest import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.exec.conftest import Wrapper

    Run = Callable[[], dict[str, Any]]
    Start = Callable[..., Wrapper]

# Tells each signal that it gets. It waits for them, since a handler may run late in Python.
TELLS = """
import signal, sys
awaited = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM}
signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
print("ready", flush=True)
got = None
while got != signal.SIGTERM:
    got = signal.sigwait(awaited)
    print(got.name, flush=True)
sys.exit(7)
"""


def test_each_signal_reaches_the_command_once(start: Start, run: Run) -> None:
    wrapper = start("nightly", "--", sys.executable, "-c", TELLS)
    told = [wrapper.await_line()]
    for signum in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        wrapper.send(signum)
        told.append(wrapper.await_line())

    assert told == ["ready", "SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"]
    assert wrapper.end().exit_code == 7
    assert (run()["status"], run()["error_type"]) == ("FAILED", "exit code 7")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_the_whole_group_gets_it(start: Start, run: Run, signum: signal.Signals) -> None:
    # Background processes of a shell ignore SIGINT, so this one asks for its default again.
    child = f"import signal, time; signal.signal({int(signum)}, signal.SIG_DFL);"
    child += "print('child', flush=True); time.sleep(600)"
    wrapper = start("nightly", "--", "sh", "-c", f'{sys.executable} -c "{child}" & wait')
    wrapper.await_line()
    wrapper.send(signum)

    assert wrapper.await_line() == "", "both that held stdout are gone"
    assert wrapper.end().exit_code == 128 + signum
    assert run()["error_message"] == f"killed by {signum.name} (signal {int(signum)})"


def test_a_signal_that_is_ignored_stays_so(start: Start) -> None:
    wrapper = start("nightly", "--", sys.executable, "-c", TELLS, before=("nohup",))
    told = [wrapper.await_line()]
    wrapper.send(signal.SIGHUP)
    wrapper.send(signal.SIGTERM)
    told.append(wrapper.await_line())

    assert told == ["ready", "SIGTERM"]


@pytest.mark.parametrize(("trigger", "outcome"), [("MANUAL", "excluded"), ("SCHEDULER", "raised")])
def test_an_interrupt_by_hand_raises_no_alert(
    start: Start, run: Run, trigger: str, outcome: str
) -> None:
    wrapper = start("nightly", "--trigger", trigger, "--", "sh", "-c", "echo ready; exec sleep 600")
    wrapper.await_line()
    wrapper.send(signal.SIGINT)

    assert wrapper.end().exit_code == 130
    assert (run()["status"], run()["alert_outcome"]) == ("FAILED", outcome)
    assert run()["error_message"] == "killed by SIGINT (signal 2)"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's promise to a child is Linux's")
def test_a_killed_wrapper_takes_the_command_along(start: Start, run: Run) -> None:
    wrapper = start("nightly", "--", "sh", "-c", "echo ready; exec sleep 600")
    wrapper.await_line()
    wrapper.send(signal.SIGKILL)

    assert wrapper.await_line() == "", "the command that held stdout is gone"
    assert wrapper.end().exit_code == -signal.SIGKILL
    assert run()["status"] == "RUNNING", "as `reap` will find it"


def test_a_signal_while_the_ending_is_written_loses_nothing(
    start: Start, run: Run, file: Path
) -> None:
    wrapper = start("nightly", "--", "sh", "-c", "echo $$; read line; exit 3")
    command = os.pidfd_open(int(wrapper.await_line()))
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin immediate")  # nobody else can write
        wrapper.write(b"go on\n")
        select.select([command], [], [])  # it has ended
        wrapper.send(signal.SIGTERM)
        wrapper.send(signal.SIGINT)
        other.execute("rollback")

    assert wrapper.end().exit_code == 3
    assert (run()["status"], run()["error_type"]) == ("FAILED", "exit code 3")
    os.close(command)


def test_a_signal_before_the_command_begins_keeps_it_from_running(
    start: Start, environ: dict[str, str], tmp_path: Path, migrated_pg_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        real = make_url(migrated_pg_url)
        hosts = [f"127.0.0.1:{server.getsockname()[1]}", f"{real.host}:{real.port}"]
        url = real.set(host=None, port=None, query={"host": hosts})
        environ["RUNGUARD_DATABASE_URL"] = url.render_as_string(hide_password=False)
        wrapper = start("nightly", "--", "touch", "begun")
        first_host, _ = server.accept()  # the run is being opened
        wrapper.send(signal.SIGTERM)
        first_host.close()

    assert wrapper.process.wait(LIMIT) == 128 + signal.SIGTERM
    assert not (tmp_path / "begun").exists()
    engine = create_engine(migrated_pg_url)
    with engine.connect() as connection:
        rows = connection.execute(text("select status, error_message from run_log")).all()
    engine.dispose()
    assert rows == [("FAILED", "not started: SIGTERM arrived first")]
