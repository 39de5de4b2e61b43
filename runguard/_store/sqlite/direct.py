"""The statements that each run needs, sent to sqlite3 past Core, whose execution costs more."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Executable

from ..retry import Attempt
from ..schema.types import Steps, steps, take


class Compiled(NamedTuple):
    """A statement as sqlite3 takes it: its parameters in order, and those that never change."""

    query: str
    names: tuple[str, ...]
    constants: dict[str, Any]
    parameter_steps: Steps
    result_steps: Steps


class Answer:
    """The first row that a statement has returned, if any; it is read by position."""

    __slots__ = ("_row",)

    def __init__(self, row: Sequence[Any] | None) -> None:
        self._row = row

    def one_or_none(self) -> Sequence[Any] | None:
        """Return the row."""
        return self._row

    def scalar_one_or_none(self) -> Any:
        """Return its first value; None also where there is no row."""
        return None if self._row is None else self._row[0]


class DirectConnection:
    """A connection that executes statements which are built once, as Core's would.

    Attributes:
        connection: as the pool gives it.
    """

    __slots__ = ("_attempt", "_compiled", "_driver_connection", "connection")

    def __init__(self, attempt: Attempt, compiled: dict[Executable, Compiled]) -> None:
        self._attempt = attempt
        self._compiled = compiled
        self.connection = attempt.pooled
        self._driver_connection: Any = attempt.pooled.driver_connection

    @property
    def core(self) -> Connection:
        """Core's connection, for all other statements."""
        return self._attempt.connection

    def execute(self, statement: Executable, values: Mapping[str, Any]) -> Answer:
        """Execute a statement."""
        compiled = self._compiled.get(statement)
        if compiled is None:
            dialect = self._attempt.engine.dialect
            compiled = self._compiled[statement] = compile_for(dialect, statement, values)
        query, names, constants, parameter_steps, result_steps = compiled
        given = {**constants, **values} if constants else values
        try:
            arguments = take([given[name] for name in names], parameter_steps)
            # In one call into C: a statement whose rows are still to come holds the write lock for
            # as long as the traceback of what has struck in between, such as Ctrl-C, keeps it.
            answers = map(self._driver_connection.execute, (query,), (arguments,))
            rows = list(chain.from_iterable(answers))
        except Exception as error:
            self._attempt.raise_as_core(error, query)
        return Answer(take([*rows[0]], result_steps) if rows else None)


RunConnection = Connection | DirectConnection


def core_of(connection: RunConnection) -> Connection:
    """Return Core's connection, for a statement that is built where it is used."""
    return connection.core if isinstance(connection, DirectConnection) else connection


class DirectExecution:
    """What a store has compiled."""

    def __init__(self) -> None:
        """Compile nothing yet."""
        self._compiled: dict[Executable, Compiled] = {}

    def on(self, attempt: Attempt) -> RunConnection:
        """Return what executes statements there: Core where somebody would miss it."""
        driver_connection: Any = attempt.pooled.driver_connection
        is_plain = (
            type(driver_connection) is sqlite3.Connection
            and driver_connection.row_factory is None
            and driver_connection.text_factory is str
            and not attempt.is_watched
        )
        return DirectConnection(attempt, self._compiled) if is_plain else attempt.connection


def compile_for(dialect: Dialect, statement: Any, values: Mapping[str, Any]) -> Compiled:
    """Compile a statement that is given these values."""
    compiled = statement.compile(dialect=dialect, column_keys=sorted(values))
    names = tuple(compiled.positiontup)
    binds = compiled.binds
    return Compiled(
        compiled.string,
        names,
        {name: binds[name].effective_value for name in names if name not in values},
        steps(dialect, "bind", (binds[name].type for name in names)),
        steps(dialect, "result", (column.type for column in compiled._result_columns), None),
    )
