"""Statements whose functions and operators are PostgreSQL's own, whatever the search path holds.

A bare name is looked up in every schema of the search path, and what fits its arguments best is
taken: whoever may create objects there could run code as the job's role, or an administrator's. A
fixed path would cost a round trip, and be lost behind a transaction pooler. So statements say
`pg_catalog.now()` and `OPERATOR(pg_catalog.=)`. Tables keep their bare names: the path is for them.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.dialects.postgresql.base import PGCompiler
from sqlalchemy.exc import CompileError
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    ExpressionClauseList,
    Label,
    TypeCoerce,
    UnaryExpression,
)

# Syntax, not operators that are looked up by name.
_SYNTAX: Final = frozenset(
    ("IS", "IS NOT", "AND", "OR", "FROM", "COLLATE", "NOT", "EXISTS", "DISTINCT", "ANY", "ALL")
)
_SPELLED_AS_FUNCTIONS: Final = frozenset({"coalesce", "greatest", "least"})
# The others, such as `bigint` and `timestamp with time zone`, are words of the grammar.
_NAMED_TYPES: Final = ("UUID", "JSONB", "JSON", "TEXT", "DATE")


def operator_named(sign: str) -> str:
    """Spell an operator so that it is PostgreSQL's own."""
    return f"OPERATOR(pg_catalog.{'<>' if sign == '!=' else sign})"


class PinnedCompiler(PGCompiler):
    """Compiles as PostgreSQL's dialect does, with the schema before functions and operators.

    What has no spelling with a schema (BETWEEN, LIKE, IS DISTINCT FROM, …) is refused.
    """

    def visit_function(self, func: Any, add_to_result_map: Any = None, **kw: Any) -> str:
        """Name the schema of a function that has none."""
        text = super().visit_function(func, add_to_result_map=add_to_result_map, **kw)
        if func.packagenames or func.name.lower() in _SPELLED_AS_FUNCTIONS:
            return text
        return f"pg_catalog.{text}"

    def visit_expression_clauselist(self, clauselist: Any, **kw: Any) -> str:
        """Name the operators of a chain such as `a || b || c`."""
        if clauselist.operator in (operators.and_, operators.or_, operators.comma_op):
            return str(super().visit_expression_clauselist(clauselist, **kw))  # type: ignore[no-untyped-call]
        sign = {operators.add: "+", operators.mul: "*", operators.concat_op: "||"}
        kw["_in_operator_expression"] = True
        operator = operator_named(sign[clauselist.operator])
        return f" {operator} ".join(self._operand(one, **kw) for one in clauselist.clauses)

    def render_bind_cast(self, type_: Any, dbapi_type: Any, sqltext: str) -> str:
        """Name the schema of a parameter's type."""
        cast: str = super().render_bind_cast(type_, dbapi_type, sqltext)  # type: ignore[no-untyped-call]
        parameter, _, name = cast.rpartition("::")
        if name.removesuffix("[]") in _NAMED_TYPES:
            return f"{parameter}::pg_catalog.{name.lower()}"
        return cast

    def _generate_generic_binary(
        self, binary: Any, opstring: str, eager_grouping: Any = None, **kw: Any
    ) -> str:
        sign = opstring.strip()
        if sign in _SYNTAX:
            return super()._generate_generic_binary(binary, opstring, eager_grouping, **kw)
        kw["_in_operator_expression"] = True
        kw["_binary_op"] = binary.operator
        left, right = (self._operand(side, **kw) for side in (binary.left, binary.right))
        if sign == "IN":
            if isinstance(binary.right, BindParameter):
                right = f"(ARRAY[{right.removeprefix('(').removesuffix(')')}])"
            return f"{left} {operator_named('=')} ANY {right}"
        if sign.replace(" ", "").isalpha():
            raise CompileError(f"{sign} cannot name the schema of its operator")
        return f"{left} {operator_named(sign)} {right}"

    def _generate_generic_unary_operator(self, unary: Any, opstring: str, **kw: Any) -> str:
        sign = opstring.strip()
        if sign in _SYNTAX:
            return str(super()._generate_generic_unary_operator(unary, opstring, **kw))  # type: ignore[no-untyped-call]
        return f"{operator_named(sign)} {self._operand(unary.element, **kw)}"

    def _operand(self, element: Any, **kw: Any) -> str:
        """Compile one side; operators with a schema have one precedence only, so it is enclosed."""
        text: str = element._compiler_dispatch(self, **kw)
        while isinstance(element, Label | TypeCoerce):
            element = element.element if isinstance(element, Label) else element.clause
        encloses = isinstance(element, BinaryExpression | ExpressionClauseList) or (
            isinstance(element, UnaryExpression) and element.operator is operators.neg
        )
        return f"({text})" if encloses else text
