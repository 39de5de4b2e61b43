"""The SQLite file: for its user alone, looked at by others, deleted under a worker, copied."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runguard.testing
from runguard import configure, run_scope
from runguard._database_url import in_url
from runguard._run.embedded import embedded_file
from tests.cli.conftest import cli
from tests.run.conftest import engine, events, sql, sqlite_url
from tests.support.stores import newest_runs, open_store
from tests.support.users import as_user, only_root, reachable_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Sql = Callable[..., list[dict[str, Any]]]

__all__ = ["cli", "engine", "events", "sql", "sqlite_url"]

OWNER, SOMEBODY = 12345, 12346


@pytest.fixture
def everybodys() -> Iterator[Path]:
    with reachable_folder() as folder:
        yield folder


def run(job: str) -> None:
    with run_scope(job):
        pass


def jobs_in(file: Path | str) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [row[0] for row in connection.execute("select job_name from run_log order by id")]


@contextmanager
def held_open(file: Path) -> Iterator[None]:
    """Let another process have a file open, with its log and its index."""
    script = (
        "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1]);"
        " connection.execute('select * from run_log').fetchall(); print(flush=True); input()"
    )
    command = [sys.executable, "-c", script, file]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        yield
        other.communicate(b"\n")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("there_before", [False, True])
def test_the_embedded_file_is_for_its_user_alone(*, there_before: bool) -> None:
    file = Path(embedded_file())
    if there_before:
        run("before")
        runguard.testing.reset()
        file.chmod(0o644)
        file.parent.chmod(0o755)
    before = os.umask(0)
    try:
        run("job")
        modes = {mode(path) for path in file.parent.iterdir() if path.is_file()}
    finally:
        os.umask(before)

    assert (mode(file), mode(file.parent)) == (0o600, 0o700)
    assert modes == {0o600}


@pytest.mark.parametrize("replaced", [False, True])
def test_a_worker_notices_that_its_file_was_deleted(
    sqlite_url: str, tmp_path: Path, *, replaced: bool
) -> None:
    file = tmp_path / "runguard.db"
    run("before")
    for path in tmp_path.glob("runguard.db*"):
        path.unlink()
    if replaced:
        other = open_store(sqlite_url)
        other.job_names()
        other.close()
    run("after")

    assert jobs_in(file) == ["after"]


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_new_file_is_used_though_others_have_the_log_of_the_former_one_open(
    sqlite_url: str, tmp_path: Path, *, is_moved: bool
) -> None:
    file = tmp_path / "runguard.db"
    run("before")
    with held_open(file):
        if is_moved:
            file.rename(tmp_path / "moved.db")
        else:
            file.unlink()
        run("after")

        assert jobs_in(file) == ["after"]


@pytest.mark.parametrize("form", ["file:{}?uri=true", "file:{}", "{}?nolock=0&uri=true"])
def test_a_file_that_is_given_as_a_uri_is_made_and_its_loss_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    file, here = tmp_path / "new folder #1" / "runguard.db", tmp_path / "here"
    path_in_url = in_url(str(file)).replace("#", "%23")
    monkeypatch.setenv("RUNGUARD_DATABASE_URL", f"sqlite:///{form.format(path_in_url)}")
    here.mkdir()
    monkeypatch.chdir(here)
    run("before")
    assert jobs_in(file) == ["before"]
    for path in file.parent.iterdir():
        path.unlink()
    run("after")

    assert jobs_in(file) == ["after"]
    assert list(here.iterdir()) == []


def test_a_uri_without_a_slash_begins_at_the_folder_of_the_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, later = tmp_path / "first", tmp_path / "later"
    first.mkdir()
    later.mkdir()
    monkeypatch.chdir(first)
    configure(database_url="sqlite:///file:runguard.db?uri=true")
    monkeypatch.chdir(later)
    run("job")

    assert jobs_in(first / "runguard.db") == ["job"]


def test_a_run_whose_file_is_deleted_meanwhile_is_whole_in_the_new_one(
    sqlite_url: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="bad"), run_scope("job"):
        for path in tmp_path.glob("runguard.db*"):
            path.unlink()
        raise ValueError("bad")

    assert jobs_in(tmp_path / "runguard.db") == ["job"]
    with closing(sqlite3.connect(tmp_path / "runguard.db")) as connection:
        assert connection.execute("select count(*) from alert").fetchone() == (1,)


@only_root
@pytest.mark.parametrize("is_open", [False, True])
def test_another_users_look_leaves_nothing_that_stops_the_recording(
    everybodys: Path, *, is_open: bool
) -> None:
    folder = everybodys / "runs"
    folder.mkdir()
    url = f"sqlite:///{folder / 'runguard.db'}"
    runguard.configure(database_url=url)
    run("first")
    if not is_open:
        runguard.testing.reset()
    for path in folder.iterdir():
        os.chown(path, OWNER, OWNER)
        path.chmod(0o644)
    os.chown(folder, OWNER, OWNER)
    folder.chmod(0o777)

    def look() -> None:
        store = open_store(url)
        assert [run.job_name for run in newest_runs(store)] == ["first"]
        os._exit(0)  # as one that is killed

    looked = as_user(SOMEBODY, look)
    owners = {path.stat().st_uid for path in folder.iterdir()}

    assert looked == 0
    assert owners == {OWNER}


@only_root
def test_doctor_tells_files_beside_the_database_that_cannot_be_written(everybodys: Path) -> None:
    folder = everybodys / "runs"
    folder.mkdir()
    file = folder / "runguard.db"
    url = f"sqlite:///{file}"
    runguard.configure(database_url=url)
    run("first")
    store = open_store(url)
    store.diagnose()  # imports all that the child can no longer read
    store.close()
    for path in (folder, file):
        os.chown(path, OWNER, OWNER)
    for path in folder.glob("runguard.db-*"):
        os.chown(path, 0, 0)
        path.chmod(0o644)

    def examine() -> None:
        store = open_store(url)
        lacking = store.diagnose().lacking
        assert set(lacking) == {f"write to {file}-wal", f"write to {file}-shm"}, lacking

    assert as_user(OWNER, examine) == 0


def test_a_backup_holds_what_is_only_in_the_log_yet(
    sqlite_url: str, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    run("job")  # the connection stays open, so its log is not put into the file
    copy = tmp_path / "copy.db"
    done = cli("db", "backup", str(copy), "--database-url", sqlite_url)

    assert done.exit_code == 0
    assert jobs_in(copy) == ["job"]
    assert mode(copy) == 0o600
    assert not list(tmp_path.glob(".runguard-backup*"))


def test_a_backup_replaces_no_file(
    sqlite_url: str, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    run("job")
    (copy := tmp_path / "copy.db").write_text("precious")
    done = cli("db", "backup", str(copy), "--database-url", sqlite_url)

    assert (done.exit_code, copy.read_text()) == (2, "precious")
    assert str(copy) in done.stderr


def test_a_backup_of_no_database_is_told(tmp_path: Path, cli: Callable[..., Any]) -> None:
    copy = tmp_path / "copy.db"
    done = cli("db", "backup", str(copy), "--database-url", f"sqlite:///{tmp_path / 'none.db'}")

    assert (done.exit_code, copy.exists()) == (3, False)
    assert "none.db" in done.stderr


def test_a_server_is_backed_up_with_its_own_tool(
    migrated_pg_url: str, tmp_path: Path, cli: Callable[..., Any]
) -> None:
    done = cli("db", "backup", str(tmp_path / "copy"), "--database-url", migrated_pg_url)

    assert (done.exit_code, "pg_dump" in done.stderr) == (2, True)
