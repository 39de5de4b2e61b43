"""The keys of runs: made by the client, so that a repeated write finds its own row."""

from __future__ import annotations

import os
import time
from uuid import UUID


def new_run_key() -> UUID:
    """Return a UUID of version 7 (RFC 9562): 48 bits of milliseconds, then 74 random ones.

    Keys that grow with time go to the end of their index, so writing stays as fast in a table of
    millions; random ones touch a page anywhere.
    """
    milliseconds = time.time_ns() // 1_000_000
    random_bits = int.from_bytes(os.urandom(10), "big")
    return UUID(
        int=(milliseconds & (2**48 - 1)) << 80
        | 0x7 << 76
        | (random_bits >> 68) << 64
        | 0b10 << 62
        | (random_bits & (2**62 - 1))
    )
