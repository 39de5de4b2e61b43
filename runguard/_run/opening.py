"""How a runtime gets the store that its runs write to. Loaded with the first run."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any, cast

from .._events import Events
from .._settings import Settings, is_disabled
from . import off_loop  # noqa: F401 - later it may be too late to import

if TYPE_CHECKING:
    from .repository import RunRepository, StoreFactory


def open_store(
    settings: Settings,
    stores: StoreFactory,
    events: Events,
    told: MutableMapping[str, Any],
    *,
    even_if_disabled: bool = False,
) -> RunRepository:
    """Return the store of the settings, or one that keeps nothing.

    Args:
        settings: Which store.
        stores: Where it comes from.
        events: Where to tell that it is the embedded one.
        told: What was told of it, so that it is told once.
        even_if_disabled: Whether operators ask, who look at what is there.
    """
    if is_disabled(os.environ) and not even_if_disabled:
        from .disabled import NoStore

        return cast("RunRepository", NoStore(events))  # but that its runs have no id
    url = settings.database_url
    if url is None and settings.engine is None:
        from . import embedded

        if "embedded" not in told:
            told["embedded"] = True
            embedded.announce(events)
        url = embedded.embedded_url()
    store = stores.open(
        url=url,
        engine=settings.engine,
        max_connections=settings.max_connections,
        patience=settings.store_timeout.total_seconds() / 2,
    )
    store.relaxed_start = settings.start_durability == "relaxed"
    return store
