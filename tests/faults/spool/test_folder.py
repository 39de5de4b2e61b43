"""The spool's folder is this user's own, stays where it was, and is kept clean."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import runguard
from runguard import run_scope
from runguard._api import runtime
from runguard._run.spool_listing import count_of
from runguard._run.spool_replay import replay
from runguard._run.spool_view import troubles_of, waiting_files
from tests.support.users import as_user, only_root, reachable_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    Put = Callable[..., Path]
    Sql = Callable[..., list[dict[str, Any]]]
    Events = Callable[[], list[tuple[str, dict[str, Any]]]]

AWAY = "postgresql://app@127.0.0.1:1/prod"
SOMEBODY = 12345


def configure(**settings: Any) -> None:
    runguard.configure(
        **{"database_url": AWAY, "store_timeout": timedelta(seconds=0.2), **settings}
    )


def run(job: str = "job") -> None:
    with run_scope(job):
        pass


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_relative_folder_stays_where_it_was_when_the_program_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here := tmp_path / "here").mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("RUNGUARD_SPOOL_DIR", "spool")
    configure()
    monkeypatch.chdir("/")
    run()

    assert runtime.spool().folder.is_relative_to(here)
    assert count_of(runtime.spool()) == 2


def test_a_relative_sqlite_file_and_its_spool_stay_where_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here := tmp_path / "here").mkdir()
    (there := tmp_path / "there").mkdir()
    monkeypatch.chdir(here)
    runguard.configure(database_url="sqlite:///runs.db")
    monkeypatch.chdir(there)
    run()
    label = runtime.spool().label

    assert (here / "runs.db").exists()
    assert list(there.iterdir()) == []
    assert label == f"sqlite {here.resolve() / 'runs.db'}"


def test_files_and_folder_are_for_this_user_alone_whatever_they_were(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        configure(spool_dir=tmp_path)
        run("first")
        folder = runtime.spool().folder
        folder.chmod(0o777)
        run("second")
    finally:
        os.umask(before)

    assert mode(folder) == 0o700
    assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_a_link_in_the_folders_place_is_not_followed(tmp_path: Path, events: Events) -> None:
    configure(spool_dir=tmp_path / "spool")
    folder = runtime.spool().folder
    (trap := tmp_path / "trap").mkdir()
    folder.parent.mkdir()
    folder.symlink_to(trap)
    run()

    assert list(trap.iterdir()) == []
    files = [fields["file"] for event, fields in events() if event == "runguard.spooled"]
    assert len(files) == 2
    assert not any(file.startswith(f"{folder}/") for file in files)
    assert count_of(runtime.spool()) == 2
    assert any("the link" in str(trouble) for trouble in troubles_of(runtime.spool()))


@only_root
def test_another_users_folder_is_left_alone_and_no_record_is_lost(
    tmp_path: Path, events: Events, cli: Callable[..., Any]
) -> None:
    configure(spool_dir=tmp_path)
    theirs = runtime.spool().folder
    theirs.mkdir()
    os.chown(theirs, SOMEBODY, SOMEBODY)
    run()
    waiting = count_of(runtime.spool())
    runguard.testing.reset()
    doctor = cli(
        "doctor",
        "--json",
        "--database-url",
        AWAY,
        RUNGUARD_SPOOL_DIR=str(tmp_path),
        RUNGUARD_STORE_TIMEOUT_SECONDS="0.2",
    ).json

    assert list(theirs.iterdir()) == []
    assert waiting == 2
    assert "runguard.record_lost" not in [event for event, _ in events()]
    [told] = [one for one in doctor if one["check"] == "spool"]
    assert (told["state"], str(SOMEBODY) in told["found"]) == ("problem", True)


@only_root
def test_two_users_share_one_folder_for_spools() -> None:
    """Each finds a place there, and none reads or loses what the other has."""
    with reachable_folder() as shared:
        shared.chmod(0o1777)
        configure(spool_dir=shared)
        run("of root")
        mine = set(waiting_files(runtime.spool()))

        def keep_two() -> None:
            runguard.testing.reset()
            configure(spool_dir=shared)
            run("of somebody")
            assert count_of(runtime.spool()) == 2

        assert as_user(SOMEBODY, keep_two) == 0
        theirs = {path for path in shared.rglob("*.json") if path.stat().st_uid == SOMEBODY}
        assert len(theirs) == 2
        assert set(shared.rglob("*.json")) - theirs == mine


KILLED = """
import os, signal, sys
from pathlib import Path
from datetime import UTC, datetime
from runguard._models import SpooledRun
from runguard._run import spool
from tests.store.drafts import new_run
fsync = os.fsync
os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
spool.Spool(Path(sys.argv[1])).put(SpooledRun(new_run(), datetime.now(UTC)))
"""


def test_what_killed_writers_left_is_cleaned_up(put: Put, sqlite_url: str) -> None:
    folder = put().parent
    for _ in range(3):
        killed = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
        assert killed.returncode == -signal.SIGKILL
    left_over = [path for path in folder.iterdir() if path.name.startswith(".")]
    list(replay(runtime.spool(), runtime.store(), seconds=60))

    assert len(left_over) == 3
    assert list(folder.iterdir()) == []


def test_a_record_that_is_just_being_written_is_left_alone(
    put: Put, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay in the middle of a write: the writer still holds its file."""
    put("first")
    fsync = os.fsync

    def replay_first(file: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        list(replay(runtime.spool(), runtime.store(), seconds=60))
        fsync(file)

    monkeypatch.setattr(os, "fsync", replay_first)
    path = put("second")

    assert path.exists()
    assert waiting_files(runtime.spool()) == [path]


def test_a_record_whose_half_was_taken_for_left_over_is_written_again(
    put: Put, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between making the file and locking it, another process may remove it."""
    import fcntl

    folder = put("first").parent
    flock = fcntl.flock

    def removed_before(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        [half] = [path for path in folder.iterdir() if path.name.startswith(".")]
        half.unlink()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", removed_before)
    path = put("second")

    assert json.loads(path.read_text())["run"]["job_name"] == "second"


HOMELESS = """
import os, pwd, sys
def unknown(number): raise KeyError(number)
pwd.getpwuid = unknown
os.environ.pop("HOME", None), os.environ.pop("XDG_STATE_HOME", None)
"""


def homeless(script: str, tmp_path: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a script as a user of whom the machine knows nothing but a number."""
    return subprocess.run(
        [sys.executable, "-c", HOMELESS + script],
        env={**os.environ, "TMPDIR": str(tmp_path), **environ},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", [["doctor"], ["spool", "status"], ["spool", "flush"], ["runs"]])
def test_no_command_ends_in_a_traceback_without_a_home(tmp_path: Path, command: list[str]) -> None:
    done = homeless(
        f"from runguard._cli.start import run; sys.argv[1:] = {command}; sys.exit(run())", tmp_path
    )

    assert "Traceback" not in done.stderr
    if command[0] != "spool" or command[1] == "flush":
        assert "RUNGUARD_DATABASE_URL" in done.stdout + done.stderr


def test_records_of_a_user_without_a_home_are_kept(tmp_path: Path) -> None:
    done = homeless(
        "import runguard\nwith runguard.run_scope('job'): print('body')",
        tmp_path,
        RUNGUARD_DATABASE_URL=AWAY,
        RUNGUARD_STORE_TIMEOUT_SECONDS="0.2",
    )

    assert done.stdout == "body\n"
    assert "runguard.record_lost" not in done.stderr
    assert len(list((tmp_path / f"runguard-{os.geteuid()}").rglob("*.json"))) == 2


def test_doctor_says_that_no_folder_can_be_made(tmp_path: Path, cli: Callable[..., Any]) -> None:
    (blocked := tmp_path / "a file").write_text("")

    doctor = cli(
        "doctor",
        "--json",
        "--database-url",
        AWAY,
        RUNGUARD_SPOOL_DIR=str(blocked),
        RUNGUARD_STORE_TIMEOUT_SECONDS="0.2",
    ).json

    [told] = [one for one in doctor if one["check"] == "spool"]
    assert (told["state"], str(blocked) in told["found"]) == ("problem", True)
    assert "no record waits" not in told["found"]
