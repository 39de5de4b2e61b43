"""Connecting anew where the process has closed the descriptors of a SQLite file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.pool import Pool

from ..._errors import StoreUnavailable
from .descriptors import Descriptors

_forsaken: Final[list[Pool]] = []  # of connections that nobody may close


def connect_anew(engine: Engine, descriptors: Descriptors, parents_pools: Iterable[Pool]) -> None:
    """Let SQLite close what the process has closed: only then does it open the file anew.

    Raises:
        StoreUnavailable: other files have got the numbers, and SQLite would close those.
    """
    if not _held_free(descriptors.lost()):
        if engine.pool not in _forsaken:
            _forsaken.append(engine.pool)
            engine.pool = engine.pool.recreate()
            _forsaken.append(engine.pool)
        raise StoreUnavailable(
            "this process has closed the descriptors of the SQLite file, and other files have got"
            " their numbers: let the first run begin after that, as a daemon's should"
        )
    for pool in (engine.pool, *parents_pools, *_forsaken):
        pool.dispose()
    descriptors.forget()


def _held_free(numbers: list[int]) -> bool:
    """Keep the numbers from other files until SQLite closes them; False where one is taken.

    What is open for reading cannot be locked for writing, so SQLite tidies up nothing on closing:
    other processes may be using the log.
    """
    low = os.open(os.devnull, os.O_RDONLY)
    nothing = fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, max(numbers) + 1)
    os.close(low)
    got: list[int] = []
    try:
        for number in numbers:  # the first that is free, from this one on
            got.append(fcntl.fcntl(nothing, fcntl.F_DUPFD_CLOEXEC, number))
            if got[-1] != number:
                for one in got:
                    os.close(one)
                return False
    finally:
        os.close(nothing)
    return True
