"""The embedded store: a SQLite file in the user's state directory, where no other is named."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from .._database_url import in_url
from .._errors import ConfigurationError
from .._events import EMBEDDED_STORE, Events
from .._settings import DATABASE_URL
from .private_folder import try_to_make_private

FOLDER_OF_TESTS: Final = "_RUNGUARD_FOLDER_OF_TESTS"


def embedded_file() -> str:
    """Return the path of the embedded store, in the user's state directory.

    Raises:
        ConfigurationError: the user has no home.
    """
    return str(state_folder() / "runguard.db")


def embedded_url() -> str:
    """Return the URL of the embedded store."""
    return f"sqlite:///{in_url(embedded_file())}"


def state_folder() -> Path:
    """Return runguard's folder in the user's state directory; a temporary one in a test.

    Raises:
        ConfigurationError: the user has no home.
    """
    try:
        folder = _usual_folder() or _folder_of_platform()
        return folder if not is_in_a_test() or _is_temporary(folder) else _folder_of_tests()
    except RuntimeError:  # no variable and no entry in the user database
        if is_in_a_test():
            return _folder_of_tests()
        raise ConfigurationError(
            "expected a home folder for the embedded store, found none: set"
            f" {DATABASE_URL}, or HOME, or XDG_STATE_HOME"
        ) from None


def _usual_folder() -> Path | None:
    """Return what `platformdirs` says of most users of Linux: no run shall wait for its import."""
    environ = os.environ
    if sys.platform != "linux" or environ.keys() & {"ANDROID_DATA", "ANDROID_ROOT"}:
        return None
    state, home = environ.get("XDG_STATE_HOME", ""), environ.get("HOME", "")
    if not state and home.startswith("/"):
        state = f"{home.rstrip('/')}/.local/state"
    return Path(state, "runguard") if state.startswith("/") else None


def _folder_of_platform() -> Path:
    from platformdirs import user_state_path

    return user_state_path("runguard")


def announce(events: Events) -> None:
    """Tell that the embedded store is used, and see that its file is for its user alone."""
    file = embedded_file()
    events.emit(EMBEDDED_STORE, file=file, set_instead=DATABASE_URL)
    try_to_make_private(file)


def is_in_a_test() -> bool:
    """Whether pytest runs this process, or one that has started it: no test fills a real store."""
    return "PYTEST_VERSION" in os.environ


def _is_temporary(folder: Path) -> bool:
    """Whether a test's home is for the test alone already."""
    return folder.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve())


def _folder_of_tests() -> Path:
    """Return a temporary folder, the same for the processes that this one starts."""
    if FOLDER_OF_TESTS not in os.environ:
        folder = os.environ[FOLDER_OF_TESTS] = tempfile.mkdtemp(prefix="runguard-tests-")
        atexit.register(_remove, folder, os.getpid())
    return Path(os.environ[FOLDER_OF_TESTS])


def _remove(folder: str, made_by: int) -> None:
    if os.getpid() == made_by:  # a fork has inherited what the interpreter does at its exit
        shutil.rmtree(folder, ignore_errors=True)
