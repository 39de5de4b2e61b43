from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

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
# What Typer and Rich bring along.
COMMAND_LINE = {
    "annotated_types",
    "click",
    "pydantic",
    "pydantic_core",
    "rich",
    "shellingham",
    "typer",
}


def modules_after(statement: str, **environ: str) -> set[str]:
    """The modules that a fresh interpreter holds after the statement."""
    done = subprocess.run(
        # Isolated, so that no .pth file or setting of this environment imports for us.
        [sys.executable, "-I", "-c", f"import sys\n{statement}\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environ},
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def modules_of_a_run(database_url: str, spool: Path) -> set[str]:
    """The modules that are there after a run, be its store there or not."""
    return modules_after(
        "import runguard\nwith runguard.run_scope('job'): pass",
        RUNGUARD_DATABASE_URL=database_url,
        RUNGUARD_SPOOL_DIR=str(spool),
    )


def test_importing_runguard_loads_none_of_its_dependencies() -> None:
    assert HEAVY & modules_after("import runguard") == set()


def test_importing_runguard_loads_nothing_that_only_a_run_needs(tmp_path: Path) -> None:
    slow = {
        *("ast", "dataclasses", "dis", "heapq", "inspect", "logging", "platform"),
        *("string", "textwrap", "tokenize", "traceback", "uuid"),
    }

    assert modules_after("import runguard") & slow == set()
    assert modules_of_a_run(f"sqlite:///{tmp_path / 'runguard.db'}", tmp_path) >= slow


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


def test_a_run_on_one_database_loads_nothing_of_the_other(
    migrated_pg_url: str, tmp_path: Path
) -> None:
    loaded = modules_of_a_run(migrated_pg_url, tmp_path)

    assert "psycopg" in loaded
    assert not {name for name in loaded if "sqlite" in name}


def test_a_run_on_a_file_loads_nothing_of_the_other_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    modules_of_a_run(url, tmp_path)  # the first run of all makes the file

    loaded = modules_of_a_run(url, tmp_path)

    assert "sqlalchemy.dialects.sqlite" in loaded
    assert not {name for name in loaded if "postgresql" in name or "psycopg" in name}


def test_a_job_that_has_its_alert_told_loads_nothing_that_tells(migrated_pg_url: str) -> None:
    loaded = modules_after(
        "import contextlib, runguard\n"
        "from runguard._run import delivery\n"
        "delivery.PROGRAM = 'this'\n"  # a module that ends at once
        "with contextlib.suppress(ValueError), runguard.run_scope('job'): raise ValueError('x')\n"
        "with runguard.run_scope('another'): pass",
        RUNGUARD_DATABASE_URL=migrated_pg_url,
        RUNGUARD_NOTIFY="webhook+https://127.0.0.1:1/",
    )

    assert "runguard._store.due" in loaded
    assert "runguard._store.schema.notice_tables" not in loaded
    parts = ("runguard._notify", "runguard._rounds", "runguard._monitor.notices", "smtplib")
    assert {name for name in loaded if name.startswith(parts)} == set()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are more rules")
def test_a_run_of_most_users_does_not_wait_for_the_rules_of_other_platforms(
    migrated_pg_url: str, tmp_path: Path
) -> None:
    for named in ({"XDG_STATE_HOME": str(tmp_path)}, {"HOME": str(tmp_path), "XDG_STATE_HOME": ""}):
        loaded = modules_after(
            "import runguard\nwith runguard.run_scope('job'): pass",
            RUNGUARD_DATABASE_URL=migrated_pg_url,
            **named,
        )

        assert "runguard._run.embedded" in loaded
        assert "platformdirs" not in loaded


@pytest.mark.parametrize("often", [700, 0])
def test_the_first_run_is_hardly_looked_through_for_garbage(
    often: int, migrated_pg_url: str
) -> None:
    """Neither while it is made ready, nor at the first look that comes after that."""
    counted = modules_after(
        "import gc, runguard\n"
        "def count(): return sum(one['collections'] for one in gc.get_stats())\n"
        f"gc.set_threshold({often}, 10, 20); before = count()\n"
        "with runguard.run_scope('job'):\n"
        "    looks, young = count() - before, len(gc.get_objects(generation=0))\n"
        "print(looks < 15, young < 5000, gc.get_freeze_count(), gc.get_threshold())\n"
        "sys.modules = ()",
        RUNGUARD_DATABASE_URL=migrated_pg_url,
    )

    assert counted == {"True", "0", f"({often},", "10,", "20)"}


def test_what_a_program_has_frozen_stays_so(migrated_pg_url: str) -> None:
    frozen = modules_after(
        "import gc, runguard\n"
        "gc.freeze(); before = gc.get_freeze_count()\n"
        "with runguard.run_scope('job'): pass\n"
        "print(0 < before // 2 < gc.get_freeze_count() <= before)\n"
        "sys.modules = ()",
        RUNGUARD_DATABASE_URL=migrated_pg_url,
    )

    assert frozen == {"True"}


def test_a_run_loads_nothing_that_only_operators_need(tmp_path: Path) -> None:
    loaded = modules_of_a_run(f"sqlite:///{tmp_path / 'runguard.db'}", tmp_path)

    assert "runguard._store.sqlite.recorder" in loaded
    assert (
        loaded
        & {"runguard._monitor.records", "runguard._store.queries.reports", "alembic", "psycopg"}
        == set()
    )
    assert not {one for one in loaded if "expect" in one or "declar" in one or "_watch" in one}


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_a_failed_run_loads_nothing_of_delivery(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("migrated_pg_url")
    else:
        modules_of_a_run(url, tmp_path)  # the first run of all makes the file
    loaded = modules_after(
        "import contextlib, runguard\n"
        "with contextlib.suppress(ValueError), runguard.run_scope('job'): raise ValueError('x')",
        RUNGUARD_DATABASE_URL=url,
        RUNGUARD_SPOOL_DIR=str(tmp_path),
    )

    assert "runguard._store.schema.tables" in loaded
    assert "runguard._store.schema.notice_tables" not in loaded
    assert not {
        name
        for name in loaded
        if name.startswith(("runguard._notify", "runguard._rounds", "runguard._monitor.notices"))
    }


def lines_of(modules: set[str]) -> int:
    """How many lines of runguard's own source these modules are."""
    package = Path(find_spec("runguard").origin).parent  # type: ignore[union-attr,arg-type]
    files = {
        package.parent.joinpath(*module.split("."))
        for module in modules
        if module.partition(".")[0] == "runguard"
    }
    return sum(
        len(source.read_text(encoding="utf-8").splitlines())
        for file in files
        for source in (file.with_suffix(".py"), file / "__init__.py")
        if source.is_file()
    )


def test_importing_runguard_loads_at_most_four_thousand_lines_of_it() -> None:
    loaded = modules_after("import runguard")

    assert "runguard._run.scope" in loaded
    assert 1_000 < lines_of(loaded) <= 4_000


@pytest.mark.parametrize("database", ["postgresql", "sqlite"])
def test_a_failed_run_adds_at_most_two_thousand_lines_of_store_and_spool(
    database: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'runguard.db'}"
    if database == "postgresql":
        url = request.getfixturevalue("migrated_pg_url")
    else:
        modules_of_a_run(url, tmp_path / "spool")  # the first run of all makes the file
    loaded = modules_after(
        "import contextlib, runguard\n"
        "with contextlib.suppress(ValueError), runguard.run_scope('job'): raise ValueError('x')",
        RUNGUARD_DATABASE_URL=url,
        RUNGUARD_SPOOL_DIR=str(tmp_path / "spool"),
    )

    parts = ("runguard._store", "runguard._run.spool", "runguard._run.atomic_file")
    added = {name for name in loaded if name.startswith(parts)}
    assert {"runguard._store.factory", "runguard._run.spool"} <= added
    assert lines_of(added) <= 2_000


def test_a_run_loads_of_the_spool_only_what_writes(migrated_pg_url: str, tmp_path: Path) -> None:
    loaded = modules_of_a_run(migrated_pg_url, tmp_path)

    spool = {name for name in loaded if name.startswith("runguard._run.spool")}
    assert spool == {f"runguard._run.{name}" for name in ("spool", "spool_format", "spool_places")}


def test_an_ending_imports_nothing_that_its_beginning_has_not(tmp_path: Path) -> None:
    """What one thread imports while another one forks, the child can never import."""
    loaded = modules_after(
        "import runguard\n"
        "with runguard.run_scope('first'): known = set(sys.modules)\n"
        "later = set(sys.modules) - known\n"
        "sys.modules.clear(); sys.modules.update(dict.fromkeys(later))",
        RUNGUARD_DATABASE_URL=f"sqlite:///{tmp_path / 'runguard.db'}",
        HOME=str(tmp_path),
        XDG_STATE_HOME="",
    )

    assert loaded == set()


def test_a_run_that_succeeds_loads_no_rule_of_the_redaction(tmp_path: Path) -> None:
    loaded = modules_of_a_run(f"sqlite:///{tmp_path / 'runguard.db'}", tmp_path)

    assert "runguard._failure.redaction" in loaded
    assert {name for name in loaded if "secret" in name or "vendor" in name} <= {"secrets"}
    assert "runguard._failure.redaction_rules" not in loaded


def modules_of_exec(tmp_path: Path, command: str) -> set[str]:
    """The modules that are there when `runguard exec` has run the command on a file."""
    return modules_after(
        "from runguard.__main__ import main\n"
        f"sys.argv[:] = ['runguard', 'exec', 'job', '--', {command!r}]\n"
        "main()",
        RUNGUARD_DATABASE_URL=f"sqlite:///{tmp_path / 'runguard.db'}",
        RUNGUARD_SPOOL_DIR=str(tmp_path / "spool"),
    )


@pytest.mark.parametrize("command", ["true", "false"])
def test_exec_loads_no_record_of_an_operator(command: str, tmp_path: Path) -> None:
    loaded = modules_of_exec(tmp_path, command)

    assert "runguard._exec.command" in loaded
    assert "runguard._monitor.visible" in loaded
    records = {"records", "notices", "watched", "expectations", "health", "changes"}
    assert not loaded & {f"runguard._monitor.{name}" for name in records}


@pytest.mark.parametrize("command", ["true", "false"])
def test_exec_reaches_its_command_without_typer_or_rich(command: str, tmp_path: Path) -> None:
    loaded = modules_of_exec(tmp_path, command)

    assert "runguard._cli.execution" in loaded
    assert {name for name in loaded if name.partition(".")[0] in COMMAND_LINE} == set()
    assert {name for name in loaded if name.startswith("runguard._cli.commands")} == set()


def test_no_command_is_looked_through_for_garbage_before_it_begins(tmp_path: Path) -> None:
    """It would cost a tenth of what `runguard jobs` takes."""
    loaded = modules_after(
        "import gc\n"
        "from runguard.__main__ import main\n"
        "sys.argv[:] = ['runguard', 'jobs', '--json']\n"
        "def count(): return sum(one['collections'] for one in gc.get_stats())\n"
        "before = count(); main()\n"
        "print('collections', count() - before)\n"
        "sys.modules = ()",
        RUNGUARD_DATABASE_URL=f"sqlite:///{tmp_path / 'runguard.db'}",
    )

    assert loaded == {"[]", "collections", "0"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["alerts", "--limit", "5"],
        ["config", "show"],
        ["doctor"],
        ["jobs", "--json"],
        ["monitor", "--once"],
        ["report", "--hours", "2.5"],
        ["runs", "--since", "3d", "--job", "a", "--job", "b*"],
    ],
    ids=" ".join,
)
def test_a_command_whose_values_are_plain_loads_no_pydantic(
    arguments: list[str], tmp_path: Path
) -> None:
    loaded = modules_after(
        f"from runguard.__main__ import main\nsys.argv[:] = ['runguard', *{arguments!r}]\n"
        "if main() > 1: raise SystemExit('it failed')",
        RUNGUARD_DATABASE_URL=f"sqlite:///{tmp_path / 'runguard.db'}",
        RUNGUARD_SPOOL_DIR=str(tmp_path / "spool"),
    )

    assert "typer" in loaded
    assert {name for name in loaded if name.startswith("pydantic")} == set()


def test_a_list_loads_nothing_of_the_timeline_of_tracebacks_or_of_progress(tmp_path: Path) -> None:
    loaded = modules_after(
        "from runguard.__main__ import main\nsys.argv[:] = ['runguard', 'jobs']\nmain()",
        RUNGUARD_DATABASE_URL=f"sqlite:///{tmp_path / 'runguard.db'}",
    )

    assert {"rich.table", "runguard._monitor.records", "runguard._cli.noted"} <= loaded
    only_elsewhere = {"runguard._monitor.timeline", "runguard._monitor.traceback_view"}
    assert loaded & {"rich.progress", "rich.live", *only_elsewhere} == set()
