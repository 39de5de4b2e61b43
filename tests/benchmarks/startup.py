"""Whole processes: a one-shot script, and what importing runguard adds to bare Python."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .measuring import ratios, spread
from .reporting import Section, Target, milliseconds, times
from .servers import database

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.postgres import PostgresAddress

    from .effort import Effort

SCRIPTS = Path(__file__).with_name("scripts")
TRACKED = "script with one tracked run"
BY_HAND = "the same by hand on SQLAlchemy Core"
IMPORT = "import runguard"
BARE = "bare Python"
STRUCTLOG = "import structlog"
SQLALCHEMY = "import sqlalchemy"
LIBRARIES = "import sqlalchemy, psycopg"
EXEC = "runguard exec job -- true"
JOBS = "runguard jobs --json"
CALL = "import sys; from runguard.__main__ import main; sys.argv[1:] = {!r}; assert main() == 0"

PROGRAMS = {
    BY_HAND: (SCRIPTS / "by_hand.py").read_text(),
    TRACKED: (SCRIPTS / "tracked.py").read_text(),
    BARE: "pass",
    IMPORT: "import runguard",
    STRUCTLOG: "import structlog",
    SQLALCHEMY: "import sqlalchemy",
    LIBRARIES: "import sqlalchemy, psycopg",
    EXEC: CALL.format(["exec", "job", "--", "true"]),
    JOBS: CALL.format(["jobs", "--json"]),
}
BESIDE = {TRACKED: BY_HAND, BY_HAND: BY_HAND, EXEC: LIBRARIES, JOBS: SQLALCHEMY}
# What a ratio of wall times may be at most.
BOUNDS = {TRACKED: 1.05, EXEC: 1.5, JOBS: 1.8}
MOST_ADDED_MS = 30  # by importing runguard, over bare Python
# The peak of the process itself: what the kernel adds up for a child begins with its parent's.
TELL_PEAK = "\nprint(open('/proc/self/status').read())"


@dataclass
class Usage:
    """What the processes of one program took, in milliseconds, by round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


def measure(server: PostgresAddress, effort: Effort) -> Iterator[Section]:
    """Start each program in turn, in a new order each time."""
    with database(server) as url:
        # Isolated: no setting of this environment imports for us. Whoever runs it pays for
        # reading compiled code, not for compiling it.
        usages = {name: Usage() for name in PROGRAMS}
        order = random.Random(1)
        for name in PROGRAMS:
            _run(name, url)
        for _ in range(effort.processes_started):
            for name in order.sample(list(PROGRAMS), len(PROGRAMS)):
                wall, cpu = _run(name, url)
                usages[name].wall.append(wall)
                usages[name].cpu.append(cpu)
        peaks = {name: _peak_mib(name, url) for name in PROGRAMS}
    yield _section(usages, peaks)


def _run(name: str, url: str) -> tuple[float, float]:
    """Milliseconds of wall and of CPU time, from before the process is made until it has ended."""
    command = [sys.executable, "-I", "-c", PROGRAMS[name]]
    begun = time.perf_counter()
    nowhere = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(sys.executable, command, _environment(url), file_actions=nowhere)
    _, status, usage = os.wait4(process, 0)
    wall = time.perf_counter() - begun
    if status:
        raise RuntimeError(f"{name!r} ended with {os.waitstatus_to_exitcode(status)}")
    return wall * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def _peak_mib(name: str, url: str) -> float | None:
    if not Path("/proc/self/status").exists():
        return None
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAMS[name] + TELL_PEAK],
        env=_environment(url),
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"VmHWM:\s*(\d+) kB", done.stdout)
    return None if found is None else int(found[1]) / 1024


def _environment(url: str) -> dict[str, str]:
    return {**os.environ, "RUNGUARD_DATABASE_URL": url}


def _section(usages: dict[str, Usage], peaks: dict[str, float | None]) -> Section:
    section = Section(
        "startup",
        "A whole process, on PostgreSQL",
        ("", "wall ms (p10-p90)", "least ms", "CPU ms", "ratio", "CPU ratio", "MiB"),
    )
    for name, usage in usages.items():
        beside = BESIDE.get(name)
        other = usages[beside] if beside else None
        wall = None if other is None else ratios(_each(usage.wall), _each(other.wall))
        cpu = None if other is None else ratios(_each(usage.cpu), _each(other.cpu))
        section.rows.append(
            (
                *(name, milliseconds(spread(usage.wall)), f"{min(usage.wall):.1f}"),
                f"{spread(usage.cpu).median:.1f}",
                wall and times(wall),
                cpu and times(cpu),
                peaks[name],
            )
        )
        section.records.append(
            {
                "program": name,
                "wall_ms": spread(usage.wall)._asdict(),
                "least_ms": min(usage.wall),
                "cpu_ms": spread(usage.cpu)._asdict(),
                "ratio": wall and wall._asdict(),
                "cpu_ratio": cpu and cpu._asdict(),
                "ratio_to": beside,
                "peak_mib": peaks[name],
            }
        )
    added = [ours - bare for ours, bare in zip(usages[IMPORT].wall, usages[BARE].wall, strict=True)]
    section.notes += [
        f"The ratio of {name}: to {other}." for name, other in BESIDE.items() if name != other
    ]
    section.targets += [
        Target(
            f"{name} / {BESIDE[name]}, wall",
            ratios(_each(usages[name].wall), _each(usages[BESIDE[name]].wall)).median,
            bound,
        )
        for name, bound in BOUNDS.items()
    ]
    section.targets += [
        Target(f"{IMPORT} over {BARE}, median", spread(added).median, MOST_ADDED_MS, unit="ms"),
        Target(
            f"{IMPORT} over {BARE}, least of each",
            min(usages[IMPORT].wall) - min(usages[BARE].wall),
            MOST_ADDED_MS,
            unit="ms",
        ),
    ]
    return section


def _each(values: Sequence[float]) -> list[list[float]]:
    return [[value] for value in values]
