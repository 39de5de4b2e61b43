"""Statements of migrations, pinned as those of runs are."""

from __future__ import annotations

from typing import Any

from .pinning import PinnedCompiler, operator_named


class PinnedMigrationCompiler(PinnedCompiler):
    """For migrations, of which the oldest spells an index as text and is never edited."""

    def visit_textclause(self, textclause: Any, add_to_result_map: Any = None, **kw: Any) -> str:
        """Name the schema of the one operator in such texts that could be another's."""
        text: str = super().visit_textclause(textclause, add_to_result_map, **kw)  # type: ignore[no-untyped-call]
        return text.replace(" ->> ", f" {operator_named('->>')} ")
