"""Charts as SVG, drawn on the server: they need no script, no style attribute and no network.

Colours come from classes, which `static/charts.css` defines. A picture is stretched to the width
that there is, so that it holds no text: what stands beside its axes is returned next to it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from html import escape
from itertools import pairwise
from math import sqrt
from typing import Final

from .._frozen import frozen
from .._models import ErrorGroup, RunStatus
from .._monitor.records import FailureBucket, RunCell
from .._monitor.versions import NewVersion, new_versions
from .._monitor.wording import counted, duration, reason, utc, version
from .foreign_texts import spelled

STRIP_CELLS: Final = 30
CELL_WIDTH: Final = 8
CELL_HEIGHT: Final = 28
HEAD: Final = 5  # above the bars: the mark of a new version
FOOT: Final = 5  # below the line: the mark of a failure, for those who see no colour
PLOT_WIDTH: Final = 1000
PLOT_HEIGHT: Final = 200
CAP: Final = 5  # the height of the mark on the bar of a failure

# What tells the groups apart without colours: paths from the left bottom of six by four.
MARKS: Final[Mapping[str, str]] = {
    ErrorGroup.HTTP_5XX: "h6l-3 -4z",  # a triangle
    ErrorGroup.TIMEOUT: "h2v-4h-2zm4 0h2v-4h-2z",  # two bars: a pause
    ErrorGroup.UNKNOWN: "m0 -2l3 -2 3 2 -3 2z",  # a rhombus
    ErrorGroup.HTTP_4XX: "m0 -4h6l-3 4z",  # a triangle upside down
    ErrorGroup.HTTP_409: "h1.8l4.2 -4h-1.8zm0 -4h1.8l4.2 4h-1.8z",  # a cross
    ErrorGroup.LOCK_CONFLICT: "v-4h6v4z",  # a square
}
MARK_OF_OTHERS: Final = "v-1.5h6v1.5z"

NO_GROUP: Final = "no group"  # a failure that another program wrote
# From the ground up in a bar; and the order of every legend.
GROUPS: Final = (
    *map(str, (ErrorGroup.HTTP_5XX, ErrorGroup.TIMEOUT, ErrorGroup.UNKNOWN)),
    *map(str, (ErrorGroup.HTTP_4XX, ErrorGroup.HTTP_409, ErrorGroup.LOCK_CONFLICT)),
)
_DAY: Final = 86_400.0
_ROUND_SECONDS: Final = (
    *(one * 10.0**power for power in (-3, -2, -1, 0) for one in (1, 2, 5)),
    *(10.0, 20.0, 30.0),
    *(one * 60.0 for one in (1, 2, 5, 10, 20, 30, 60, 120, 240, 360, 720, 1440)),
)


@frozen
class Chart:
    """A picture, and what stands beside its axes.

    `top` and `middle` are what those heights mean, `instants` the times below, evenly spaced;
    `summary` says all of it in a sentence.
    """

    svg: str
    top: str
    middle: str
    instants: tuple[datetime, ...]
    summary: str


@frozen
class Bar:
    """The failures of one stretch of time."""

    starts_at: datetime
    ends_at: datetime
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many failures it holds."""
        return sum(self.counts.values())


@frozen
class FailureSeries:
    """Failures by group in stretches of time without a gap, the oldest first."""

    bars: tuple[Bar, ...]
    totals: Mapping[str, int]

    @property
    def total(self) -> int:
        """How many failures there are."""
        return sum(self.totals.values())


def strip(cells: Sequence[RunCell], *, to: str | None = None, places: int = STRIP_CELLS) -> str:
    """Draw a job's last runs, given the newest first, as cells with the newest at the right.

    The height is the duration, by its square root: a run of a minute beside runs of a second
    leaves these visible. A failure stands on the mark of its group; a run that is not over is
    hollow. A line with a flag stands before the first run of another version.

    All cells of a colour are one path: a list of jobs shows thousands of them. What each of them
    is stands in its title. With `to`, the address of a run where `{}` stands for its id, a script
    makes titles and links of `data-cells` once somebody points at the strip.
    """
    news = new_versions(cells)
    cells = cells[:places]
    longest = max((cell.seconds or 0.0 for cell in cells), default=0.0) or 1.0
    width, bottom, bar = places * CELL_WIDTH, CELL_HEIGHT + FOOT, CELL_WIDTH - 2
    shapes: dict[str, list[str]] = defaultdict(list)
    flags, x = [], width
    for cell in cells:
        x -= CELL_WIDTH
        seconds = cell.seconds
        height = 4 + (CELL_HEIGHT - 4) * sqrt((seconds or 0.0) / longest)
        if seconds is None and cell.status == RunStatus.RUNNING:
            height = CELL_HEIGHT - 1
        shape = f"M{x + 1} {CELL_HEIGHT - height:.1f}h{bar}V{CELL_HEIGHT}h-{bar}z"
        if cell.status == RunStatus.FAILED:
            shape += f"M{x + 1} {bottom}{_mark_of(cell.error_group)}"
        shapes[cell_class(cell.status, cell.error_group)].append(shape)
        if cell.id in news:
            flags.append(f"M{x - 0.5} {CELL_HEIGHT}V{-HEAD}h5l-2.5 4h-2.5")
    titles = [" ".join(cell_title(cell, news.get(cell.id)).split("\n")) for cell in cells]
    told = "" if to is None else _told_by_script(titles, to)
    parts = [
        f'<svg class="strip" viewBox="0 {-HEAD} {width} {bottom + HEAD}" width="{width}"'
        f' height="{bottom + HEAD}" aria-hidden="true" focusable="false"{told}>'
        f'<path class="line" d="M0 {CELL_HEIGHT + 0.5}H{width}"/>',
        *(f'<path class="{name}" d="{"".join(drawn)}"/>' for name, drawn in shapes.items()),
    ]
    if flags:
        parts.append(f'<path class="new" d="{"".join(flags)}"/>')
    if to is None:
        parts += _titled(titles, width, bottom)
    parts.append("</svg>")
    return "".join(parts)


def _told_by_script(titles: Sequence[str], to: str) -> str:
    said = str(spelled("\n".join(titles))).replace("\n", "&#10;")
    return f' data-to="{escape(to)}" data-cells="{said}"'


def _titled(titles: Sequence[str], width: int, bottom: int) -> Iterator[str]:
    for place, title in enumerate(titles, start=1):
        yield (
            f"<g><title>{spelled(title)}</title>"
            f'<rect class="hit" x="{width - place * CELL_WIDTH}" y="{-HEAD}"'
            f' width="{CELL_WIDTH}" height="{bottom + HEAD}"/></g>'
        )


def strip_summary(cells: Sequence[RunCell]) -> str:
    """Say what a strip shows, for who does not see it."""
    if not cells:
        return "No run yet."
    failed: dict[str, int] = defaultdict(int)
    for cell in cells:
        if cell.status == RunStatus.FAILED:
            failed[cell.error_group or NO_GROUP] += 1
    said = f"Last {counted(len(cells), 'run')}: {sum(failed.values())} failed"
    groups = ", ".join(f"{count} {group}" for group, count in failed.items())
    said = f"{said} ({groups})." if groups else f"{said}."
    news = new_versions(cells)
    if not news:
        return said
    last, new = next(iter(news.items()))
    often = f", the last of {len(news)} changes" if len(news) > 1 else ""
    first = f"Run {last} was the first on version {version(new.now)}"
    return f"{said} {first}, before it {version(new.before)} ran{often}."


def cell_title(cell: RunCell, new: NewVersion | None = None) -> str:
    """Say of one run what a pointer's user wants to know; `new` where its version was."""
    said = [f"run {cell.id}", cell.status.lower()]
    if cell.error_group:
        said.append(
            f"{cell.error_group}{f' ({reason(cell.error_reason)})' if cell.error_reason else ''}"
        )
    if cell.seconds is not None:
        said.append(duration(cell.seconds))
    if cell.started_at is not None:
        said.append(utc(cell.started_at, exactly=True))
    if new is not None:
        said.append(f"new version {version(new.now)}, before {version(new.before)}")
    return " · ".join(said)


def series_of(
    buckets: Iterable[FailureBucket],
    *,
    since: datetime,
    until: datetime,
    bucket: timedelta,
    zone: tzinfo = UTC,
) -> FailureSeries:
    """Put failures into stretches without a gap, in the order of `GROUPS`.

    The stretches begin when the reader's clock shows a whole one: days are the days of `zone`.
    `buckets` may be finer than these, and must be where `counted_in` says so.
    """
    edges = edges_of(since, until, bucket, zone)
    counts: dict[datetime, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    found: set[str] = set()
    for one in buckets:
        group = one.error_group or NO_GROUP
        place = bisect_right(edges, one.starts_at.astimezone(UTC)) - 1
        counts[edges[max(0, place)]][group] += one.failures
        found.add(group)
    order = [
        *(group for group in GROUPS if group in found),
        *sorted(found.difference(GROUPS)),
    ]
    bars = []
    for starts_at, ends_at in pairwise(edges):
        here = counts.get(starts_at, {})
        ordered = {group: here[group] for group in order if group in here}
        bars.append(Bar(starts_at, ends_at, ordered))
    totals = {group: sum(bar.counts.get(group, 0) for bar in bars) for group in order}
    return FailureSeries(tuple(bars), totals)


def counted_in(bucket: timedelta, *, since: datetime, until: datetime, zone: tzinfo) -> timedelta:
    """Return in which stretches since the epoch to count, so that those of a zone hold whole ones.

    >>> midnight = datetime(2026, 3, 1, tzinfo=UTC)
    >>> from datetime import timezone
    >>> kathmandu = timezone(timedelta(hours=5, minutes=45))
    >>> str(counted_in(timedelta(days=1), since=midnight, until=midnight, zone=kathmandu))
    '0:15:00'
    """
    ahead = [instant.astimezone(zone).utcoffset() or timedelta() for instant in (since, until)]
    for finer in (bucket, timedelta(hours=1)):
        if not any(one % finer for one in ahead) and finer <= bucket:
            return finer
    return min(bucket, timedelta(minutes=15))


def edges_of(since: datetime, until: datetime, bucket: timedelta, zone: tzinfo) -> list[datetime]:
    """Return where the stretches begin, and where the last one ends."""
    epoch = datetime(1970, 1, 1)
    wall = since.astimezone(zone).replace(tzinfo=None)
    wall = epoch + (wall - epoch) // bucket * bucket
    edges: list[datetime] = []
    while not edges or edges[-1] <= until:
        instant = wall.replace(tzinfo=zone).astimezone(UTC)
        if not edges or instant > edges[-1]:  # no clock shows the hour that a zone leaves out
            edges.append(instant)
        wall += bucket
    return edges


def failures(series: FailureSeries, *, href_of: Callable[[Bar, str], str] | None = None) -> Chart:
    """Draw failures as bars of stacked groups."""
    most = max((bar.total for bar in series.bars), default=0)
    top = round_count(most)
    width = PLOT_WIDTH / max(1, len(series.bars))
    parts = [_plot_head("failures")]
    for place, bar in enumerate(series.bars):
        y = float(PLOT_HEIGHT)
        for group, count in bar.counts.items():
            height = PLOT_HEIGHT * count / top
            y -= height
            when = f"{duration(bar.ends_at - bar.starts_at)} from {utc(bar.starts_at)}"
            drawn = (
                f"<title>{spelled(f'{count:,} × {group} · {when}')}</title>"
                f'<rect class="{group_class(group)}" x="{(place + 0.12) * width:.1f}"'
                f' y="{y:.1f}" width="{0.76 * width:.1f}" height="{max(height - 0.8, 0.8):.1f}"/>'
            )
            parts.append(_linked(drawn, None if href_of is None else href_of(bar, group)))
    parts.append("</svg>")
    said = ", ".join(f"{count:,} {group}" for group, count in series.totals.items())
    return Chart(
        svg="".join(parts),
        top=f"{top:,}",
        middle=f"{top // 2:,}" if top % 2 == 0 else "",
        instants=_ends_and_middle(series.bars),
        summary=f"{counted(series.total, 'failure')}: {said}." if said else "No failure.",
    )


def durations(
    cells: Sequence[RunCell],
    *,
    href_of: Callable[[RunCell], str] | None = None,
    usual: float | None = None,
) -> Chart:
    """Draw how long runs took, given the newest first, as bars with the newest at the right.

    `usual` draws a line at that many seconds. An upright line stands before the first run of
    another version.
    """
    news = new_versions(cells)
    shown = [cell for cell in reversed(cells) if cell.seconds is not None]
    longest = max((cell.seconds or 0.0 for cell in shown), default=0.0)
    top = round_seconds(longest)
    places = max(len(shown), STRIP_CELLS)
    width = PLOT_WIDTH / places
    first = places - len(shown)
    parts = [_plot_head("durations")]
    for place, cell in enumerate(shown, start=first):
        height = max(1.5, PLOT_HEIGHT * (cell.seconds or 0.0) / top)
        x, y = place * width, PLOT_HEIGHT - height
        drawn = (
            f"<title>{spelled(cell_title(cell, news.get(cell.id)))}</title>"
            f'<rect class="hit" x="{x:.1f}" width="{width:.1f}" height="{PLOT_HEIGHT}"/>'
            f'<rect class="{cell_class(cell.status, cell.error_group)}"'
            f' x="{x + 0.12 * width:.1f}" y="{y:.1f}" width="{0.76 * width:.1f}"'
            f' height="{height:.1f}"/>'
        )
        if cell.status == RunStatus.FAILED:  # for those who see no colour
            drawn += (
                f'<rect class="cap" x="{x + 0.12 * width:.1f}" y="{y:.1f}"'
                f' width="{0.76 * width:.1f}" height="{min(height, CAP):.1f}"/>'
            )
        if cell.id in news:
            drawn += f'<path class="new" d="M{x:.1f} 0V{PLOT_HEIGHT}"/>'
        parts.append(_linked(drawn, None if href_of is None else href_of(cell)))
    if usual is not None and usual <= top:
        y = PLOT_HEIGHT * (1 - usual / top)
        parts.append(f'<path class="usual" d="M0 {y:.1f}H{PLOT_WIDTH}"/>')
    parts.append("</svg>")
    said = f"The last {counted(len(shown), 'finished run')} took up to {duration(longest)}."
    times = [cell.started_at for cell in shown if cell.started_at is not None]
    return Chart(
        svg="".join(parts),
        top=duration(top),
        middle=duration(top / 2),
        instants=_marks(times) if not first else (),
        summary=said if shown else "No run has finished yet.",
    )


def round_count(most: int) -> int:
    """Return the top of an axis of counts.

    >>> [round_count(one) for one in (0, 1, 2, 3, 7, 11, 430)]
    [2, 2, 2, 4, 8, 20, 500]
    """
    if most <= 10:
        return max(2, most + most % 2)
    power: int = 10 ** (len(str(most)) - 1)
    return next(one * power for one in (1, 2, 4, 5, 10) if most <= one * power)


def round_seconds(longest: float) -> float:
    """Return the top of an axis of durations, in seconds.

    >>> [round_seconds(one) for one in (0, 0.03, 3.2, 41, 200, 4000)]
    [0.001, 0.05, 5.0, 60.0, 300.0, 7200.0]
    """
    for top in _ROUND_SECONDS:
        if longest <= top:
            return top
    return _DAY * (longest // _DAY + 1)


def mark(group: str | None) -> str:
    """Draw the mark of a group, which stands below its runs in a strip."""
    return (
        f'<svg class="swatch {group_class(group)}" viewBox="0 -4 6 4" aria-hidden="true"'
        f' focusable="false"><path d="M0 0{_mark_of(group)}"/></svg>'
    )


def _mark_of(group: str | None) -> str:
    return MARKS.get(group or "", MARK_OF_OTHERS)


def group_class(group: str | None) -> str:
    """Return the class that colours a group; only our own names ever become one."""
    return f"g-{group}" if group in GROUPS else "g-other"


def cell_class(status: str, group: str | None) -> str:
    """Return the class that colours a run."""
    if status == RunStatus.SUCCESS:
        return "c-ok"
    if status == RunStatus.RUNNING:
        return "c-run"
    return group_class(group) if status == RunStatus.FAILED else "g-other"


def _plot_head(name: str) -> str:
    half = PLOT_HEIGHT / 2
    return (
        f'<svg class="plot {name}" viewBox="0 0 {PLOT_WIDTH} {PLOT_HEIGHT}"'
        ' preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<path class="grid" d="M0 0.5H{PLOT_WIDTH}M0 {half}H{PLOT_WIDTH}"/>'
        f'<path class="line" d="M0 {PLOT_HEIGHT - 0.5}H{PLOT_WIDTH}"/>'
    )


def _linked(drawn: str, href: str | None) -> str:
    if href is None:
        return f"<g>{drawn}</g>"
    # Beside each chart stand the same links as text: a keyboard need not pass every cell.
    return f'<a href="{escape(href)}" tabindex="-1">{drawn}</a>'


def _ends_and_middle(bars: Sequence[Bar]) -> tuple[datetime, ...]:
    """Return the times at the left, in the middle and at the right of a chart of bars."""
    if not bars:
        return ()
    halfway = bars[len(bars) // 2]
    odd = len(bars) % 2
    middle = halfway.starts_at + (halfway.ends_at - halfway.starts_at) / 2 * odd
    return (bars[0].starts_at, middle, bars[-1].ends_at)


def _marks(instants: Sequence[datetime]) -> tuple[datetime, ...]:
    """Return the first, the middle and the last."""
    if len(instants) < 3:
        return tuple(instants)
    return (instants[0], instants[len(instants) // 2], instants[-1])
