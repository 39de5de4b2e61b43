"""What became of an alert: who was told, and how its incident stands, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from .._frozen import frozen
from .._models import in_environment, named_in
from .expectations import JOB_SOURCE_TYPE, MONITOR_SOURCE_ID, job_in
from .notices import Dispatch, IncidentRecord
from .records import AlertDetails, AlertRecord
from .sentences import Mention, Part, Sentence, Topic
from .trail import told
from .wording import counted


@frozen
class AlertExplanation:
    """What is to be said of an alert: the answer in one sentence, then the reasons."""

    alert_id: int
    headline: Sentence
    reasons: tuple[Sentence, ...]


def explain_alert(details: AlertDetails, *, now: datetime) -> AlertExplanation:
    """Explain an alert: what raised it, what it covers, and who was told; `now` is the store's."""
    trail = details.trail
    said: list[tuple[Topic, tuple[Part, ...]]] = [
        (Topic.ALERT, tuple(_found(details.alert))),
        (Topic.ALERT, tuple(_raised(details))),
        (Topic.ALERT, tuple(_incident(details.alert, None if trail is None else trail.incident))),
        *((Topic.JOB, (sentence,)) for sentence in _of_the_job(details.alert)),
    ]
    reasons = [Sentence(topic, parts) for topic, parts in said if parts]
    if trail is not None:
        reasons += told(trail, now=now)
    headline = Sentence(Topic.STATE, tuple(_headline(details.alert)))
    return AlertExplanation(details.alert.id, headline, tuple(reasons))


def state_of(alert: AlertRecord) -> Iterator[Part]:
    """Say whether an alert is resolved, by whom and when, as a sentence after another."""
    if not alert.resolved:
        yield " It is not resolved."
        return
    yield " It was resolved"
    if alert.resolved_by:
        yield f" by {alert.resolved_by}"
    if alert.resolved_at is not None:
        yield " at "
        yield alert.resolved_at
    yield "."


def _headline(alert: AlertRecord) -> Iterator[Part]:
    yield f"{alert.title} ({alert.severity}), raised at "
    yield alert.created_at
    yield "."


def _found(alert: AlertRecord) -> Iterator[str]:
    """Yield what was found of a job; the run that a failure is of explains it better."""
    if alert.source_type == JOB_SOURCE_TYPE and alert.message and alert.message not in alert.title:
        yield alert.message


def _of_the_job(alert: AlertRecord) -> Iterator[str]:
    """Yield whose job a finding is about, and what to do."""
    if alert.source_type == JOB_SOURCE_TYPE and isinstance(alert.detail, Mapping):
        if owner := alert.detail.get("owner"):
            yield f"It belongs to {owner}."
        if runbook := alert.detail.get("runbook"):
            yield f"Runbook: {runbook}"


def _subject(alert: AlertRecord) -> str:
    """Say what an alert is about that no run raised."""
    if alert.source_type != JOB_SOURCE_TYPE:
        return f"It is about {alert.source_type} {alert.source_id}."
    names_a_job = isinstance(alert.detail, Mapping) and "job_name" in alert.detail
    if alert.source_id == MONITOR_SOURCE_ID and not names_a_job:
        return "It is about all jobs that are expected."
    return f"It is about job {in_environment(*job_in(alert.source_id))}."


def _raised(details: AlertDetails) -> Iterator[Part]:
    if details.raised_by is not None:
        yield "It was raised by "
        yield Mention("run", details.raised_by.id)
        yield f" of {named_in(details.raised_by.job_name, details.raised_by.environment)}."
    else:
        yield _subject(details.alert)
    if details.covered:
        yield f" It covers {counted(details.covered, 'further failure')}."
    yield from state_of(details.alert)


def _incident(alert: AlertRecord, incident: IncidentRecord | None) -> Iterator[Part]:
    if incident is None:
        return
    if alert.dispatch == Dispatch.PENDING and incident.id == alert.id:
        return  # it begins when somebody is to be told
    yield "Its incident began "
    if incident.id == alert.id:
        yield "with it"
    else:
        yield "with "
        yield Mention("alert", incident.id)
    yield " at "
    yield incident.opened_at
    if incident.reopened:
        yield f", came back {counted(incident.reopened, 'time')}"
    if incident.closed_at is None:
        yield ", and is open."
    else:
        yield ", and was over at "
        yield incident.closed_at
        yield "."


def plain(explanation: AlertExplanation) -> dict[str, Any]:
    """Return an explanation as JSON holds it: every sentence as text, times in UTC."""
    return {
        "alert_id": explanation.alert_id,
        "headline": explanation.headline.text(),
        "reasons": [
            {"topic": str(sentence.topic), "text": sentence.text()}
            for sentence in explanation.reasons
        ],
    }
