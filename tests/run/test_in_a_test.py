"""Where pytest runs a process, a run that names no store goes to a temporary one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from platformdirs import user_state_path

from runguard import run_scope
from runguard._api import runtime
from runguard._run.embedded import FOLDER_OF_TESTS, _usual_folder, embedded_file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if a test of somebody's jobs ran here, whose home is not a temporary place."""
    monkeypatch.setenv("PYTEST_VERSION", "9.0")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("XDG_STATE_HOME", "")
    monkeypatch.setenv(FOLDER_OF_TESTS, str(tmp_path / "tests"))
    return tmp_path / "tests"


def test_rows_and_what_waits_go_to_a_temporary_folder(folder: Path) -> None:
    with run_scope("sync"):
        pass

    assert (folder / "runguard.db").exists()
    assert runtime.spool().folder.is_relative_to(folder)


def test_a_home_that_is_temporary_is_left_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert Path(embedded_file()).is_relative_to(tmp_path / ".local")


def test_without_a_test_it_is_the_home_of_the_user(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTEST_VERSION")

    assert embedded_file().startswith("/home/somebody/")


@pytest.mark.parametrize("names_a_store", [False, True])
def test_a_test_pages_nobody_unless_it_names_a_store(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, names_a_store: bool
) -> None:
    monkeypatch.setenv("RUNGUARD_NOTIFY", "webhook+http://127.0.0.1:1/")
    if names_a_store:
        monkeypatch.setenv("RUNGUARD_DATABASE_URL", f"sqlite:///{tmp_path / 'mine.db'}")

    with run_scope("sync"):
        pass

    assert bool(runtime._delivery) is names_a_store
    assert "PYTEST_VERSION" in os.environ


@pytest.mark.skipif(sys.platform != "linux", reason="the other platforms are all asked")
@pytest.mark.parametrize("state", [None, "", " ", "/var/state", "/var/state/", "~/state"])
@pytest.mark.parametrize("home", [None, "/home/somebody", "/home/somebody/", "/", ""])
def test_the_usual_folder_is_the_one_of_platformdirs(
    state: str | None, home: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("XDG_STATE_HOME", state), ("HOME", home)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)

    assert _usual_folder() in (None, user_state_path("runguard"))
    is_usual = (state or "").startswith("/") or (not state and (home or "").startswith("/"))
    assert (_usual_folder() is not None) is is_usual
