"""The controlling terminal, and who of a session has it. POSIX only."""

from __future__ import annotations

import os
from contextlib import suppress


class Terminal:
    """The controlling terminal, lent to a child's group when that asks for it.

    The group begins in the background, so Ctrl-C comes to us and is passed on, and the others of a
    pipeline keep the terminal. The kernel stops a group that reads it from there: then it is lent.
    """

    def __init__(self) -> None:
        """Open it, where there is one."""
        try:
            self._fd: int | None = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        except OSError:
            self._fd = None
        self._is_lent = False

    @property
    def exists(self) -> bool:
        """Whether this process has a terminal."""
        return self._fd is not None

    def lend(self, group: int) -> bool:
        """Put the group into the foreground, if we are there; return whether."""
        try:
            if self._fd is None or os.tcgetpgrp(self._fd) != os.getpgrp():
                return False
            os.tcsetpgrp(self._fd, group)
        except OSError:  # it was hung up
            return False
        self._is_lent = True
        return True

    def take_back(self) -> None:
        """Be in the foreground again, if we lent our place."""
        if self._fd is not None and self._is_lent:
            self._is_lent = False
            with suppress(OSError):  # likewise
                os.tcsetpgrp(self._fd, os.getpgrp())

    def close(self) -> None:
        """Take it back and close it."""
        self.take_back()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
