"""Recording on the schema of a release before, and noticing that it was upgraded."""

from __future__ import annotations

from typing import Final, Protocol

from sqlalchemy import Connection

from ..._clock import ticks
from ..._errors import SchemaOutOfDate, StoreUnavailable
from ..error_text import reason_of
from ..faults import DENIED, sqlstate_of
from ..rows import NO_NOTE, NOTES, NOTHING, Lacking
from .found import SELECT_VERSION
from .tables import SCHEMA_VERSION

LOOK_FOR_UPGRADE_SECONDS: Final = 300.0
# A process goes on recording on the schema of a release before, without what is added since.
VERSIONS_BEFORE: Final = frozenset({"0001", "0002", "0003", "0004", "0005"})
ADDED_BY_0003: Final = frozenset(
    {
        "error_reason",
        "matched_depth",
        "matched_rule",
        "refused",
        "lock_holder",
        "lock_held_until",
        "lost_after_seconds",
    }
)

# No run writes it; but where it is there, a run may wait for more failures.
ADDED_BY_0004: Final = frozenset({"open_alert_id"})
ADDED_BY_0005: Final = frozenset({"environment"})
ADDED_BY_0006: Final = frozenset({"version", "trace_id", "upstream", NOTES})

_ADDED: Final = {
    "0003": ADDED_BY_0003,
    "0004": ADDED_BY_0004,
    "0005": ADDED_BY_0005,
    "0006": ADDED_BY_0006,
}


class Adapting(Protocol):
    """A store that writes less where its schema is of an earlier release."""

    lacking: Lacking
    look_for_upgrade_at: float
    denial: StoreUnavailable | None


def adapts(store: Adapting, error: SchemaOutOfDate | StoreUnavailable, lacking: Lacking) -> bool:
    """Whether the store writes less now than with this lacking, for which an error came."""
    if isinstance(error, StoreUnavailable) and sqlstate_of(error.__cause__) != DENIED:
        return False
    return adapt_to(store, error) or store.lacking != lacking  # another thread may have adapted it


def adapt_to(store: Adapting, error: SchemaOutOfDate | StoreUnavailable) -> bool:
    """Write no more than can be written; False where that changes nothing."""
    reason = reason_of(error.__cause__ or error)
    is_of_notes = NOTES in reason and NOTES not in store.lacking
    remedy = f"grant select, insert, update on {NOTES} to this role"
    if isinstance(error, SchemaOutOfDate):
        # Of the tables that runs write the only one without which a failure is one all the same.
        if not is_of_notes or error.found != SCHEMA_VERSION:
            return adapt(store, error.found)
        remedy = "`runguard db check` names what is missing"
    if is_of_notes:
        text = f"runs are recorded without their notes: {reason}; {remedy}"
        store.denial = StoreUnavailable(text)
        store.lacking |= NO_NOTE
        store.look_for_upgrade_at = ticks() + LOOK_FOR_UPGRADE_SECONDS
    return is_of_notes


def adapt(store: Adapting, version: str | None) -> bool:
    """Write no more than this version has; False where that changes nothing."""
    lacked = store.lacking
    if version == SCHEMA_VERSION:  # upgraded between the statement and the look
        store.lacking = NOTHING
        return True
    if version in VERSIONS_BEFORE:
        store.lacking = NOTHING.union(*(its for newer, its in _ADDED.items() if newer > version))
        store.look_for_upgrade_at = ticks() + LOOK_FOR_UPGRADE_SECONDS
    return store.lacking != lacked


def notice_upgrade(store: Adapting, connection: Connection) -> None:
    """Look now and then whether the lacking columns have come. One look costs a round trip."""
    if ticks() >= store.look_for_upgrade_at:
        store.look_for_upgrade_at = ticks() + LOOK_FOR_UPGRADE_SECONDS
        if connection.execute(SELECT_VERSION).scalar_one_or_none() == SCHEMA_VERSION:
            store.lacking = NOTHING
