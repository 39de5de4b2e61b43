"""What is expected of a job, as it is shown wherever the job is. Pure records."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from .._frozen import frozen
from .expectations import (
    Expectation,
    ExpectedState,
    FindingType,
    JobRecord,
    OpenFinding,
    expected_state,
)


@frozen(kw_only=True)
class ExpectedJob:
    """What is expected of a job, who looks after it, and what is found. Times are aware, in UTC.

    Of `every_seconds`, `cron` and `calendar` at most one is set: when it must start. `learn` says
    whether the usual cadence counts as declared. `next_due_at` is when the next start is expected,
    None where no time is known; it may be `grace_seconds` late. `findings` are those whose
    incidents are open.
    """

    environment: str | None = None
    every_seconds: float | None = None
    cron: str | None = None
    calendar: str | None = None
    tz: str | None = None
    grace_seconds: float | None = None
    max_runtime_seconds: float | None = None
    min_records: int | None = None
    learn: bool = False
    owner: str | None = None
    runbook: str | None = None
    description: str | None = None
    declared_by: str | None = None
    declared_who: str | None = None
    declared_at: datetime | None = None
    retired_at: datetime | None = None
    next_due_at: datetime | None = None
    findings: tuple[OpenFinding, ...] = ()

    @property
    def has_schedule(self) -> bool:
        """Whether starts are expected at times that are known."""
        return bool(self.every_seconds or self.cron or self.calendar or self.learn)

    @property
    def runbook_link(self) -> str | None:
        """The runbook, where it is an address that a page may link to."""
        return link_to(self.runbook)

    @property
    def expectation(self) -> Expectation:
        """The rules, for their words."""
        return Expectation(
            every=_length(self.every_seconds),
            cron=self.cron,
            calendar=self.calendar,
            tz=self.tz,
            max_runtime=_length(self.max_runtime_seconds),
            min_records=self.min_records,
            learn=self.learn,
        )

    def finding(self, kind: FindingType) -> OpenFinding | None:
        """Return the open finding of a type; None where there is none."""
        return next((one for one in self.findings if one.type == kind), None)

    def state(self, *, last_start_at: datetime | None, now: datetime) -> ExpectedState | None:
        """Say how the job stands against its schedule; None where no start is expected."""
        return expected_state(
            self,
            last_start_at=last_start_at,
            is_missed=self.finding(FindingType.MISSED) is not None,
            now=now,
        )


def expected_job(job: JobRecord, findings: Iterable[OpenFinding] = ()) -> ExpectedJob:
    """Return what is shown of a row of `job`."""
    expectation = job.expectation
    return ExpectedJob(
        environment=job.environment,
        every_seconds=_seconds(expectation.every),
        cron=expectation.cron,
        calendar=expectation.calendar,
        tz=expectation.tz,
        grace_seconds=_seconds(expectation.grace) or job.grace_seconds,
        max_runtime_seconds=_seconds(expectation.max_runtime),
        min_records=expectation.min_records,
        learn=expectation.learn,
        owner=job.owner,
        runbook=job.runbook,
        description=job.description,
        declared_by=str(job.declared_by),
        declared_who=job.declared_who,
        declared_at=job.declared_at,
        retired_at=job.retired_at,
        next_due_at=None if job.retired_at else job.next_due_at,
        findings=tuple(sorted(findings, key=lambda one: one.opened_at)),
    )


def found_since(finding: OpenFinding) -> datetime:
    """Return when a finding began: as it was found, where nothing says more."""
    try:
        since = datetime.fromisoformat(str(finding.detail.get("since")))
    except ValueError:
        return finding.opened_at
    return since if since.tzinfo is not None else finding.opened_at


def link_to(address: str | None) -> str | None:
    """Return an address that a page may link to: of the web, with a host and without a control.

    One with a user in front of its host reads as if it led elsewhere.

    >>> link_to("https://wiki.example.org/sync"), link_to("javascript:alert(1)"), link_to("p. 7")
    ('https://wiki.example.org/sync', None, None)
    """
    text = (address or "").strip()
    if not text.isprintable() or " " in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:  # such as a bracket that no address has
        return None
    is_plain = parts.netloc and not {"@", "\\"} & {*parts.netloc}
    return text if parts.scheme in ("http", "https") and is_plain else None


def _length(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _seconds(length: timedelta | None) -> float | None:
    return None if length is None else length.total_seconds()
