"""`Simulate`: what goes wrong in the night, at the moment that a test chooses."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from .._api import runtime
from .._errors import JobLockActive
from .._models import LockHolder, NewRun, TriggerType, in_environment, lock_owner
from .._run.host import host_name
from .._run.lost_runs import LostRunWatch
from .._run.run_key import new_run_key
from . import exceptions

if TYPE_CHECKING:
    from .._run.repository import RunRepository
    from .view import StoreView

TIMEOUT_SECONDS: Final = 30.0
LEASE: Final = timedelta(hours=1)
NO_PATIENCE: Final = 0.01  # a test need not wait for a store that does not come back
A_SECOND: Final = timedelta(seconds=1)


class Simulate:
    """What goes wrong: an upstream, a lock, the store, the process.

    Added in 0.2.
    """

    def __init__(self, view: StoreView, folder: Path) -> None:
        """Made by the fixtures."""
        self._view = view
        self._folder = folder

    def http(
        self, status: int, *, library: str | None = None, url: str = exceptions.URL
    ) -> Exception:
        """Return the exception that an HTTP client raises for an answer.

        Args:
            status: 400 to 599.
            library: `httpx`, `requests`, `aiohttp` or `urllib`. None: the first that is installed.
            url: What was asked for.
        """
        return exceptions.http_error(status, library=library, url=url)

    def timeout(self, library: str | None = None, *, url: str = exceptions.URL) -> Exception:
        """Return the exception that a library raises when an answer takes too long.

        Args:
            library: `httpx`, `requests`, `aiohttp`, `urllib3`, `psycopg`, `asyncio`, `socket` or
                `subprocess`. None: the first HTTP client that is installed.
            url: What was asked for.
        """
        return exceptions.timeout(library, url=url)

    @contextmanager
    def lock_held(self, job_name: str, /) -> Iterator[None]:
        """Let a run on another host hold the job's lock while the block runs."""
        environment = runtime.settings_so_far().environment
        owner = lock_owner("another-host", 4711, uuid4())
        name = in_environment(job_name, environment)
        with self._view.reader() as store:
            taken = store.acquire_lock(name, owner, LEASE, timeout=TIMEOUT_SECONDS)
        if isinstance(taken, LockHolder):
            raise JobLockActive(job_name, taken)
        try:
            yield
        finally:
            with self._view.reader() as store:
                store.release_lock(taken, timeout=TIMEOUT_SECONDS)

    @contextmanager
    def store_away(self) -> Iterator[None]:
        """Let runs find a store that does not answer. Their records wait in the spool.

        After the block the store is back, and the next run brings it what waits.
        """
        runtime.first_use()
        spool, there = runtime.spool(), runtime.store()
        with _dead_store(self._folder, is_a_file=there.has_hosts_clock) as away:
            _use(away)
            try:
                yield
            finally:
                _use(there)
                spool.look_again_at = 0.0  # else the next run would leave it to a later one

    def killed(self, job_name: str = "killed", /) -> int:
        """Leave a run whose process died in the middle, long enough ago; return its id.

        The next run of the job, and `runguard reap`, find it and declare it lost.
        """
        from .._store.moving import move_run_into_past

        settings = runtime.settings_so_far()
        run = NewRun(
            key=new_run_key(),
            job_name=job_name,
            trigger_type=TriggerType.SCHEDULER,
            host=host_name(),
            pid=_pid_of_the_dead(),
            lost_after=settings.lost_after,
            environment=settings.environment,
        )
        with self._view.reader() as store:
            run_id = store.start_run(run, timeout=TIMEOUT_SECONDS)
            move_run_into_past(store, run_id, settings.lost_after + A_SECOND)
        runtime.lost_runs = LostRunWatch()  # a start looks for lost runs again
        return run_id


@contextmanager
def _dead_store(folder: Path, *, is_a_file: bool) -> Iterator[RunRepository]:
    """Give a real store that cannot be reached."""
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        url = f"postgresql://127.0.0.1:{nobody_listens.getsockname()[1]}/away"
        if is_a_file:
            not_a_file = folder / "away"
            not_a_file.mkdir(exist_ok=True)
            url = f"sqlite:///{not_a_file}"
        store = runtime.stores.open(url=url, engine=None, max_connections=1, patience=NO_PATIENCE)
        with closing(store):
            yield store


def _use(store: RunRepository) -> None:
    runtime.store_as(lambda _: store)
    runtime.writers().breaker.note_answer()  # what was known of the other one


def _pid_of_the_dead() -> int:
    child = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    child.wait()
    return child.pid
