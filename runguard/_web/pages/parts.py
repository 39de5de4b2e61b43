"""What several pages show: a job in a row, and a list of runs with its filters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from markupsafe import Markup
from starlette.requests import Request

from ..._frozen import frozen
from ..._models import RunStatus, Severity, TriggerType
from ..._monitor import wording
from ..._monitor.cadence import Cadence, usual_cadence
from ..._monitor.expectations import ExpectedState, OpenFinding
from ..._monitor.filters import NO_ENVIRONMENT, fits, is_pattern
from ..._monitor.health import (
    JobState,
    is_failing,
    last_outcome,
    reason_now,
    state_against_schedule,
    state_of,
)
from ..._monitor.progress import Progress, job_progress
from ..._monitor.records import AlertFilter, AlertRecord, JobOverview, RunCell, RunFilter
from ..._monitor.versions import NewVersion, new_versions
from ..._store.operator import OperatorStore
from .. import charts
from ..query import AlertFilters, Asked, RunQuery, cursor_text
from ..rendering import url_of

# What the filters of lists offer.
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


MOST_NAMES: Final = 50  # in one filter
REMEMBERED_STRIPS: Final = 512


def places(known: Iterable[str | None]) -> dict[str, Any]:
    """Return what a filter of environments offers, for a template: nothing where none is known."""
    names = sorted({name for name in known if name is not None})
    return {"environments": (*names, NO_ENVIRONMENT) if names else ()}


@frozen
class JobRow:
    """One job as the overview shows it."""

    job: JobOverview
    state: JobState
    last: RunCell | None
    run_address: str
    success: str
    cadence: Cadence | None
    against: ExpectedState | None
    progress: Progress | None
    alerts: tuple[AlertRecord, ...] = ()

    @property
    def strip(self) -> Markup:
        """The picture of its last runs."""
        return _strip(self.job.strip, self.run_address)

    @property
    def summary(self) -> str:
        """The same in a sentence."""
        return _strip_summary(self.job.strip)

    @property
    def due(self) -> datetime | None:
        """When its next start is expected."""
        return self.job.expected.next_due_at if self.job.expected is not None else None

    @property
    def findings(self) -> tuple[OpenFinding, ...]:
        """What is found of it."""
        return self.job.expected.findings if self.job.expected is not None else ()

    @property
    def group(self) -> str | None:
        """The group of its last failure, while that is the last word."""
        return self.last.error_group if self.last and is_failing(self.job) else None

    @property
    def reason(self) -> str | None:
        """The reason of its last failure, while that is the last word."""
        return reason_now(self.job)

    @property
    def new(self) -> NewVersion | None:
        """The version that it began to fail with, where that was another one than before."""
        if not is_failing(self.job):
            return None
        its = (cell.id for cell in self.job.strip if cell.started_at == self.job.failing_since)
        return new_versions(self.job.strip).get(next(its, 0))

    @property
    def alert(self) -> AlertRecord | None:
        """The newest open alert of that group."""
        ours = (one for one in self.alerts if text_in(one.detail, "error_group") == self.group)
        return next(ours, None)


# Most jobs of a page have the same last runs a poll later.
@lru_cache(maxsize=REMEMBERED_STRIPS)
def _strip(cells: tuple[RunCell, ...], run_address: str) -> Markup:
    return drawn(charts.strip(cells, to=run_address))


@lru_cache(maxsize=REMEMBERED_STRIPS)
def _strip_summary(cells: tuple[RunCell, ...]) -> str:
    return charts.strip_summary(cells)


def row_of(
    request: Request, job: JobOverview, now: datetime, alerts: Sequence[AlertRecord] = ()
) -> JobRow:
    """Return a job as a row."""
    return JobRow(
        job=job,
        state=state_of(job, now=now),
        last=last_outcome(job),
        run_address=run_address(request),
        success=wording.percent(job.succeeded, job.finished),
        cadence=usual_cadence(job),
        against=state_against_schedule(job, now=now),
        progress=job_progress(job, now=now),
        alerts=tuple(alerts),
    )


def run_list(
    store: OperatorStore,
    asked: Asked[RunQuery],
    now: datetime,
    *,
    limit: int,
    job_name: str | None = None,
    jobs: Sequence[str] = (),
    environment: str | None = None,
) -> dict[str, Any]:
    """Return a list of runs, its filters and its neighbours, for a template.

    `jobs` are those that the name in the address means; `environment` is that of the job.
    """
    wanted = asked.query.filter(now, job_name=job_name, jobs=jobs, environment=environment)
    page = asked.query.read(store, wanted, limit=limit)
    return {
        "runs": page.runs,
        "asked": asked,
        "narrowed": wanted != RunFilter(job_name=job_name, environment=environment),
        "older": cursor_text("older", page.older),
        "looked_to": page.older and page.older.instant,
        "newer": cursor_text("newer", page.newer),
        **CHOICES,
    }


def jobs_meant(wanted: str | None, known: Sequence[str]) -> tuple[str, ...]:
    """Return the jobs that a filter means: the one of that name, or all that have it in theirs.

    Where these are many, they are one pattern.
    """
    if wanted is None:
        return ()
    if wanted in known:
        return (wanted,)
    if is_pattern(wanted):
        return (wanted,) if any(fits(one, wanted) for one in known) else ()
    part = wanted.casefold()
    found = tuple(one for one in known if part in one.casefold())
    return found if len(found) <= MOST_NAMES else (f"*{wanted}*",)


def alerts_meant(store: OperatorStore, asked: AlertFilters, now: datetime) -> AlertFilter:
    """Return the alerts that filters mean, where a part of a job's name is enough."""
    wanted = asked.filter(now)
    jobs = jobs_meant(asked.job, store.job_names()) if asked.job is not None else ()
    return replace(wanted, job_name=None, jobs=jobs) if jobs not in ((), (asked.job,)) else wanted


def run_address(request: Request) -> str:
    """Return the address of a run's page, where `{}` stands for its id."""
    path, mark, asked = url_of(request)("/runs/").partition("?")
    return f"{path}{{}}{mark}{asked}"


def run_links(request: Request) -> Callable[[RunCell], str]:
    """Return what makes the address of a run's page."""
    before, _, behind = run_address(request).partition("{}")
    return lambda cell: f"{before}{cell.id}{behind}"


def drawn(svg: str) -> Markup:
    """Let a template show a picture."""
    return Markup(svg)  # noqa: S704 - `charts` escapes every text in it


def text_in(detail: Mapping[str, Any] | None, name: str) -> str | None:
    """Return a text of an alert's detail; another program may have written any JSON there."""
    value = detail.get(name) if isinstance(detail, dict) else None
    return value if isinstance(value, str) else None


def as_text(value: Any) -> str:
    """Return a value of a document as text; another program may have written any JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
