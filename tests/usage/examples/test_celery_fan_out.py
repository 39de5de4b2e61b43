"""Celery for real: a broker of files, a worker with four prefork processes, PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any

import psutil
import pytest
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded

from runguard import run_scope
from tests.support.mail_server import MailServer
from tests.support.processes import ROOT
from tests.usage.examples.conftest import asker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ask = Callable[[str], list[tuple[Any, ...]]]

PROCESSES = 4
TASKS = 1_000


class Worker:
    """A Celery worker; nothing of it outlives the test, its children included."""

    def __init__(self, folder: Path, url: str, output: IO[bytes]) -> None:
        self._output = output
        self._environment = {
            **os.environ,
            "FAN_OUT_FOLDER": str(folder),
            "RUNGUARD_DATABASE_URL": url,
            "PYTHONPATH": str(ROOT),
        }
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "--app", "examples.celery_fan_out", "worker"),
                *("--pool", "prefork", "--concurrency", str(PROCESSES), "--loglevel", "warning"),
                # Children come and go while tasks run: each new one is a fork of the worker.
                *("--max-tasks-per-child", "150"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat"),
            ],
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def send(self, *arguments: str) -> None:
        """Send tasks from a process of its own, which never touches the store."""
        done = subprocess.run(
            [sys.executable, *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def until(self, happened: Callable[[], bool], limit: float = 240) -> None:
        deadline = time.monotonic() + limit
        while not happened():
            assert self.process.poll() is None, self.printed()
            assert time.monotonic() < deadline, self.printed()
            time.sleep(0.1)

    def end(self) -> None:
        """End it as a deployment does: what it has begun, it ends.

        A child of billiard waits up to 30 seconds for the worker to count its results, and one that
        replaces it as long again.
        """
        self.process.terminate()
        try:
            exit_code = self.process.wait(timeout=240)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the worker did not end\n{self._states()}\n{self.printed()}")
        assert exit_code == 0, self.printed()

    def _states(self) -> str:
        """Say what each process of it does, for whoever looks for the reason."""
        worker = psutil.Process(self.process.pid)
        return "\n".join(
            f"{process.pid} of {process.ppid()}: {process.status()}, {process.num_threads()}"
            for process in [worker, *worker.children(recursive=True)]
        )

    def printed(self) -> str:
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def close(self) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def mail(monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    with MailServer() as server:
        monkeypatch.setenv("RUNGUARD_NOTIFY", server.url())
        yield server


@pytest.fixture
def worker(tmp_path: Path, migrated_pg_url: str) -> Iterator[Worker]:
    with tempfile.TemporaryFile() as output, contextlib.ExitStack() as stack:
        worker = Worker(tmp_path, migrated_pg_url, output)
        stack.callback(worker.close)
        yield worker


@pytest.fixture
def ask(migrated_pg_url: str) -> Ask:
    return asker(migrated_pg_url)


def test_a_thousand_tasks_on_four_processes_are_a_thousand_runs_and_two_alerts(
    worker: Worker, ask: Ask
) -> None:
    worker.send("-m", "examples.celery_fan_out", str(TASKS))
    worker.until(
        lambda: ask("select count(*) from run_log where status <> 'RUNNING'") >= [(TASKS,)]
    )
    worker.end()

    assert ask(
        "select status, error_group, count(*) from run_log group by 1, 2 order by 3 desc"
    ) == [("SUCCESS", None, 860), ("FAILED", "HTTP_5XX", 100), ("FAILED", "TIMEOUT", 40)]
    assert ask("select count(distinct total_records) from run_log where status = 'SUCCESS'") == [
        (860,)
    ]
    assert ask("select source_id, alert_type, count(*) from alert group by 1, 2 order by 1") == [
        ("sync_course:HTTP_5XX", "FAILED", 1),
        ("sync_course:TIMEOUT", "FAILED", 1),
    ]
    assert ask("select alert_outcome, count(*) from run_log group by 1 order by 1") == [
        ("none", 860),
        ("raised", 2),
        ("suppressed", 138),
    ]
    [(processes,)] = ask("select count(distinct pid) from run_log")
    assert processes >= PROCESSES
    assert "internal_error" not in worker.printed()


def test_only_the_last_attempt_of_a_task_alerts(worker: Worker, ask: Ask) -> None:
    worker.send("-c", "import examples.celery_fan_out as e; e.sync_stubborn_course.delay(13)")
    worker.until(
        lambda: ask("select count(*) from run_log where alert_outcome = 'raised'") == [(1,)]
    )
    worker.end()

    assert ask("select status, alert_outcome, retry_count from run_log order by id") == [
        ("FAILED", "excluded", 0),
        ("FAILED", "excluded", 1),
        ("FAILED", "raised", 2),
    ]


def test_a_task_that_fails_tells_somebody(mail: MailServer, worker: Worker) -> None:
    worker.send("-c", "import examples.celery_fan_out as e; e.sync_stubborn_course.delay(13)")
    worker.until(lambda: bool(mail.mails))
    worker.end()

    [arrived] = mail.mails
    assert "sync_stubborn_course failed" in arrived.message["Subject"]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Retry("in 30 s"), ("FAILED", "excluded", "UNKNOWN")),
        (Ignore(), ("SUCCESS", "none", None)),
        (Reject("malformed"), ("SUCCESS", "none", None)),
        (SoftTimeLimitExceeded(), ("FAILED", "raised", "TIMEOUT")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_celery_itself_raises_is_told_from_failure(
    sqlite_url: str, raised: Exception, expected: tuple[str | None, ...]
) -> None:
    with pytest.raises(type(raised)), run_scope("sync_course"):
        raise raised

    [found] = asker(sqlite_url)("select status, alert_outcome, error_group from run_log")
    assert found == expected
