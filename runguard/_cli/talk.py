"""What is said to the person in front of the screen, on stderr.

Apart from the tables, so that a command that prints none loads nothing for them.
"""

from __future__ import annotations

import sys

from .._monitor.visible import visible


def say(text: str) -> None:
    """Talk to the person in front of the screen."""
    sys.stderr.write("\n".join(visible(line) for line in text.split("\n")) + "\n")


def one_line(text: object) -> str:
    """Put a text in one line, every white space a single blank, and make it visible."""
    return visible(" ".join(str(text).split()))
