"""Failures that wait for more of them before they alert: `failures_to_alert` above 1.

Loaded only where that is set. Only a success of the job ends the row: failures of another group,
and those that raise no alert on purpose, neither count nor end it. While the incident of the key is
open nothing waits. Two failures of one moment may not see each other; then the next one alerts.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Integer,
    Text,
    bindparam,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
    table,
)

from .._models import AlertDraft, AlertOutcome, AlertVerdict, RunEnding
from .rows import Lacking, parameters
from .schema.tables import alert_cooldown, run_log

LOOKS_AT: Final = 1_000  # of the job's newest runs, at most
CAME_WITH: Final = "open_alert_id"  # the column that a schema has which knows the word `waiting`

_GUARD: Final = table(
    alert_cooldown.name,
    *(column(name, Text()) for name in ("source_type", "source_id", "alert_type", CAME_WITH)),
)


def due_of(
    candidate: CTE, lacking: Lacking, *, has_environment: bool = False
) -> tuple[CTE, tuple[Any, ...]]:
    """Keep of a failed run what need not wait; and say when it waits, with the word for it."""
    is_due = _is_due(lacking, has_environment=has_environment)
    due = select(candidate.c.id).where(is_due).cte("due")
    is_waiting = ~exists(select(literal_column("1")).select_from(due))
    word = "none" if CAME_WITH in lacking else "waiting"
    return due, ((is_waiting, literal_column(f"'{word}'", Text())),)


def waiting_values(draft: AlertDraft) -> dict[str, Any]:
    """Return what decides whether a failure waits, as columns and values."""
    return {
        "its_job": draft.detail["job_name"],
        "failures_to_alert": draft.failures_to_alert,
        "environment": draft.environment,
    }


def verdict_if_waiting(
    connection: Connection, lacking: Lacking, ending: RunEnding
) -> AlertVerdict | None:
    """Say that a failure waits, inside a transaction that lets nobody else write; else None."""
    draft = ending.alert
    assert draft is not None  # noqa: S101 - nothing else asks
    own = {"run_key": ending.key, "error_group": draft.detail["error_group"]}
    values = parameters(draft.key._asdict(), waiting_values(draft), own)
    is_due = _is_due(lacking, has_environment=draft.environment is not None)
    if connection.execute(select(is_due), values).scalar_one():
        return None
    knows = CAME_WITH not in lacking
    return AlertVerdict(AlertOutcome.WAITING if knows else AlertOutcome.NONE)


def _is_due(lacking: Lacking, *, has_environment: bool) -> ColumnElement[bool]:
    """Whether enough failures of the key came in a row, or its incident is open."""
    its_job = [run_log.c.job_name == _given("its_job")]
    if (environment := run_log.c.environment).name not in lacking:
        its = environment == _given("environment") if has_environment else environment.is_(None)
        its_job.append(its)
    newest = (
        select(run_log.c.started_at, run_log.c.status, run_log.c.error_group)
        .add_columns(run_log.c.alert_outcome)
        .where(
            *its_job,
            run_log.c.status != literal_column("'RUNNING'"),
            or_(
                run_log.c.run_key.is_(None),
                run_log.c.run_key != bindparam("in_run_key", type_=run_log.c.run_key.type),
            ),
        )
        .order_by(run_log.c.started_at.desc())
        .limit(literal_column(str(LOOKS_AT)))
        .cte("newest")
    )
    last_success = (
        select(func.max(newest.c.started_at))
        .where(newest.c.status == literal_column("'SUCCESS'"))
        .scalar_subquery()
    )
    failures = (
        select(func.count())
        .select_from(newest)
        .where(
            newest.c.status == literal_column("'FAILED'"),
            newest.c.error_group == _given("error_group"),
            or_(
                newest.c.alert_outcome.is_(None),
                newest.c.alert_outcome != literal_column("'excluded'"),
            ),
            or_(last_success.is_(None), newest.c.started_at > last_success),
        )
        .scalar_subquery()
    )
    wanted = bindparam("in_failures_to_alert", type_=Integer())
    enough = failures + literal_column("1") >= wanted
    return enough if CAME_WITH in lacking else or_(enough, _is_open())


def _is_open() -> ColumnElement[bool]:
    """Whether the key's incident is open."""
    key = ("source_type", "source_id", "alert_type")
    return exists(
        select(literal_column("1")).where(
            *(_GUARD.c[name] == _given(name) for name in key), _GUARD.c[CAME_WITH].is_not(None)
        )
    )


def _given(name: str) -> ColumnElement[Any]:
    return bindparam(f"in_{name}", type_=Text())
