"""The logger of a run: `run.log`. Apart, since it needs structlog, which few jobs use."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import structlog

from .._events import standard_logger


def bound_logger(**fields: Any) -> Any:
    """Return a structlog logger of the host's configuration, or one over the standard logger."""
    if structlog.is_configured():
        with suppress(Exception):  # of the host's wrapper
            return structlog.get_logger("runguard").bind(**fields)
    return structlog.wrap_logger(
        standard_logger(),
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(key_order=["event"]),
        ],
    ).bind(**fields)
