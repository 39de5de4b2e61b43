"""Other users of this machine, and a folder that all of them reach."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def as_user(user: int, work: Callable[[], None]) -> int:
    """Do it in a child of another user; return its exit code."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover - another process
        try:
            os.setgid(user)
            os.setuid(user)
            work()
        except BaseException as error:
            os.write(2, repr(error).encode())
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@contextlib.contextmanager
def reachable_folder() -> Iterator[Path]:
    """A folder that every user may look into.

    `tmp_path` is none: each pytest that starts on this machine closes the root of all such folders
    to other users, also while a test of another one needs it open.
    """
    with tempfile.TemporaryDirectory(prefix="runguard-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
