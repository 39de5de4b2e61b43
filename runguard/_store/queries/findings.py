"""What is told of findings beside their opening: that nobody looks, and that a silence ended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, and_, literal_column, or_, select

from ..._models import in_environment, named_in
from ..._monitor import wording
from ..._monitor.expectations import (
    JOB_SOURCE_TYPE,
    MONITOR_SOURCE_ID,
    SEVERITY_OF_FINDING,
    Closing,
    FindingType,
    JobRecord,
    OpenFinding,
    job_in,
)
from ..._monitor.incidents import RECOVERED, SILENCE_ENDED, Settled
from ..._monitor.notices import IncidentRecord, Silence
from ..._monitor.silences import left_failing, matches
from ..schema.clock import db_now
from ..schema.watch_tables import alert_cooldown, job
from . import verdicts as writing
from .expectations import (
    IS_OF_JOB,
    WRITE_TIMEOUT_SECONDS,
    ExpectationQueries,
    finding_from,
    job_key_of,
    newest_of_open,
)
from .given import given
from .incidents import IncidentQueries, key_of_telling

_GUARD: Final = alert_cooldown.c
_OPEN: Final = select(_GUARD.source_id, _GUARD.alert_type).where(
    IS_OF_JOB, _GUARD.open_alert_id.is_not(None)
)
_OF_ONE_JOB: Final = frozenset(FindingType) - {FindingType.UNWATCHED}


class FindingQueries(ExpectationQueries, IncidentQueries):
    """What is told of findings, for both databases."""

    def close_unwatched(self) -> bool:
        """Say that a monitor looks again; False where nobody was told that none does."""
        is_open = select(_GUARD.open_alert_id).where(
            IS_OF_JOB,
            _GUARD.source_id == literal_column(f"'{MONITOR_SOURCE_ID}'"),
            _GUARD.alert_type == literal_column(f"'{FindingType.UNWATCHED.value}'"),
            _GUARD.open_alert_id.is_not(None),
        )
        if not self._rows(is_open):
            return False
        over = Closing(
            type=FindingType.UNWATCHED,
            title="A monitor looks at the jobs again",
            message="what was due meanwhile gets one more grace before it counts as missed",
        )
        key = (MONITOR_SOURCE_ID, FindingType.UNWATCHED.value)

        def work(connection: Connection) -> Sequence[Settled]:
            closing = {key: writing.Wanted(None, over)}
            return writing.write_wanted(connection, {}, closing, cooldown=timedelta(0))

        return bool(self._transact(work, timeout=WRITE_TIMEOUT_SECONDS))

    def settle_incidents(
        self,
        job_names: Sequence[str] | None = None,
        *,
        environment: str | None = None,
        auto_resolve: bool = True,
    ) -> Sequence[Settled]:
        """Settle incidents of failures; where all are asked for, those of what was found too."""
        settled = super().settle_incidents(
            job_names, environment=environment, auto_resolve=auto_resolve
        )
        if job_names is not None:
            return settled
        deleted = self._close_of_deleted_jobs(auto_resolve=auto_resolve)
        return [*settled, *deleted, *self._still_found()]

    def _close_of_deleted_jobs(self, *, auto_resolve: bool) -> Sequence[Settled]:
        """Close what was found of jobs whose rows somebody has deleted: no judge sees them."""
        found = [row for row in self._rows(_OPEN) if row.alert_type in _OF_ONE_JOB]
        if not found:
            return ()

        def work(connection: Connection) -> Sequence[Settled]:
            keys = [job_in(row.source_id) for row in found]
            columns = {
                job.c.job_name: [name for name, _ in keys],
                job.c.environment: [environment or "" for _, environment in keys],
            }
            asked = given(connection, "asked", columns)
            is_its = and_(*(column == asked.c[column.name] for column in columns))
            query = select(*columns).join_from(asked, job, is_its)
            known = {(name, environment) for name, environment in connection.execute(query)}
            closings = {
                (row.source_id, row.alert_type): _of_deleted(row.alert_type, *key)
                for row, key in zip(found, keys, strict=True)
                if (key[0], key[1] or "") not in known
            }
            return writing.write_wanted(
                connection, {}, closings, cooldown=timedelta(0), auto_resolve=auto_resolve
            )

        return self._transact(work, timeout=WRITE_TIMEOUT_SECONDS)

    def _end_silences_of_jobs(
        self, jobs: Mapping[str, JobRecord], settled: Iterable[Settled]
    ) -> None:
        """End the silences that were wanted until one of these recovers."""
        over = [one.incident for one in settled if one.alert_type == RECOVERED]
        if not over:
            return
        for silence in self.silences(active_at=self.now()):
            if silence.until_recovered and any(
                matches(
                    silence,
                    jobs[one.source_id].job_name,
                    error_group=None,
                    alert_type=one.alert_type,
                    environment=jobs[one.source_id].environment,
                )
                for one in over
            ):
                self.end_silence(silence.id, by=writing.BY)

    def _still_found(self) -> Iterator[Settled]:
        """Tell once of each open finding that a silence muted until it ended."""
        ended = self._ended_lately()
        if not ended:
            return
        is_acked = _GUARD.acked_until > db_now()
        for row in self._rows(newest_of_open().where(or_(_GUARD.acked_until.is_(None), ~is_acked))):
            finding = finding_from(row)
            if finding is None:
                continue
            incident = _incident_of(row.source_id, finding)
            name, environment = job_key_of(row.source_id, finding.detail)
            if finding.type is FindingType.UNWATCHED:  # of no job
                name = ""
            left = {
                key_of_telling(silence, finding.incident): silence
                for silence in ended
                if left_failing(silence, incident, name, None, environment=environment)
            }
            for key in left.keys() - self._known_of([*left]):
                told = _silence_ended(incident, finding, left[key], environment)
                yield from self._told_once(incident, told | {"alert_key": key})


def _of_deleted(alert_type: str, job_name: str, environment: str | None) -> writing.Wanted:
    name = named_in(job_name, environment)
    over = Closing(
        type=FindingType(alert_type),
        title=f"{name} is not watched any more",
        message="what was expected of it was deleted from the table job",
        detail={"changed": True},
    )
    return writing.Wanted(JobRecord(job_name=job_name, environment=environment), over)


def _incident_of(source_id: str, finding: OpenFinding) -> IncidentRecord:
    return IncidentRecord(
        id=finding.incident,
        source_type=JOB_SOURCE_TYPE,
        source_id=source_id,
        alert_type=finding.type.value,
        opened_at=finding.opened_at,
    )


def _named(incident: IncidentRecord) -> str:
    return in_environment(*job_in(incident.source_id))


def _silence_ended(
    incident: IncidentRecord,
    finding: OpenFinding,
    silence: Silence,
    environment: str | None,
) -> dict[str, Any]:
    kind = finding.type
    about = {"finding": kind.value, "incident": incident.id, "silence": silence.id}
    return {
        "source_type": incident.source_type,
        "source_id": incident.source_id,
        "alert_type": SILENCE_ENDED,
        "severity": SEVERITY_OF_FINDING[kind].value,
        "title": f"silence {silence.id} ended; {_named(incident)} is still {kind.value}",
        "message": f"since {wording.utc(finding.opened_at)}; the silence was set by"
        f" {silence.created_by}: {silence.reason}",
        "detail": {**finding.detail, **about},
        "review_status": "AUTO",
        "resolved": literal_column("false"),
        "created_at": db_now(),
        "incident": incident.id,
        **({} if environment is None else {"environment": environment}),
    }
