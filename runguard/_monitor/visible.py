"""Texts that somebody else wrote, shown so that they move no cursor and turn no line around."""

from __future__ import annotations

import re
from typing import Final

# What moves a cursor, rewrites a line or turns the direction of text. JSON lets some of it stand.
MARKS: Final = r"\x7f-\x9f\u200e\u200f\u061c\u2028\u2029\u202a-\u202e\u2066-\u2069"
_OBEYED: Final = re.compile(rf"[\x00-\x1f{MARKS}]")
_OBEYED_IN_LINES: Final = re.compile(rf"[\x00-\x08\x0b-\x1f{MARKS}]")


def visible(text: object, *, lines: bool = False) -> str:
    r"""Show what a terminal or a page would obey: an escape character as `\x1b`.

    With `lines`, ends of lines and tabs stay.

    >>> visible("\x1b[31mred \u202eder")
    '\\x1b[31mred \\u202eder'
    """
    text = str(text)
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n") if lines else text
    obeyed = _OBEYED_IN_LINES if lines else _OBEYED
    return obeyed.sub(lambda found: ascii(found[0])[1:-1], text)
