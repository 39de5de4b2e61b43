"""Operator stores: what runs record, and what operators read, do and delete.

Apart from the recorders, so that a job loads none of it.
"""

from __future__ import annotations

from .postgresql.recorder import PostgreSqlRecorder
from .queries.details import DetailQueries
from .queries.problems import ProblemQueries
from .queries.triage import Triage
from .sqlite.recorder import SqliteRecorder


class PostgreSqlOperatorStore(PostgreSqlRecorder, ProblemQueries, DetailQueries, Triage):
    """A PostgreSQL server, for operators."""


class SqliteOperatorStore(SqliteRecorder, ProblemQueries, DetailQueries, Triage):
    """A SQLite file, for operators."""


OperatorStore = PostgreSqlOperatorStore | SqliteOperatorStore
