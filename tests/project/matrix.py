"""`make test-matrix`: the suites of store and run over the versions that this machine has.

Each pair of a Python and an SQLAlchemy has a virtual environment of its own in `build/matrix`. The
rows are chosen so that every two versions of different columns meet; `--all` takes the product.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as Xml

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "build" / "matrix"
PAGE: Final = ROOT / "docs" / "reference" / "compatibility.md"
PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
SQLALCHEMYS: Final = ("2.0", "2.1")
POSTGRESES: Final = (16, 18)
# What both stores must do for a run and for an operator; the races and the plans of queries take
# longer and depend on the server alone.
SUITES: Final = (
    *(f"tests/store/test_{what}.py" for what in ("runs", "cooldown", "job_lock", "lost_runs")),
    *(f"tests/store/test_{what}.py" for what in ("pages", "reports", "triage")),
    *("tests/run", "tests/faults/connections"),
)
_BETWEEN: Final = re.compile(r"(?<=<!-- matrix -->\n).*(?=<!-- end of matrix -->)", re.DOTALL)
_VERSIONS: Final = (
    "import importlib.metadata as m, json, platform, sqlite3; print(json.dumps("
    "[platform.python_version(), m.version('sqlalchemy'), m.version('psycopg'),"
    " sqlite3.sqlite_version]))"
)


@dataclass(frozen=True, slots=True)
class Row:
    """Versions that are tested together."""

    python: str
    sqlalchemy: str
    postgres: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a row's tests said. The versions are the exact ones."""

    python: str
    sqlalchemy: str
    psycopg: str
    sqlite: str
    postgres: int
    passed: int
    failed: int
    skipped: int
    seconds: float


def rows(pythons: Sequence[str], *, everything: bool = False) -> list[Row]:
    """Choose the rows: two for each Python, so that every two versions meet."""
    if everything:
        return [Row(*one) for one in itertools.product(pythons, SQLALCHEMYS, POSTGRESES)]
    chosen = []
    for number, python in enumerate(pythons):
        postgreses = POSTGRESES if number % 2 == 0 else POSTGRESES[::-1]
        chosen += [Row(python, *pair) for pair in zip(SQLALCHEMYS, postgreses, strict=True)]
    return chosen


def interpreters() -> dict[str, Path]:
    """Find a working interpreter of each version: on the PATH, or made by pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {}
    for version in PYTHONS:
        on_path = shutil.which(f"python{version}")
        made = sorted(pyenv.glob(f"{version}.*/bin/python"))
        for candidate in (*([Path(on_path)] if on_path else ()), *reversed(made)):
            if _works(candidate):
                found[version] = candidate
                break
    return found


def _works(python: Path) -> bool:
    command = [python, "-c", "import ensurepip, venv"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def make_environment(python: Path, row: Row) -> Path:
    """Install this source tree and what its tests need; return the environment's interpreter."""
    folder = FOLDER / f"python{row.python}-sqlalchemy{row.sqlalchemy}"
    own = folder / "bin" / "python"
    if not own.exists():
        _do(python, "-m", "venv", folder)
        _do(own, "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1")
    constraints = folder / "constraints.txt"
    constraints.write_text(constraints_for(row.sqlalchemy, (ROOT / "constraints.txt").read_text()))
    _do(
        *(own, "-m", "pip", "install", "--quiet", "--constraint", constraints),
        *("--group", "test", "--editable", ".[binary,cli]"),
    )
    return own


def constraints_for(sqlalchemy: str, pinned: str) -> str:
    """Return the pinned versions, with the newest SQLAlchemy of a series instead of the pinned one.

    >>> constraints_for("2.0", "psycopg==3.3.9\\nSQLAlchemy==2.1.9\\n")
    'psycopg==3.3.9\\nsqlalchemy==2.0.*\\n'
    """
    kept = [line for line in pinned.splitlines() if not line.lower().startswith("sqlalchemy==")]
    return "\n".join([*kept, f"sqlalchemy=={sqlalchemy}.*"]) + "\n"


def run_row(row: Row, python: Path) -> Result:
    """Run the suites once."""
    report = FOLDER / f"{row.python}-{row.sqlalchemy}-{row.postgres}.xml"
    report.unlink(missing_ok=True)
    begun = time.monotonic()
    with report.with_suffix(".log").open("w") as log:
        subprocess.run(
            [
                *(python, "-m", "pytest", "-q", "-n", "2", "--dist", "worksteal"),
                *("-p", "no:cacheprovider", f"--junitxml={report}", *SUITES),
            ],
            cwd=ROOT,
            env={**os.environ, "RUNGUARD_TEST_POSTGRES_VERSION": str(row.postgres)},
            stdout=log,
            stderr=log,
            check=False,
        )
    seconds = time.monotonic() - begun
    versions = json.loads(subprocess.check_output([python, "-c", _VERSIONS], cwd=ROOT))
    return Result(*versions, row.postgres, *counts(report.read_text()), seconds)


def counts(report: str) -> tuple[int, int, int]:
    """Read how many tests passed, failed and were skipped; an error is a failure."""
    [suite] = Xml.fromstring(report)
    total, errors, failures, skipped = (
        int(suite.attrib[name]) for name in ("tests", "errors", "failures", "skipped")
    )
    return total - errors - failures - skipped, errors + failures, skipped


def table(results: Iterable[Result]) -> Iterator[str]:
    """Make the lines of the table."""
    yield "| Python | SQLAlchemy | psycopg | PostgreSQL | SQLite | passed | failed | skipped |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in results:
        yield (
            f"| {one.python} | {one.sqlalchemy} | {one.psycopg} | {one.postgres} | {one.sqlite}"
            f" | {one.passed} | {one.failed} | {one.skipped} |"
        )


def written_into(page: str, results: Sequence[Result], *, day: str) -> str:
    """Return the page with the table of these results."""
    suites = ", ".join(f"`{suite}`" for suite in SUITES)
    said = f"Run on {day}: {suites}.\n\n" + "\n".join(table(results)) + "\n"
    replaced, times = _BETWEEN.subn(lambda _: said, page)
    if times != 1:
        raise ValueError("expected `<!-- matrix -->` and `<!-- end of matrix -->` once, found none")
    return replaced


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every row, print the table, and write it into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__, prog="make test-matrix")
    parser.add_argument("--all", action="store_true", help="every combination, not every pair")
    options = parser.parse_args(arguments)
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = interpreters()
    results = []
    for row in rows(list(found), everything=options.all):
        sys.stderr.write(
            f"Python {row.python}, SQLAlchemy {row.sqlalchemy}, PostgreSQL {row.postgres} …\n"
        )
        results.append(run_row(row, make_environment(found[row.python], row)))
    sys.stdout.write("\n".join(table(results)) + "\n")
    PAGE.write_text(written_into(PAGE.read_text(), results, day=f"{datetime.now(UTC):%Y-%m-%d}"))
    return int(not results or any(one.failed or not one.passed for one in results))


def _do(*command: str | Path) -> None:
    subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    sys.exit(main())
