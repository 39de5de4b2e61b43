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

    @property
    def is_whole(self) -> bool:
        """Whether all is kept back."""
        return self._memory is not None and len(self._pipes) >= PIPES

    def hold(self) -> None:
        """Keep back what is not kept back already, as far as there is any."""
        if self._memory is None:
            with suppress(MemoryError):
                self._memory = bytes(BYTES)
        if len(self._pipes) >= PIPES:
            return
        with suppress(OSError):
            while len(self._pipes) < PIPES:
                ends = os.pipe()
                self._pipes.append((_identity_of(ends[0]), list(ends)))

    def release(self, error: BaseException | None) -> None:
        """Give back the memory and the files, each where it has run out: now it is needed."""
        self.release_memory(error)
        if self._has_run_out_of_files():
            self._give_files_back()

    def release_memory(self, error: BaseException | None) -> None:
        """Give back the memory. This catches nothing: an exception may strike meanwhile."""
        if issubclass(type(error), MemoryError):
            self._memory = None

    def _has_run_out_of_files(self) -> bool:
        """Whether fewer files can be opened than are kept back: a try costs less than new pipes."""
        try:
            pipe = self._pipes.pop()  # so that no other thread closes it meanwhile
        except IndexError:  # another run was faster
            return True
        identity, (end, _) = pipe
        copies: list[int] = []
        try:
            if _identity_of(end) != identity:
                return True
            while len(copies) < 2 * PIPES:
                copies.append(os.dup(end))
        except OSError:
            return True
        finally:
            for copy in copies:
                os.close(copy)
            self._pipes.append(pipe)
        return False

    def _give_files_back(self) -> None:
        with suppress(IndexError):
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
