"""The name of this host, as its runs note it."""

from __future__ import annotations

import os

from .._failure.introspection import printable


def host_name() -> str:
    """Return the name, with what cannot be printed spelled."""
    if hasattr(os, "uname"):
        return printable(os.uname().nodename)
    import platform

    return printable(platform.node())
