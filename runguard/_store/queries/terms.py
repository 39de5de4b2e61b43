"""What the questions of a page have in common: columns, conditions, orders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    or_,
    select,
    tuple_,
    type_coerce,
)

from ..._failure.alert import FAILURE_ALERT_TYPE, FAILURE_SOURCE_TYPE, failure_key
from ..._frozen import field_names
from ..._models import ErrorGroup
from ..._monitor.expectations import JOB_SOURCE_TYPE
from ..._monitor.filters import ANY_LETTER, ANY_TEXT, is_pattern
from ..._monitor.records import AlertRecord, RunCell, RunRecord
from ..schema.expressions import finite, names_run
from ..schema.notice_tables import alert
from ..schema.tables import run_log
from ..schema.types import UtcDateTime

LARGEST_ID: Final = 2**63 - 1


def readable(columns: Iterable[ColumnElement[Any]]) -> tuple[ColumnElement[Any], ...]:
    """Return columns as they can be read, whatever other programs have written."""
    return tuple(
        finite(column).label(column.key) if isinstance(column.type, UtcDateTime) else column
        for column in columns
    )


RUN_COLUMNS: Final = readable(run_log.c[name] for name in field_names(RunRecord))
ALERT_COLUMNS: Final = readable(alert.c[name] for name in field_names(AlertRecord))
RUN_PLACE: Final = (run_log.c.started_at, run_log.c.id)
ALERT_PLACE: Final = (alert.c.created_at, alert.c.id)
# A cell's start is never infinite: it was found by its place in time.
CELL_COLUMNS: Final = tuple(
    run_log.c[name] if name != "finished_at" else finite(run_log.c[name]).label(name)
    for name in field_names(RunCell)
)

# Literals, not parameters: only so does the planner see that a partial index fits.
FAILED_RUN: Final = run_log.c.status == literal_column("'FAILED'")
OPEN_RUN: Final = run_log.c.status == literal_column("'RUNNING'")
# A start that the lock refused is no run of the job: it neither fails the job nor shows its pace.
BEGAN: Final = run_log.c.refused.is_not(True)
REFUSED: Final = literal_column("run_log.refused", Boolean())  # in the words of its index
FAILURE_ALERT: Final = and_(
    alert.c.source_type == literal_column(f"'{FAILURE_SOURCE_TYPE}'"),
    alert.c.alert_type == literal_column(f"'{FAILURE_ALERT_TYPE}'"),
)
FINDING: Final = alert.c.source_type == literal_column(f"'{JOB_SOURCE_TYPE}'")


_GROUPS: Final = {str(group): group for group in ErrorGroup}
_NEVER_STORED: Final = re.compile("[\x00\ud800-\udfff]")


def storable(text: str) -> str:
    """Return a text as it may be compared with stored ones: no database takes every character."""
    return _NEVER_STORED.sub("\ufffd", text)


def keys_of(job_name: str, environment: str | None = None) -> dict[str, ErrorGroup]:
    """Return the `source_id` of a job's failure alerts, for each group."""
    name = storable(job_name)
    return {failure_key(name, group, environment).source_id: group for group in ErrorGroup}


class KeyParts(NamedTuple):
    """What the `source_id` of a failure alert says."""

    job_name: str
    error_group: ErrorGroup
    environment: str | None


@lru_cache(maxsize=32_768)  # a page asks for all of thousands of jobs at each of its looks
def key_parts(source_id: str | None) -> KeyParts | None:
    """Take the `source_id` of a failure alert apart; None where another program made it up.

    >>> key_parts("nightly:TIMEOUT@staging")
    KeyParts(job_name='nightly', error_group=<ErrorGroup.TIMEOUT: 'TIMEOUT'>, environment='staging')
    """
    name, _, rest = (source_id or "").rpartition(":")
    group, _, environment = rest.partition("@")
    if not name or group not in _GROUPS:
        return None
    return KeyParts(name, _GROUPS[group], environment or None)


def is_in(environment: str | None) -> ColumnElement[bool]:
    """The runs of one environment; of those that have none where it is None."""
    its = run_log.c.environment
    return its.is_(None) if environment is None else its == storable(environment)


def of_job(job_name: str) -> ColumnElement[bool]:
    """The runs of a job that began, and have a place in time, in any environment."""
    return and_(run_log.c.job_name == storable(job_name), BEGAN, has_place(run_log.c.started_at))


def of_job_in(job_name: str, environment: str | None) -> ColumnElement[bool]:
    """The same in one environment."""
    return and_(of_job(job_name), is_in(environment))


def fits_any(
    column: ColumnElement[str], asked: Iterable[str], engine: Engine
) -> ColumnElement[bool]:
    """What is one of these names, or fits one of these patterns, letter by letter."""
    texts = [storable(text) for text in asked]
    names = [text for text in texts if not is_pattern(text)]
    fitting = [_fits(column, text, engine) for text in texts if is_pattern(text)]
    return or_(*([column.in_(names)] if names else []), *fitting)


def _fits(column: ColumnElement[str], pattern: str, engine: Engine) -> ColumnElement[bool]:
    if speaks_sqlite(engine):  # its LIKE takes no notice of case
        return column.bool_op("GLOB")(pattern.replace("[", "[[]"))
    for sign in "\\%_":
        pattern = pattern.replace(sign, f"\\{sign}")
    # The operator that LIKE stands for, which a statement can name with its schema.
    return column.bool_op("~~")(pattern.replace(ANY_TEXT, "%").replace(ANY_LETTER, "_"))


def alert_of(run: FromClause) -> ColumnElement[int]:
    """The alert that reports a run: the one that covers it, else the newest that it raised.

    An alert's detail names the run that raised it, and nothing else does.
    """
    its = alert.alias("its")
    # A run that seemed lost, and then succeeded, has no group any more.
    lost_at: ColumnElement[Any] = run.c.lost_at
    group = func.coalesce(run.c.error_group, case((lost_at.is_not(None), "UNKNOWN")))
    suffix: ColumnElement[Any] = literal_column("'@'", Text()) + run.c.environment
    environment = func.coalesce(suffix, literal_column("''", Text()))
    raised = (
        select(its.c.id)
        .where(
            its.c.source_type == literal_column(f"'{FAILURE_SOURCE_TYPE}'"),
            its.c.alert_type == literal_column(f"'{FAILURE_ALERT_TYPE}'"),
            its.c.source_id == run.c.job_name + literal_column("':'") + group + environment,
            names_run(its.c.detail, run.c.id),
        )
        .order_by(its.c.created_at.desc(), its.c.id.desc())
        .limit(literal_column("1"))
        .correlate(run)
    )
    return func.coalesce(run.c.covered_by, raised.scalar_subquery())


def reason_in(detail: ColumnElement[Any], engine: Engine) -> ColumnElement[str | None]:
    """The reason that a failure alert's detail names; NULL where it names none."""
    if speaks_sqlite(engine):
        found = func.json_extract(detail, "$.reason")
        return cast(case((func.json_valid(detail) == 1, found)), Text())
    return type_coerce(detail.op("->>")(literal_column("'reason'")), Text())


def has_place(time: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether a row stands somewhere in time, and not nowhere or at the end of all."""
    return finite(time).is_not(None)


def in_order(
    query: Select[Any], place: Sequence[ColumnElement[Any]], *, ascending: bool
) -> Select[Any]:
    """Sort by a place in time."""
    return query.order_by(*(column.asc() if ascending else column.desc() for column in place))


def beyond(
    place: Sequence[Column[Any]], instant: datetime | None, row_id: int, *, ascending: bool
) -> ColumnElement[bool]:
    """What comes after a row, in that order."""
    here = tuple_(*place)
    possible_id = max(-LARGEST_ID, min(row_id, LARGEST_ID))
    there = tuple_(instant, possible_id, types=[column.type for column in place])
    return here > there if ascending else here < there


def first_success(
    condition: ColumnElement[bool],
    *,
    ascending: bool,
    within: int,
    correlated: FromClause | None = None,
) -> Select[Any]:
    """The first success among the first `within` runs in that order: the search has an end."""
    searched = select(*CELL_COLUMNS).where(condition).correlate(correlated)
    runs = in_order(searched, RUN_PLACE, ascending=ascending).limit(within).subquery()
    found = select(*runs.c).where(runs.c.status == literal_column("'SUCCESS'"))
    place = [runs.c[column.name] for column in RUN_PLACE]
    return in_order(found, place, ascending=ascending).limit(1)


def speaks_sqlite(engine: Engine) -> bool:
    """Whether statements are SQLite's, where the two databases differ."""
    return engine.dialect.name == "sqlite"


def inserting(connection: Connection, table: Table) -> Any:
    """An INSERT that leaves a row alone that is there already."""
    return inserting_into(table, is_sqlite=connection.dialect.name == "sqlite")


def inserting_into(table: Table, *, is_sqlite: bool) -> Any:
    """As `inserting`, for those that hold no connection."""
    # Each dialect on its own: a command that uses one does not wait for the other to be imported.
    if is_sqlite:
        from sqlalchemy.dialects.sqlite import insert

        return insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects.postgresql import insert as insert_there

    return insert_there(table).on_conflict_do_nothing()
