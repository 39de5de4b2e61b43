"""What a job's process says of its jobs, and that nobody watches them.

Apart from the tables of watching, which no run loads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    case,
    column,
    func,
    literal_column,
    null,
    or_,
    table,
)

from .._monitor.expectations import Declarer, Expectation, JobDeclaration
from .base import BaseStore
from .schema.types import JSON_DOCUMENT, UtcDateTime, db_now

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
_EMPTY: Final = literal_column("''", Text())


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
        _execute(store, _upsert(store.engine.dialect.name, [*rows.values()]), timeout)


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
    insert: Any
    text_at: Callable[..., ColumnElement[Any]]
    if dialect == "sqlite":
        from sqlalchemy.dialects.sqlite import insert

        text_at = _text_at_on_sqlite
    else:
        from sqlalchemy.dialects.postgresql import insert

        text_at = _text_at
    new = insert(_JOB).values(list(rows))
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


def _execute(store: BaseStore, statement: Any, timeout: float) -> None:
    write: Any = getattr(store, "_write", None)  # SQLite takes the write lock first
    if write is not None:
        write(lambda connection: connection.execute(statement), timeout=timeout)
    else:
        store._attempts.run(lambda attempt: attempt.connection.execute(statement), timeout=timeout)
