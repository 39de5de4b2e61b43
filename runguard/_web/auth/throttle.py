"""How guessing is slowed down."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any, Final

FREE_TRIES: Final = 5
LONGEST_WAIT_SECONDS: Final = 900.0
FORGOTTEN_AFTER_SECONDS: Final = 3600.0
MOST_ADDRESSES: Final = 4096
MOST_FAILURES_A_MINUTE: Final = 100


class Throttle:
    """Slows down whoever guesses: by address, and all together. Its memory is bounded.

    After `FREE_TRIES` failures an address waits, twice as long after each further one. When too
    many fail in a minute all must wait but those who were right before.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Know of no failure yet."""
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._trusted: OrderedDict[str, None] = OrderedDict()
        self._lately: deque[float] = deque(maxlen=MOST_FAILURES_A_MINUTE)

    def seconds_to_wait(self, address: str | None) -> int:
        """Say how long this address must not try; 0 where it may."""
        now, key = self._clock(), _network_of(address)
        count, last = self._failures.get(key, (0, now))
        wait = 0.0
        if count >= FREE_TRIES:
            wait = min(2.0 ** (count - FREE_TRIES), LONGEST_WAIT_SECONDS) - (now - last)
        if key not in self._trusted and len(self._lately) == self._lately.maxlen:
            wait = max(wait, 60.0 - (now - self._lately[0]))
        return max(0, math.ceil(wait))

    def failed(self, address: str | None) -> None:
        """Note a wrong secret."""
        now, key = self._clock(), _network_of(address)
        count, last = self._failures.pop(key, (0, now))
        if now - last > FORGOTTEN_AFTER_SECONDS:
            count = 0
        self._failures[key] = (min(count + 1, 64), now)
        self._lately.append(now)
        forget_oldest(self._failures)

    def succeeded(self, address: str | None) -> None:
        """Note a right one."""
        key = _network_of(address)
        self._failures.pop(key, None)
        self._trusted.pop(key, None)
        self._trusted[key] = None
        forget_oldest(self._trusted)


def _network_of(address: str | None) -> str:
    # Whoever has one IPv6 address has 2 ** 64 of them.
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def forget_oldest(known: OrderedDict[str, Any]) -> None:
    """Keep the newest only, so that memory is bounded."""
    while len(known) > MOST_ADDRESSES:
        known.popitem(last=False)
