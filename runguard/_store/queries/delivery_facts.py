"""What a message may say of a delivery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    true,
    union_all,
)

from ..._failure.alert import FAILURE_ALERT_TYPE, FAILURE_SOURCE_TYPE
from ..._frozen import field_names
from ..._monitor.delivering import ClaimedDelivery
from ..._monitor.incidents import SILENCE_ENDED
from ..._monitor.notices import (
    ChannelState,
    Covered,
    DeliveryRecord,
    DeliveryState,
    NoticeFacts,
    NoticeKind,
    RunFacts,
)
from ..._monitor.records import NoteRecord, attempt_of
from ..schema.clock import db_now
from ..schema.expressions import finite
from ..schema.notice_tables import (
    alert,
    alert_cooldown,
    alert_delivery,
    channel_state,
)
from ..schema.tables import run_log
from ..schema.watch_tables import job
from .dispatching import channel_from
from .foreign import json_object, readable, text_of, time_of
from .notes import NoteQueries
from .silences import silence_from, silence_of_id
from .terms import BEGAN, FAILED_RUN, LARGEST_ID, key_parts, of_job_in

MOST_COVERED: Final = 10_000
RECENT_RUNS: Final = 10
LONGEST_RUN: Final = timedelta(days=7)

_ONE: Final = alert_delivery.c
_ALERT_COLUMNS: Final = (
    alert.c.id,
    alert.c.source_type,
    alert.c.source_id,
    alert.c.alert_type,
    alert.c.severity,
    alert.c.title,
    alert.c.message,
    alert.c.incident,
    alert.c.environment,
    readable(alert.c.created_at).label("created_at"),
    cast(alert.c.detail, Text).label("detail"),
)
# The alerts that were found too old to be told, and that no message has counted.
_NOT_COUNTED: Final = alert.alias("not_counted")
_EXPIRED: Final = (
    select(func.count())
    .select_from(_NOT_COUNTED)
    .where(_NOT_COUNTED.c.dispatch == literal_column("'expired'"), _NOT_COUNTED.c.told_at.is_(None))
    .scalar_subquery()
    .label("expired")
)
_RUNS_AROUND: Final = ("failed_run", "recovered_by", "last_success")
_RUN: Final = (
    run_log.c.id,
    finite(run_log.c.started_at).label("started_at"),
    finite(run_log.c.finished_at).label("finished_at"),
    run_log.c.host,
    run_log.c.version,
    run_log.c.upstream,
    run_log.c.trigger_type,
    run_log.c.retry_count,
)
_TEXTS: Final = ("owner", "runbook")
_ABOUT_A_CAUSE: Final = (NoticeKind.OPENED, NoticeKind.REMINDER, NoticeKind.RAISED)
_ARRIVED: Final = (DeliveryState.SENT.value, DeliveryState.UNKNOWN.value)


class DeliveryFacts(NoteQueries):
    """The questions that a message asks. Each is one statement, and their number is bounded."""

    def notice_facts(self, claimed: ClaimedDelivery, *, timeout: float) -> NoticeFacts | None:  # noqa: ARG002
        """Gather what a message may say; None where its alert was deleted."""
        record = self._as_its_own(claimed.record)
        asked = (*_ALERT_COLUMNS, _EXPIRED)
        rows = self._rows(select(*asked).where(alert.c.id == record.alert_id))
        if not rows and record.kind is NoticeKind.DIGEST:  # the others that it tells are news still
            covered = select(_ONE.alert_id).where(_ONE.covered_by == record.id)
            others = select(*asked).where(alert.c.id.in_(covered)).order_by(alert.c.id)
            rows = self._rows(others.limit(1))
        if not rows:
            return None
        [row] = rows
        detail = json_object(row.detail)
        facts: dict[str, Any] = {
            "delivery": record,
            "alert_id": row.id,
            "source_type": text_of(row.source_type),
            "source_id": text_of(row.source_id),
            "alert_type": text_of(row.alert_type),
            "severity": text_of(row.severity),
            "title": text_of(row.title),
            "created_at": row.created_at or record.created_at,
            "message": text_of(row.message) or None,
            "detail": detail,
            "environment": row.environment,
            "is_repeat": claimed.may_have_arrived,
            "has_waited": record.kind is not claimed.record.kind,
            **_of_detail(detail),
        }
        is_failure = (row.source_type, row.alert_type) == (FAILURE_SOURCE_TYPE, FAILURE_ALERT_TYPE)
        if is_failure and (key := key_parts(facts["source_id"])) is not None:
            facts["job_name"], facts["error_group"] = key.job_name, str(key.error_group)
        facts |= self._incident_of(row, record, facts)
        if facts["job_name"] is not None:
            facts |= self._texts_of(facts["job_name"], row.environment, detail)
        if row.alert_type == SILENCE_ENDED:
            ended = self._rows(silence_of_id(detail.get("silence")))
            facts["silences_ended"] = tuple(silence_from(one) for one in ended)
        if record.kind is NoticeKind.DIGEST:
            facts["covered"] = self._covered(record.id)
        if record.kind is NoticeKind.UNDELIVERED:
            facts["failing_channel"] = self._failing_channel(record)
        facts["expired"] = row.expired
        return NoticeFacts(**facts)

    def _as_its_own(self, record: DeliveryRecord) -> DeliveryRecord:
        """Return the delivery; a digest of one alert as what tells that alert alone."""
        if record.kind is not NoticeKind.DIGEST:
            return record
        covered = (
            select(_ONE.alert_id, _ONE.incident, _ONE.kind)
            .join_from(alert_delivery, alert, alert.c.id == _ONE.alert_id)
            .where(_ONE.covered_by == record.id)
            .limit(2)
        )
        rows = self._rows(covered)
        if len(rows) != 1:
            return record
        [(alert_id, incident, kind)] = rows
        return replace(record, alert_id=alert_id, incident=incident, kind=NoticeKind(kind))

    def _texts_of(
        self, job_name: str, environment: str | None, detail: Mapping[str, Any]
    ) -> dict[str, str]:
        """What is declared of a job for people, where its alert does not say it."""
        its = job.c.job_name == job_name, job.c.environment == (environment or "")
        declared = self._readable(select(*(job.c[name] for name in _TEXTS)).where(*its))
        found = dict(zip(_TEXTS, declared[0], strict=True)) if declared else {}
        said = {name: detail.get(name) or text for name, text in found.items()}
        return {name: text for name, text in said.items() if isinstance(text, str)}

    def _incident_of(
        self, row: Any, record: DeliveryRecord, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What is known of the incident and of the job's runs around it."""
        job_name, incident = facts.get("job_name"), record.incident or row.id
        known: dict[str, Any]
        known, guard = self._told_before(record, incident)
        if job_name is None:
            return known
        opened_at = time_of(facts["detail"].get("failing_since")) or guard.opened_at
        known |= {"reopened": guard.reopened or 0, "acked_by": guard.acked_by}
        opened_at = opened_at or facts["created_at"]
        known["opened_at"] = opened_at
        its_job = of_job_in(job_name, row.environment)
        known["failures"] = self._failures(its_job, facts.get("error_group"), opened_at, facts)
        known |= self._runs_around(facts["detail"], its_job, opened_at)
        finished = run_log.c.status != literal_column("'RUNNING'")
        runs = (
            select(run_log.c.status)
            .where(its_job, finished)
            .order_by(run_log.c.started_at.desc(), run_log.c.id.desc())
            .limit(RECENT_RUNS)
        )
        statuses = [status for (status,) in self._rows(runs)]
        known["recent"] = tuple(status == "SUCCESS" for status in reversed(statuses))
        if facts["error_group"] is not None and record.kind in _ABOUT_A_CAUSE:
            known |= self._left_by(known["failed_run"], known["last_success"], its_job)
        return known

    def _left_by(
        self, failed: RunFacts | None, success: RunFacts | None, its_job: ColumnElement[bool]
    ) -> dict[str, Any]:
        """What is kept beside a failed run, and what it has that the last success had not."""
        if failed is None:
            return {}
        note = self.run_notes([failed.id]).get(failed.id) or NoteRecord()
        left = {"traceback": note.traceback, "log_tail": note.log_tail, "upstream": failed.upstream}
        return {
            **{name: text for name, text in left.items() if text},
            "links": note.links,
            "changed": self._what_changed(its_job, failed.id, success),
        }

    def _told_before(self, record: DeliveryRecord, incident: int) -> tuple[dict[str, Any], Any]:
        """Whether the incident's conversation has begun on the channel; and its guard's state."""
        digest, other = alert_delivery.alias("digest"), alert_delivery.alias("other")
        its_digest = select(digest.c.id).where(
            digest.c.id == _ONE.covered_by,
            digest.c.kind == NoticeKind.DIGEST.value,
            or_(*(digest.c.state == state for state in _ARRIVED)),
        )
        shares_it = select(other.c.id).where(
            other.c.covered_by == _ONE.covered_by, other.c.id != _ONE.id
        )
        told_by_digest = its_digest.exists()
        # Alone in its digest, it began the conversation: see `_as_its_own`.
        sent_alone = case(
            (_ONE.sent_at.is_not(None), 1), (and_(told_by_digest, ~shares_it.exists()), 1)
        )
        arrived = or_(*(_ONE.state == state for state in _ARRIVED))
        told = (
            select(func.count().label("told"), func.count(sent_alone).label("began"))
            .where(
                _ONE.incident == record.incident,
                _ONE.channel == record.channel,
                _ONE.id != record.id,
                or_(arrived, told_by_digest),
            )
            .subquery("told")
        )
        its = alert_cooldown.c
        acked_by = case((its.acked_until > db_now(), its.acked_by)).label("acked_by")
        guard = (
            select(its.opened_at, its.reopened, acked_by)
            .where(or_(its.open_alert_id == incident, its.closed_alert_id == incident))
            .limit(literal_column("1"))
            .subquery("guard")
        )
        [row] = self._rows(select(*told.c, *guard.c).select_from(told).outerjoin(guard, true()))
        if record.incident is None:
            return {}, row
        return {"was_told": bool(row.told), "is_first_on_channel": not row.began}, row

    def _failures(
        self,
        its_job: ColumnElement[bool],
        group: str | None,
        since: datetime,
        facts: Mapping[str, Any],
    ) -> int:
        counted = facts["detail"].get("failures")
        if isinstance(counted, int) and not isinstance(counted, bool) and counted > 0:
            return counted
        if group is None:
            return 1
        # The run that opened it began before its alert was written.
        query = select(func.count()).where(
            its_job,
            FAILED_RUN,
            run_log.c.error_group == group,
            func.coalesce(run_log.c.finished_at, run_log.c.started_at) >= since,
            run_log.c.started_at >= since - LONGEST_RUN,
        )
        [(count,)] = self._rows(query)
        return max(1, int(count))

    def _runs_around(
        self, detail: Mapping[str, Any], its_job: ColumnElement[bool], opened_at: datetime
    ) -> dict[str, RunFacts | None]:
        """Read the run that failed, the one that ended it, and the last success before."""
        found: dict[str, RunFacts | None] = dict.fromkeys(_RUNS_AROUND)
        success = run_log.c.status == literal_column("'SUCCESS'")
        before = (
            select(*_RUN)
            .where(BEGAN, its_job, success, run_log.c.started_at <= opened_at)
            .order_by(run_log.c.started_at.desc(), run_log.c.id.desc())
            .limit(literal_column("1"))
            .subquery("before")
        )
        parts = [select(literal_column("'last_success'"), *before.c)]
        for name, key in (("failed_run", "run_id"), ("recovered_by", "recovered_by_run")):
            if _is_id(detail.get(key)):
                which: ColumnElement[str] = literal_column(f"'{name}'")
                parts.append(select(which, *_RUN).where(run_log.c.id == detail[key]))
        for name, *row in self._rows(union_all(*parts)):
            found[name] = _run_facts(row)
        return found

    def _covered(self, digest_id: int) -> tuple[Covered, ...]:
        """The alerts that a digest tells, the loudest first."""
        is_of_run = alert.c.source_type == FAILURE_SOURCE_TYPE
        rank = case((alert.c.severity == "high", 0), (alert.c.severity == "low", 2), else_=1)
        wanted = (
            select(
                alert.c.id,
                case((is_of_run, alert.c.source_id)),
                alert.c.alert_type,
                alert.c.severity,
                alert.c.title,
                readable(alert.c.created_at),
                # The key of a failure says enough: thousands of documents would be much to read.
                case((is_of_run, null()), else_=cast(alert.c.detail, Text)),
                _ONE.kind,
                _ONE.created_at,
                alert.c.environment,
            )
            .join_from(alert_delivery, alert, alert.c.id == _ONE.alert_id)
            .where(_ONE.covered_by == digest_id)
            .order_by(rank, _ONE.id)
            .limit(MOST_COVERED)
        )
        found = []
        for row_id, key, alert_type, severity, title, at, text, *rest in self._rows(wanted):
            kind, told_at, environment = rest
            detail = _of_detail(json_object(text))
            job_name, group, _ = key_parts(text_of(key)) or (None, None, None)
            found.append(
                Covered(
                    alert_id=row_id,
                    subject_word=detail["error_group"] or str(group or text_of(alert_type)),
                    job_name=detail["job_name"] or job_name,
                    severity=text_of(severity),
                    title=text_of(title),
                    kind=NoticeKind(kind),
                    at=at or told_at,
                    environment=environment,
                )
            )
        return tuple(found)

    def _failing_channel(self, record: DeliveryRecord) -> ChannelState | None:
        columns = tuple(channel_state.c[name] for name in field_names(ChannelState))
        failing = select(_ONE.channel).where(
            _ONE.alert_id == record.alert_id, _ONE.channel != record.channel, _ONE.attempts > 0
        )
        wanted = (
            select(*columns)
            .where(channel_state.c.channel.in_(failing), channel_state.c.failing_since.is_not(None))
            .order_by(channel_state.c.failures.desc())
            .limit(1)
        )
        rows = self._rows(wanted)
        return channel_from(rows[0]) if rows else None


def _of_detail(detail: Mapping[str, Any]) -> dict[str, str | None]:
    names = {
        "job_name": "job_name",
        "error_group": "error_group",
        "error_reason": "reason",
        "upstream": "upstream",
        "owner": "owner",
        "runbook": "runbook",
        "log_tail": "log_tail",
    }
    found = {field: detail.get(key) for field, key in names.items()}
    return {field: value if isinstance(value, str) else None for field, value in found.items()}


def _is_id(number: object) -> bool:
    return type(number) is int and abs(number) <= LARGEST_ID


def _run_facts(row: Sequence[Any]) -> RunFacts:
    run_id, started_at, finished_at, host, version, upstream, *tried = row
    return RunFacts(
        id=run_id,
        started_at=started_at,
        finished_at=finished_at,
        host=host,
        version=version,
        upstream=upstream,
        attempt=attempt_of(*tried),
    )
