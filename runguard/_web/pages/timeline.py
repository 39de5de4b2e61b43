"""The timeline above the list of jobs: who ran when, side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request

from ..._models import RunStatus
from ..._monitor import wording
from ..._monitor.records import JobOverview
from ..._monitor.timeline import (
    MOST_LANES,
    ZOOMS,
    BarKind,
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
    has_expected = any(one.missed or one.next_due_at for one in found)
    url, room = url_of(request), lanes.room_for(len(found))

    def to(zoom: Zoom, end: datetime | None) -> str:
        at = None if end is None or end >= window_of(zoom, now=now).until else wording.iso(end)
        page = asked.query.page if asked.query.page > 1 else None
        return (
            f"{url('/', **{**asked.texts, 'timeline': zoom.text, 'at': at, 'page': page})}#timeline"
        )

    def into(begin: datetime, end: datetime) -> str | None:
        nearer = next((one for one in ZOOMS if one.length >= end - begin), zoom)
        middle = begin + (end - begin) / 2
        return to(nearer, middle + nearer.length / 2) if nearer != zoom else None

    return {
        "timeline": {
            "zoom": zoom,
            "zooms": ZOOMS,
            "to": lambda zoom: to(zoom, until),
            "earlier": to(zoom, window.until - zoom.length),
            "later": to(zoom, window.until + zoom.length) if window.until < live.until else None,
            "now": to(zoom, None),
            "legend": (*lanes.LEGEND, *(lanes.LEGEND_OF_EXPECTED if has_expected else ())),
            "has_missed": any(one.missed for one in found),
            "has_next": any(one.next_due_at for one in found),
            "is_live": window.until == live.until,
            "window": window,
            "columns": list(zip(frame.edges, frame.edges[1:], strict=False)),
            "into": into,
            "label": lambda instant: lanes.label_of(instant, frame),
            "axis": drawn(lanes.axis(frame, href_of=into)),
            "lanes": [
                (one, drawn(lanes.lane(one, frame, href_of=_links(url, one.job_name), room=room)))
                for one in found
            ],
            "shown": LANES_SHOWN,
            "summary": lanes.summary_of(found),
            "cell": lanes.cell_text,
            "zone": str(frame.zone),
        }
    }


def _links(url: Callable[..., str], job_name: str) -> Callable[[LaneBar], str]:
    def href_of(bar: LaneBar) -> str:
        if bar.run_id is not None:
            return url(f"/runs/{bar.run_id}")
        return url(
            "/runs",
            job=job_name,
            status=_STATUSES.get(bar.kind),
            group=bar.error_group if bar.error_group in charts.GROUPS else None,
            since=wording.iso(bar.starts_at.replace(microsecond=0)),
            until=wording.iso(bar.ends_at.replace(microsecond=0) + timedelta(seconds=1)),
        )

    return href_of
