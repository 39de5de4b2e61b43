"""Statements of Core, sent as psycopg sends them."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.waiting import Ready, Wait
from sqlalchemy import Dialect, Executable

from ..retry import Attempt
from ..schema.types import Steps, steps, take
from .connection import BoundedConnection

CHANNELS: Final = "runguard_channels"  # in a connection's info: by statement
MOST_PREPARED: Final = 10  # of one text: numbers of other sizes have other types
_PLACEHOLDER: Final = re.compile(r"%(?:%|\((\w+)\)s)")


class Compiled(NamedTuple):
    """A statement as the driver takes it: its parameters have numbers, in the order of `names`."""

    query: str
    names: tuple[str, ...]
    parameter_steps: Steps
    result_steps: Steps


class DirectExecution:
    """Executes a store's statements, past Core's layers where nobody would miss them."""

    def __init__(self) -> None:
        self._compiled: dict[Executable, Compiled] = {}

    def first_row(self, attempt: Attempt, statement: Executable, values: Mapping[str, Any]) -> Any:
        """Execute the statement; return its first row, whose values are read by position."""
        connection: Any = attempt.pooled.driver_connection
        kind: Any = type(connection)  # nobody has wrapped it
        is_psycopgs = issubclass(kind, psycopg.Connection)
        is_plain = is_psycopgs and connection.cursor_factory is psycopg.Cursor
        compiled = self._compiled.get(statement)
        if not is_plain or attempt.is_watched or (compiled is None and attempt.is_bare):
            return attempt.first_row(statement, values)
        if compiled is None:
            source: Any = attempt.core or attempt.engine  # of a user's engine, Core's is pinned
            compiled = self._compiled[statement] = compile_for(source.dialect, statement, values)
        channels = attempt.pooled.info.setdefault(CHANNELS, {})
        if (channel := channels.get(statement)) is None:
            make: Any = Channel
            if not isinstance(connection, BoundedConnection):
                from .users_channel import UsersChannel

                make = UsersChannel
            channel = channels[statement] = make(connection, compiled, len(channels))
        try:
            arguments = take([values[name] for name in compiled.names], compiled.parameter_steps)
            row = channel.first_row(arguments)
        except Exception as error:
            attempt.raise_as_core(error, compiled.query)
        return row and take([*row], compiled.result_steps)


class Channel:
    """A statement on a connection of ours, prepared where the connection prepares any."""

    __slots__ = ("_adapter", "_connection", "_formats", "_name", "_prepared", "_query")

    def __init__(self, connection: Any, compiled: Compiled, number: int) -> None:
        self._query = compiled.query.encode()
        self._connection = connection
        self._adapter = Transformer(connection)
        self._formats = [PyFormat.AUTO] * len(compiled.names)
        self._name = f"runguard_{number}"
        self._prepared: dict[Any, bytes] = {}  # by the parameters' types

    def first_row(self, arguments: list[Any]) -> Sequence[Any] | None:
        """Execute it with these parameters."""
        pgconn, adapter = self._connection.pgconn, self._adapter
        adapted = adapter.dump_sequence(arguments, self._formats)
        if name := self._prepared_name():
            pgconn.send_query_prepared(name, adapted, adapter.formats)
        else:
            pgconn.send_query_params(self._query, adapted, adapter.types, adapter.formats)
        if not (result := self._answer()).ntuples:
            return None
        adapter.set_pgresult(result)
        row: tuple[Any, ...] = adapter.load_row(0, tuple)
        return row

    def _prepared_name(self) -> bytes | None:
        if self._connection.prepare_threshold is None:
            return None
        name = self._prepared.get(types := self._adapter.types)
        if name is None and len(self._prepared) < MOST_PREPARED:
            name = f"{self._name}_{len(self._prepared)}".encode()
            self._connection.pgconn.send_prepare(name, self._query, types)
            self._answer()
            self._prepared[types] = name
        return name

    def _answer(self) -> Any:
        results = self._connection.wait(_answers(self._connection.pgconn))
        for result in results:
            if result.status == ExecStatus.FATAL_ERROR:
                raise error_from_result(result, self._connection.info.encoding)
        return results[-1]


def _answers(pgconn: Any) -> Generator[Wait, Ready, list[Any]]:
    """Do as psycopg's `execute`, in fewer steps: at each, other threads take the interpreter."""
    results: list[Any] = []
    while pgconn.flush():
        if (yield Wait.RW) & Ready.R:
            pgconn.consume_input()
    while True:
        while not (yield Wait.R):
            pass
        try:
            pgconn.consume_input()
        except psycopg.OperationalError:
            if not results or results[-1].status != ExecStatus.FATAL_ERROR:
                raise
            return results  # the last word of a server that hung up says why
        while not pgconn.is_busy():
            if (result := pgconn.get_result()) is None:
                return results
            results.append(result)


def compile_for(dialect: Dialect, statement: Any, values: Mapping[str, Any]) -> Compiled:
    """Compile a statement that is given these values."""
    compiled = statement.compile(dialect=dialect, column_keys=sorted(values))
    numbers: dict[str, int] = {}

    def numbered(found: re.Match[str]) -> str:
        return f"${numbers.setdefault(found[1], len(numbers) + 1)}" if found[1] else "%"

    query = _PLACEHOLDER.sub(numbered, compiled.string)
    return Compiled(
        query,
        tuple(numbers),
        steps(dialect, "bind", (compiled.binds[name].type for name in numbers)),
        steps(dialect, "result", (column.type for column in compiled._result_columns), None),
    )
