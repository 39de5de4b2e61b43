"""The keys of runs: made by the client, so that a repeated write finds its own row."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from uuid import UUID


def new_run_key() -> UUID:
    """Return a UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random ones.

    Keys that grow with time go to the end of their index, so writing stays as fast in a table of
    millions; random ones touch a page anywhere.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    head = (milliseconds & (2**48 - 1)) << 80 | 0x7 << 76 | (random_bits >> 68) << 64
    number = head | 0b10 << 62 | (random_bits & (2**62 - 1))
    try:
        from uuid import UUID  # not before a run is made: with what it imports it takes 3 ms
    except (ImportError, OSError) as error:
        if isinstance(error, TimeoutError) or getattr(error, "errno", 0) is None:
            raise  # of a time limit that strikes here
        text = f"{number:032x}"  # the process has used up its files: it does for the spool
        return cast("UUID", "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:])))
    return UUID(int=number)
