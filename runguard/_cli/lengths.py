"""How options that are a length of time are read; Typer is not needed for it."""

from __future__ import annotations

import re
from datetime import timedelta

from .._monitor.filters import UnreadableFilter, read_duration
from .._settings import LONGEST_SETTING


def read_length(text: str) -> timedelta:
    """Read `30m`, of at most ten years.

    Raises:
        UnreadableFilter: it is no such length.
    """
    length = read_duration(text)
    if length > LONGEST_SETTING:
        raise UnreadableFilter("at most ten years", text)
    return length


def read_cooldown(text: str) -> timedelta:
    """Read `30m`, or 0 for an alert every time.

    Raises:
        UnreadableFilter: it is neither.
    """
    return timedelta(0) if re.fullmatch(r"0+[smhdw]?", text.strip()) else read_length(text)
