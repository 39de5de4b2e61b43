"""What a job's process says of its jobs, and that nobody watches them.

Apart from the tables of watching, which no run loads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    case,
    column,
    func,
    literal_column,
    null,
    or_,
    select,
    table,
    update,
)
from sqlalchemy import insert as plain_insert

from .._monitor.expectations import (
    JOB_SOURCE_TYPE,
    MONITOR_SOURCE_ID,
    SEVERITY_OF_FINDING,
    Declarer,
    Expectation,
    FindingType,
    JobDeclaration,
)
from .._monitor.wording import counted, utc
from .base import BaseStore
from .retry import Attempt
from .schema.clock import db_now
from .schema.moments import db_now_plus
from .schema.tables import alert
from .schema.types import JSON_DOCUMENT, UtcDateTime

TEXTS: Final = ("owner", "runbook", "description")
_SCHEDULE: Final[tuple[str, ...]] = ("every", "cron", "calendar", "tz", "learn")
# Judged anew from now on, where the schedule is another one.
UNJUDGED: Final[Mapping[str, Any]] = {
    "judged_at": null(),
    "next_due_at": null(),
    "grace_seconds": null(),
}
_JOB: Final = table(
    "job",
    column("job_name", Text()),
    column("environment", Text()),
    column("expectation", JSON_DOCUMENT),
    *(column(name, Text()) for name in (*TEXTS, "declared_by", "declared_who", "spec_hash")),
    column("declarations", JSON_DOCUMENT),
    *(column(f"{name}_at", UtcDateTime()) for name in ("declared", "retired", "next_due")),
    *(column(f"{name}_at", UtcDateTime()) for name in ("look", "judged", "updated")),
    column("grace_seconds"),
)
_MONITOR: Final = table("monitor", column("last_round_at", UtcDateTime()))
_GUARD: Final = table(
    "alert_cooldown",
    *(column(name, Text()) for name in ("source_type", "source_id", "alert_type")),
    *(column(name, UtcDateTime()) for name in ("last_alert_at", "opened_at", "closed_at")),
    *(column(name) for name in ("open_alert_id", "closed_alert_id", "reopened")),
)
_UNWATCHED: Final = {
    "source_type": JOB_SOURCE_TYPE,
    "source_id": MONITOR_SOURCE_ID,
    "alert_type": FindingType.UNWATCHED.value,
}
_IS_UNWATCHED: Final = tuple(_GUARD.c[name] == value for name, value in _UNWATCHED.items())
_ONE: Final[ColumnElement[int]] = literal_column("1")
_EMPTY: Final = literal_column("''", Text())
# Beyond what clocks differ by: a later time was noted by a clock that was wrong.
_SOON: Final = db_now_plus(literal_column("60"))


def declare_jobs(
    store: BaseStore, declarations: Sequence[JobDeclaration], *, timeout: float
) -> None:
    """Write what code expects of jobs: one statement, which changes no row that says so already.

    A file's or a person's word goes on to hold.

    Raises:
        SchemaOutOfDate: the schema is of a release that expects nothing.
        StoreUnavailable: the time is up, the store is away, or the role may not.
    """
    rows = {(one.job_name, one.environment or ""): _row(one) for one in declarations}
    if rows:
        statement = _upsert(store.engine.dialect.name, [*rows.values()])
        _do(store, lambda connection: connection.execute(statement), timeout)


def raise_unwatched(
    store: BaseStore, *, after: timedelta, cooldown: timedelta, timeout: float
) -> bool:
    """Raise an alert where starts are expected and no monitor looks; once, until one does.

    Args:
        store: Where jobs and monitors are.
        after: For how long no monitor has looked, and how old what is expected must be.
        cooldown: How long after the last such alert none is raised.
        timeout: In seconds.

    Returns:
        Whether an alert was raised.

    Raises:
        SchemaOutOfDate: the schema is of a release that expects nothing.
        StoreUnavailable: the time is up, the store is away, or the role may not.
    """
    asked = _unwatched(after, cooldown)
    found: list[Any] = []
    _do(store, lambda connection: found.append(connection.execute(asked).one()), timeout)
    [(now, last_round_at, jobs, is_told)] = found
    is_watched = last_round_at is not None and now - last_round_at <= after
    if not jobs or is_watched or is_told:
        return False
    raised: list[bool] = []

    def work(connection: Connection) -> None:
        raised[:] = [_raised(connection, cooldown, now, last_round_at, jobs)]

    _do(store, work, timeout, whole=True)
    return raised[0]


def voice_of(declaration: JobDeclaration) -> dict[str, Any]:
    """Return the document of one voice: what is declared, who did and when, and a hash of it."""
    expectation = declaration.expectation
    said = {
        "expectation": None if expectation is None else expectation.as_document(),
        **{name: getattr(declaration, name) for name in TEXTS},
    }
    said = {name: value for name, value in said.items() if value is not None}
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {**said, "who": declaration.who, "at": at, "hash": _hash(said)}


def schedule_hash(expectation: Expectation | None) -> str | None:
    """Return a hash of when starts are expected; None where they are not."""
    document = {} if expectation is None else expectation.as_document()
    schedule = {name: document[name] for name in _SCHEDULE if name in document}
    return _hash(schedule) if schedule else None


def _hash(document: Mapping[str, Any]) -> str:
    text = json.dumps(document, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _row(declaration: JobDeclaration) -> dict[str, Any]:
    voice = voice_of(declaration)
    return {
        "job_name": declaration.job_name,
        "environment": declaration.environment or "",
        "expectation": voice.get("expectation"),
        **{name: voice.get(name) for name in TEXTS},
        "declared_by": Declarer.CODE.value,
        "declared_who": declaration.who,
        "declarations": {Declarer.CODE.value: voice},
        "spec_hash": schedule_hash(declaration.expectation),
        "look_at": db_now(),
    }


def _upsert(dialect: str, rows: Sequence[Mapping[str, Any]]) -> Any:
    text_at = _text_at_on_sqlite if dialect == "sqlite" else _text_at
    new = _dialect_insert(dialect)(_JOB).values(list(rows))
    there, said = _JOB.c, new.excluded
    holds = or_(
        there.expectation.is_(null()), there.declared_by == literal_column("'code'", Text())
    )
    differs = func.coalesce(there.spec_hash, _EMPTY) != func.coalesce(said.spec_hash, _EMPTY)
    moved = and_(holds, differs)
    its = ("expectation", "declared_by", "declared_who", "spec_hash")
    changed = {
        **{name: case((holds, said[name]), else_=there[name]) for name in its},
        **{
            name: func.coalesce(
                text_at(there.declarations, "person", name),
                text_at(there.declarations, "file", name),
                said[name],
            )
            for name in TEXTS
        },
        **{name: case((moved, null()), else_=there[name]) for name in UNJUDGED},
        "declarations": _with_code(dialect, there.declarations, said.declarations),
        "declared_at": case((moved, db_now()), else_=there.declared_at),
        "look_at": db_now(),
        "updated_at": db_now(),
    }
    is_new = func.coalesce(text_at(there.declarations, "code", "hash"), _EMPTY) != text_at(
        said.declarations, "code", "hash"
    )
    return new.on_conflict_do_update(
        index_elements=["job_name", "environment"], set_=changed, where=is_new
    )


def _text_at(document: ColumnElement[Any], *path: str) -> ColumnElement[Any]:
    keys: list[ColumnElement[str]] = [literal_column(f"'{key}'") for key in path]
    return func.jsonb_extract_path_text(document, *keys, type_=Text())


def _text_at_on_sqlite(document: ColumnElement[Any], *path: str) -> ColumnElement[Any]:
    return func.json_extract(document, literal_column(f"'$.{'.'.join(path)}'"), type_=Text())


def _with_code(
    dialect: str, there: ColumnElement[Any], said: ColumnElement[Any]
) -> ColumnElement[Any]:
    """All that was declared, with what code says now."""
    known = func.coalesce(there, literal_column("'{}'"), type_=JSON_DOCUMENT)
    if dialect == "sqlite":
        path: ColumnElement[str] = literal_column("'$.code'")
        return func.json_set(known, path, func.json_extract(said, path), type_=JSON_DOCUMENT)
    return func.jsonb_concat(known, said, type_=JSON_DOCUMENT)


def _unwatched(after: timedelta, cooldown: timedelta) -> Select[Any]:
    """Ask in one statement what decides whether somebody must be told that nobody looks."""
    expected = (
        select(func.count())
        .select_from(_JOB)
        .where(
            _JOB.c.expectation.is_not(null()),
            _JOB.c.retired_at.is_(None),
            _JOB.c.declared_at < db_now_plus(-after.total_seconds()),
        )
    )
    told = select(_ONE).where(
        *_IS_UNWATCHED, or_(_GUARD.c.open_alert_id.is_not(None), ~_is_over(cooldown))
    )
    return select(
        db_now(),
        select(func.max(_MONITOR.c.last_round_at, type_=UtcDateTime()))
        .where(_MONITOR.c.last_round_at <= _SOON)
        .scalar_subquery(),
        expected.scalar_subquery(),
        told.exists(),
    )


def _is_over(cooldown: timedelta) -> ColumnElement[bool]:
    """Whether the last such alert covers this one no more; one of the future covers nothing."""
    return or_(
        _GUARD.c.last_alert_at <= db_now_plus(-cooldown.total_seconds()),
        _GUARD.c.last_alert_at > _SOON,
    )


def _raised(
    connection: Connection,
    cooldown: timedelta,
    now: datetime,
    last_round_at: datetime | None,
    jobs: int,
) -> bool:
    """Claim the guard, and only with it write the alert that opens its incident."""
    insert = _dialect_insert(connection.dialect.name)
    claim = insert(_GUARD).values(**_UNWATCHED, last_alert_at=db_now())
    claimed = claim.on_conflict_do_update(
        index_elements=[*_UNWATCHED],
        set_={"last_alert_at": db_now()},
        where=and_(_GUARD.c.open_alert_id.is_(None), _is_over(cooldown)),
    ).returning(_GUARD.c.source_id)
    if connection.execute(claimed).first() is None:
        return False
    since = "" if last_round_at is None else f" since {utc(last_round_at)}"
    title = f"No monitor has looked at {counted(jobs, 'expected job')}{since}"
    detail: dict[str, Any] = {"jobs": jobs, "since": (last_round_at or now).isoformat()}
    if last_round_at is not None:
        detail["last_round_at"] = last_round_at.isoformat()
    new = plain_insert(alert).values(
        **_UNWATCHED,
        severity=SEVERITY_OF_FINDING[FindingType.UNWATCHED].value,
        title=title,
        message="What does not start is not noticed. Start `runguard monitor`.",
        detail=detail,
        review_status="AUTO",
        resolved=False,
        created_at=db_now(),
        alert_key=uuid4(),
    )
    alert_id: int = connection.execute(new.returning(alert.c.id)).scalar_one()
    opened = {"open_alert_id": alert_id, "opened_at": last_round_at or now, "reopened": 0}
    closed = {"closed_alert_id": None, "closed_at": None}
    connection.execute(update(_GUARD).where(*_IS_UNWATCHED).values(**opened, **closed))
    return True


def _dialect_insert(dialect: str) -> Any:
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as of_sqlite

        return of_sqlite
    from sqlalchemy.dialects.postgresql import insert as of_postgresql

    return of_postgresql


def _do(
    store: BaseStore,
    work: Callable[[Connection], object],
    timeout: float,
    *,
    whole: bool = False,
) -> None:
    """Do the work on a connection; with `whole`, in one transaction."""
    write: Any = getattr(store, "_write", None)  # SQLite takes the write lock first
    if write is not None:
        write(work, timeout=timeout)
        return
    from .postgresql.transaction import read_committed

    def attempted(attempt: Attempt) -> None:
        with read_committed(attempt.connection) if whole else nullcontext():
            work(attempt.connection)

    store._attempts.run(attempted, timeout=timeout)
