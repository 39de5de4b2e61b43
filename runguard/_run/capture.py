"""What is captured of every run of this process besides what it is told: its code, its trace."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .._failure.introspection import attribute
from .version import find_version

if TYPE_CHECKING:
    from .._events import Events
    from .._settings import Settings


class Capture:
    """Made once in a process, before its first run.

    Attributes:
        version: of the code that runs; None where nothing says it.
    """

    def __init__(self, settings: Settings, events: Events) -> None:
        """Find out what stays the same for all runs."""
        self.version = find_version(settings, os.environ, events)

    @staticmethod
    def trace_id() -> str | None:
        """Return the trace of the caller's current OpenTelemetry span; None where there is none."""
        if (trace := sys.modules.get("opentelemetry.trace")) is None:
            return None
        return trace_id_of(trace)


def trace_id_of(trace: object) -> str | None:
    """Return the current trace as 32 hexadecimal digits. Never raises."""
    try:
        number = attribute(trace, "get_current_span")().get_span_context().trace_id
        return f"{number:032x}" if 0 < number < 2**128 else None
    except Exception:  # of another library's
        return None
