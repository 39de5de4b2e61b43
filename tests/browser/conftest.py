"""Chromium over stores that jobs have filled, and readers who notice what goes wrong."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.stories import tell
from tests.support.browser import MISSING, PROGRAM, Reader, Website, running_browser
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import Browser


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for the folder.

    Not for the session: while Playwright is open no event loop can be started in its thread.
    """
    if PROGRAM is None:
        pytest.skip(MISSING)
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the file of a story; whichever worker comes first tells it."""
    folder = tmp_path_factory.getbasetemp()
    if folder.name.startswith("popen-"):  # a worker's own
        folder = folder.parent

    def file_of(story: str) -> Path:
        file = folder / f"{story}.db"
        with (folder / f"{story}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not file.exists():
                draft = folder / story / "draft.db"
                tell(f"sqlite:///{draft}", story)
                _checkpoint(draft)
                draft.rename(file)
        return file

    return file_of


def _checkpoint(file: Path) -> None:
    """Bring everything into the one file: a copy of it is to be the whole store."""
    import sqlite3

    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")


@pytest.fixture
def copy_of(told: Callable[[str], Path], tmp_path: Path) -> Callable[[str], str]:
    """Return the URL of a store of the test's own, in which a story has happened."""

    def copy(story: str) -> str:
        file = tmp_path / f"{story}.db"
        shutil.copy(told(story), file)
        return f"sqlite:///{file}"

    return copy


@pytest.fixture(scope="session")
def _shared_sites(
    told: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    sites: dict[str, str] = {}
    with contextlib.ExitStack() as stack:

        def site_of(story: str) -> str:
            if story not in sites:
                file = tmp_path_factory.mktemp("site") / f"{story}.db"
                shutil.copy(told(story), file)
                website = stack.enter_context(Website("--database-url", f"sqlite:///{file}"))
                sites[story] = website.url
            return sites[story]

        yield site_of


@pytest.fixture
def site(_shared_sites: Callable[[str], str]) -> str:
    """The address of pages over the story of a night; tests only read them."""
    return _shared_sites("nightly")


@pytest.fixture
def site_of(_shared_sites: Callable[[str], str]) -> Callable[[str], str]:
    """Returns the address of pages over a story; tests only read them."""
    return _shared_sites


@pytest.fixture
def serve() -> Iterator[Callable[..., Website]]:
    """Starts `runguard web` for the test alone; takes its arguments and its environment."""
    with contextlib.ExitStack() as websites:
        yield lambda *arguments, **options: websites.enter_context(Website(*arguments, **options))


@pytest.fixture
def reader_of(browser: Browser) -> Iterator[Callable[..., Reader]]:
    """Seats readers before a site. Whatever goes wrong on their pages fails the test."""
    readers: list[Reader] = []

    def seat(site: str, **options: Any) -> Reader:
        readers.append(Reader(browser, site, **options))
        return readers[-1]

    yield seat
    for reader in readers:
        reader.context.close()
    complaints = [complaint for reader in readers for complaint in reader.unexpected()]
    assert not complaints, "\n".join(complaints)


@pytest.fixture
def reader(reader_of: Callable[..., Reader], site: str) -> Reader:
    """A reader before the story of a night, on a wide screen, in light colours."""
    return reader_of(site)


class Job:
    """A job in a process of its own, in the middle of a run until it is told how to end."""

    def __init__(self, url: str, job_name: str) -> None:
        """Start it, and return when its run is recorded."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _JOB, url, job_name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.run_id = int(self._process.stdout.readline())

    def end(self, reason: str = "") -> None:
        """Let it fail for a reason; without one it succeeds."""
        self._process.communicate(f"{reason}\n", timeout=30)

    def close(self) -> None:
        """See that it is gone."""
        self._process.kill()
        self._process.communicate()


_JOB = """
import sys
import runguard
runguard.configure(database_url=sys.argv[1], check=True)
with runguard.run_scope(sys.argv[2]) as run:
    print(run.id, flush=True)
    if reason := sys.stdin.readline().strip():
        raise RuntimeError(reason)
"""


@pytest.fixture
def start_job() -> Iterator[Callable[[str, str], Job]]:
    """Starts jobs on a store; each of them goes on until it is told to end."""
    with contextlib.ExitStack() as jobs:

        def start(url: str, job_name: str) -> Job:
            job = Job(url, job_name)
            jobs.callback(job.close)
            return job

        yield start
