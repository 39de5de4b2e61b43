"""The pages: each asks the store a fixed number of questions, and shows the answers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from .._errors import did_you_mean
from .._models import RunStatus, Severity, TriggerType
from .._monitor import wording
from .._monitor.explanation import Sentence, Topic, explain
from .._monitor.health import JobState, is_failing, state_of, worst_first
from .._monitor.records import AlertFilter, AlertOrder, AlertRecord, JobOverview, RunCell, RunFilter
from .._store.operator import OperatorStore
from . import charts
from .api import LARGEST_ID, no_such_job, place_text
from .asking import Asked, alert_filter, asked_of, run_filter
from .problems import Problem
from .rendering import render, url_of
from .site import site_of

RUNS_ON_A_PAGE: Final = 50
RUNS_BELOW_A_JOB: Final = 25
RUNS_IN_A_CHART: Final = 200
JOBS_AT_FIRST: Final = 50
OPEN_ALERTS: Final = 100  # looked through for those that the first lines name
MOST_IDS: Final = 1000
NAMES_OFFERED: Final = 500


@dataclass(frozen=True, slots=True)
class Span:
    """How far back the chart of failures looks, and how long one bar is."""

    text: str
    words: str
    length: timedelta
    bucket: timedelta


SPANS: Final = (
    Span("24h", "24 hours", timedelta(hours=24), timedelta(hours=1)),
    Span("7d", "7 days", timedelta(days=7), timedelta(hours=6)),
    Span("30d", "30 days", timedelta(days=30), timedelta(days=1)),
)
CHOICES: Final = {
    "statuses": tuple(map(str, RunStatus)),
    "triggers": tuple(map(str, TriggerType)),
    "severities": tuple(map(str, Severity)),
    "times": tuple(
        {
            "1h": "last hour",
            "24h": "last 24 hours",
            "7d": "last 7 days",
            "30d": "last 30 days",
        }.items()
    ),
}


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job as the overview shows it."""

    job: JobOverview
    state: JobState
    last: RunCell | None
    strip: Markup
    summary: str
    success: str
    alerts: tuple[AlertRecord, ...] = ()

    @property
    def group(self) -> str | None:
        """The group of its last failure, while that is the last word."""
        return self.last.error_group if self.last and is_failing(self.job) else None

    @property
    def alert(self) -> AlertRecord | None:
        """The newest open alert of that group."""
        ours = (one for one in self.alerts if _text_in(one.detail, "error_group") == self.group)
        return next(ours, None)


def overview(request: Request) -> Response:
    """Show every job, the worst first, and say what is broken now."""
    store, span = _store_of(request), _span_of(request)
    now = store.now()
    jobs = worst_first(store.overview(strip=charts.STRIP_CELLS), now=now)
    failing = sum(map(is_failing, jobs))
    alerts = _open_alerts(store) if failing else {}
    shown = jobs if request.query_params.get("all") else jobs[: max(JOBS_AT_FIRST, failing)]
    rows = [_row_of(request, job, now, alerts.get(job.job_name, ())) for job in shown]
    context = {
        "now": now,
        "live": True,
        "rows": rows,
        "jobs": len(jobs),
        "failing": [row for row in rows if row.state is JobState.FAILING],
        "stuck": [row for row in rows if row.state is JobState.STUCK],
        "running": sum(job.running for job in jobs),
        **_failures(request, store, span, now),
    }
    return render(request, "overview.html", context)


def job(request: Request) -> Response:
    """Show one job: how it stands, how long its runs take, why they fail, and its runs."""
    store, span, name = _store_of(request), _span_of(request), request.path_params["job_name"]
    asked = asked_of(request, "runs")
    found = store.overview(strip=charts.STRIP_CELLS, job_name=name) if _is_text(name) else ()
    if not found:
        raise no_such_job(store, name)
    now = store.now()
    cells = store.last_runs(name, limit=RUNS_IN_A_CHART)
    row = _row_of(request, found[0], now)
    context = {
        "now": now,
        "live": True,
        "row": row,
        "job": found[0],
        "durations": charts.durations(
            cells, href_of=_run_links(request), usual=found[0].p95_seconds
        ),
        "points": _points(request, cells, usual=found[0].p95_seconds),
        "lock": store.lock_state(name),
        "cooldowns": store.cooldowns(name),
        **_failures(request, store, span, now, job_name=name),
        **_run_list(store, asked, now, limit=RUNS_BELOW_A_JOB, job_name=name),
    }
    return render(request, "job.html", context)


def runs(request: Request) -> Response:
    """List runs of all jobs."""
    store, asked = _store_of(request), asked_of(request, "runs")
    now, names = store.now(), store.job_names()
    wanted: str | None = asked.values.get("job")
    unknown = wanted is not None and wanted not in names
    context = {
        "now": now,
        "live": not asked.page,
        "names": names[:NAMES_OFFERED],
        "hint": did_you_mean(wanted or "", names).lstrip("; ") if unknown else "",
        "unknown": unknown,
        "job": None,
        **_run_list(store, asked, now, limit=RUNS_ON_A_PAGE),
    }
    return render(request, "runs.html", context)


def run(request: Request) -> Response:
    """Show everything about one run, and why."""
    store, run_id = _store_of(request), request.path_params["run_id"]
    details = store.run_details(run_id) if run_id <= LARGEST_ID else None
    if details is None:
        raise Problem(
            404,
            f"There is no run {run_id}.",
            title="No such run",
            remedy="It may have been pruned. The list of runs has those that are there.",
        )
    now = store.now()
    explanation = explain(details, now=now)
    context = {
        "now": now,
        "live": True,
        "details": details,
        "run": details.run,
        "explanation": explanation,
        "reasons": _by_topic(explanation.reasons),
        "open": details.run.status == RunStatus.RUNNING,
    }
    return render(request, "run.html", context)


def alerts(request: Request) -> Response:
    """List alerts, to be resolved or reviewed."""
    store, asked = _store_of(request), asked_of(request, "alerts")
    now = store.now()
    order = AlertOrder(asked.values.get("order", AlertOrder.NEWEST))
    page = store.alert_page(
        alert_filter(asked, now),
        limit=RUNS_ON_A_PAGE,
        order=order,
        following=asked.page.get("following"),
        preceding=asked.page.get("preceding"),
    )
    context = {
        "now": now,
        "live": not asked.page,
        "alerts": page.alerts,
        "asked": asked,
        "order": order,
        "following": place_text("following", page.following),
        "preceding": place_text("preceding", page.preceding),
        "done": _done(request),
        **CHOICES,
    }
    return render(request, "alerts.html", context)


def alert(request: Request) -> Response:
    """Show one alert, the run that raised it, and the failures that it covers."""
    store, alert_id = _store_of(request), request.path_params["alert_id"]
    details = store.alert_details(alert_id) if alert_id <= LARGEST_ID else None
    if details is None:
        raise Problem(
            404,
            f"There is no alert {alert_id}.",
            title="No such alert",
            remedy="It may have been pruned. The list of alerts has those that are there.",
        )
    detail = details.alert.detail
    name, group = (_text_in(detail, one) for one in ("job_name", "error_group"))
    context = {
        "now": store.now(),
        "live": True,
        "details": details,
        "alert": details.alert,
        "job_name": name,
        "group": group,
        "detail": _lines_of(detail),
        "done": _done(request),
    }
    return render(request, "alert.html", context)


def resolve_alerts(request: Request) -> Response:
    """Mark the chosen alerts resolved, or open again."""
    ids, site = _chosen(request), site_of(request)
    resolved = request.state.form.get("resolved", "true") != "false"
    changed = site.store_of().resolve_alerts(ids, by=site.actor_of(request), resolved=resolved)
    return _back(request, "resolved" if resolved else "reopened", len(changed))


def review_alerts(request: Request) -> Response:
    """Set the review status of the chosen alerts."""
    ids, site = _chosen(request), site_of(request)
    status = str(request.state.form.get("review_status", ""))
    changed = site.store_of().review_alerts(ids, by=site.actor_of(request), review_status=status)
    return _back(request, "reviewed", len(changed))


def _store_of(request: Request) -> OperatorStore:
    return site_of(request).store_of()


def _is_text(text: str) -> bool:
    """Whether a database can hold it."""
    return "\0" not in text and not any("\ud800" <= one <= "\udfff" for one in text)


def _span_of(request: Request) -> Span:
    wanted = request.query_params.get("span")
    return next((span for span in SPANS if span.text == wanted), SPANS[0])


def _row_of(
    request: Request, job: JobOverview, now: datetime, alerts: Sequence[AlertRecord] = ()
) -> JobRow:
    finished = (cell for cell in job.strip if cell.status != RunStatus.RUNNING)
    return JobRow(
        job=job,
        state=state_of(job, now=now),
        last=next(finished, None),
        strip=_drawn(charts.strip(job.strip, href_of=_run_links(request))),
        summary=charts.strip_summary(job.strip),
        success=wording.percent(job.succeeded, job.finished),
        alerts=tuple(alerts),
    )


def _open_alerts(store: OperatorStore) -> dict[str, list[AlertRecord]]:
    """Return the newest open failure alerts by job."""
    page = store.alert_page(AlertFilter(alert_type="FAILED", resolved=False), limit=OPEN_ALERTS)
    found: dict[str, list[AlertRecord]] = {}
    for one in page.alerts:
        if name := _text_in(one.detail, "job_name"):
            found.setdefault(name, []).append(one)
    return found


def _run_links(request: Request) -> Any:
    run_url = url_of(request)("/runs/")
    return lambda cell: f"{run_url}{cell.id}"


def _failures(
    request: Request,
    store: OperatorStore,
    span: Span,
    now: datetime,
    *,
    job_name: str | None = None,
) -> dict[str, Any]:
    """Return the chart of failures by group, with its links."""
    since = now - span.length
    buckets = store.failure_buckets(since=since, bucket=span.bucket, job_name=job_name)
    series = charts.series_of(buckets, since=since, until=now, bucket=span.bucket)
    url = url_of(request)

    def runs_of(bar: charts.Bar | None, group: str | None) -> str:
        return url(
            "/runs",
            job=job_name,
            status=RunStatus.FAILED,
            group=group if group in charts.GROUPS else None,
            since=span.text if bar is None else wording.iso(bar.starts_at),
            until=None if bar is None else wording.iso(bar.ends_at),
        )

    return {
        "span": span,
        "spans": SPANS,
        "series": series,
        "failure_chart": charts.failures(series, href_of=runs_of),
        "failures_url": runs_of,
    }


def _run_list(
    store: OperatorStore, asked: Asked, now: datetime, *, limit: int, job_name: str | None = None
) -> dict[str, Any]:
    wanted = run_filter(asked, now, job_name=job_name)
    page = store.run_page(
        wanted,
        limit=limit,
        older_than=asked.page.get("older"),
        newer_than=asked.page.get("newer"),
    )
    return {
        "runs": page.runs,
        "asked": asked,
        "narrowed": wanted != RunFilter(job_name=job_name),
        "older": place_text("older", page.older),
        "newer": place_text("newer", page.newer),
        **CHOICES,
    }


def _by_topic(sentences: Iterable[Sentence]) -> list[tuple[str, list[Sentence]]]:
    """Put sentences of one topic together, in the order in which the topics come up."""
    found: dict[Topic, list[Sentence]] = {}
    for sentence in sentences:
        found.setdefault(sentence.topic, []).append(sentence)
    return [(wording.topic(topic), said) for topic, said in found.items()]


def _points(request: Request, cells: Iterable[RunCell], *, usual: float | None) -> str:
    """Return a job's runs for the chart that a script draws, the oldest first."""
    points = [
        [
            round(cell.started_at.astimezone(UTC).timestamp(), 3),
            round(cell.seconds, 4),
            cell.id,
            charts.cell_class(cell.status, cell.error_group),
            cell.error_group or cell.status.lower(),
        ]
        for cell in cells
        if cell.started_at is not None and cell.seconds is not None
    ]
    points.sort()
    drawn = {"href": url_of(request)("/runs/"), "usual": usual, "runs": points}
    return json.dumps(drawn, ensure_ascii=False)


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - `charts` escapes every text in it


def _text_in(detail: Any, name: str) -> str | None:
    value = detail.get(name) if isinstance(detail, dict) else None
    return value if isinstance(value, str) else None


def _lines_of(detail: Any) -> list[tuple[str, str]]:
    """Return what an alert carries; another program may have written any JSON."""
    if detail is None:
        return []
    lines = detail.items() if isinstance(detail, dict) else [("value", detail)]
    return [(str(key), _told(value)) for key, value in lines]


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _chosen(request: Request) -> list[int]:
    """Return the ids of the alerts that a form names.

    Raises:
        Problem: it names none, or what is no id.
    """
    sent = [str(one) for one in request.state.form.getlist("alert_id")]
    if not sent:
        raise Problem(
            422,
            "No alert was chosen, so nothing was changed.",
            title="Choose an alert first",
            remedy="Go back and tick at least one alert.",
        )
    ids = [int(one) for one in sent if one.isascii() and one.isdigit() and len(one) < 20]
    if len(ids) != len(sent) or len(ids) > MOST_IDS or max(ids) > LARGEST_ID:
        raise Problem(
            422,
            f"alert_id: expected at most {MOST_IDS} ids of alerts, found another value",
            remedy="Nothing was changed. Go back and choose again.",
        )
    return list(dict.fromkeys(ids))


def _back(request: Request, what: str, count: int) -> Response:
    """Lead back to the page that the form was on, which says what was done."""
    wanted = urlsplit(str(request.state.form.get("next", "")))
    prefix = request.scope.get("root_path", "").rstrip("/")
    ours = wanted.path in (f"{prefix}/", f"{prefix}/alerts") or _is_alert(prefix, wanted.path)
    path = wanted.path if ours else f"{prefix}/alerts"
    kept = [one for one in wanted.query.split("&") if one and not one.startswith("done=")]
    query = "&".join([*(kept if ours else ()), f"done={what}.{count}"])
    return RedirectResponse(f"{path}?{query}", status_code=303)


def _is_alert(prefix: str, path: str) -> bool:
    return path.startswith(f"{prefix}/alerts/") and path[len(prefix) + 8 :].isdigit()


def _done(request: Request) -> str:
    """Say what the form before this page did."""
    what, _, count = request.query_params.get("done", "").partition(".")
    if what not in ("resolved", "reopened", "reviewed") or not count.isdigit() or len(count) > 4:
        return ""
    done = {"resolved": "resolved", "reopened": "open again", "reviewed": "reviewed"}[what]
    return f"{wording.counted(int(count), 'alert')} {done}."
