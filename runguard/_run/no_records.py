"""What runs share where nothing is recorded, as while a host tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .disabled import NoStore
from .runtime import Runtime

if TYPE_CHECKING:
    from .repository import RunRepository, StoreFactory


class NoRecords(Runtime):
    """What runs share of which nothing is stored or told, whatever the settings say.

    Args:
        stores: As of the runtime in whose place it is; it opens none.
        why: Why nothing is stored, as an event says it.
    """

    def __init__(self, stores: StoreFactory, *, why: str) -> None:
        """Open nothing."""
        super().__init__(stores)
        self._why = why

    def may_hold_records(self) -> bool:
        """Replay nothing into nothing."""
        return False

    def see_to_delivery(self, *_: Any, **__: Any) -> None:
        """Tell nobody."""

    def _open_store(self, **_: bool) -> RunRepository:
        return cast("RunRepository", NoStore(self.events, self._why))
