"""Which functions and operators of a statement are looked up along the search path."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import event

if TYPE_CHECKING:
    from sqlalchemy import Engine

_NO_NAMES = re.compile(
    r"""
    '(?:[^']|'')*'                          # a text
    | %\(\w+\)s                             # a parameter
    | __\[POSTCOMPILE_[^\]]*\]               # several of them
    | OPERATOR\(pg_catalog\.[^)\s]+\)       # an operator that names its schema
    | "(?:[^"]|"")*"                        # an identifier
    | INTO\s+\w+\s*\(                       # the columns of an INSERT
    | CONFLICT\s*\(
    | \w+\s*\([\w,\s]*\)\s+AS\s*\(          # a common table expression
    | \bAS\s+\w+\s*\([\w,.\s]*\)            # the columns of a table
    | (?:\bSET|,)\s*\w+\s*=(?!>)            # an assignment
    | \w+\s*=>                              # a named argument
    | [(.]\s*\*                             # count(*), t.*
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SYNTAX = (
    "all|and|any|array|as|by|case|cast|coalesce|else|end|exists|extract|filter|from|greatest|in"
    "|join|key|lateral|least|not|on|or|order|over|select|then|using|values|when|where|with"
    "|materialized|returning|union|varchar|numeric"
)
_FUNCTION = re.compile(rf"(?<![\w.])(?!(?:{_SYNTAX})\b)([a-z_]\w*)\s*\(", re.IGNORECASE)
_OPERATOR = re.compile(r"[+\-*/<>=~!@#^&|?%]+")
_HIDDEN = re.compile(r"\b(?:I?LIKE|BETWEEN|SIMILAR TO|NULLIF|DISTINCT FROM|IN)\b", re.IGNORECASE)


def unpinned_names(statement: str) -> list[str]:
    """Return the functions and operators of a statement that do not name `pg_catalog`."""
    rest = _NO_NAMES.sub(" ; ", statement)
    return [
        *(found[1] for found in _FUNCTION.finditer(rest)),
        *(found[0] for pattern in (_OPERATOR, _HIDDEN) for found in pattern.finditer(rest)),
    ]


def watch_names(engine: Engine) -> None:
    """Let each statement that is compiled for this engine fail its test if it has such a name."""
    dialect: Any = engine.dialect

    class Watching(dialect.statement_compiler):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            _refuse_unpinned(self.string)

    dialect.statement_compiler = Watching


def watch_sent_names(engine: Engine) -> None:
    """Let each statement that is sent do so; who listens makes Core execute all of them."""
    known: set[str] = set()

    def look(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement not in known:
            _refuse_unpinned(statement)
            known.add(statement)

    event.listen(engine, "before_cursor_execute", look)


def _refuse_unpinned(statement: str) -> None:
    found = unpinned_names(statement)
    assert found == [], f"{found} in {statement[:2000]}"
