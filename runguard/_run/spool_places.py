"""Where the records for a store wait: a folder for each store, in the spool of this user."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .._errors import ConfigurationError
from .._models import StoreIdentity
from .embedded import embedded_url, state_folder
from .spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._settings import Settings
    from .repository import StoreFactory

EMBEDDED: Final = "embedded"  # the name by 0.1 of the file in the state directory


def spool_of(settings: Settings, stores: StoreFactory) -> Spool:
    """Return the spool of the store that the settings name.

    Where another user has taken its folder, there is one with this user's number beside it.
    """
    url, engine = settings.database_url, settings.engine
    is_embedded = url is None and engine is None
    if is_embedded:
        with suppress(ConfigurationError):  # no home: the spool finds another place
            url = embedded_url()
    identity = StoreIdentity(EMBEDDED, "the embedded file")
    if url is not None or engine is not None:
        identity = stores.identity(url=url, engine=engine)
    former = identity.former
    if is_embedded and settings.spool_dir is None:
        former += (EMBEDDED,)
    root = _root(settings)
    return Spool(
        root / identity.name,
        instead=[root / f"{identity.name}.{os.geteuid()}"],
        former=[root / name for name in former],
        label=identity.label,
    )


def looking_for_folders(settings: Settings) -> Callable[[], bool]:
    """Return what says whether any records may wait: without a folder, none do.

    The user's own folders are found once: it costs more than all else that a run does here.
    """
    return partial(_holds_folders, str(_root(settings)))


def _holds_folders(root: str) -> bool:
    try:
        with os.scandir(root) as entries:
            return any(entry.is_dir() for entry in entries)
    except FileNotFoundError:
        return False
    except OSError:
        return True


def _root(settings: Settings) -> Path:
    """Return the user's spool; a folder for temporary files where the user has no home."""
    if settings.spool_dir is not None:
        return Path(settings.spool_dir)
    try:
        return state_folder() / "spool"
    except ConfigurationError:
        return Path(tempfile.gettempdir()) / f"runguard-{os.geteuid()}" / "spool"
