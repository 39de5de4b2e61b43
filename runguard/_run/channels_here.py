"""Whether a process has alerts told: decided once, when its first run has ended.

All that a process without channels loads of delivery.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from .._events import Events
from .._settings import CONFIG, NOTIFY, NOTIFY_FILE, Settings, is_disabled

if TYPE_CHECKING:
    from .delivery import Delivery


def find_delivery(
    settings: Settings, events: Events, is_due: Callable[..., bool], *, lock: Any, folder: str
) -> Delivery | Literal[False]:
    """Return what has alerts told; False where nothing here does."""
    if settings.deliver == "off" or is_disabled(os.environ):
        return False
    if settings.database_url is settings.engine is None:
        from .embedded import is_in_a_test

        if is_in_a_test():  # one that names no store pages nobody
            return False
    if not may_have_channels(os.environ, folder):
        return False
    from .delivery import Delivery

    return Delivery(settings, events, is_due, lock=lock, folder=folder)


def may_have_channels(environ: Mapping[str, str], here: str) -> bool:
    """Whether channels may be configured: where a child or a command would look, and no deeper."""
    files = (os.path.join(here, "runguard.toml"), "/etc/runguard.toml")  # noqa: PTH118
    if any(map(environ.get, (NOTIFY, NOTIFY_FILE, CONFIG))) or any(map(os.path.exists, files)):
        return True
    try:
        with open(os.path.join(here, "pyproject.toml"), "rb") as project:  # noqa: PTH118, PTH123
            return b"[tool.runguard" in project.read()
    except OSError:
        return False
