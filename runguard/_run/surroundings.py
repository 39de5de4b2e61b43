"""What stands around a run that has failed: whose home it was, and where else it has an id."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

_ID: Final = re.compile("[0-9a-f]{32}")


def home_folder() -> str:
    """Return what is written as `~`."""
    if os.name == "posix" and (home := os.environ.get("HOME", "").rstrip("/")):
        return home  # as below, in a fifth of the time
    return os.path.expanduser("~")  # noqa: PTH111 - a failure shall not wait for pathlib


def ids_of(known: Mapping[str, str] | None) -> dict[str, str]:
    """Return the ids of a failed run in other places: those that are known, systemd's journal."""
    ids = dict(known or {})
    invocation = os.environ.get("INVOCATION_ID")
    if invocation is not None and _ID.fullmatch(invocation):
        ids["invocation_id"] = invocation
    return ids
