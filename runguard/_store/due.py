"""Whether anybody is still to be told of something, asked by a process that runs jobs.

One statement over partial indexes. Apart from the tables of delivery, which no run loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    column,
    literal_column,
    or_,
    select,
    table,
)

from .._errors import SchemaOutOfDate, StoreUnavailable
from .._models import ErrorGroup, in_environment
from .base import BaseStore
from .schema.clock import db_now
from .schema.moments import db_now_plus

# Spelled in the statement: a plan for any parameter could not use the partial indexes.
_PENDING: Final[ColumnElement[str]] = literal_column("'pending'")
_SENDING: Final[ColumnElement[str]] = literal_column("'sending'")
_ALERT: Final = table("alert", column("dispatch"))
_DELIVERY: Final = table(
    "alert_delivery",
    *map(column, ("state", "channel", "next_attempt_at", "claim_expires_at")),
)
_CHANNEL: Final = table("channel_state", *map(column, ("channel", "disabled_at", "not_before")))
_GUARD: Final = table(
    "alert_cooldown", *map(column, ("source_type", "source_id", "alert_type", "open_alert_id"))
)
_JOB: Final = table("job", *map(column, ("expectation", "declared_at", "retired_at")))
_MONITOR: Final = table("monitor", column("last_round_at"))

UNWATCHED_SECONDS: Final = 900.0
_NO_RIGHT: Final = "SQLSTATE 42501"
_ONE: Final[ColumnElement[int]] = literal_column("1")


def _is_any(*conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(_ONE).where(*conditions).exists()


_is_held = (
    select(_ONE)
    .select_from(_CHANNEL)
    .where(
        _CHANNEL.c.channel == _DELIVERY.c.channel,
        or_(_CHANNEL.c.disabled_at.is_not(None), _CHANNEL.c.not_before > db_now()),
    )
    .correlate(_DELIVERY)
    .exists()
)
_may_be_claimed = or_(
    and_(
        _DELIVERY.c.state == _PENDING,
        or_(_DELIVERY.c.next_attempt_at.is_(None), _DELIVERY.c.next_attempt_at <= db_now()),
    ),
    and_(_DELIVERY.c.state == _SENDING, _DELIVERY.c.claim_expires_at <= db_now()),
)
# Jobs are expected, no monitor has looked for as long, and no alert says so yet.
_LONG_AGO: Final = db_now_plus(-UNWATCHED_SECONDS)
_IS_UNWATCHED: Final = and_(
    _is_any(
        _JOB.c.expectation.is_not(None), _JOB.c.retired_at.is_(None), _JOB.c.declared_at < _LONG_AGO
    ),
    ~_is_any(_MONITOR.c.last_round_at >= _LONG_AGO, _MONITOR.c.last_round_at <= db_now_plus(60.0)),
    ~_is_any(
        _GUARD.c.source_type == literal_column("'job'"),
        _GUARD.c.source_id == literal_column("'runguard'"),
        _GUARD.c.alert_type == literal_column("'UNWATCHED'"),
        _GUARD.c.open_alert_id.is_not(None),
    ),
)
_is_of_these_jobs = _GUARD.c.source_id.in_(bindparam("keys", expanding=True))
_IS_TO_BE_TOLD: Final = or_(
    _is_any(_ALERT.c.dispatch == _PENDING),
    _is_any(_may_be_claimed, ~_is_held),
    _is_any(_GUARD.c.open_alert_id.is_not(None), _is_of_these_jobs),
)
_DUE: Final = select(or_(_IS_TO_BE_TOLD, _IS_UNWATCHED))
_DUE_WITHOUT_WATCH: Final = select(_IS_TO_BE_TOLD)


def is_delivery_due(
    store: BaseStore,
    job_names: Sequence[str],
    *,
    timeout: float,
    environment: str | None = None,
) -> bool:
    """Whether an alert or a notice waits, an incident of these jobs is open, or nobody watches.

    Never on the schema of a release that delivers nothing. Where the schema, or what the role may
    read, is of a release that watches nothing, alerts are delivered all the same.

    Raises:
        StoreUnavailable: the time is up, or the store is away.
    """
    keys = [
        in_environment(f"{name}:{group}", environment) for name in job_names for group in ErrorGroup
    ]

    def answer(question: Select[Any]) -> bool:
        return bool(
            store._attempts.run(
                lambda attempt: attempt.connection.execute(question, {"keys": keys}).scalar_one(),
                timeout=timeout,
            )
        )

    try:
        return answer(_DUE)
    except SchemaOutOfDate:
        pass
    except StoreUnavailable as error:
        if _NO_RIGHT not in str(error):
            raise
    try:
        return answer(_DUE_WITHOUT_WATCH)
    except SchemaOutOfDate:
        return False
