"""Jobs of which something is expected: how they stand, as a table and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from .._frozen import frozen
from .._monitor import expectation_words as words
from .._monitor.expectations import ExpectedState, FindingType, JobRecord, expected_state
from .._monitor.wording import NOTHING
from .output import Listing, moment
from .talk import one_line

if TYPE_CHECKING:
    from .._store.operator import OperatorStore

_STATES: Final = {
    ExpectedState.ON_TIME: "on time",
    ExpectedState.LATE: "late",
    ExpectedState.MISSED: "missed",
}


@frozen
class Expected:
    """A job of which something is expected, and how it stands."""

    job: JobRecord
    state: ExpectedState | None
    last_start_at: datetime | None

    @property
    def document(self) -> Mapping[str, Any]:
        """It as JSON has it: durations in seconds."""
        row = {**asdict(self.job), "expectation": self.job.expectation.as_document()}
        return {**row, "state": self.state, "last_start_at": self.last_start_at}


def expected(store: OperatorStore, records: Sequence[JobRecord]) -> list[Expected]:
    """Add to each job how it stands."""
    names = sorted({record.job_name for record in records})
    if not names:
        return []
    starts = {
        (one.job_name, one.environment): one.last_start_at
        for one in store.overview(strip=1, jobs=names)
    }
    findings, now = store.open_findings(names), store.now()
    rows = []
    for record in records:
        found = findings.get((record.job_name, record.environment), {})
        last_start_at = starts.get((record.job_name, record.environment))
        is_missed = FindingType.MISSED in found
        state = expected_state(record, last_start_at=last_start_at, is_missed=is_missed, now=now)
        rows.append(Expected(record, state, last_start_at))
    return rows


def listing(rows: Sequence[Expected]) -> Listing:
    """Show what is expected of jobs, who says so and how they stand."""
    now = datetime.now(UTC)
    columns = ["job", "environment", "state", "schedule", "next due", "by"]
    cells = [
        [
            one_line(one.job.job_name),
            one.job.environment or "-",
            _state(one),
            one_line(words.schedule(one.job.expectation)),
            moment(one.job.next_due_at, now=now),
            str(one.job.declared_by),
        ]
        for one in rows
    ]
    if all(one.job.environment is None for one in rows):
        for row in (columns, *cells):
            del row[1]
    return Listing(
        columns=columns,
        rows=cells,
        note_title="also",
        notes=[_also(one.job) for one in rows],
        numbers=(),
        optional=tuple(name for name in ("by", "environment", "next due") if name in columns),
    )


def _state(one: Expected) -> str:
    """Say how a job stands, or why it stands in no way."""
    job = one.job
    if job.retired_at is not None:
        return "retired"
    if one.state is not None:
        return _STATES[one.state]
    return "not judged" if _is_to_be_judged(job) else "no schedule"


def wait_for_a_monitor(rows: Sequence[Expected]) -> bool:
    """Whether any job would stand somehow, had a monitor looked."""
    return any(one.state is None and _is_to_be_judged(one.job) for one in rows)


def _is_to_be_judged(job: JobRecord) -> bool:
    learns = job.expectation.learn and job.judged_at is None
    return job.retired_at is None and (job.expectation.has_schedule or learns)


def summary(record: JobRecord) -> str:
    """Say all that is declared of a job, in one line."""
    schedule = words.schedule(record.expectation)
    parts = ("" if schedule == NOTHING else one_line(schedule), _also(record))
    return ", ".join(part for part in parts if part)


def _also(record: JobRecord) -> str:
    texts = {"owner": record.owner, "runbook": record.runbook}
    said = [f"{name} {one_line(text)}" for name, text in texts.items() if text]
    rest = (one_line(words.rules(record.expectation)), *said, one_line(record.description or ""))
    return ", ".join(part for part in rest if part)
