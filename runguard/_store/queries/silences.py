"""Silences: added, listed and ended. They mute notices, never rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, insert, select, update

from ..._errors import ConfigurationError
from ..._frozen import field_names
from ..._monitor.notices import Silence
from ..schema.clock import db_now
from ..schema.notice_tables import silence
from .reports import Reports
from .terms import LARGEST_ID, storable

MOST_SILENCES: Final = 1000
_COLUMNS: Final = tuple(silence.c[name] for name in field_names(Silence))


class SilenceQueries(Reports):
    """What operators do about notices."""

    def add_silence(
        self,
        *,
        job: str,
        error_group: str | None = None,
        alert_type: str | None = None,
        starts_at: datetime | None = None,
        ends_at: datetime,
        reason: str,
        created_by: str,
        until_recovered: bool = False,
    ) -> Silence:
        """Mute notices that match, from now or a time on, until a time.

        Raises:
            ConfigurationError: the end is not after the start, or a text is empty.
        """
        begins = starts_at or self.now()
        if ends_at <= begins:
            raise ConfigurationError(f"ends_at: expected a time after the start, found {ends_at}")
        for name, text in (("job", job), ("reason", reason), ("by", created_by)):
            if not text.strip():
                raise ConfigurationError(f"{name}: expected a text, found an empty one")
        values = {
            "job": storable(job),
            "error_group": error_group,
            "alert_type": alert_type,
            "starts_at": begins,
            "ends_at": ends_at,
            "reason": storable(reason),
            "created_by": storable(created_by),
            "until_recovered": until_recovered,
        }
        [row] = self._rows(insert(silence).values(values).returning(*_COLUMNS))
        return silence_from(row)

    def silences(
        self, *, active_at: datetime | None = None, limit: int = MOST_SILENCES
    ) -> Sequence[Silence]:
        """Return silences, the newest first; with a time only those that mute then."""
        if active_at is None:
            return self._silences(limit=limit)
        return self._silences(
            silence.c.starts_at <= active_at,
            silence.c.ends_at > active_at,
            silence.c.ended_at.is_(None),
            limit=limit,
        )

    def end_silence(self, silence_id: int, *, by: str) -> Silence | None:
        """End a silence now; None where there is no such one."""
        if not 0 < silence_id <= LARGEST_ID:
            return None
        its = silence.c.id == silence_id
        is_on = (silence.c.ended_at.is_(None), silence.c.ends_at > db_now())
        values = {"ended_at": db_now(), "ended_by": storable(by)}
        self._rows(update(silence).where(its, *is_on).values(values).returning(silence.c.id))
        rows = self._rows(select(*_COLUMNS).where(its))
        return silence_from(rows[0]) if rows else None

    def _silences(
        self, *wanted: ColumnElement[bool], limit: int = MOST_SILENCES
    ) -> Sequence[Silence]:
        query = select(*_COLUMNS).where(*wanted).order_by(silence.c.id.desc()).limit(limit)
        return tuple(silence_from(row) for row in self._rows(query))


def silence_of_id(number: object) -> Select[Any]:
    """Select a silence by its id, as a document names it: nothing where it is none."""
    is_id = isinstance(number, int) and 0 < number <= LARGEST_ID
    return select(*_COLUMNS).where(silence.c.id == (number if is_id else 0))


def silence_from(row: Sequence[Any]) -> Silence:
    """Return the silence of a row that `silence_of_id` has selected."""
    return Silence(**dict(zip(field_names(Silence), row, strict=True)))


def silences_in_force(connection: Connection) -> Sequence[Silence]:
    """Return the silences that mute now, inside the caller's transaction."""
    wanted = select(*_COLUMNS).where(
        silence.c.starts_at <= db_now(), silence.c.ends_at > db_now(), silence.c.ended_at.is_(None)
    )
    return tuple(silence_from(row) for row in connection.execute(wanted))


def note_matches(connection: Connection, matched: Mapping[int, int]) -> None:
    """Note how many alerts each silence has muted."""
    for one, count in sorted(matched.items()):
        values = {"matched": silence.c.matched + count, "last_matched_at": db_now()}
        connection.execute(update(silence).where(silence.c.id == one).values(values))
