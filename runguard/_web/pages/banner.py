"""What stands above every page: channels that do not deliver."""

from __future__ import annotations

from typing import Any

from ..._monitor.trail import channel_trouble
from ..._store.operator import OperatorStore


def banner(store: OperatorStore) -> dict[str, Any]:
    """Return it for a template; one small question to the store."""
    return {"trouble": channel_trouble(store.channel_states())}
