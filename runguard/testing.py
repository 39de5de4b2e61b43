"""For the tests of your jobs: a store of their own, and a clean start."""

from __future__ import annotations

from ._api import runtime


def reset() -> None:
    """Close every connection, and forget settings and store, as if no run had been.

    Added in 0.1.
    """
    runtime.close()
