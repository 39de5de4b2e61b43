"""Who ran when: the runs of many jobs side by side, merged as far as an eye tells them apart.

Pure: a store reads `LaneFacts`, a page or a program shows `Lane`s.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise
from typing import Final

from .._frozen import frozen
from .._models import RunStatus
from .records import RunCell

MOST_LANES: Final = 50
MOST_BARS: Final = 6000  # of all lanes together
LEAD: Final = 7  # slices that a window shows of the future, for what is expected next

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class Zoom:
    """How much time a timeline shows: `text` is its name, `slice` what an eye can tell apart."""

    text: str
    words: str
    length: timedelta
    slice: timedelta
    tick: timedelta


ZOOMS: Final = (
    Zoom("1h", "1 hour", timedelta(hours=1), timedelta(seconds=30), timedelta(minutes=10)),
    Zoom("6h", "6 hours", timedelta(hours=6), timedelta(minutes=2), timedelta(hours=1)),
    Zoom("24h", "24 hours", timedelta(hours=24), timedelta(minutes=10), timedelta(hours=2)),
    Zoom("7d", "7 days", timedelta(days=7), timedelta(hours=1), timedelta(days=1)),
    Zoom("30d", "30 days", timedelta(days=30), timedelta(hours=4), timedelta(days=3)),
)
DEFAULT_ZOOM: Final = ZOOMS[2]


@frozen
class Window:
    """The time that a timeline shows, in whole slices since the epoch."""

    since: datetime
    until: datetime
    slice: timedelta

    @property
    def length(self) -> timedelta:
        """How long it is."""
        return self.until - self.since

    def starts(self) -> list[datetime]:
        """Return where the slices begin."""
        return [self.since + number * self.slice for number in range(self.length // self.slice)]


def window_of(zoom: Zoom, *, now: datetime, until: datetime | None = None) -> Window:
    """Return the window that ends at `until`; without it, the one that shows now.

    >>> noon = datetime(2026, 3, 1, 12, 3, tzinfo=UTC)
    >>> window = window_of(DEFAULT_ZOOM, now=noon)
    >>> window.since.isoformat(), window.until.isoformat()
    ('2026-02-28T12:10:00+00:00', '2026-03-01T13:20:00+00:00')
    """
    lead = LEAD * zoom.slice
    end = now + lead if until is None else until
    end = _EPOCH + -((_EPOCH - end) // zoom.slice) * zoom.slice
    return Window(end - zoom.length - lead, end, zoom.slice)


@frozen
class RunSlice:
    """The runs of a job that began in one slice of a window.

    `runs` were counted, `is_all` says whether to the end; `failures` counts by group, always to
    the end, unless it is not `is_judged`: then nobody has looked for them. `last_ended_at` is when
    the one that began last ended; None where no end is known.
    """

    starts_at: datetime
    runs: int
    is_all: bool
    last_started_at: datetime
    last_ended_at: datetime | None = None
    failures: Mapping[str | None, int] = field(default_factory=dict)
    is_judged: bool = True

    @property
    def ends_at(self) -> datetime:
        """When the last that is known of it ended."""
        return max(self.last_started_at, self.last_ended_at or self.last_started_at)


@frozen
class LaneFacts:
    """What a store knows of a job in a window.

    `runs` are all that were under way in it, also those that began before. Where these are many,
    they are the ones that began before it or have not ended; `slices` then count the rest.
    """

    job_name: str
    runs: tuple[RunCell, ...] = ()
    slices: tuple[RunSlice, ...] = ()
    environment: str | None = None


class BarKind(StrEnum):
    """What a bar stands for; the later one is drawn above."""

    SUCCESS = "success"
    OTHER = "other"  # a status that another program wrote, or one that is not known
    RUNNING = "running"
    FAILED = "failed"


_ORDER: Final = {kind: place for place, kind in enumerate(BarKind)}
_KINDS: Final[Mapping[str, BarKind]] = {
    RunStatus.SUCCESS: BarKind.SUCCESS,
    RunStatus.FAILED: BarKind.FAILED,
    RunStatus.RUNNING: BarKind.RUNNING,
}


@frozen
class LaneBar:
    """Runs of one kind that stand so close together that an eye would not tell them apart.

    Attributes:
        ends_at: When the last of them ended; now, for those that run.
        runs: How many of this kind.
        of: How many runs of any kind began in that time: a failure is told apart in a merge.
        is_all: Whether `of` and `runs` were counted to the end; failures always are.
        error_group: The group of these failures.
        run_id: The run, where it is one only.
    """

    kind: BarKind
    starts_at: datetime
    ends_at: datetime
    runs: int
    of: int
    is_all: bool = True
    error_group: str | None = None
    run_id: int | None = None

    @property
    def share(self) -> float:
        """How much of what ran then is of this kind."""
        return self.runs / self.of if self.of else 1.0


@frozen
class Stretch:
    """A time from and to."""

    starts_at: datetime
    ends_at: datetime


@frozen
class MissedStarts:
    """Expected starts in a row that did not come: when the first and the last were due."""

    first_due_at: datetime
    last_due_at: datetime
    starts: int = 1


@frozen
class LaneCell:
    """What a job did between two ticks; `is_busy` says whether an earlier run went on."""

    runs: int = 0
    failures: int = 0
    is_all: bool = True
    is_busy: bool = False


@frozen
class Lane:
    """A job's line in a timeline.

    Attributes:
        bars: In the order in which they are drawn.
        overlaps: When two of its runs or more were under way.
        cells: The same between the ticks, for a table.
        missed: Expected starts that did not come; of many in a row, the first and the last.
        outages: The rows of them.
        next_due_at: The next expected start; None where none is known.
    """

    job_name: str
    bars: tuple[LaneBar, ...] = ()
    overlaps: tuple[Stretch, ...] = ()
    cells: tuple[LaneCell, ...] = ()
    missed: tuple[datetime, ...] = ()
    next_due_at: datetime | None = None
    environment: str | None = None
    outages: tuple[MissedStarts, ...] = ()

    @property
    def missed_starts(self) -> int:
        """How many expected starts did not come."""
        ends = {due for one in self.outages for due in (one.first_due_at, one.last_due_at)}
        alone = sum(due not in ends for due in self.missed)
        return alone + sum(one.starts for one in self.outages)

    @property
    def runs(self) -> int:
        """How many runs began."""
        return sum(cell.runs for cell in self.cells)

    @property
    def failures(self) -> int:
        """How many of them failed."""
        return sum(cell.failures for cell in self.cells)

    @property
    def is_all(self) -> bool:
        """Whether `runs` was counted to the end."""
        return all(cell.is_all for cell in self.cells)


@frozen
class _Piece:
    """A run, or the runs of one kind in a slice; `before` and `after` count all runs up to it."""

    kind: BarKind
    starts_at: datetime
    ends_at: datetime
    runs: int
    before: int
    after: int
    is_all: bool = True
    error_group: str | None = None
    run_id: int | None = None


def lane_of(
    facts: LaneFacts,
    window: Window,
    *,
    now: datetime,
    ticks: Sequence[datetime] = (),
    missed: Sequence[MissedStarts] = (),
    next_due_at: datetime | None = None,
    most_bars: int = MOST_BARS,
) -> Lane:
    """Draw up a job's line; `ticks` are the edges of its cells, the first and the last included.

    Where it has more than `most_bars`, bars further apart merge too.
    """
    edges = tuple(ticks) or (window.since, window.until)
    pieces = _pieces(facts, now)
    within = window.slice
    dues = {due for one in missed for due in (one.first_due_at, one.last_due_at)}
    while len(bars := list(_merged(pieces, within=within))) > most_bars and within < window.length:
        within *= 2
    return Lane(
        job_name=facts.job_name,
        bars=tuple(sorted(bars, key=lambda bar: (_ORDER[bar.kind], bar.starts_at))),
        overlaps=tuple(_overlaps(facts, now, within=window.slice)),
        cells=_cells(pieces, edges),
        missed=tuple(due for due in sorted(dues) if window.since <= due < window.until),
        next_due_at=next_due_at,
        environment=facts.environment,
        outages=tuple(
            one
            for one in sorted(missed, key=lambda one: one.first_due_at)
            if one.starts > 1 and one.first_due_at < window.until and one.last_due_at > window.since
        ),
    )


def _pieces(facts: LaneFacts, now: datetime) -> list[_Piece]:
    """Return the runs, or what is known of them, in the order of their starts."""
    if not facts.slices:
        return [_piece_of(run, now, place) for place, run in enumerate(_in_time(facts.runs))]
    pieces = list(_of_slices(facts, now))
    pieces += (_piece_of(run, now, 0, counted=0) for run in facts.runs)
    return sorted(pieces, key=lambda piece: piece.starts_at)


def _piece_of(run: RunCell, now: datetime, before: int, *, counted: int = 1) -> _Piece:
    kind = _KINDS.get(run.status, BarKind.OTHER)
    return _Piece(
        kind,
        run.started_at or now,
        _end_of(run, now),
        runs=1,
        before=before,
        after=before + counted,
        error_group=run.error_group if kind is BarKind.FAILED else None,
        run_id=run.id,
    )


def _of_slices(facts: LaneFacts, now: datetime) -> Iterator[_Piece]:
    starts = [one.starts_at for one in facts.slices]
    began = (bisect_right(starts, run.started_at or now) - 1 for run in facts.runs)
    still_open = Counter(began)  # of these the slices say only that they began
    before = 0
    for place, one in enumerate(facts.slices):
        failed = sum(one.failures.values())
        after = before + max(one.runs, failed)
        good = after - before - failed - still_open[place]
        if good > 0:
            kind = BarKind.SUCCESS if one.is_judged else BarKind.OTHER
            yield _Piece(kind, one.starts_at, one.ends_at, good, before, after, one.is_all)
        for group, count in one.failures.items():
            yield _Piece(
                *(BarKind.FAILED, one.starts_at, one.ends_at, count, before, after),
                is_all=one.is_all,
                error_group=group,
            )
        before = after


def _merged(pieces: Iterable[_Piece], *, within: timedelta) -> Iterator[LaneBar]:
    """Merge equal neighbours between which no eye sees a gap."""
    growing: dict[tuple[BarKind, str | None], list[_Piece]] = {}
    ends: dict[tuple[BarKind, str | None], datetime] = {}
    for piece in pieces:
        layer = piece.kind, piece.error_group
        bar = growing.setdefault(layer, [])
        if bar and piece.starts_at - ends[layer] >= within:
            yield _bar_of(bar)
            bar.clear()
        ends[layer] = max(ends[layer], piece.ends_at) if bar else piece.ends_at
        bar.append(piece)
    for bar in growing.values():
        yield _bar_of(bar)


def _bar_of(pieces: Sequence[_Piece]) -> LaneBar:
    first, last = pieces[0], pieces[-1]
    runs = sum(one.runs for one in pieces)
    return LaneBar(
        first.kind,
        first.starts_at,
        max(one.ends_at for one in pieces),
        runs=runs,
        of=max(runs, last.after - first.before),
        is_all=all(one.is_all for one in pieces),
        error_group=first.error_group,
        run_id=first.run_id if len(pieces) == 1 else None,
    )


def _overlaps(facts: LaneFacts, now: datetime, *, within: timedelta) -> Iterator[Stretch]:
    """Yield when several runs were under way, as far as it is known, merged as bars are."""
    known = [(run.started_at or now, _end_of(run, now)) for run in facts.runs]
    known += ((one.last_started_at, one.ends_at) for one in facts.slices)
    found: Stretch | None = None
    until: datetime | None = None
    for started_at, ended_at in sorted(known):
        if until is not None and started_at < min(until, ended_at):
            here = Stretch(started_at, min(ended_at, until))
            if found is not None and here.starts_at - found.ends_at < within:
                here = Stretch(found.starts_at, max(found.ends_at, here.ends_at))
            elif found is not None:
                yield found
            found = here
        until = ended_at if until is None else max(until, ended_at)
    if found is not None:
        yield found


def _cells(pieces: Iterable[_Piece], edges: Sequence[datetime]) -> tuple[LaneCell, ...]:
    """Count what began between each two edges."""
    count = len(edges) - 1
    runs, failures, is_all, is_busy = [0] * count, [0] * count, [True] * count, [False] * count
    counted = 0
    for piece in pieces:
        place = bisect_right(edges, piece.starts_at) - 1
        if 0 <= place < count:
            runs[place] += max(0, piece.after - max(counted, piece.before))
            is_all[place] &= piece.is_all
            if piece.kind is BarKind.FAILED:
                failures[place] += piece.runs
        counted = max(counted, piece.after)
        for later in range(max(0, place + 1), count):
            if edges[later] >= piece.ends_at:
                break
            is_busy[later] = True
    return tuple(map(LaneCell, runs, failures, is_all, is_busy))


def _in_time(runs: Iterable[RunCell]) -> list[RunCell]:
    return sorted(runs, key=lambda run: (run.started_at or _EPOCH, run.id))


def _end_of(run: RunCell, now: datetime) -> datetime:
    start = run.started_at or now
    if run.status == RunStatus.RUNNING:
        return max(start, now)
    return max(start, run.finished_at or start)


@frozen
class DayRuns:
    """A job's day: how many runs began, of them failed, and how many starts were missed.

    `starts_at` and `ends_at` are the midnights around it, in the zone of the calendar. `is_all`
    says whether all were counted.
    """

    starts_at: datetime
    ends_at: datetime
    runs: int = 0
    failures: int = 0
    is_all: bool = True
    missed: int = 0


def midnights(first: date, last: date, zone: tzinfo) -> list[datetime]:
    """Return where the days from `first` to `last` begin, and where the last one ends.

    >>> from zoneinfo import ZoneInfo
    >>> edges = midnights(date(2026, 3, 29), date(2026, 3, 29), ZoneInfo("Europe/Berlin"))
    >>> [edge.isoformat() for edge in edges]  # clocks go ahead on that day
    ['2026-03-28T23:00:00+00:00', '2026-03-29T22:00:00+00:00']
    """
    days = range(first.toordinal(), last.toordinal() + 2)
    walls = (datetime.combine(date.fromordinal(day), time(), zone) for day in days)
    return [wall.astimezone(UTC) for wall in walls]


def days_of(
    edges: Sequence[datetime],
    *,
    runs: Mapping[datetime, int],
    failures: Iterable[tuple[datetime, int]] = (),
    missed: Iterable[datetime] = (),
    most: int,
    looked_to: datetime | None = None,
) -> list[DayRuns]:
    """Put what was counted into days, the oldest first.

    Args:
        edges: What `midnights` returns.
        runs: How many began, by the beginning of the day.
        failures: When some runs began that failed, and how many.
        missed: Expected starts that did not come.
        most: How far `runs` were counted.
        looked_to: How far back failures were; None where it was all.
    """
    failed, late = Counter[int](), Counter[int]()
    for instant, count in failures:
        failed[bisect_right(edges, instant) - 1] += count
    for instant in missed:
        late[bisect_right(edges, instant) - 1] += 1
    return [
        DayRuns(
            begin,
            end,
            runs=max(runs.get(begin, 0), failed[place]),
            failures=failed[place],
            is_all=runs.get(begin, 0) < most and (looked_to is None or begin > looked_to),
            missed=late[place],
        )
        for place, (begin, end) in enumerate(pairwise(edges))
    ]
