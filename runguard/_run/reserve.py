"""What is kept back for the end of a run that uses up all other memory, or all files.

Its failure is classified by rules that are loaded then, which takes files; so does a record.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

BYTES: Final = 4 * 1024 * 1024
PIPES: Final = 2  # of two files each


class Reserve:
    """Memory that is never touched, and pipes that nobody uses."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._memory: bytes | None = None
        self._pipes: list[tuple[tuple[int, int], list[int]]] = []

    def hold(self) -> None:
        """Keep back what is not kept back already, as far as there is any."""
        if self._memory is None:
            with suppress(MemoryError):
                self._memory = bytes(BYTES)
        with suppress(OSError):
            while len(self._pipes) < PIPES:
                ends = os.pipe()
                self._pipes.append((_identity_of(ends[0]), list(ends)))

    def release(self, error: BaseException) -> None:
        """Give the files back, and the memory where that has run out: now it is needed."""
        if issubclass(type(error), MemoryError):
            self._memory = None
        with suppress(IndexError):  # another run was faster
            while self._pipes:
                identity, ends = self._pipes.pop()
                for end in ends:
                    with suppress(OSError):
                        # The job may have closed all files, and the next one has got the number.
                        if _identity_of(end) == identity:
                            os.close(end)


def _identity_of(file: int) -> tuple[int, int]:
    found = os.fstat(file)
    return found.st_dev, found.st_ino
