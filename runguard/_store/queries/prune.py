"""Which rows are old enough to go, and the statements that delete them, for both databases.

A row that another session has locked is in use: it is skipped (SQLite has no such locks, and
nothing is rendered there). Each batch goes on where the one before it ended, so rows that stay are
not looked at again and again.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    ScalarSelect,
    Select,
    Table,
    and_,
    case,
    delete,
    false,
    func,
    literal_column,
    select,
    true,
    tuple_,
)

from ..._monitor.filters import environment_asked
from ..._monitor.records import Prunable
from ..schema.moments import db_now_plus
from ..schema.notice_tables import alert, alert_cooldown, alert_delivery
from ..schema.tables import run_log, run_note


class _Kind(NamedTuple):
    """A table: its key, what its batches go along by (nothing: any order), and whose rows it has.

    `ours` is None where no other program writes.
    """

    table: Table
    key: tuple[Column[Any], ...]
    along: tuple[Column[Any], ...]
    ours: ColumnElement[bool] | None


_KINDS: Final = {
    Prunable.RUNS: _Kind(
        run_log,
        (run_log.c.id,),
        (run_log.c.started_at, run_log.c.id),
        run_log.c.run_key.is_not(None),
    ),
    Prunable.NOTES: _Kind(
        run_note, (run_note.c.run_key,), (run_note.c.created_at, run_note.c.run_key), None
    ),
    Prunable.ALERTS: _Kind(
        alert, (alert.c.id,), (alert.c.created_at, alert.c.id), alert.c.alert_key.is_not(None)
    ),
    # One row a key and no index by time: they are few, and reading them all is quick.
    Prunable.GUARDS: _Kind(alert_cooldown, tuple(alert_cooldown.primary_key), (), None),
    Prunable.DELIVERIES: _Kind(
        alert_delivery,
        (alert_delivery.c.id,),
        (alert_delivery.c.created_at, alert_delivery.c.id),
        None,
    ),
}

_GUARD: Final = alert_cooldown.alias("guard")

_NEWER: Final = run_log.alias("newer")


# For each row one look into the index of job and time; a join might read the whole table.
def _newest_of_its_job(place: ColumnElement[bool]) -> ScalarSelect[int]:
    return (
        select(_NEWER.c.id)
        .where(_NEWER.c.job_name == run_log.c.job_name, place)
        .order_by(_NEWER.c.started_at.desc(), _NEWER.c.id.desc())
        .limit(literal_column("1"))
        .scalar_subquery()
    )


_NEWEST_OF_ITS_JOB: Final = case(
    (run_log.c.environment.is_(None), _newest_of_its_job(_NEWER.c.environment.is_(None))),
    else_=_newest_of_its_job(_NEWER.c.environment == run_log.c.environment),
)
# A replayed run keeps its host's times, which may be wrong: it ended when we heard of it.
_ENDED_AT: Final = case(
    (run_log.c.clock.is_not(None), run_log.c.updated_at),
    else_=func.coalesce(run_log.c.finished_at, run_log.c.started_at),
)
_OWN_WINDOW: Final = db_now_plus(-func.coalesce(run_log.c.cooldown_seconds, literal_column("0")))


def count(
    what: Prunable, cutoff: db_now_plus, *, include_foreign: bool, environment: str | None = None
) -> Select[Any]:
    """Build the count of all rows that may go."""
    which = partial(
        _all_of, cutoff=cutoff, include_foreign=include_foreign, environment=environment
    )
    may_go = which(what)
    if what is Prunable.NOTES:  # of the runs too that go before them
        stays = which(Prunable.RUNS).is_not(True)
        may_go = and_(run_note.c.created_at < cutoff, _its_run(stays).is_(None))
    return select(func.count()).select_from(_KINDS[what].table).where(may_go)


def delete_batch(
    what: Prunable,
    cutoff: db_now_plus,
    *,
    include_foreign: bool,
    limit: int,
    after: tuple[Any, ...] | None,
    environment: str | None = None,
) -> Executable:
    """Build the deletion of up to `limit` rows, which returns how far it went."""
    kind = _KINDS[what]
    old = select(*kind.key).where(
        _all_of(what, cutoff, include_foreign=include_foreign, environment=environment)
    )
    if kind.along:
        old = old.order_by(*kind.along)
        if after is not None:
            reached = tuple_(*after, types=[column.type for column in kind.along])
            old = old.where(tuple_(*kind.along) > reached)
    # As a CTE: a planner may run a mere subquery more than once, and delete more than the limit.
    batch = old.limit(limit).with_for_update(skip_locked=True).cte("batch")
    return (
        delete(kind.table)
        .where(tuple_(*kind.key).in_(select(batch)))
        .returning(*(kind.along or kind.key))
    )


def _all_of(
    what: Prunable, cutoff: db_now_plus, *, include_foreign: bool, environment: str | None
) -> ColumnElement[bool]:
    its = _are_of(what, environment)
    return and_(_may_go(what, cutoff, include_foreign=include_foreign), *its)


def _are_of(what: Prunable, environment: str | None) -> Iterator[ColumnElement[bool]]:
    """Yield what is asked of rows where those of one environment are meant."""
    if environment is None:
        return
    name = environment_asked(environment)
    if what is Prunable.GUARDS:  # which have nothing but a key
        key, end = alert_cooldown.c.source_id, f"@{name}"
        # LIKE has no spelling with a schema, and takes no notice of case on SQLite.
        ends = func.substr(key, func.length(key) - len(end) + 1) == end
        goes_on = func.replace(key, f"{end}/", "") != key
        yield false() if name is None else ends | goes_on
        return
    if what is Prunable.NOTES:  # their runs are gone, whatever environment they had
        return
    place = run_log.c.environment if what is Prunable.RUNS else alert.c.environment
    its = place.is_(None) if name is None else place == name
    if what is Prunable.DELIVERIES:
        its_alert = alert.c.id == alert_delivery.c.alert_id
        yield select(alert.c.id).where(its_alert, its).exists()
    else:
        yield its


def _may_go(what: Prunable, cutoff: db_now_plus, *, include_foreign: bool) -> ColumnElement[bool]:
    ours = _KINDS[what].ours
    whose = true() if include_foreign or ours is None else ours
    if what is Prunable.ALERTS:
        return and_(alert.c.created_at < cutoff, whose, _is_over(alert.c.id, alert.c.incident))
    if what is Prunable.NOTES:
        return and_(run_note.c.created_at < cutoff, _its_run().is_(None))
    if what is Prunable.GUARDS:
        return and_(
            alert_cooldown.c.last_alert_at < cutoff, alert_cooldown.c.open_alert_id.is_(None)
        )
    if what is Prunable.DELIVERIES:
        deliveries = alert_delivery.c
        its = func.coalesce(deliveries.incident, deliveries.alert_id)
        return and_(deliveries.created_at < cutoff, _is_over(its))
    return and_(
        run_log.c.started_at < cutoff,
        run_log.c.status != literal_column("'RUNNING'"),
        cutoff > _ENDED_AT,
        _OWN_WINDOW > _ENDED_AT,
        run_log.c.id != _NEWEST_OF_ITS_JOB,
        whose,
    )


# Again one look into an index for each row.
def _its_run(*its: ColumnElement[bool]) -> ScalarSelect[int]:
    """Find the run of a note, perhaps only such a one."""
    own = run_log.c.run_key == run_note.c.run_key
    return select(run_log.c.id).where(own, *its).limit(literal_column("1")).scalar_subquery()


def _is_over(*incidents: ColumnElement[Any]) -> ColumnElement[bool]:
    """What belongs to no open incident: that one is still told of."""
    return and_(
        *(
            ~select(_GUARD.c.open_alert_id).where(_GUARD.c.open_alert_id == one).exists()
            for one in incidents
        )
    )
