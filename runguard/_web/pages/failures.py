"""The chart of failures by group, on the overview and on the page of a job."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request

from ..._frozen import frozen
from ..._models import RunStatus
from ..._monitor import wording
from ..._store.operator import OperatorStore
from .. import charts
from ..rendering import url_of
from ..state import zone_of


@frozen
class Span:
    """How far back the chart looks, and how long one bar is."""

    text: str
    words: str
    length: timedelta
    bucket: timedelta


SPANS: Final = (
    Span("24h", "24 hours", timedelta(hours=24), timedelta(hours=1)),
    Span("7d", "7 days", timedelta(days=7), timedelta(hours=6)),
    Span("30d", "30 days", timedelta(days=30), timedelta(days=1)),
)


def span_of(request: Request) -> Span:
    """Return the span that an address asks for, otherwise the shortest."""
    wanted = request.query_params.get("span")
    return next((span for span in SPANS if span.text == wanted), SPANS[0])


def failure_chart(
    request: Request,
    store: OperatorStore,
    span: Span,
    now: datetime,
    *,
    job_name: str | None = None,
    environment: str | None = None,
) -> dict[str, Any]:
    """Return the chart, and where its parts lead, for a template."""
    since = now - span.length
    zone = zone_of(request)
    counted = charts.counted_in(span.bucket, since=since, until=now, zone=zone)
    buckets = store.failure_buckets(
        since=since, bucket=counted, job_name=job_name, environment=environment
    )
    series = charts.series_of(buckets, since=since, until=now, bucket=span.bucket, zone=zone)
    url = url_of(request)

    def runs_of(bar: charts.Bar | None, group: str | None) -> str:
        return url(
            "/runs",
            job=job_name,
            environment=environment,
            status=RunStatus.FAILED,
            group=group if group in charts.GROUPS else None,
            since=span.text if bar is None else wording.iso(bar.starts_at),
            until=None if bar is None else wording.iso(bar.ends_at),
        )

    return {
        "span": span,
        "spans": SPANS,
        "series": series,
        "zone": str(zone),
        "failure_chart": charts.failures(series, href_of=runs_of),
        "failures_url": runs_of,
    }
