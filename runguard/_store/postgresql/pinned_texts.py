"""Statements that are written by hand, and those of migrations: pinned as those of runs are."""

from __future__ import annotations

from typing import Any, Final

from .pinning import PinnedCompiler, operator_named

# For statements that are written by hand.
EQ: Final = operator_named("=")
NE: Final = operator_named("<>")
GT: Final = operator_named(">")


class PinnedMigrationCompiler(PinnedCompiler):
    """For migrations, of which the oldest spells an index as text and is never edited."""

    def visit_textclause(self, textclause: Any, add_to_result_map: Any = None, **kw: Any) -> str:
        """Name the schema of the one operator in such texts that could be another's."""
        text: str = super().visit_textclause(textclause, add_to_result_map, **kw)  # type: ignore[no-untyped-call]
        return text.replace(" ->> ", f" {operator_named('->>')} ")
