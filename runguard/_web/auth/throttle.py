"""How guessing is slowed down, without keeping anybody out."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

FREE_TRIES: Final = 5
SHORTEST_WAIT_SECONDS: Final = 0.5
LONGEST_WAIT_SECONDS: Final = 4.0
CROWD_WAIT_SECONDS: Final = 1.0
TRIES_AT_ONCE: Final = 8
MOST_WAITING: Final = 64  # of an address
MOST_WAITING_IN_ALL: Final = 128  # half of the connections: the others are for who does not guess
FORGOTTEN_AFTER_SECONDS: Final = 3600.0
MOST_ADDRESSES: Final = 4096
MOST_FAILURES_A_MINUTE: Final = 100


class Throttle:
    """Lets whoever guesses wait before their secret is looked at. Its memory is bounded.

    After `FREE_TRIES` failures, an attempt from an address waits, twice as long after each further
    one up to `LONGEST_WAIT_SECONDS`. While many addresses together fail often, an attempt from one
    that was never right waits a moment. Then the secret is looked at: a right one always opens.
    `TRIES_AT_ONCE` of an address wait at the same time, and the others for them, or waiting would
    slow nobody; `MOST_WAITING` and `MOST_WAITING_IN_ALL` bound how many.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Know of no failure yet."""
        self._clock = clock
        self._sleep = sleep
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._trusted: OrderedDict[str, None] = OrderedDict()
        self._lately: deque[float] = deque(maxlen=MOST_FAILURES_A_MINUTE)
        self._waiting: Counter[str] = Counter()
        self._places: dict[str, asyncio.Semaphore] = {}

    async def wait(self, address: str | None) -> bool:
        """Wait until a secret from this address may be looked at; False: too many wait already."""
        key, seconds = _network_of(address), self.seconds_to_wait(address)
        if not seconds:
            return True
        if self._waiting[key] >= MOST_WAITING:
            return False
        if self._waiting.total() >= MOST_WAITING_IN_ALL:
            return not self._guesses(key)
        self._waiting[key] += 1
        try:
            async with self._places.setdefault(key, asyncio.Semaphore(TRIES_AT_ONCE)):
                await self._sleep(seconds)
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._places[key]
        return True

    def seconds_to_wait(self, address: str | None) -> float:
        """Say how long an attempt from this address waits; 0 where it does not."""
        now, key = self._clock(), _network_of(address)
        if self._guesses(key):
            further = self._failures[key][0] - FREE_TRIES
            return min(SHORTEST_WAIT_SECONDS * 2.0**further, LONGEST_WAIT_SECONDS)
        many = len(self._lately) == self._lately.maxlen and now - self._lately[0] < 60.0
        return CROWD_WAIT_SECONDS if many and key not in self._trusted else 0.0

    def _guesses(self, key: str) -> bool:
        count, last = self._failures.get(key, (0, 0.0))
        return count >= FREE_TRIES and self._clock() - last <= FORGOTTEN_AFTER_SECONDS

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
