"""How many records wait, for those who ask again and again."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Final

from .._clock import now
from .private_folder import private_folder
from .spool import Spool
from .spool_listing import records_in

# A folder's time does not tell two changes apart that come within a tick of the file system's
# clock, which on some is two seconds.
SETTLED_AFTER: Final = timedelta(seconds=5)


class SpoolCounter:
    """Counts the records of a spool; a folder that has not changed since is not read again."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, ...], int]] = {}

    def count(self, spool: Spool) -> int:
        """Count the records that wait, whatever their number."""
        return sum(map(self._count_in, spool.folders))

    def _count_in(self, folder: Path) -> int:
        try:
            with private_folder(folder) as handle:
                found = os.fstat(handle)
                mark = (found.st_dev, found.st_ino, found.st_mtime_ns)
                known, number = self._known.get(folder, ((), 0))
                if known != mark:
                    number = sum(1 for _ in records_in(handle))
        except OSError:
            return 0
        if now().timestamp() - found.st_mtime > SETTLED_AFTER.total_seconds():
            self._known[folder] = (mark, number)
        return number
