"""`/metrics`: how all jobs stand, for Prometheus to scrape."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ..._errors import ConfigurationError
from ..._exposition import exposition
from ..._monitor.metrics import gauges_of
from ..problems import Problem
from ..state import CurrentState, OpenStore

METRICS: Final = "/metrics"

router = APIRouter(include_in_schema=False)


@router.get(METRICS)
def metrics(request: Request, state: CurrentState, store: OpenStore) -> Response:
    """Answer in the format that the request prefers."""
    gauges = gauges_of(store.standing(spool_records=state.count_waiting()))
    try:
        content, media_type = exposition(gauges, accept=request.headers.get("accept", ""))
    except ConfigurationError as missing:
        raise Problem(
            501,
            str(missing),
            title="Metrics are not set up here",
            remedy="Install the extra, and start the program again.",
        ) from missing
    return Response(content, headers={"Content-Type": media_type})
