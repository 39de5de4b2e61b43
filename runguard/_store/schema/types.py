"""Column types that differ between the two databases."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, Text
from sqlalchemy.types import JSON, TypeDecorator, TypeEngine

# SQLite keeps times as text, in UTC and without a zone, in the form of its own `datetime()`: so
# `created_at >= datetime('now', '-24 hours')`, typed by hand, compares rightly.
SQLITE_TIME_FORMAT = "%Y-%m-%d %H:%M:%f"

Steps = tuple[tuple[int, Callable[[Any], Any]], ...]  # what is done to which of several values


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

    def process_result_value(self, value: Any, _dialect: Dialect) -> datetime | None:
        """Read it back as an aware datetime in UTC."""
        if isinstance(value, str):
            return datetime.fromisoformat(value).replace(tzinfo=UTC)
        instant: datetime | None = value
        return None if instant is None else instant.astimezone(UTC)


BIG_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers only INTEGER keys by itself


class JsonDocument(TypeDecorator[Any]):
    """A JSON value: `jsonb` on PostgreSQL, whose dialect a job with a SQLite file never loads."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose `jsonb` where there is one."""
        if dialect.name != "postgresql":
            return super().load_dialect_impl(dialect)
        from sqlalchemy.dialects.postgresql import JSONB

        return dialect.type_descriptor(JSONB(none_as_null=True))


JSON_DOCUMENT = JsonDocument()


def steps(dialect: Dialect, kind: str, types: Iterable[Any], *more: None) -> Steps:
    """Return what a dialect does to values of these types: its "bind" or "result" processors."""
    made = (
        getattr(one.dialect_impl(dialect), f"{kind}_processor")(dialect, *more) for one in types
    )
    return tuple((place, step) for place, step in enumerate(made) if step is not None)


def take(values: list[Any], steps_of_values: Steps) -> list[Any]:
    """Do it to them."""
    for place, step in steps_of_values:
        values[place] = step(values[place])
    return values
