"""What `runguard doctor` says of each thing that it looked at."""

from __future__ import annotations

from enum import StrEnum

from .._frozen import frozen


class State(StrEnum):
    """How bad a finding is: a problem keeps runs from being recorded."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@frozen
class Finding:
    """What one check found, and what to do about it (empty where it is well)."""

    check: str
    state: State
    found: str
    remedy: str = ""
