"""Characters that break a terminal, a log line or PostgreSQL. Loaded where there may be one."""

from __future__ import annotations

import functools
import re

ODD = "\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
"""A set of characters as regular expressions write it. None of them is printable."""


def without_odd(text: str) -> str:
    """Drop escape sequences, keep line breaks as LF, show other odd characters as U+FFFD."""
    if not _odd().search(text):
        return text
    sequences, breaks = _patterns()
    return _odd().sub("\ufffd", breaks.sub("\n", sequences.sub("", text)))


@functools.cache
def _odd() -> re.Pattern[str]:
    return re.compile(f"[{ODD}]")


@functools.cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Compile: escape sequences, and line breaks."""
    strings = (
        r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*+(?:\x07|\x1b\\|\x9c)"
    )
    sequences = rf"{strings}|(?:\x1b\[|\x9b)[0-?]*+[ -/]*+[@-~]|\x1b[ -/]*+[0-~]"
    return re.compile(sequences), re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
