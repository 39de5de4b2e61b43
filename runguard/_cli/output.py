"""What the commands print: data on stdout, talk on stderr.

On a terminal a table has colours and fits the window. In a pipe every row is one line with its
full text, so that `grep` and `awk` find what is there. Stored text is never interpreted: it may
hold markup or escape sequences of whoever made the job fail.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from rich.console import Console
from rich.measure import Measurement
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

LEAST_NOTE_WIDTH: Final = 40  # with less room than that, a note goes under its row
# What moves a cursor, rewrites a line or turns the direction of text. JSON lets some of it stand.
_MARKS: Final = r"\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_OBEYED: Final = re.compile(rf"[\x00-\x1f{_MARKS}]")
_OBEYED_IN_JSON: Final = re.compile(rf"[{_MARKS}]")

_ELASTIC: Final = ("job", "source")

Cell = str | Text


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A table, one line a row; each row ends in a note, which may be empty or very long."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note_title: str
    notes: Sequence[str]
    numbers: Sequence[str] = ("id",)  # the columns that are set right


def say(text: str) -> None:
    """Talk to the person in front of the screen."""
    sys.stderr.write("\n".join(visible(line) for line in text.split("\n")) + "\n")


def write_json(records: Iterable[Any]) -> None:
    """Write records as one JSON array; times in ISO 8601, in UTC."""
    rows = [dataclasses.asdict(record) for record in records]
    text = json.dumps(rows, default=_json_value, ensure_ascii=False, indent=2)
    sys.stdout.write(_OBEYED_IN_JSON.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text) + "\n")


def write_listing(listing: Listing) -> None:
    """Write a listing; where the window is narrow, each note in a line below its row."""
    console = stdout_console()
    bare = _table_of(listing, notes=False)
    room = console.width - Measurement.get(console, console.options, bare).maximum
    if not console.is_terminal or room >= LEAST_NOTE_WIDTH:
        write_table(_table_of(listing, notes=True))
        return
    header, *lines = console.render_lines(bare, pad=False)
    console.print(Segments([*header, Segment.line()]))
    for line, note in zip(lines, listing.notes, strict=True):
        console.print(Segments([*line, Segment.line()]))
        if note:
            below = Text(f"  {one_line(note)}", "dim")
            console.print(below, no_wrap=True, overflow="ellipsis")


def write_table(table: Table) -> None:
    """Write a table: folded to the window of a terminal, at its full width in a pipe."""
    console = stdout_console()
    if console.is_terminal:
        console.print(table)
        return
    pipe = Console(file=io.StringIO(), width=1 << 24, color_system=None)
    with pipe.capture() as captured:
        pipe.print(table)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def plain_table(*titles: str) -> Table:
    """Return an empty table in the style of all tables here."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title)
    return table


def stdout_console() -> Console:
    """Return a console on what is stdout now; it knows of `NO_COLOR` and of pipes."""
    return Console(highlight=False, markup=False, emoji=False)


def visible(text: object) -> str:
    r"""Show what a terminal would obey: an escape character as `\x1b`."""
    return _OBEYED.sub(lambda found: ascii(found[0])[1:-1], str(text))


def one_line(text: object) -> str:
    """Put a text in one line, every white space a single blank, and make it visible."""
    return visible(" ".join(str(text).split()))


def moment(instant: datetime | None, *, now: datetime) -> str:
    """Say when: `5m ago` or a local time on a terminal, ISO 8601 in UTC in a pipe."""
    if instant is None:
        return "-"
    if not stdout_console().is_terminal:
        return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    seconds = max(0, int((now - instant).total_seconds()))
    if seconds >= 24 * 3600:
        return f"{instant.astimezone():%Y-%m-%d %H:%M}"
    if seconds >= 3600:
        return f"{seconds // 3600}h ago"
    return f"{seconds // 60}m ago" if seconds >= 60 else f"{seconds}s ago"


def duration(length: timedelta) -> str:
    """Say how long, in the two largest units.

    >>> duration(timedelta(seconds=0.3)), duration(timedelta(seconds=123))
    ('0.30s', '2m 03s')
    """
    seconds = max(0.0, length.total_seconds())
    if seconds < 59.5:
        return f"{seconds:.2f}s" if seconds < 9.995 else f"{seconds:.0f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02}m" if hours < 24 else f"{hours // 24}d {hours % 24:02}h"


def _table_of(listing: Listing, *, notes: bool) -> Table:
    titles = [*listing.columns, listing.note_title] if notes else listing.columns
    table = plain_table()
    for title in titles:
        # Where there is too little room, the columns that may wrap shrink before all others.
        elastic = title in _ELASTIC or title == listing.note_title
        justify: Literal["left", "right"] = "right" if title in listing.numbers else "left"
        table.add_column(title, justify=justify, no_wrap=not elastic, overflow="ellipsis")
    for row, note in zip(listing.rows, listing.notes, strict=True):
        table.add_row(*(_line_of(cell) for cell in ([*row, note] if notes else row)))
    return table


def _line_of(cell: Cell) -> Text:
    style = cell.style if isinstance(cell, Text) else ""
    return Text(one_line(cell), style, no_wrap=True, overflow="ellipsis")


def _json_value(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
