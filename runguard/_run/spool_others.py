"""Folders of the spool where records wait for other stores than the one that is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from .._frozen import frozen
from .spool import Spool
from .spool_listing import count_of
from .spool_places import EMBEDDED
from .spool_quarantine import set_aside
from .spool_view import meant_for

UNKNOWN: Final = "a store that the records do not name"
MOST_COUNTED: Final = 100_000
_STORES_FOLDER: Final = re.compile(r"[0-9a-f]{16}(?:\.\d+)?")
_RECORD: Final = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(?:start|end|alert)\.json"
)


@frozen
class OtherFolder:
    """A folder with records that are meant for another store."""

    path: Path
    label: str
    waiting: int
    set_aside: int


def other_folders(spool: Spool) -> Iterator[OtherFolder]:
    """Yield the folders beside a store's own where records wait for others."""
    for root in dict.fromkeys(folder.parent for folder in spool.folders):
        beside: list[Path] = []
        with suppress(OSError):
            beside = sorted(path for path in root.iterdir() if path not in spool.folders)
        for folder in beside:
            named = _STORES_FOLDER.fullmatch(folder.name)
            if not (named or (folder.name == EMBEDDED and is_of_a_store(folder))):
                continue
            other = Spool(folder)
            waiting, aside = count_of(other, at_most=MOST_COUNTED), len(set_aside(other))
            if waiting or aside:
                yield OtherFolder(folder, meant_for(other) or UNKNOWN, waiting, aside)


def is_of_a_store(folder: Path) -> bool:
    """Whether a folder is one of a spool: others are not to be closed, nor their files moved."""
    if _STORES_FOLDER.fullmatch(folder.absolute().name):
        return True
    with suppress(OSError):
        return any(_RECORD.fullmatch(path.name) for path in folder.iterdir())
    return False
