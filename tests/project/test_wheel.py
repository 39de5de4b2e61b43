"""The package as a user gets it: built, installed alone, used outside the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

if TYPE_CHECKING:
    from tests.support.postgres import PostgresAddress

ROOT = Path(__file__).parents[2]

JOB = """
from runguard import tracked_run

@tracked_run("wheel_check")
def job():
    return 42

assert job() == 42
"""


@dataclass(frozen=True)
class Built:
    wheel: Path
    sdist: Path

    def names(self) -> set[str]:
        with zipfile.ZipFile(self.wheel) as archive:
            return set(archive.namelist())

    def read(self, ending: str) -> str:
        [name] = [name for name in self.names() if name.endswith(ending)]
        with zipfile.ZipFile(self.wheel) as archive:
            return archive.read(name).decode()


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel and what it requires, and nothing else."""

    python: Path

    def run(self, *arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "XDG_STATE_HOME")}
        return subprocess.run(
            [self.python, *arguments],
            cwd=cwd,
            env=kept | settings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def installed(self) -> set[str]:
        return {
            path.name.partition("-")[0].replace("_", "-").lower()
            for path in self.python.parents[1].glob("lib/python*/site-packages/*.dist-info")
        }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("dist")
    # The wheel comes from the sdist, so both hold what a build needs.
    _do(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def bare(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    return _install(built, "", tmp_path_factory.mktemp("bare"))


@pytest.fixture(scope="module")
def complete(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = _install(built, "[binary,cli]", tmp_path_factory.mktemp("complete"))
    installed = environment.installed()
    assert {"runguard-runlog", "sqlalchemy", "psycopg-binary", "typer"} <= installed
    assert installed & {"pytest", "pip", "hatchling", "starlette"} == set(), "it is not alone"
    return environment


def _install(built: Built, extras: str, folder: Path) -> Environment:
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    _do(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet"),
        *("--constraint", ROOT / "constraints.txt", f"{built.wheel}{extras}"),
    )
    return Environment(python)


def _do(*command: str | Path) -> None:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_wheel_holds_the_package_with_its_types_and_migrations(built: Built) -> None:
    package, migrations = (
        {
            f"{prefix}{path.relative_to(ROOT).as_posix()}"
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        for prefix, folder in (("", "runguard"), ("runguard/", "migrations"))
    )

    assert "runguard/migrations/env.py" in migrations
    assert {"runguard/py.typed", "runguard/_web/templates/base.html"} <= package
    assert package | migrations == {name for name in built.names() if ".dist-info/" not in name}


def test_the_wheel_holds_the_files_of_the_pages(built: Built) -> None:
    folder = ROOT / "runguard" / "_web"
    files = {
        path.relative_to(ROOT).as_posix()
        for part in ("static", "templates")
        for path in (folder / part).rglob("*")
        if path.is_file()
    }

    assert files
    assert files - built.names() == set()


def test_the_metadata_names_the_core_dependencies_and_the_extras(built: Built) -> None:
    metadata = HeaderParser().parsestr(built.read("METADATA"))
    required = metadata.get_all("Requires-Dist", [])

    assert metadata["Name"] == "runguard-runlog"
    assert metadata["Requires-Python"] == ">=3.11"
    assert {re.match(r"[\w-]+", line)[0] for line in required if "extra ==" not in line} == {
        "alembic",
        "platformdirs",
        "psycopg",
        "sqlalchemy",
        "structlog",
    }
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "all",
        "binary",
        "cli",
        "metrics",
        "monitor",
        "notify",
        "otel",
        "web",
    }
    assert "runguard = runguard.__main__:main" in built.read("entry_points.txt")


def test_the_description_points_at_nothing_that_an_index_does_not_have(built: Built) -> None:
    description = built.read("METADATA").partition("\n\n")[2]

    assert description.startswith("# runguard")
    assert len(re.findall(r"\[[^]]*\]\([^)]*\)", (ROOT / "README.md").read_text())) > 8
    assert re.findall(r"\]\((?!https://)[^)]*\)", description) == []


def test_the_sdist_lets_a_packager_run_the_gate(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"Makefile", "constraints.txt", "tests/conftest.py", "LICENSE"} <= names
    assert {"docs/conf.py", "docs/pictures/overview.png", "CHANGELOG.md"} <= names


def test_installed_alone_it_upgrades_a_database_and_records_a_run(
    complete: Environment, pg_url: str, postgres: PostgresAddress, tmp_path: Path
) -> None:
    upgraded = complete.run(
        "-m", "runguard", "db", "upgrade", "--database-url", pg_url, cwd=tmp_path
    )
    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    (tmp_path / "job.py").write_text(JOB)
    ran = complete.run("job.py", cwd=tmp_path, RUNGUARD_DATABASE_URL=pg_url)
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr

    with postgres.connect(make_url(pg_url).database) as connection:
        rows = connection.execute("select job_name, status from run_log").fetchall()
    assert rows == [("wheel_check", "SUCCESS")]


def test_without_any_extra_a_run_is_recorded_in_the_embedded_store(
    bare: Environment, tmp_path: Path
) -> None:
    (tmp_path / "job.py").write_text(JOB)
    store = tmp_path / "runs.db"

    ran = bare.run("job.py", cwd=tmp_path, RUNGUARD_DATABASE_URL=f"sqlite:///{store}")
    read = bare.run(
        "-c",
        f"import sqlite3; print(*sqlite3.connect({str(store)!r})"
        ".execute('select job_name, status from run_log'))",
        cwd=tmp_path,
    )

    assert ran.returncode == 0, ran.stderr
    assert read.stdout.strip() == "('wheel_check', 'SUCCESS')", ran.stderr + read.stderr


def test_without_the_cli_extra_the_command_says_how_to_get_it(
    bare: Environment, tmp_path: Path
) -> None:
    done = bare.run("-m", "runguard", "db", "upgrade", cwd=tmp_path)

    assert done.returncode != 0
    assert done.stdout == ""
    assert "runguard-runlog[cli]" in done.stderr
    assert "Traceback" not in done.stderr
