"""Column types and SQL expressions that differ between the two databases."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Dialect, Integer, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import elements
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

# SQLite keeps times as text, in UTC and without a zone, in the form of its own `datetime()`: so
# `created_at >= datetime('now', '-24 hours')`, typed by hand, compares rightly.
SQLITE_TIME_FORMAT = "%Y-%m-%d %H:%M:%f"


class UtcDateTime(TypeDecorator[datetime]):
    """An instant: aware datetimes in, aware datetimes in UTC out. Naive ones are refused."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose `timestamptz`, or text on SQLite, whose own type would drop the offset."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse what has no offset; write the rest in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"expected a datetime with a time zone, found {value!r}")
        value = value.astimezone(UTC)
        if dialect.name == "sqlite":
            return value.replace(tzinfo=None).isoformat(sep=" ", timespec="milliseconds")
        return value

    def process_result_value(
        self,
        value: Any,
        dialect: Dialect,  # noqa: ARG002 - SQLAlchemy's signature
    ) -> datetime | None:
        """Read it back as an aware datetime in UTC."""
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        instant: datetime = value
        return instant.astimezone(UTC)


BIG_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself
JSON_DOCUMENT = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class db_now(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The database's clock, at the start of the statement."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(db_now)
def _now_postgresql(_element: db_now, _compiler: SQLCompiler, **_: Any) -> str:
    return "pg_catalog.now()"


@compiles(db_now, "sqlite")
def _now_sqlite(_element: db_now, _compiler: SQLCompiler, **_: Any) -> str:
    return f"(strftime('{SQLITE_TIME_FORMAT}', 'now'))"


class db_now_plus(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The database's clock plus a number of seconds, which may be negative or a fraction."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(db_now_plus)
def _now_plus_postgresql(element: db_now_plus, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = _argument(element, compiler, **kw)
    interval = f"pg_catalog.make_interval(secs => {seconds})"
    return f"(pg_catalog.now() OPERATOR(pg_catalog.+) {interval})"


@compiles(db_now_plus, "sqlite")
def _now_plus_sqlite(element: db_now_plus, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = _argument(element, compiler, **kw)
    return f"strftime('{SQLITE_TIME_FORMAT}', 'now', ({seconds}) || ' seconds')"


class released(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """The end of a lease that was given back: a moment of the past for every clock.

    The moment of the release would be in the future of a clock that steps back, and the lock held.
    """

    type = UtcDateTime()
    inherit_cache = True


@compiles(released)
def _released_postgresql(_element: released, _compiler: SQLCompiler, **_: Any) -> str:
    return "timestamptz '1970-01-01 00:00:00+00'"


@compiles(released, "sqlite")
def _released_sqlite(_element: released, _compiler: SQLCompiler, **_: Any) -> str:
    return "'1970-01-01 00:00:00.000'"


RELEASED = released()


class finite(FunctionElement[datetime]):  # noqa: N801 - reads as a SQL function
    """A time, or NULL where another program wrote `infinity`, which Python cannot hold."""

    type = UtcDateTime()
    inherit_cache = True


@compiles(finite)
def _finite_postgresql(element: finite, compiler: SQLCompiler, **kw: Any) -> str:
    time = _argument(element, compiler, **kw)
    return f"CASE WHEN pg_catalog.isfinite({time}) THEN {time} END"


@compiles(finite, "sqlite")
def _finite_sqlite(element: finite, compiler: SQLCompiler, **kw: Any) -> str:
    return _argument(element, compiler, **kw)


class names_run(FunctionElement[bool]):  # noqa: N801 - reads as a SQL function
    """Whether an alert's detail (the first argument) names the run of an id (the second)."""

    type = Boolean()
    inherit_cache = True


@compiles(names_run)
def _names_run_postgresql(element: names_run, compiler: SQLCompiler, **kw: Any) -> str:
    detail, run_id = (compiler.process(clause, **kw) for clause in element.clauses)
    # In the words of the indexes on both sides.
    named = f"({detail} OPERATOR(pg_catalog.->>) 'run_id')"
    return f"{named} OPERATOR(pg_catalog.=) CAST({run_id} AS pg_catalog.text)"


@compiles(names_run, "sqlite")
def _names_run_sqlite(element: names_run, compiler: SQLCompiler, **kw: Any) -> str:
    detail, run_id = (compiler.process(clause, **kw) for clause in element.clauses)
    return f"{run_id} = CASE WHEN json_valid({detail}) THEN json_extract({detail}, '$.run_id') END"


def _argument(element: FunctionElement[datetime], compiler: SQLCompiler, **kw: Any) -> str:
    clause: elements.ClauseList = element.clauses
    return str(compiler.process(clause, **kw))
