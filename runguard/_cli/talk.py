"""What is said to the person in front of the screen, on stderr.

Apart from the tables, so that a command that prints none loads nothing for them.
"""

from __future__ import annotations

import re
import sys
from typing import Final

# What moves a cursor, rewrites a line or turns the direction of text. JSON lets some of it stand.
MARKS: Final = r"\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_OBEYED: Final = re.compile(rf"[\x00-\x1f{MARKS}]")


def say(text: str) -> None:
    """Talk to the person in front of the screen."""
    sys.stderr.write("\n".join(visible(line) for line in text.split("\n")) + "\n")


def visible(text: object) -> str:
    r"""Show what a terminal would obey: an escape character as `\x1b`."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], str(text))


def one_line(text: object) -> str:
    """Put a text in one line, every white space a single blank, and make it visible."""
    return visible(" ".join(str(text).split()))
