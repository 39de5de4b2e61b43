"""What is known of a store that is away, so that not everybody who waits asks it again."""

from __future__ import annotations

import threading
from enum import Enum
from math import inf

from .._clock import ticks
from .._errors import StoreUnavailable


class Admission(Enum):
    """What to do with work that wants the store."""

    GO = "the store answers"
    PROBE = "try, for all who wait"
    WAIT = "somebody else tries"


class Breaker:
    """Closed while the store answers. Open from a fault on: then one asks for all who wait.

    Who waited while the store failed another shares that failure. The first who asks later tries
    (half open), and the others wait for what becomes of it.
    """

    def __init__(self) -> None:
        """Suppose that the store is there."""
        self._lock = threading.Lock()
        self._fault: StoreUnavailable | None = None
        self._failed_at = -inf
        self._probing = False

    @property
    def is_probed(self) -> bool:
        """Whether somebody is asking just now, for all who wait."""
        return self._probing

    def fault_since(self, moment: float) -> StoreUnavailable | None:
        """Return the fault that has struck since a moment of `ticks`, and is not over."""
        fault = self._fault
        return None if fault is None or self._failed_at < moment else StoreUnavailable(str(fault))

    def admit(self) -> Admission:
        """Say whether to ask the store now."""
        if self._fault is None:
            return Admission.GO
        with self._lock:
            if self._probing:
                return Admission.WAIT
            self._probing = True
            return Admission.PROBE

    def note_fault(self, fault: StoreUnavailable) -> None:
        """Open: nobody answered."""
        with self._lock:
            self._fault = fault
            self._failed_at = ticks()

    def note_answer(self) -> None:
        """Close: the store answered, be it with an error."""
        if self._fault is not None:
            with self._lock:
                self._fault = None

    def end_probe(self) -> None:
        """Let the next one try, where the one that tried noted nothing: it never got to ask."""
        with self._lock:
            self._probing = False
