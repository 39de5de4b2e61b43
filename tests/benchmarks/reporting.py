"""What was found: tables for people, JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import TextIO

    from .measuring import Spread

Cell = str | float | None


@dataclass(frozen=True)
class Target:
    """A number that was aimed at, and what was found."""

    what: str
    found: float
    bound: float
    sense: Literal["at most", "at least"] = "at most"
    unit: str = "×"

    @property
    def met(self) -> bool:
        """Whether the number found lies on the right side."""
        return self.found <= self.bound if self.sense == "at most" else self.found >= self.bound

    @property
    def verdict(self) -> str:
        """The same in a word that is seen."""
        return "met" if self.met else "MISSED"

    @property
    def figure(self) -> str:
        """What was found, with its unit."""
        return f"{round(self.found, 3):,} {self.unit}"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.what}: {self.figure}, {self.sense} {self.bound:g}"


@dataclass
class Section:
    """One table, with what was aimed at and what a reader has to know."""

    scenario: str
    title: str
    columns: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    """The same as numbers with names, and what the table has no room for."""
    plots: dict[str, str] = field(default_factory=dict)
    """SVG by file name."""


def print_header(machine: dict[str, Any], versions: dict[str, str], out: TextIO) -> None:
    """Say where and with what it was measured."""
    console = _console(out)
    for title, facts in (("machine", machine), ("versions", versions)):
        told = ", ".join(f"{name} {value}" for name, value in facts.items())
        console.print(f"[bold]{title}[/]: {told}", highlight=False)


def print_section(section: Section, out: TextIO) -> None:
    """Print the table, its targets and its notes."""
    console = _console(out)
    table = Table(title=section.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for index, column in enumerate(section.columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=index > 0)
    for row in section.rows:
        table.add_row(*(_text(cell) for cell in row))
    console.print()
    console.print(table)
    for line in (*map(str, section.targets), *section.notes):
        console.print(f"  {line}", highlight=False, soft_wrap=True)


def goals(sections: Sequence[Section]) -> Section:
    """All that was aimed at in one table, in the order in which it was measured."""
    targets = [target for section in sections for target in section.targets]
    return Section(
        "goals",
        f"Goals: {sum(target.met for target in targets)} of {len(targets)} met",
        ("", "goal", "found", ""),
        [
            (target.what, f"{target.sense} {target.bound:g}", target.figure, target.verdict)
            for target in targets
        ],
    )


def as_json(
    machine: dict[str, Any], versions: dict[str, str], effort: str, sections: Sequence[Section]
) -> dict[str, Any]:
    """Everything that was found, as what JSON can hold."""
    return {
        "machine": machine,
        "versions": versions,
        "effort": effort,
        "sections": [
            {
                **asdict(section),
                "plots": sorted(section.plots),
                "targets": [{**asdict(target), "met": target.met} for target in section.targets],
            }
            for section in sections
        ],
    }


def write(found: dict[str, Any], sections: Sequence[Section], folder: Path) -> list[Path]:
    """Write everything as JSON, the tables as Markdown, and every plot; returns where."""
    texts = {
        "results.json": json.dumps(found, indent=1) + "\n",
        "results.md": "\n".join(map(_markdown, (*sections, goals(sections)))),
    }
    for section in sections:
        texts |= section.plots
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def _markdown(section: Section) -> str:
    rule = "".join("|---:" if index else "|---" for index, _ in enumerate(section.columns))
    rows = [section.columns, *section.rows]
    lines = ["| " + " | ".join(map(_text, row)) + " |" for row in rows]
    told = [f"- {line}" for line in (*map(str, section.targets), *section.notes)]
    return "\n".join([f"### {section.title}", "", lines[0], f"{rule}|", *lines[1:], "", *told, ""])


def milliseconds(spread: Spread) -> str:
    """A median in ms, and where the middle eighty per cent lie."""
    places = 0 if spread.p90 >= 100 else 2
    return f"{spread.median:.{places}f} ({spread.p10:.{places}f}-{spread.p90:.{places}f})"


def times(spread: Spread) -> str:
    """A ratio and its spread."""
    return f"{spread.median:.2f} ({spread.p10:.2f}-{spread.p90:.2f})"


def _console(out: TextIO) -> Console:
    # Wide enough for every table, wherever it is written to.
    return Console(file=out, width=130, highlight=False)


def _text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return cell if isinstance(cell, str) else f"{cell:,.2f}".rstrip("0").rstrip(".")
