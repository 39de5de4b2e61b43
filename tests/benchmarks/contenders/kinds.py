"""What is run: the same bodies for every contender."""

from __future__ import annotations

from itertools import count
from typing import Literal

Kind = Literal["success", "failure that alerts", "failure that is suppressed"]
KINDS: tuple[Kind, ...] = ("success", "failure that alerts", "failure that is suppressed")

_numbers = count(1)


def job_name(kind: Kind, contender: str) -> str:
    """A job of its own for each alerting failure, so that its key is fresh; else the same one."""
    if kind == "failure that alerts":
        return f"{contender}-{next(_numbers)}"
    return contender


def succeed() -> None:
    """A body that does nothing."""


def fail() -> None:
    """A body that fails in other words each time: what was found out of the last one is no help."""
    raise ValueError(f"bad input {next(_numbers)}")
