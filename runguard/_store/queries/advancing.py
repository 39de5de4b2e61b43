"""Where alerts that are dispatched stand in their incidents: a whole batch in a few statements."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    and_,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
    update,
)

from ..._failure.alert import FAILURE_ALERT_TYPE, FAILURE_SOURCE_TYPE
from ..._models import Severity
from ..._monitor import incidents as deciding
from ..._monitor.expectations import JOB_SOURCE_TYPE, FindingType
from ..._monitor.incidents import RECOVERED, REOPENED, SILENCE_ENDED
from ..._monitor.notices import Standing
from ..schema.notice_tables import alert, alert_cooldown
from .foreign import time_of
from .given import given
from .terms import inserting, key_parts

LOOKS_AT: Final = 200  # of an incident's newest alerts

_GUARD: Final = alert_cooldown.c
_KEY: Final = (_GUARD.source_type, _GUARD.source_id, _GUARD.alert_type)
_STATE: Final = (
    *(_GUARD.open_alert_id, _GUARD.closed_alert_id, _GUARD.opened_at, _GUARD.closed_at),
    *(_GUARD.reopened, _GUARD.acked_until, _GUARD.acked_by),
)
_IN_AN_INCIDENT: Final = frozenset({RECOVERED, REOPENED, SILENCE_ENDED})
_RANKS: Final = {word.value: rank for rank, word in enumerate(Severity)}

Key = tuple[str, str, str]  # `source_type`, `source_id` and `alert_type`


class DispatchedAlert(Protocol):
    """What `advance` must know of an alert; `incident` is the column."""

    id: int
    source_type: str
    source_id: str
    alert_type: str
    severity: str
    created_at: datetime
    detail: Any
    incident: int | None
    resolved: bool | None


class Advanced(NamedTuple):
    """Where an alert stands, and the incident's state with it in."""

    standing: Standing
    incident: int
    opened_at: datetime
    was_severity: str | None = None
    acked_until: datetime | None = None
    acked_by: str | None = None


@dataclass(slots=True)
class _Guard:
    """The state of a key's incident; it moves on from alert to alert."""

    open_alert_id: int | None
    closed_alert_id: int | None
    opened_at: datetime | None
    closed_at: datetime | None
    reopened: int | None
    acked_until: datetime | None
    acked_by: str | None


class _Earlier(NamedTuple):
    """An alert of an incident that was dispatched before."""

    id: int
    resolved: bool | None
    severity: str


def advance(connection: Connection, alerts: Sequence[DispatchedAlert]) -> list[Advanced]:
    """Let alerts that are dispatched open, go on with or reopen their incidents, in their order.

    Inside the caller's transaction. Only failures of runs and findings of jobs have incidents, and
    what is told of those; any other alert stands alone. Calling it twice for one alert changes
    nothing.
    """
    told, found, failed = [], [], []
    for one in alerts:
        if one.alert_type in _IN_AN_INCIDENT and one.incident is not None:
            told.append(one)
        elif one.source_type == JOB_SOURCE_TYPE and one.alert_type in FindingType.__members__:
            found.append(one)
        elif _is_failure(one):
            failed.append(one)
    places = _of_told(connection, told) | _of_found(connection, found)
    places |= _of_failed(connection, failed)
    return [places.get(one.id) or _alone(one) for one in alerts]


def _is_failure(one: DispatchedAlert) -> bool:
    its = (one.source_type, one.alert_type)
    return its == (FAILURE_SOURCE_TYPE, FAILURE_ALERT_TYPE) and key_parts(one.source_id) is not None


def _alone(one: DispatchedAlert) -> Advanced:
    return Advanced(Standing.ALONE, one.id, one.created_at)


def _key_of(one: DispatchedAlert) -> Key:
    return one.source_type, one.source_id, one.alert_type


def _of_failed(connection: Connection, failed: Sequence[DispatchedAlert]) -> dict[int, Advanced]:
    """Move the guards of failures on; nobody else changes them until the commit."""
    if not failed:
        return {}
    guards = _locked_guards(connection, failed)
    incidents = (one.open_alert_id or one.closed_alert_id for one in guards.values())
    earlier = _earlier(connection, incidents)
    places: dict[int, Advanced] = {}
    moved: dict[Key, _Guard] = {}
    for one in failed:
        guard = guards[_key_of(one)]
        if guard.open_alert_id is None:
            moved[_key_of(one)] = guard
        place = places[one.id] = _advanced(one, guard, earlier)
        its = _Earlier(one.id, one.resolved, one.severity)
        earlier.setdefault(place.incident, []).append(its)
    _write_guards(connection, moved)
    return places


def _advanced(
    one: DispatchedAlert, guard: _Guard, earlier: Mapping[int, Iterable[_Earlier]]
) -> Advanced:
    """Say where a failure stands, and let its guard stand there too."""
    failed_at = _occurred_at(one)
    was_resolved, was_severity = _state_before(one, guard.open_alert_id, earlier)
    standing = deciding.standing_of(
        one.id,
        failed_at,
        open_id=guard.open_alert_id,
        closed_id=guard.closed_alert_id,
        closed_at=guard.closed_at,
        was_resolved=was_resolved,
    )
    ack = (guard.acked_until, guard.acked_by)  # also from between the failure and its dispatch
    if guard.open_alert_id is not None:
        opened_at = guard.opened_at or failed_at
        return Advanced(standing, guard.open_alert_id, opened_at, was_severity, *ack)
    closed, came_back = guard.closed_alert_id, standing is Standing.REOPENED
    incident = one.id if closed is None or not came_back else closed
    if came_back:
        _, was_severity = _state_before(one, incident, earlier)
    guard.open_alert_id = incident
    guard.opened_at = (guard.opened_at if came_back else None) or failed_at
    guard.reopened = (guard.reopened or 0) + 1 if came_back else 0
    guard.closed_alert_id = guard.closed_at = None
    return Advanced(standing, incident, guard.opened_at, was_severity, *ack)


def _of_told(connection: Connection, told: Sequence[DispatchedAlert]) -> dict[int, Advanced]:
    """Say where alerts stand that tell of an incident: a recovery, or that it fails again."""
    if not told:
        return {}
    columns: dict[Column[Any], Sequence[Any]] = {
        alert.c.id: [one.id for one in told],
        alert.c.source_type: [one.source_type for one in told],
        alert.c.source_id: [one.source_id for one in told],
        alert.c.incident: [one.incident for one in told],
    }
    asked = given(connection, "asked", columns)
    its = (_GUARD.open_alert_id == asked.c.incident, _GUARD.closed_alert_id == asked.c.incident)
    is_its = and_(*(_is_same(column, asked) for column in _KEY[:2]), or_(*its))
    query = select(asked.c.id, _GUARD.opened_at).join_from(asked, alert_cooldown, is_its)
    opened_at = {row.id: row.opened_at for row in connection.execute(query)}
    return {
        one.id: Advanced(
            Standing.OPEN if one.alert_type == RECOVERED else Standing.REOPENED,
            one.incident or one.id,
            opened_at.get(one.id) or one.created_at,
        )
        for one in told
    }


def _of_found(connection: Connection, found: Sequence[DispatchedAlert]) -> dict[int, Advanced]:
    """Say where findings stand: whoever wrote one has opened its incident, and none reopens.

    No lock is taken: who writes verdicts holds guards and waits for alerts.
    """
    if not found:
        return {}
    guards = _guards(connection, map(_key_of, found))
    earlier = _earlier(connection, (one.incident for one in found))
    places = {}
    for one in found:
        if (guard := guards.get(_key_of(one))) is None:  # another program's
            continue
        incident = one.incident or one.id
        is_open = guard.open_alert_id == incident
        places[one.id] = Advanced(
            Standing.FIRST if one.incident is None else Standing.OPEN,
            incident,
            guard.opened_at or one.created_at,
            _state_before(one, one.incident, earlier)[1],
            *((guard.acked_until, guard.acked_by) if is_open else (None, None)),
        )
    return places


def _locked_guards(connection: Connection, failed: Sequence[DispatchedAlert]) -> dict[Key, _Guard]:
    """Return the guards of failures, made where there are none, and all locked in one order."""
    first = {_key_of(one): one.created_at for one in reversed(failed)}
    keys = sorted(first)
    new = _asked(connection, keys, {_GUARD.last_alert_at: [first[key] for key in keys]})
    columns = (*_KEY, _GUARD.last_alert_at)
    values = select(*(new.c[column.name] for column in columns)).where(true())
    names = [column.name for column in columns]
    connection.execute(inserting(connection, alert_cooldown).from_select(names, values))
    return _guards(connection, first, locks=True)


def _guards(
    connection: Connection, keys: Iterable[Key], *, locks: bool = False
) -> dict[Key, _Guard]:
    asked = _asked(connection, sorted({*keys}))
    is_its = and_(*(_is_same(column, asked) for column in _KEY))
    query = select(*_KEY, *_STATE).join_from(asked, alert_cooldown, is_its).order_by(*_KEY)
    if locks:
        query = query.with_for_update(of=alert_cooldown)
    rows = connection.execute(query)
    return {(row[0], row[1], row[2]): _Guard(*row[len(_KEY) :]) for row in rows}


def _write_guards(connection: Connection, moved: Mapping[Key, _Guard]) -> None:
    """Write that incidents were opened."""
    if not moved:
        return
    columns = (_GUARD.open_alert_id, _GUARD.opened_at, _GUARD.reopened)
    state = {one: [getattr(guard, one.name) for guard in moved.values()] for one in columns}
    opened = _asked(connection, [*moved], state)
    connection.execute(
        update(alert_cooldown)
        .where(*(_is_same(column, opened) for column in _KEY))
        .values(
            {column: opened.c[column.name] for column in columns}
            | {_GUARD.closed_alert_id: null(), _GUARD.closed_at: null()}
        )
    )


def _asked(
    connection: Connection,
    keys: Sequence[Key],
    beside: Mapping[Column[Any], Sequence[Any]] = MappingProxyType({}),
) -> FromClause:
    columns = {column: [key[place] for key in keys] for place, column in enumerate(_KEY)}
    return given(connection, "asked", {**columns, **beside})


def _is_same(column: Column[Any], its: FromClause) -> ColumnElement[bool]:
    return column == its.c[column.name]


def _earlier(connection: Connection, incidents: Iterable[int | None]) -> dict[int, list[_Earlier]]:
    """Read the newest alerts of incidents, those of recoveries left out."""
    wanted = sorted({one for one in incidents if one is not None})
    if not wanted:
        return {}
    asked = given(connection, "asked", {alert.c.incident: wanted})
    its = (alert.c.id, alert.c.resolved, alert.c.severity)
    found = union_all(
        *(
            select(asked.c.incident.label("its_incident"), *its)
            .join_from(asked, alert, number == asked.c.incident)
            .where(alert.c.alert_type != RECOVERED)
            for number in (alert.c.id, alert.c.incident)  # each by its own index
        )
    ).subquery("found")
    newest_first = func.row_number().over(
        partition_by=found.c.its_incident, order_by=found.c.id.desc()
    )
    placed = select(*found.c, newest_first.label("place")).subquery("placed")
    query = (
        select(placed.c.its_incident, placed.c.id, placed.c.resolved, placed.c.severity)
        .where(placed.c.place <= literal_column(str(LOOKS_AT)))
        .order_by(placed.c.id)
    )
    earlier: dict[int, list[_Earlier]] = {}
    for incident, *rest in connection.execute(query):
        earlier.setdefault(incident, []).append(_Earlier(*rest))
    return earlier


def _state_before(
    one: DispatchedAlert, incident: int | None, earlier: Mapping[int, Iterable[_Earlier]]
) -> tuple[bool, str | None]:
    """Whether somebody had resolved the incident's newest alert, and its highest severity."""
    if incident is None:
        return False, None
    before = [its for its in earlier.get(incident, ()) if its.id < one.id]
    newest = max(before, key=attrgetter("id"), default=None)
    if newest is None:
        return False, None
    highest = max((its.severity for its in before), key=lambda word: _RANKS.get(word, -1))
    return bool(newest.resolved), highest


def _occurred_at(one: DispatchedAlert) -> datetime:
    """Return when a failure occurred: a record that came late says so."""
    found = time_of(one.detail.get("occurred_at")) if isinstance(one.detail, dict) else None
    return one.created_at if found is None else min(found, one.created_at)
