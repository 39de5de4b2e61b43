"""The embedded store: a SQLite file in the user's state directory, where no other is named."""

from __future__ import annotations

from pathlib import Path

from .._database_url import in_url
from .._errors import ConfigurationError
from .._events import EMBEDDED_STORE, Events
from .._settings import DATABASE_URL
from .private_folder import try_to_make_private


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
    """Return runguard's folder in the user's state directory.

    Raises:
        ConfigurationError: the user has no home.
    """
    from platformdirs import user_state_path

    try:
        return user_state_path("runguard")
    except RuntimeError:  # no variable and no entry in the user database
        raise ConfigurationError(
            "expected a home folder for the embedded store, found none: set"
            f" {DATABASE_URL}, or HOME, or XDG_STATE_HOME"
        ) from None


def announce(events: Events) -> None:
    """Tell that the embedded store is used, and see that its file is for its user alone."""
    file = embedded_file()
    events.emit(EMBEDDED_STORE, file=file, set_instead=DATABASE_URL)
    try_to_make_private(file)
