"""Which records wait in a spool."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from .private_folder import private_folder
from .spool import Spool


def count_of(spool: Spool, *, at_most: int | None = None) -> int:
    """Count the records that wait, and stop at `at_most`."""
    return sum(1 for _ in islice(records_of(spool), at_most))


def records_of(spool: Spool) -> Iterator[tuple[Path, str]]:
    """Yield each record that waits, as its folder and its name there."""
    for folder in spool.folders:
        with suppress(OSError), private_folder(folder) as handle:
            for name in records_in(handle):
                yield folder, name


def records_in(handle: int) -> Iterator[str]:
    """Yield the names of the records in an open folder, in the order of the disk."""
    with os.scandir(handle) as entries:
        for entry in entries:
            if entry.name.endswith(".json") and not entry.name.startswith("."):
                yield entry.name
