"""How a runtime gets the store that its runs write to. Loaded with the first run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from .._settings import is_disabled

if TYPE_CHECKING:
    from .repository import RunRepository
    from .runtime import Runtime


def open_store(runtime: Runtime, *, even_if_disabled: bool = False) -> RunRepository:
    """Return the store of a runtime's settings, or one that keeps nothing."""
    settings = runtime.settings()
    if is_disabled(os.environ) and not even_if_disabled:
        from .disabled import NoStore

        return cast("RunRepository", NoStore(runtime.events))  # but that its runs have no id
    url = settings.database_url
    if url is None and settings.engine is None:
        from . import embedded

        if "embedded" not in runtime.made_late:
            runtime.made_late["embedded"] = True
            embedded.announce(runtime.events)
        url = embedded.embedded_url()
    return runtime.stores.open(
        url=url,
        engine=settings.engine,
        max_connections=settings.max_connections,
        patience=settings.store_timeout.total_seconds() / 2,
    )
