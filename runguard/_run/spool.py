"""Records that the store could not take, kept on this machine until it can.

One file for each record, on the disk before the exception leaves the scope, and the folder synced:
a process that dies in the middle spoils nothing, and readers see whole records only.

Here is what every run needs: writing, and whether anything waits; then it loads `spool_replay`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from .._clock import ticks
from .._models import SpooledAlert
from .atomic_file import write_whole
from .private_folder import FILE_MODE, private_folder
from .spool_format import Record, encode

LOOK_EVERY_SECONDS: Final = 10.0
MOST_WRITES: Final = 3


class Spool:
    """The folders of records that wait for one store."""

    def __init__(
        self,
        folder: Path,
        *,
        instead: Sequence[Path] = (),
        former: Sequence[Path] = (),
        label: str = "",
    ) -> None:
        """Take the folder of new records; it is made when the first one comes.

        `instead` are the folders to take where that one cannot be used, `former` those where an
        earlier release may have left some: all are replayed. `label` says which store they are for.
        """
        self.folder = folder
        self.label = label
        self.writable = (folder, *instead)
        self.folders = (folder, *instead, *former)
        self.look_again_at = 0.0

    def put(self, record: Record) -> Path:
        """Write a record durably; return its file.

        Raises:
            OSError: the disk is full, or no folder can be written.
        """
        content = encode(record, store=self.label)
        troubles: list[OSError] = []
        for folder in self.writable:
            try:
                return _write_durably(folder, name_of(record), content)
            except OSError as trouble:
                troubles.append(trouble)
        raise troubles[0]

    def is_due(self) -> bool:
        """Whether to look for waiting records now: at the first run, then every ten seconds."""
        if ticks() < self.look_again_at:
            return False
        self.look_again_at = ticks() + LOOK_EVERY_SECONDS
        return any(map(_may_hold_records, self.folders))


def _may_hold_records(folder: Path) -> bool:
    with suppress(OSError), os.scandir(folder) as entries:
        return any(entry.name.endswith(".json") for entry in entries)
    return False


def name_of(record: Record) -> str:
    """Return the name of a record's file."""
    # Keys begin with the time, so names sort by it. A start and its end are two files: one that
    # is replayed and removed can then never be the other.
    if isinstance(record, SpooledAlert):
        return f"{record.draft.uuid}.alert.json"
    return f"{record.run.key}.{'start' if record.ending is None else 'end'}.json"


def _write_durably(folder: Path, name: str, content: bytes) -> Path:
    with private_folder(folder, make=True) as handle:
        for writes in range(1, MOST_WRITES + 1):
            try:
                write_whole(handle, name, content, mode=FILE_MODE)
                break
            except FileNotFoundError:  # taken for one that was left over; see `spool_replay`
                if writes == MOST_WRITES:
                    raise
        os.fsync(handle)  # else a power cut may take the name of a file whose content is safe
    return folder / name
