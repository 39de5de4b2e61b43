"""What a cooldown is kept by where each reason of a failure has one of its own."""

from __future__ import annotations

from typing import Any

from .._models import AlertDraft


def reason_values(draft: AlertDraft) -> dict[str, Any]:
    """What a cooldown is kept by beside the key: the reason, and a guard row of its own for it."""
    if draft.reason is None:
        return {}
    return {"reason": draft.reason, "guard_id": guard_id(draft)}


def guard_id(draft: AlertDraft) -> str:
    """The `source_id` of an alert's guard row."""
    source_id = draft.key.source_id
    return source_id if draft.reason is None else f"{source_id}/{draft.reason}"
