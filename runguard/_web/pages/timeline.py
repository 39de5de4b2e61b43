"""The timeline above the list of jobs: who ran when, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from starlette.requests import Request

from ..._frozen import frozen
from ..._models import RunStatus
from ..._monitor import wording
from ..._monitor.records import JobOverview
from ..._monitor.timeline import (
    MOST_LANES,
    ZOOMS,
    BarKind,
    Lane,
    LaneBar,
    Zoom,
    window_of,
)
from ..._store.operator import OperatorStore
from .. import charts, lanes
from ..query import Asked, JobQuery, timeline_window
from ..rendering import url_of
from ..state import zone_of
from ..who_ran import read_lanes
from .parts import drawn

LANES_SHOWN: Final = 15  # the others unfold
_STATUSES: Final = {BarKind.FAILED: RunStatus.FAILED, BarKind.RUNNING: RunStatus.RUNNING}


def timeline_of(
    request: Request,
    store: OperatorStore,
    asked: Asked[JobQuery],
    jobs: Sequence[JobOverview],
    now: datetime,
    *,
    is_shared: bool,
) -> dict[str, Any]:
    """Return the timeline of some jobs, and where it leads, for a template.

    `is_shared` says whether runs of other environments stand beside theirs.
    """
    zoom, until = asked.query.timeline, asked.query.at
    live = window_of(zoom, now=now)
    window = timeline_window(zoom, until, now)
    frame = lanes.frame_of(window, now=now, tick=zoom.tick, zone=zone_of(request))
    found = read_lanes(
        store, jobs[:MOST_LANES], window, now=now, is_shared=is_shared, ticks=frame.edges
    )
    url, room = url_of(request), lanes.room_for(len(found))
    moves = _Moves(url, asked, now)
    return {
        "timeline": {
            "zoom": zoom,
            "zooms": ZOOMS,
            "to": lambda zoom: moves.to(zoom, until),
            "into": lambda begin, end: moves.into(zoom, begin, end),
            "earlier": moves.to(zoom, window.until - zoom.length),
            "later": moves.to(zoom, window.until + zoom.length),
            "now": moves.to(zoom, None),
            "is_live": window.until == live.until,
            "window": window,
            "columns": list(pairwise(frame.edges)),
            "zone": str(frame.zone),
            "axis": drawn(lanes.axis(frame, href_of=lambda *edges: moves.into(zoom, *edges))),
            "lanes": [
                (one, drawn(lanes.lane(one, frame, href_of=_links(url, one), room=room)))
                for one in found
            ],
            "shown": LANES_SHOWN,
            "legend": lanes.legend_of(found),
            "has_missed": any(one.missed or one.outages for one in found),
            "has_next": any(one.next_due_at for one in found),
            "summary": lanes.summary_of(found),
            "cell": lanes.cell_text,
            "starts": lanes.starts_text,
        }
    }


@frozen
class _Moves:
    """Where a timeline leads: to another time of the same list."""

    url: Callable[..., str]
    asked: Asked[JobQuery]
    now: datetime

    def to(self, zoom: Zoom, end: datetime | None) -> str:
        """Return the address of so much time, up to an end; without one, up to now."""
        is_live = end is None or end >= window_of(zoom, now=self.now).until
        texts = {
            **self.asked.texts,
            "timeline": zoom.text,
            "at": None if is_live or end is None else wording.iso(end),
            "page": self.asked.query.page if self.asked.query.page > 1 else None,
        }
        return f"{self.url('/', **texts)}#timeline"

    def into(self, zoom: Zoom, begin: datetime, end: datetime) -> str | None:
        """Return the address of the least time around a stretch; None where that is shown."""
        nearer = next((one for one in ZOOMS if one.length >= end - begin), zoom)
        if nearer == zoom:
            return None
        return self.to(nearer, begin + (end - begin) / 2 + nearer.length / 2)


def _links(url: Callable[..., str], lane: Lane) -> Callable[[LaneBar], str]:
    def href_of(bar: LaneBar) -> str:
        if bar.run_id is not None:
            return url(f"/runs/{bar.run_id}")
        return url(
            "/runs",
            job=lane.job_name,
            environment=lane.environment,
            status=_STATUSES.get(bar.kind),
            group=bar.error_group if bar.error_group in charts.GROUPS else None,
            since=wording.iso(bar.starts_at.replace(microsecond=0)),
            until=wording.iso(bar.ends_at.replace(microsecond=0) + timedelta(seconds=1)),
        )

    return href_of
