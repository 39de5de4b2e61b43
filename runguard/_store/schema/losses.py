"""What a downgrade would delete, counted before it is asked for."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from sqlalchemy import Connection, column, func, select, table

from ..._monitor.wording import counted
from .tables import VERSION_TABLE

_NAME: Final = r'(?:\w+\.|"[^"]+"\.)?"?(\w+)"?'
_DROP_TABLE: Final = re.compile(rf"^DROP TABLE (?:IF EXISTS )?{_NAME}", re.MULTILINE)
_ALTER_TABLE: Final = re.compile(rf"^ALTER TABLE {_NAME}([^;]*);", re.MULTILINE)
_DROP_COLUMN: Final = re.compile(rf"DROP COLUMN (?:IF EXISTS )?{_NAME}")
_ROW_OF: Final = {
    "run_log": "run",
    "run_note": "note",
    "alert": "alert",
    "alert_cooldown": "guard row",
    "job_lock": "lock",
}


class _Dropped(NamedTuple):
    """A table that goes, or a column of one that stays."""

    table: str
    column: str | None = None


def losses_of(connection: Connection, script: str) -> list[str]:
    """Count what the script of a downgrade drops; one line for each thing that holds something.

    The script is our own. Which tables go depends on which were there before runguard.
    """
    numbers = [(dropped, _count(connection, dropped)) for dropped in _dropped_by(script)]
    return [_line(dropped, number) for dropped, number in numbers if number]


def _dropped_by(script: str) -> list[_Dropped]:
    tables = [name for name in _DROP_TABLE.findall(script) if name != VERSION_TABLE]
    columns = [
        _Dropped(altered[1], name)
        for altered in _ALTER_TABLE.finditer(script)
        if altered[1] not in tables
        for name in _DROP_COLUMN.findall(altered[2])
    ]
    return [*map(_Dropped, reversed(tables)), *columns]


def _count(connection: Connection, dropped: _Dropped) -> int:
    rows = select(func.count()).select_from(table(dropped.table))
    if dropped.column is not None:
        rows = rows.where(column(dropped.column).is_not(None))
    number: int = connection.execute(rows).scalar_one()
    return number


def _line(dropped: _Dropped, number: int) -> str:
    if dropped.column is not None:
        return f"{counted(number, 'value')} of {dropped.table}.{dropped.column}"
    return f"{counted(number, _ROW_OF.get(dropped.table, 'row'))} (table {dropped.table})"
