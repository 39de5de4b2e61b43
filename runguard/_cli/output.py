"""What the commands print: data on stdout, talk on stderr.

On a terminal a table has colours and fits the window. In a pipe every row is one line with its
full text, so that `grep` and `awk` find what is there. Stored text is never interpreted: it may
hold markup or escape sequences of whoever made the job fail.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import cache
from json.encoder import encode_basestring as _quoted
from typing import TYPE_CHECKING, Any, Final, Literal

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.measure import Measurement
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from .._frozen import frozen
from .._monitor import wording
from .._monitor.visible import MARKS
from .options import Form
from .talk import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

LONG_AGO: Final = timedelta(days=1)  # from there on a date says more than an age
LEAST_ELASTIC_WIDTH: Final = 16
LEAST_NOTE_WIDTH: Final = 40  # with less room than that, a note goes under its row
_OBEYED_IN_JSON: Final = re.compile(rf"[{MARKS}]")

# In a cell of CSV these stay: a spreadsheet shows them as they are.
_LINE_BREAKS: Final = re.compile(r"\r\n|\r")
_OBEYED_IN_CSV: Final = re.compile(rf"[\x00-\x08\x0b-\x1f{MARKS}]")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\n", "＝", "＋", "－", "＠")

_ELASTIC: Final = ("job", "source")
_JOINER: Final = "\u200d"

_FOR_A_FILE: Final = ContextVar("for_a_file", default=False)

_PLAIN: Final = frozenset({str, int, float, bool, datetime, type(None)})

Cell = str | Text


@frozen
class Listing:
    """A table, one line a row; each row ends in a note, which may be empty or very long."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note_title: str
    notes: Sequence[str]
    numbers: Sequence[str] = ("id",)  # the columns that are set right
    optional: Sequence[str] = ()  # what a narrow window goes without, the least needed first


def write_json(records: Iterable[Any]) -> None:
    """Write records as one JSON array; times in ISO 8601, in UTC."""
    sys.stdout.write(json_text(records))


def json_text(records: Iterable[Any]) -> str:
    """Return records as one JSON array; each is a dataclass, or a mapping already."""
    text = _indented([_mapping_of(record) for record in records], "\n")
    return _OBEYED_IN_JSON.sub(lambda mark: f"\\u{ord(mark[0]):04x}", text) + "\n"


def _indented(value: Any, newline: str) -> str:
    """Return what `json.dumps` makes with an indent of two, which it does not make in C."""
    kind, inner = type(value), f"{newline}  "
    if kind is str:
        return _quoted(value)
    if kind is dict and value:
        pairs = (f"{_quoted(name)}: {_indented(one, inner)}" for name, one in value.items())
        return f"{{{inner}{f',{inner}'.join(pairs)}{newline}}}"
    if kind in (list, tuple) and value:
        return f"[{inner}{f',{inner}'.join(_indented(one, inner) for one in value)}{newline}]"
    if kind is datetime:
        return _quoted(_json_value(value))
    return "null" if value is None else str(value) if kind is int else _ENCODED(value)


def csv_text(records: Iterable[Any], columns: Sequence[str]) -> str:
    """Return records as CSV of RFC 4180: UTF-8, lines ended by CR LF, times in ISO 8601, in UTC.

    A spreadsheet computes what looks like a formula, and texts here are of whoever made a job
    fail: such a text gets an apostrophe in front. The exact text is in JSON.
    """
    lines = io.StringIO(newline="")
    writer = csv.writer(lines)
    writer.writerow(columns)
    for record in records:
        row = _mapping_of(record)
        writer.writerow([_csv_cell(row[column]) for column in columns])
    return lines.getvalue()


def columns_of(record: type[Any]) -> list[str]:
    """Return the columns of a kind of record."""
    return [field.name for field in dataclasses.fields(record)]


def write_listing(listing: Listing) -> None:
    """Write a listing; where the window is narrow, each note in a line below its row."""
    console = stdout_console()
    if console.is_terminal:
        console.print(shown_on(listing, console))
    else:
        sys.stdout.write(listing_text(listing))


def listing_text(listing: Listing) -> str:
    """Return a listing as a pipe gets it: at its full width, without a colour.

    What `pipe_text` makes of its table, letter by letter, in a tenth of the time: a listing may
    have thousands of rows.
    """
    titles = [*listing.columns, listing.note_title]
    rows = [
        [_plain_line(cell) for cell in (*row, note)]
        for row, note in zip(listing.rows, listing.notes, strict=True)
    ]
    columns = [[title, *cells] for title, *cells in zip(titles, *rows, strict=True)]
    padded = (_padded(cells, is_number=cells[0] in listing.numbers) for cells in columns)
    text = "".join(f"{'  '.join(line).rstrip()}\n" for line in zip(*padded, strict=True))
    # Behind a joiner, Rich counts the blank that pads a cell as part of the letter.
    return pipe_text(_table_of(listing, notes=True)) if _JOINER in text else text


def _padded(cells: Sequence[str], *, is_number: bool) -> Sequence[str]:
    """Return the cells of a column, each as wide as the widest."""
    widths = [len(cell) if cell.isascii() else cell_len(cell) for cell in cells]
    room = max(widths)
    blanks = (" " * (room - width) for width in widths)
    if is_number:
        return [f"{blank}{cell}" for cell, blank in zip(cells, blanks, strict=True)]
    return [f"{cell}{blank}" for cell, blank in zip(cells, blanks, strict=True)]


def shown_on(listing: Listing, console: Console) -> RenderableType:
    """Return a listing as a window or a pipe gets it."""
    return _fitted(listing, console) if console.is_terminal else _table_of(listing, notes=True)


def text_of(
    records: Sequence[Any],
    form: Form,
    *,
    columns: Sequence[str],
    listing_of: Callable[[Sequence[Any]], Listing],
) -> str:
    """Return records in a form, as a pipe gets them: of none there is no table."""
    match form:
        case Form.JSON:
            return json_text(records)
        case Form.CSV:
            return csv_text(records, columns)
        case _:
            return listing_text(listing_of(records)) if records else ""


def write_records(
    records: Sequence[Any],
    form: Form,
    *,
    columns: Sequence[str],
    listing_of: Callable[[Sequence[Any]], Listing],
) -> None:
    """Write records in a form to stdout."""
    if form is not Form.TABLE:
        sys.stdout.write(text_of(records, form, columns=columns, listing_of=listing_of))
    elif records:
        write_listing(listing_of(records))


def _fitted(listing: Listing, console: Console) -> RenderableType:
    """Return a listing as it fits the window; where that is narrow, notes stand below the rows."""
    listing = _narrowed(listing, console.width)
    bare = _table_of(listing, notes=False)
    room = console.width - Measurement.get(console, console.options, bare).maximum
    if room >= LEAST_NOTE_WIDTH:
        return _table_of(listing, notes=True)
    header, *lines = console.render_lines(bare, pad=False)
    parts: list[RenderableType] = [Segments([*header, Segment.line()])]
    for line, note in zip(lines, listing.notes, strict=True):
        parts.append(Segments([*line, Segment.line()]))
        if note:
            below = f"  {one_line(note)}"
            parts.append(Text(below, "dim", no_wrap=True, overflow="ellipsis"))
    return Group(*parts)


def write_table(table: RenderableType) -> None:
    """Write a table: folded to the window of a terminal, at its full width in a pipe."""
    console = stdout_console()
    if console.is_terminal:
        console.print(table)
    else:
        sys.stdout.write(pipe_text(table))


def pipe_text(table: RenderableType) -> str:
    """Return a table at its full width, without a colour."""
    pipe = Console(file=io.StringIO(), width=1 << 24, color_system=None, emoji=False)
    with pipe.capture() as captured:
        pipe.print(table)
    return "".join(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def plain_table(*titles: str) -> Table:
    """Return an empty table in the style of all tables here."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title)
    return table


def stdout_console() -> Console:
    """Return a console on what is stdout now; it knows of `NO_COLOR` and of pipes."""
    forced = False if _FOR_A_FILE.get() else None
    return Console(highlight=False, markup=False, emoji=False, force_terminal=forced)


def progress_bar(*, quiet: bool = False) -> Progress:
    """Return a bar on stderr that goes away at the end; nothing is shown where no terminal is."""
    from rich.progress import Progress  # few commands have one

    console = Console(stderr=True, quiet=quiet)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


@contextmanager
def for_a_file() -> Iterator[None]:
    """Say everything as to a pipe, whatever stdout is."""
    token = _FOR_A_FILE.set(True)
    try:
        yield
    finally:
        _FOR_A_FILE.reset(token)


def has_colours(console: Console) -> bool:
    """Whether a style can be seen there."""
    return console.is_terminal and console.color_system is not None and not console.no_color


def takes_letters_beyond_ascii(console: Console) -> bool:
    """Whether what is written there arrives as it is."""
    return console.encoding.lower().replace("_", "-").startswith("utf")


def moment(instant: datetime | None, *, now: datetime) -> str:
    """Say when: an age or a local time on a terminal, ISO 8601 in UTC in a pipe."""
    return moments(now)(instant)


def moments(now: datetime) -> Callable[[datetime | None], str]:
    """Return `moment` for many instants, which looks once at what stdout is."""
    is_terminal = stdout_console().is_terminal

    def said(instant: datetime | None) -> str:
        if instant is None:
            return "-"
        if not is_terminal:
            return wording.iso(instant.replace(microsecond=0))
        if now - instant >= LONG_AGO:
            return f"{instant.astimezone():%Y-%m-%d %H:%M}"
        return wording.age(instant, now)

    return said


def exact_moment(instant: datetime | None, *, now: datetime, with_age: bool = True) -> str:
    """Say when, to the second: a local time on a terminal, ISO 8601 in UTC in a pipe."""
    if instant is None or not stdout_console().is_terminal:
        return moment(instant, now=now)
    local = instant.astimezone()
    today = local.date() == now.astimezone().date()
    spelled = f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M:%S}"
    return f"{spelled} ({wording.age(instant, now)})" if with_age else spelled


def _narrowed(listing: Listing, width: int) -> Listing:
    """Leave out columns until the rest fits; those that may wrap need little."""

    def wanted(place: int) -> int:
        title = listing.columns[place]
        widest = max((cell_len(one_line(row[place])) for row in listing.rows), default=0)
        return max(len(title), min(widest, LEAST_ELASTIC_WIDTH) if title in _ELASTIC else widest)

    kept = {title: wanted(place) for place, title in enumerate(listing.columns)}
    for title in listing.optional:
        if sum(kept.values()) + 2 * (len(kept) - 1) <= width:
            break
        del kept[title]
    places = [place for place, title in enumerate(listing.columns) if title in kept]
    return dataclasses.replace(
        listing,
        columns=[listing.columns[place] for place in places],
        rows=[[row[place] for place in places] for row in listing.rows],
    )


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


def _plain_line(cell: Cell) -> str:
    return cell.plain if isinstance(cell, Text) and cell.spans else one_line(cell)


def _line_of(cell: Cell) -> Text:
    if isinstance(cell, Text) and cell.spans:  # made here, character by character
        return cell
    style = cell.style if isinstance(cell, Text) else ""
    return Text(one_line(cell), style, no_wrap=True, overflow="ellipsis")


def plain(value: Any) -> Any:
    """Return a record as mappings and lists of plain values, for those who only read them.

    As `dataclasses.asdict`, which copies every value and so takes eight times as long.
    """
    kind: Any = type(value)
    if kind in _PLAIN:
        return value
    if (names := _fields_of(kind)) is not None:
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


@cache
def _fields_of(kind: Any) -> Sequence[str] | None:
    is_record: bool = dataclasses.is_dataclass(kind)
    return columns_of(kind) if is_record else None


def _mapping_of(record: Any) -> Mapping[str, Any]:
    return record if isinstance(record, Mapping) else plain(record)


def _json_value(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


_ENCODED: Final = json.JSONEncoder(ensure_ascii=False, default=_json_value).encode


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Mapping | list | tuple):
        text = json.dumps(value, default=_json_value, ensure_ascii=False)
    else:
        text = _LINE_BREAKS.sub("\n", _json_value(value))
    text = _OBEYED_IN_CSV.sub(lambda found: ascii(found[0])[1:-1], text)
    return f"'{text}" if text.startswith(_FORMULA) else text
