"""The pages of the documentation and their blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[3]
DOCS: Final = ROOT / "docs"
PAGES: Final = sorted(
    path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"))
)
_BLOCK: Final = re.compile(r"^```([\w-]+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_FILE: Final = re.compile(r"# ([\w.]+\.py)\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code. What `{eval-rst}` and its like hold is no code."""

    page: str
    language: str
    text: str

    @property
    def name(self) -> str:
        """The page and the first line, to find it by."""
        return f"{self.page}: {self.text.partition(chr(10))[0]}"

    @property
    def file(self) -> str | None:
        """The file that a reader saves it as, where its first line names one."""
        named = _FILE.match(self.text)
        return named[1] if named and self.language == "python" else None


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, *languages: str) -> list[Block]:
    found = [Block(page, *block) for block in _BLOCK.findall(text_of(page))]
    return [block for block in found if not languages or block.language in languages]
