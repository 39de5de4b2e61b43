"""The lanes of a timeline as SVG, with as few characters as show the same.

A lane is stretched to the width that there is, so it holds no text; marks that must keep their
shape stand beside it in the same place. The axis above is not stretched, and holds its texts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from html import escape
from itertools import pairwise
from typing import Final

from .._frozen import frozen
from .._monitor import wording
from .._monitor.timeline import BarKind, Lane, LaneBar, LaneCell, MissedStarts, Window
from . import charts
from .foreign_texts import spelled

WIDTH: Final = 1000
HEIGHT: Final = 22
GROUND: Final = 19  # below it: where runs overlap
TALL: Final = 12
CAP: Final = 3  # above the bar of failures, for those who see no colour
LINKED: Final = 150  # bars in all lanes that say what they are and lead there
LEAST_LINKED: Final = 3  # of them in each lane
MOST_MISSED: Final = 1000  # starts that a finding counts
LABEL_ROOM: Final = 0.08  # of the width, for a text at the axis

_CLASSES: Final = {
    BarKind.SUCCESS: "c-ok",
    BarKind.RUNNING: "c-run",
    BarKind.OTHER: "g-other",
}
# What is rather told than other things, where there is room for some of it only.
_FIRST: Final = (BarKind.FAILED, BarKind.RUNNING, BarKind.OTHER, BarKind.SUCCESS)

# What the bars and marks mean: the picture, and the words.
LEGEND: Final = (
    ('<path class="c-ok" d="M1 7h14v12h-14z"/>', "ran"),
    (
        '<path class="cap" d="M5 3h6v3h-6z"/><path class="g-HTTP_5XX" d="M5 7h6v12h-6z"/>',
        "failed, with a cap, in the colour of its group",
    ),
    ('<path class="c-run" d="M1 7h14v12h-14z"/>', "still runs"),
    (
        '<path class="c-ok" d="M1 7h14v12h-14z"/><path class="lane-overlap" d="M4 20h9v2h-9z"/>',
        "runs of the job overlap",
    ),
)
LEGEND_OF_EXPECTED: Final = (
    ('<use href="#lane-missed" x="8"/>', "an expected start that was missed"),
    ('<path class="lane-outage" d="M1 8h14v7h-14z"/>', "many in a row, from the first to the last"),
    ('<use href="#lane-next" x="8"/>', "the next expected start; filled where it is late"),
)


@frozen
class Frame:
    """What all lanes of a timeline have in common.

    `edges` are the ticks with the ends of the window around them: the columns of the table.
    """

    window: Window
    now: datetime
    edges: tuple[datetime, ...]
    zone: tzinfo

    def x(self, instant: datetime) -> float:
        """Return how far to the right a time stands, from 0 to 1; those outside at the edge."""
        return min(1.0, max(0.0, (instant - self.window.since) / self.window.length))


def frame_of(window: Window, *, now: datetime, tick: timedelta, zone: tzinfo) -> Frame:
    """Return a frame whose ticks are whole hours or days of a zone."""
    ticks = charts.edges_of(window.since, window.until, tick, zone)
    inside = [one for one in ticks if window.since < one < window.until]
    return Frame(window, now, (window.since, *inside, window.until), zone)


def axis(frame: Frame, *, href_of: Callable[[datetime, datetime], str | None]) -> str:
    """Draw the texts above the lanes, each of which leads into its time; and what lanes share."""
    parts = ['<svg class="lane-axis" aria-hidden="true" focusable="false">', _shared(frame)]
    is_now = frame.window.since < frame.now < frame.window.until
    last = (frame.x(frame.now) if is_now else 1.0) - LABEL_ROOM
    for place, (begin, end) in enumerate(pairwise(frame.edges)):
        x = frame.x(begin)
        if not place or x > last:
            continue
        said = escape(label_of(begin, frame))
        wall = begin.astimezone(frame.zone)
        is_day = (wall.hour, wall.minute) == (0, 0)
        text = (
            f'<text x="{100 * x:.2f}%" dx="3" y="13"'
            f' class="{"day" if is_day else "tick"}{" odd" if place % 2 else ""}">{said}</text>'
        )
        href = href_of(begin, end)
        parts.append(text if href is None else f'<a href="{escape(href)}" tabindex="-1">{text}</a>')
    if is_now:
        parts.append(f'<text class="now" x="{100 * frame.x(frame.now):.1f}%" y="13">now</text>')
    parts.append("</svg>")
    return "".join(parts)


def _shared(frame: Frame) -> str:
    lines = "".join(f"M{WIDTH * frame.x(one):.1f} 0v{HEIGHT}" for one in frame.edges[1:-1])
    here = round(WIDTH * frame.x(frame.now))  # whole units: the part changes as seldom as it shows
    to_come = f'<path class="to-come" d="M{here} 0H{WIDTH}v{HEIGHT}H{here}z"/>'
    now = f'<path class="now-line" d="M{here} 0v{HEIGHT}"/>' if here < WIDTH else ""
    return (
        f'<defs><g id="lane-back">{to_come if now else ""}<path class="lane-grid" d="{lines}"/></g>'
        f'<g id="lane-now">{now}</g>'
        '<path id="lane-missed" class="due-missed" d="M0 4l5 7.5-5 7.5-5-7.5z"/>'
        '<path id="lane-next" class="due-next" d="M-3.5 6l8 6-8 6z"/>'
        '<path id="lane-late" class="due-late" d="M-3.5 6l8 6-8 6z"/></defs>'
    )


def label_of(instant: datetime, frame: Frame) -> str:
    """Say a tick in few characters, by the clocks of the frame's zone.

    >>> from datetime import UTC
    >>> since, week = datetime(2026, 3, 1, tzinfo=UTC), timedelta(days=7)
    >>> window = Window(since, since + week, timedelta(hours=1))
    >>> frame = frame_of(window, now=window.until, tick=timedelta(days=1), zone=UTC)
    >>> label_of(frame.edges[1], frame), label_of(since + timedelta(minutes=90), frame)
    ('Mon 2', '01:30')
    """
    wall = instant.astimezone(frame.zone)
    if (wall.hour, wall.minute) != (0, 0):
        return f"{wall:%H:%M}"
    if frame.window.length < timedelta(days=9) and frame.window.length > timedelta(days=2):
        return f"{wall:%a} {wall.day}"
    return f"{wall:%b} {wall.day}"


def legend_of(lanes: Sequence[Lane]) -> tuple[tuple[str, str], ...]:
    """Return what is to be explained of some lanes."""
    has_expected = any(one.missed or one.outages or one.next_due_at for one in lanes)
    has_others = any(bar.kind is BarKind.OTHER for one in lanes for bar in one.bars)
    others = ('<path class="g-other" d="M1 7h14v12h-14z"/>', "status not known")
    return (
        *LEGEND,
        *((others,) if has_others else ()),
        *(LEGEND_OF_EXPECTED if has_expected else ()),
    )


def lane(
    drawn: Lane, frame: Frame, *, href_of: Callable[[LaneBar], str] | None = None, room: int = 0
) -> str:
    """Draw a lane; up to `room` of its bars are linked and say what they are."""
    order = {kind: place for place, kind in enumerate(_FIRST)}
    told = sorted(drawn.bars, key=lambda bar: (order[bar.kind], frame.now - bar.starts_at))[:room]
    alone = {id(bar) for bar in told}
    paths: dict[str, list[str]] = defaultdict(list)
    linked: list[str] = []
    for bar in drawn.bars:
        if id(bar) not in alone:
            paths[class_of(bar)].append(_box(bar, frame))
            if bar.kind is BarKind.FAILED:
                paths["cap"].append(_cap(bar, frame))
            continue
        shape = f'<path class="{class_of(bar)}" d="{_box(bar, frame)}"/>'
        if bar.kind is BarKind.FAILED:
            shape += f'<path class="cap" d="{_cap(bar, frame)}"/>'
        shape = f"<title>{spelled(title_of(bar))}</title>{shape}"
        href = None if href_of is None else escape(href_of(bar))
        linked.append(f'<a href="{href}" tabindex="-1">{shape}</a>' if href else f"<g>{shape}</g>")
    if drawn.overlaps:
        paths["lane-overlap"] = [
            _rectangle(frame.x(one.starts_at), frame.x(one.ends_at), GROUND + 1, 2)
            for one in drawn.overlaps
        ]
    outages = "".join(_outage(one, frame) for one in drawn.outages)
    bars = "".join(f'<path class="{name}" d="{"".join(some)}"/>' for name, some in paths.items())
    marks = "".join(
        f'<use href="#lane-{name}" x="{100 * frame.x(instant):.2f}%"/>'
        for name, instant in _marks(drawn, frame)
    )
    return (
        '<svg class="lane-line" aria-hidden="true" focusable="false">'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">'
        f'<use href="#lane-back"/>{outages}{bars}{"".join(linked)}<use href="#lane-now"/></svg>'
        f"{marks}</svg>"
    )


def room_for(lanes: int) -> int:
    """Return how many bars of each lane are linked: the page stays small."""
    return max(LEAST_LINKED, LINKED // max(1, lanes))


def class_of(bar: LaneBar) -> str:
    """Return the class that colours a bar."""
    return _CLASSES.get(bar.kind) or charts.group_class(bar.error_group)


def title_of(bar: LaneBar) -> str:
    """Say what a bar is."""
    counted = wording.counted(bar.runs, "run")
    if bar.run_id is not None:
        said = f"run {bar.run_id} · {bar.kind}"
    elif bar.kind is BarKind.FAILED:
        of = "" if bar.of == bar.runs else f" of {bar.of:,}{'' if bar.is_all else ' or more'}"
        said = f"{bar.runs:,}{of} runs failed"
    else:
        kind = "status not known" if bar.kind is BarKind.OTHER else bar.kind
        said = f"{counted}{'' if bar.is_all else ' or more'} · {kind}"
    began = wording.utc(bar.starts_at, exactly=True)
    if bar.kind is BarKind.RUNNING:  # its length would change the part each second
        return f"{said} · since {began}"
    group = f" · {bar.error_group or charts.NO_GROUP}" if bar.kind is BarKind.FAILED else ""
    took = wording.duration(bar.ends_at - bar.starts_at)
    return f"{said}{group} · {took} from {began}"


def outage_text(missed: MissedStarts) -> str:
    """Say how many starts in a row did not come, and from when to when.

    >>> from datetime import UTC
    >>> first = datetime(2026, 3, 1, 2, tzinfo=UTC)
    >>> outage_text(MissedStarts(first, first + timedelta(minutes=55), 12))
    'missed 12 starts between 2026-03-01 02:00 UTC and 2026-03-01 02:55 UTC'
    """
    first, last = wording.utc(missed.first_due_at), wording.utc(missed.last_due_at)
    return f"missed {starts_text(missed)} between {first} and {last}"


def starts_text(missed: MissedStarts) -> str:
    """Say how many starts did not come; a finding counts no further than to `MOST_MISSED`."""
    return f"{missed.starts:,}{' or more' if missed.starts >= MOST_MISSED else ''} starts"


def cell_text(cell: LaneCell) -> str:
    """Say what a job did between two ticks.

    >>> cells = LaneCell(), LaneCell(12), LaneCell(3, failures=1), LaneCell(is_busy=True)
    >>> [cell_text(one) for one in cells]
    ['0', '12', '3, 1 failed', 'goes on']
    """
    if not cell.runs and cell.is_busy:
        return "goes on"
    said = f"{cell.runs:,}{'' if cell.is_all else ' or more'}"
    return f"{said}, {cell.failures:,} failed" if cell.failures else said


def summary_of(lanes: Sequence[Lane]) -> str:
    """Say what a timeline shows, for who does not see it."""
    runs, failures = (sum(getattr(one, name) for one in lanes) for name in ("runs", "failures"))
    more = "" if all(one.is_all for one in lanes) else " or more"
    jobs, began = wording.counted(len(lanes), "job"), wording.counted(runs, "run")
    missed = sum(one.missed_starts for one in lanes)
    absent = f" {wording.counted(missed, 'expected start')} missed." if missed else ""
    return f"{jobs}: {began}{more}, {failures:,} failed.{absent}"


def _marks(drawn: Lane, frame: Frame) -> list[tuple[str, datetime]]:
    marks = [("missed", one) for one in drawn.missed]
    due = drawn.next_due_at
    if due is not None and frame.window.since <= due < frame.window.until:
        marks.append(("next" if due > frame.now else "late", due))
    return marks


def _outage(missed: MissedStarts, frame: Frame) -> str:
    begin, end = frame.x(missed.first_due_at), frame.x(missed.last_due_at)
    shape = _rectangle(begin, end, 8, 7)
    return (
        f'<g class="lane-missing"><title>{spelled(outage_text(missed))}</title>'
        f'<path class="lane-outage" d="{shape}"/></g>'
    )


def _box(bar: LaneBar, frame: Frame) -> str:
    height = round(TALL * max(0.35, bar.share)) if bar.kind is BarKind.FAILED else TALL
    begin, end = frame.x(bar.starts_at), frame.x(bar.ends_at)
    return _rectangle(begin, end, GROUND - height, height)


def _cap(bar: LaneBar, frame: Frame) -> str:
    top = GROUND - TALL - CAP - 1
    return _rectangle(frame.x(bar.starts_at), frame.x(bar.ends_at), top, CAP)


def _rectangle(begin: float, end: float, y: float, height: float) -> str:
    x = round(WIDTH * begin)
    width = round(WIDTH * end) - x  # a stroke gives a width to what has none
    return f"M{x} {y:g}h{width}v{height:g}h-{width}z"
