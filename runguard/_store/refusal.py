"""The columns of a start that a lock has refused."""

from __future__ import annotations

from typing import Any

from .._models import RunEnding
from .rows import NOTHING, REFUSAL_COLUMNS, Lacking, present


def refusal_values(ending: RunEnding, lacking: Lacking = NOTHING) -> dict[str, Any]:
    """Whether the body was kept from beginning, and by whose lock."""
    holder = ending.refused_by
    if holder is None:
        return present(dict.fromkeys(REFUSAL_COLUMNS), lacking)
    values = dict(zip(REFUSAL_COLUMNS, (True, *holder), strict=True))
    return present(values, lacking)
