"""The cooldown on PostgreSQL: who may raise an alert, decided inside one statement.

A key (source_type, source_id, alert_type) may alert if no alert of it is younger than the
cooldown, by the database's clock; what is dated in the future covers nothing. Looking and then
inserting is not enough: a READ COMMITTED snapshot is taken before the statement waits for any lock,
so all who fail at once would look, see nothing, and insert. The claim therefore goes through a
guard row, one for each key, in `alert_cooldown`: `ON CONFLICT DO UPDATE` locks it and reads it
anew, so exactly one of them moves it forward.

In front of the guard stands a look that takes no lock: a failure that the snapshot already shows to
be covered never touches the guard row, and suppressed failures never wait for each other. The
look also sees the alerts of other programs, which know no guard.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from sqlalchemy import (
    CTE,
    Column,
    ColumnElement,
    Interval,
    Table,
    Text,
    bindparam,
    case,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from ..rows import NOTHING, Lacking
from ..schema.tables import alert, alert_cooldown

SOURCE_TYPE = bindparam("in_source_type", type_=alert.c.source_type.type)
SOURCE_ID = bindparam("in_source_id", type_=alert.c.source_id.type)
ALERT_TYPE = bindparam("in_alert_type", type_=alert.c.alert_type.type)
REASON = bindparam("in_reason", type_=Text())
GUARD_ID = bindparam("in_guard_id", type_=Text())  # the key's, for one reason of it
COOLDOWN = bindparam("in_cooldown", type_=Interval(native=True))

_NO_COOLDOWN = literal_column("interval '0'") == COOLDOWN
_WINDOW_START = func.now() - COOLDOWN
# A clock that stepped back, or another program, may have left times of the future: they cover
# nothing, or a key would be silent for as long. A minute is left for clocks that differ.
_WINDOW_END = func.now() + literal_column("interval '1 minute'")


def _inside(table: Table, source_id: Any, time: Column[Any]) -> list[ColumnElement[bool]]:
    """The rows of the key whose time is inside the window."""
    key = {"source_type": SOURCE_TYPE, "source_id": source_id, "alert_type": ALERT_TYPE}
    within = [time >= _WINDOW_START, time <= _WINDOW_END, ~_NO_COOLDOWN]
    return [*(table.c[name] == value for name, value in key.items()), *within]


class How(NamedTuple):
    """How a cooldown is asked: by reason, by failures that wait for more, in an environment."""

    by_reason: bool = False
    waits: bool = False
    has_environment: bool = False


PLAINLY: Final = How()


class Claim(NamedTuple):
    """The steps of the decision.

    `covering` holds the youngest alert inside the window (`id`, `created_at`), `guarded` the
    guard's `last_alert_at` where that lies inside it, and `claimed` a row where the alert may be
    written. `waiting` says where the failure waits for more, and which word is its outcome.
    """

    covering: CTE
    guarded: CTE
    claimed: CTE
    waiting: tuple[tuple[ColumnElement[bool], ColumnElement[str]], ...] = ()
    has_environment: bool = False


def claim_alert(candidate: CTE, how: How = PLAINLY, lacking: Lacking = NOTHING) -> Claim:
    """Build the decision for each row of `candidate`: one row where there is something to alert.

    A cooldown of 0 claims always, and moves the guard forward for those that have one. Where it is
    kept by reason, alerts of the key for other reasons cover nothing; each reason has its guard.
    """
    waiting: Any = ()
    if how.waits:
        from ..waiting import due_of

        candidate, waiting = due_of(candidate, lacking, has_environment=how.has_environment)
    same_reason = (
        literal_column("(alert.detail OPERATOR(pg_catalog.->>) 'reason')", Text()) == REASON
    )
    guard_id = GUARD_ID if how.by_reason else SOURCE_ID
    covering = (
        select(alert.c.id, alert.c.created_at)
        .where(
            *_inside(alert, SOURCE_ID, alert.c.created_at),
            *([same_reason] if how.by_reason else []),
        )
        .order_by(alert.c.created_at.desc())
        .limit(literal_column("1"))
        .cte("covering")
    )
    guard = alert_cooldown
    guarded = (
        select(guard.c.last_alert_at)
        .where(*_inside(guard, guard_id, guard.c.last_alert_at))
        .cte("guarded")
    )
    uncovered = (
        select(SOURCE_TYPE, guard_id, ALERT_TYPE, func.now())
        .select_from(candidate)
        .where(~exists(select(literal_column("1")).select_from(covering)))
        .where(~exists(select(literal_column("1")).select_from(guarded)))
    )
    claim = insert(guard).from_select(
        ["source_type", "source_id", "alert_type", "last_alert_at"], uncovered
    )
    believable = case((guard.c.last_alert_at <= _WINDOW_END, guard.c.last_alert_at))
    claimed = (
        claim.on_conflict_do_update(
            index_elements=[guard.c.source_type, guard.c.source_id, guard.c.alert_type],
            set_={"last_alert_at": func.greatest(believable, func.now())},
            where=or_(
                _NO_COOLDOWN,
                guard.c.last_alert_at < _WINDOW_START,
                guard.c.last_alert_at > _WINDOW_END,
            ),
        )
        .returning(guard.c.last_alert_at)
        .cte("claimed")
    )
    return Claim(covering, guarded, claimed, waiting, how.has_environment)
