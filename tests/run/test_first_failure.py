"""What the first failure of a process pays for: a job that cron starts fails once only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FAILS_ONCE = """
import contextlib, json, re, sys
import runguard

with runguard.run_scope("job"):
    pass
loaded, compiled, compile_ = set(sys.modules), [], re._compiler.compile
re._compiler.compile = lambda *given: (compiled.append(str(given[0])), compile_(*given))[1]
with contextlib.suppress(ValueError), runguard.run_scope("job"):
    raise ValueError("row 7 of /exports/2026.csv has 11 of 12 columns")
print(json.dumps([compiled, sorted(set(sys.modules) - loaded)]))
"""


@pytest.fixture(scope="module")
def first_failure(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], set[str]]:
    """The expressions that it compiles, and the modules that it loads."""
    folder: Path = tmp_path_factory.mktemp("first")
    script = folder / "job.py"
    script.write_text(FAILS_ONCE)
    done = subprocess.run(
        [sys.executable, "-I", script],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "RUNGUARD_DATABASE_URL": f"sqlite:///{folder / 'runguard.db'}",
            "RUNGUARD_SPOOL_DIR": str(folder),
        },
    )
    found: Any = json.loads(done.stdout)
    return found[0], set(found[1])


def test_an_ordinary_first_failure_compiles_few_of_the_expressions(
    first_failure: tuple[list[str], set[str]],
) -> None:
    compiled, _ = first_failure

    assert len(compiled) <= 8, compiled


def test_an_ordinary_first_failure_loads_no_table_that_it_does_not_need(
    first_failure: tuple[list[str], set[str]],
) -> None:
    _, loaded = first_failure

    assert "runguard._failure.tiers" in loaded
    assert loaded.isdisjoint({"html", "http", "runguard._failure.vendor_tokens"})
    assert "runguard._failure.odd_characters" not in loaded
