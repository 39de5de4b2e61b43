"""What those who look pay where thousands of jobs have run millions of times."""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import event

from runguard._store.migrate import upgrade
from runguard._store.queries import strip_memory
from tests.store.drafts import new_run, success
from tests.support.postgres import PostgresServer
from tests.support.stores import open_store

from .dataset import fill
from .growth import PATIENCE, SETTINGS
from .reporting import Section, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runguard._store.operator import OperatorStore
    from tests.support.postgres import PostgresAddress

    from .effort import Effort

STRIP: Final = 30
LOOKS: Final = 9
SECONDS_BETWEEN: Final = 20.0  # looks of a page with so many jobs
RUNS_BETWEEN: Final = 12  # of five million in ninety days
MOST_STATEMENTS_MS: Final = 60
MOST_COMMAND_MS: Final = 1000
FIRST, FOLLOWING = "the first look", "the looks that follow"
AIMED_AT: Final = ("jobs", "runs", "explain failed", "report")
COMMANDS: Final = (
    *AIMED_AT,
    *("jobs --json", "jobs --failing", "runs --job job_7", "report --format html"),
)
CALL: Final = (
    "import sys; from runguard.__main__ import main; sys.argv[1:] = {!r}; assert main() == 0"
)


class Size(NamedTuple):
    """How many rows there are."""

    jobs: int
    runs: int
    alerts: int

    def __str__(self) -> str:
        return f"{self.jobs:,} jobs, {self.runs:,} runs, {self.alerts:,} open alerts"


SIZES: Final = {"full": Size(3_000, 5_000_000, 100_000), "quick": Size(1_000, 100_000, 2_000)}
SMALL: Final = Size(20, 1_000, 20)


class Look(NamedTuple):
    """What one look at all jobs took, in milliseconds."""

    statements: float
    cpu: float


def measure(_server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Fill a store, look at all its jobs again and again, and run whole commands."""
    size = SIZES.get(effort.name, SMALL)
    with PostgresServer(settings=SETTINGS) as server, server.database() as name:
        url = server.url(name)
        upgrade(url)
        with server.connect(name) as connection:
            fill(connection, runs=size.runs, alerts=size.alerts, jobs=size.jobs)
        yield _overview(url, size)
        yield _commands(url, size, times=2 if effort.is_quick else 5)


def _overview(url: str, size: Size) -> Section:
    with contextlib.closing(open_store(url)) as store:
        looks = _looks(store)
    followed = Look(*(statistics.median(values) for values in zip(*looks[1:], strict=True)))
    section = Section(
        "at-size",
        f"All jobs with their last {STRIP} runs: {size}",
        ("", "statements, ms", "beside them, CPU ms"),
    )
    for name, look in ((FIRST, looks[0]), (FOLLOWING, followed)):
        section.rows.append((name, look.statements, look.cpu))
        section.records.append({"size": size._asdict(), "look": name, **look._asdict()})
        section.targets.append(
            Target(
                f"statements of the overview, {name}",
                look.statements,
                MOST_STATEMENTS_MS,
                unit="ms",
            )
        )
    section.notes.append(
        f"between two looks {RUNS_BETWEEN} runs begin and end, and {SECONDS_BETWEEN:g} s seem to"
        f" pass; a store with {strip_memory.FEWEST_JOBS} jobs or more remembers strips"
    )
    return section


def _looks(store: OperatorStore) -> list[Look]:
    """Look at all jobs; time seems to pass, so that as many strips grow old as on a page."""
    spent = [0.0]
    with _timed_statements(store, spent), _moved_clock() as later:
        store.now()  # connects
        looks = []
        for number in range(LOOKS):
            spent[0], cpu = 0.0, time.process_time()
            store.overview(strip=STRIP)
            looks.append(Look(spent[0] * 1000, (time.process_time() - cpu) * 1000))
            later(SECONDS_BETWEEN)
            for job in range(RUNS_BETWEEN):
                run = new_run(f"job_{number + 7 * job}")
                store.start_run(run, timeout=PATIENCE)
                store.finish_run(success(run), timeout=PATIENCE)
    return looks


@contextlib.contextmanager
def _timed_statements(store: OperatorStore, spent: list[float]) -> Iterator[None]:
    """Add up the seconds until the server has answered each statement."""
    begun = [0.0]

    def begin(*_: object) -> None:
        begun[0] = time.perf_counter()

    def end(*_: object) -> None:
        spent[0] += time.perf_counter() - begun[0]

    hooks = (("before_cursor_execute", begin), ("after_cursor_execute", end))
    for name, hook in hooks:
        event.listen(store.engine, name, hook)
    try:
        yield
    finally:
        for name, hook in hooks:
            event.remove(store.engine, name, hook)


@contextlib.contextmanager
def _moved_clock() -> Iterator[Callable[[float], None]]:
    """Let what remembers strips see time pass at once."""
    clock, moved = strip_memory.monotonic, [0.0]

    def later(seconds: float) -> None:
        moved[0] += seconds

    strip_memory.monotonic = lambda: clock() + moved[0]
    try:
        yield later
    finally:
        strip_memory.monotonic = clock


def _commands(url: str, size: Size, *, times: int) -> Section:
    section = Section("at-size", f"Whole commands: {size}", ("", "wall ms", "CPU ms"))
    for command in COMMANDS:
        taken = [_run(command, url) for _ in range(times)]
        wall, cpu = (statistics.median(values) for values in zip(*taken, strict=True))
        section.rows.append((f"runguard {command}", wall, cpu))
        section.records.append(
            {"size": size._asdict(), "command": command, "wall_ms": wall, "cpu_ms": cpu}
        )
        if command in AIMED_AT:
            section.targets.append(Target(f"runguard {command}", wall, MOST_COMMAND_MS, unit="ms"))
    return section


def _run(command: str, url: str) -> tuple[float, float]:
    """Milliseconds of wall and of CPU time, from before the process is made until it has ended."""
    begun = time.perf_counter()
    process = os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-c", CALL.format(command.split())],
        {**os.environ, "RUNGUARD_DATABASE_URL": url},
        file_actions=[(os.POSIX_SPAWN_OPEN, one, os.devnull, os.O_WRONLY, 0) for one in (1, 2)],
    )
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"{command!r} ended with {os.waitstatus_to_exitcode(status)}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000
