"""What several threads lend and give back, without a lock.

An exception that strikes a thread at any instant then leaves no lock behind, and a signal's handler
finds none that its own thread holds.
"""

from __future__ import annotations

import sys
from _queue import Empty, SimpleQueue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Final, Generic, TypeVar

from ._clock import ticks

LOOK_AGAIN_SECONDS: Final = 0.1  # for one that came back without a word

T = TypeVar("T")


class Idle(Generic[T]):
    """What nobody uses just now; who asks gets what was used last.

    A thread that may be struck takes into a hand, an empty deque. At each instant a thing is either
    here or in one hand.
    """

    def __init__(self, things: Iterable[T] = ()) -> None:
        """Hold these."""
        self._things: deque[T] = deque(things)
        self._waiting: deque[bool] = deque()
        # gevent patches the one of `queue`, where that is loaded.
        kind = getattr(sys.modules.get("queue"), "SimpleQueue", SimpleQueue)
        self._returned: SimpleQueue[None] = kind()

    def __len__(self) -> int:
        """Count them."""
        return len(self._things)

    def __iter__(self) -> Iterator[T]:
        """Look at those of the moment."""
        return iter(tuple(self._things))

    def take(self, until: float) -> T | None:
        """Return one as soon as there is one; None where there is none until then, by `ticks`."""
        while True:
            with suppress(IndexError):
                return self._things.pop()
            if (left := until - ticks()) <= 0:
                return None
            self._wait(min(left, LOOK_AGAIN_SECONDS))

    def give_back(self, thing: T, *, first: bool = True) -> None:
        """Let others have it: the next one who asks, or the last."""
        if first:
            self._things.append(thing)
        else:
            self._things.appendleft(thing)
        self._tell()

    def take_into(self, hand: deque[T]) -> bool:
        """Put one into an empty hand; False where there is none, or others wait for it."""
        return not self._waiting and _move(self._things, hand)

    def give_back_from(self, hand: deque[T]) -> None:
        """Let others have what is in the hand."""
        _move(hand, self._things)
        self._tell()

    def recover(self, hand: deque[T], mend: Callable[[T], object]) -> None:
        """Let others have what a struck thread had in its hand, when it is mended."""
        while hand:
            with suppress(IndexError):  # another one was faster
                mend(hand[0])
            self.give_back_from(hand)

    def _wait(self, seconds: float) -> None:
        self._waiting.append(True)
        try:
            if not self._things:  # who gives back from here on sees that somebody waits
                self._returned.get(timeout=seconds)
        except Empty:
            pass
        finally:
            self._waiting.pop()

    def _tell(self) -> None:
        if self._waiting:
            self._returned.put(None)


def _move(source: deque[T], target: deque[T]) -> bool:
    """Move the last one, in one call into C: nothing strikes and no thread comes in its middle."""
    try:
        target.extend(islice(iter(source.pop, None), 1))
    except IndexError:
        return False
    return True
