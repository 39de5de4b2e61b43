"""The installed program in a process of its own: start, streams, terminal, missing extras."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).with_name("runguard")
WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {name!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
sys.argv = ["runguard", "runs"]
from runguard.__main__ import main
sys.exit(main())
"""


def run(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env={**os.environ, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("start", [[PROGRAM], [sys.executable, "-m", "runguard"]])
def test_the_program_prints_rows_on_stdout(filled_file: str, start: list[str | Path]) -> None:
    done = run(*start, "runs", "--json", "--database-url", filled_file)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == 5


def test_the_embedded_store_is_used_with_one_warning() -> None:
    done = run(PROGRAM, "runs", "--json")

    assert (done.returncode, done.stdout) == (0, "[]\n")
    assert done.stderr.count("runguard.embedded_store") == 1
    assert "RUNGUARD_DATABASE_URL" in done.stderr


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_the_cli_extra_the_line_that_installs_it_is_printed(missing: str) -> None:
    done = run(sys.executable, "-c", WITHOUT.format(name=missing))

    assert (done.returncode, done.stdout) == (2, "")
    assert "pip install 'runguard-runlog[cli]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_libpq_the_line_that_installs_it_is_printed() -> None:
    script = WITHOUT.format(name="psycopg_binary").replace(
        '"runs"]', '"runs", "--database-url", "postgresql://h/d"]'
    )
    done = run(sys.executable, "-c", script, PSYCOPG_IMPL="binary")

    assert done.returncode == 3
    assert "pip install 'runguard-runlog[binary]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_loads_no_database_library() -> None:
    script = (
        "import sys; sys.argv = ['runguard', 'runs', '--help']\n"
        "from runguard.__main__ import main; main()\n"
        "print(sorted({'sqlalchemy', 'alembic', 'psycopg'} & set(sys.modules)), file=sys.stderr)"
    )
    done = run(sys.executable, "-c", script)

    assert done.stderr.strip() == "[]"


def test_a_command_hardly_looks_for_garbage_and_not_at_its_end(filled_file: str) -> None:
    script = (
        f"import gc, sys; sys.argv = ['runguard', 'runs', '--database-url', {filled_file!r}]\n"
        "from runguard.__main__ import main\n"
        "looks = lambda: sum(generation['collections'] for generation in gc.get_stats())\n"
        "before = looks(); main()\n"
        "print(looks() - before, len(gc.get_objects()), gc.isenabled(), file=sys.stderr)"
    )
    looked, still_looked_at, enabled = run(sys.executable, "-c", script).stderr.split()

    assert int(looked) < 10  # some hundred with Python's own threshold
    assert int(still_looked_at) < 1000
    assert enabled == "True"


def test_what_was_read_of_many_jobs_is_not_looked_through_for_garbage(filled_file: str) -> None:
    script = (
        f"import gc, sys; sys.argv = ['runguard', 'jobs', '--database-url', {filled_file!r}]\n"
        "from runguard.__main__ import main, OBJECTS_OF_A_START\n"
        "from runguard._cli.commands import jobs\n"
        "def sort(*args, **kwargs):\n"
        "    kept.extend([] for _ in range(2 * OBJECTS_OF_A_START))\n"
        "    return worst_first(*args, **kwargs)\n"
        "kept, worst_first, jobs.worst_first = [], jobs.worst_first, sort\n"
        "gc.callbacks.append(lambda *_: print('looked', len(kept), file=sys.stderr))\n"
        "main(); gc.callbacks.clear()\n"
        "print(len(kept) // OBJECTS_OF_A_START, gc.isenabled(), file=sys.stderr)"
    )
    said = run(sys.executable, "-c", script).stderr.splitlines()

    assert said[-1] == "2 True"
    assert not [line for line in said if line.startswith("looked") and line != "looked 0"]


def test_a_real_terminal_gets_colours(filled_file: str) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [PROGRAM, "runs", "--limit", "1", "--database-url", filled_file],
        env={**os.environ, "TERM": "xterm", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # how Linux says that the other side is closed
        pass
    finally:
        os.close(ours)

    assert process.wait() == 0
    assert b"\x1b[31mFAILED" in shown


def test_a_reader_that_leaves_early_is_no_error(filled_file: str) -> None:
    process = subprocess.Popen(
        [PROGRAM, "runs", "--json", "--database-url", filled_file],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    told = process.stderr.read()
    process.stderr.close()
    process.wait()

    assert "Traceback" not in told
    assert "Exception ignored" not in told


def test_an_encoding_without_the_letters_is_no_error(filled_file: str) -> None:
    done = run(
        PROGRAM, "runs", "--database-url", filled_file, PYTHONIOENCODING="ascii", PYTHONUTF8="0"
    )

    assert done.returncode == 0
    assert r"\uc8fc\ubb38" in done.stdout
