"""Whether the process of a silent run is still here, as far as this host can tell."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .host import host_name

if TYPE_CHECKING:
    from .._monitor.lost_run import LostRun

CANNOT_BEAT: Final = frozenset("TtZXx")  # stopped, traced, ended: the states of proc(5)


def may_be_alive(lost: LostRun) -> bool:
    """Say whether a process of this host has the run's number, and could send a heartbeat.

    It may be another one, to which the system gave the number again; only a heartbeat tells.
    """
    pid = lost.pid
    if pid is None or pid == os.getpid() or lost.host != host_name():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:
        pass  # another user's
    except OSError:
        return False
    return _state_of(pid) not in CANNOT_BEAT


def _state_of(pid: int) -> str:
    """Return the letter of a process's state; "?" where this system does not say it."""
    with suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as light
        # The name before it, in parentheses, may hold anything.
        return file.read().rpartition(b") ")[2][:1].decode("ascii", "replace")
    return "?"
