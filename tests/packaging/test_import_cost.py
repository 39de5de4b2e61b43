from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "alembic",
    "asyncio",
    "concurrent",
    "difflib",
    "json",
    "pathlib",
    "platformdirs",
    "psycopg",
    "rich",
    "socket",
    "sqlalchemy",
    "structlog",
    "typer",
}


def modules_after(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after the statement."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run(
        # Isolated, so that no .pth file or setting of this environment imports for us.
        [sys.executable, "-I", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_runguard_loads_none_of_its_dependencies() -> None:
    assert HEAVY & modules_after("import runguard") == set()


def test_decorating_a_function_loads_none_of_them_either() -> None:
    loaded = modules_after(
        "import runguard\n"
        "@runguard.tracked_run('job')\n"
        "def job(): ...\n"
        "@runguard.tracked_run('async_job')\n"
        "async def async_job(): ..."
    )

    assert loaded & HEAVY == set()


@pytest.mark.parametrize("module", sorted(HEAVY))
def test_each_of_them_would_be_noticed(module: str) -> None:
    assert module in modules_after(f"import {module}")
