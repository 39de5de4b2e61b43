"""What the text of a store's URL says, before any driver is asked."""

from __future__ import annotations

import os
import re
from typing import Final

# A path, which may begin as a URI does, without a slash; and no database in memory.
_RELATIVE_SQLITE: Final = r"(?s)(sqlite(?:\+\w+)?:///(?:file:)?)(?!/|file:|:memory:)([^?]+)(.*)"


def connect_timeout(url: str) -> int | None:
    """Return the `connect_timeout` of a URL in seconds; None where it has none, or no end."""
    if "connect_timeout=" not in url:
        return None
    found = re.search(r"[?&]connect_timeout=(\d{1,6})(?:&|$)", url)
    return int(found[1]) or None if found else None


def anchored(url: str, here: str) -> str:
    """Make the path of a SQLite file absolute: the program may change its folder later.

    A relative one begins at `here`, or at the folder of the moment.
    """
    if not url.startswith("sqlite") or (found := re.match(_RELATIVE_SQLITE, url)) is None:
        return url
    folder = in_url(here or os.getcwd())  # noqa: PTH109 - no script shall wait for pathlib
    path = os.path.abspath(os.path.join(folder, found[2]))  # noqa: PTH100, PTH118
    return f"{found[1]}{path}{found[3]}"


def in_url(path: str) -> str:
    """Return a path as it stands in a SQLite URL."""
    return path.replace("%", "%25").replace("?", "%3F")
