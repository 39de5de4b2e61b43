"""What a webhook and a command get: the facts of a message as JSON values.

`docs/reference/notify.md` is its reference. Names never change their meaning; times are ISO 8601
in UTC. Nothing in it depends on when it is sent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from .._monitor.notices import ChannelState, Covered, NoticeFacts, NoticeKind, RunFacts, Silence
from .._monitor.wording import iso
from . import findings
from .body import is_of_an_incident, links_of
from .config import NotifyConfig
from .run_notes import changed_json, links_of_run, traceback_of
from .texts import line, redacted, redacted_json, redacted_line

MOST_COVERED: Final = 200


def notice_json(facts: NoticeFacts, config: NotifyConfig) -> dict[str, Any]:
    """Return the facts as JSON values; what is not known is null."""
    return {
        "kind": str(facts.delivery.kind),
        "channel": line(facts.delivery.channel, 40),
        "alert": {
            "id": facts.alert_id,
            "type": line(facts.alert_type),
            "severity": line(facts.severity, 16),
            "title": redacted_line(facts.title),
            "message": redacted(facts.message) or None,
            "source_type": line(facts.source_type),
            "source_id": line(facts.source_id),
            "created_at": _time(facts.created_at),
            "detail": redacted_json(facts.detail),
        },
        "job": _name(facts.job_name),
        "environment": _name(facts.environment),
        "error_group": _name(facts.error_group),
        "reason": _name(facts.error_reason),
        "upstream": _name(facts.upstream),
        "finding": findings.finding_of(facts) if findings.is_finding(facts) else None,
        "owner": _name(facts.owner),
        "incident": _incident(facts),
        "failed_run": _run(facts.failed_run),
        "last_success": _run(facts.last_success),
        "recovered_by": _run(facts.recovered_by),
        "next_reminder_at": _time(facts.next_reminder_at),
        "may_be_repeat": facts.is_repeat,
        "opening_was_told": facts.was_told or facts.delivery.kind is not NoticeKind.RECOVERED,
        "changed": changed_json(facts),
        "traceback": traceback_of(facts) or None,
        "log_tail": redacted(facts.log_tail) or None,
        "runbook": _name(facts.runbook),
        "links": {words.lower(): address for words, address in links_of(facts, config)},
        "run_links": [{"name": name, "url": url} for name, url in links_of_run(facts)],
        "covered": [_covered(one) for one in facts.covered[:MOST_COVERED]],
        "covered_count": len(facts.covered),
        "expired": facts.expired,
        "silences_ended": [_silence(one) for one in facts.silences_ended],
        "failing_channel": _channel(facts.failing_channel),
    }


def _incident(facts: NoticeFacts) -> dict[str, Any] | None:
    if not is_of_an_incident(facts):
        return None
    return {
        "id": facts.delivery.incident or facts.alert_id,
        "opened_at": _time(facts.opened_at),
        "failures": facts.failures,
        "reopened": facts.reopened,
        "recent": list(facts.recent),
        "acknowledged_by": _name(facts.acked_by),
    }


def _run(run: RunFacts | None) -> dict[str, Any] | None:
    if run is None:
        return None
    return {
        "id": run.id,
        "started_at": _time(run.started_at),
        "finished_at": _time(run.finished_at),
        "host": _name(run.host),
        "version": _name(run.version),
        "attempt": run.attempt,
    }


def _covered(one: Covered) -> dict[str, Any]:
    return {
        "alert_id": one.alert_id,
        "word": line(one.subject_word, 32),
        "job": _name(one.job_name),
        "environment": _name(one.environment),
        "severity": line(one.severity, 16),
        "title": redacted_line(one.title),
        "kind": str(one.kind),
        "at": _time(one.at),
    }


def _silence(silence: Silence) -> dict[str, Any]:
    return {
        "id": silence.id,
        "job": line(silence.job),
        "reason": redacted_line(silence.reason),
        "created_by": line(silence.created_by),
        "ended_at": _time(silence.ended_at or silence.ends_at),
    }


def _channel(state: ChannelState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "name": line(state.channel, 40),
        "failing_since": _time(state.failing_since),
        "failures": state.failures,
        "last_error": redacted(state.last_error) or None,
        "disabled_at": _time(state.disabled_at),
    }


def _name(text: str | None) -> str | None:
    return None if text is None else line(text, 1000)


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else iso(instant)
