"""The words of delivery: how an alert reaches a person, and what is said.

Pure records. The store writes and reads them, `_notify` decides and sends, surfaces show them. A
run loads none of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from .._frozen import frozen
from .changes import Changed


class NoticeKind(StrEnum):
    """Why somebody is told: column `alert_delivery.kind`."""

    OPENED = "opened"
    REMINDER = "reminder"
    RAISED = "raised"  # more severe than before
    RECOVERED = "recovered"
    DIGEST = "digest"  # many alerts in one message
    UNDELIVERED = "undelivered"  # another channel fails
    TEST = "test"


class DeliveryState(StrEnum):
    """How far a delivery is: column `alert_delivery.state`."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    UNKNOWN = "unknown"  # the body was sent, the answer never came
    DEAD = "dead"  # given up
    SKIPPED = "skipped"  # muted, not due, or acknowledged: `last_error` says which
    REPLACED = "replaced"  # another delivery tells it: `covered_by`


class Standing(StrEnum):
    """Where an alert stands in its incident."""

    FIRST = "first"
    OPEN = "open"
    REOPENED = "reopened"
    ALONE = "alone"  # alerts that have no incident: other programs' and a job's own


class Dispatch(StrEnum):
    """What became of an alert's routing: column `alert.dispatch`; NULL is older than delivery."""

    PENDING = "pending"
    ROUTED = "routed"
    EXPIRED = "expired"  # older than a day when first seen
    UNROUTABLE = "unroutable"  # no channel takes it


class SendResult(StrEnum):
    """How an attempt to send ended."""

    SENT = "sent"
    RETRY = "retry"  # may work later
    REFUSED = "refused"  # three tries, then dead
    GONE = "gone"  # HTTP 410: the channel is disabled until its configuration changes
    UNKNOWN = "unknown"  # timed out after the body was sent


@frozen
class Outcome:
    """How an attempt to send ended.

    Attributes:
        result: What happened.
        error: What went wrong, in one line without secrets; None where nothing did.
        receipt: What the other side calls the message, where it says so.
        retry_after: How long the other side asks everybody on this channel to wait.
    """

    result: SendResult
    error: str | None = None
    receipt: str | None = None
    retry_after: timedelta | None = None


@frozen
class Probe:
    """What is known of a channel without sending: `ok` is None where the protocol cannot tell."""

    ok: bool | None
    summary: str


@frozen(kw_only=True)
class ChannelSpec:
    """A channel as it is configured; secrets are still references where they were written so.

    Exactly one of `url`, `webhook` and `command` is set.

    Attributes:
        name: 1 to 40 of `a-z 0-9 _ -`.
        url: `smtp://`, `smtps://`, `webhook+https://`, or any that Apprise knows.
        webhook: Address that is posted to.
        command: Program and arguments; no shell.
        secrets: Keys of the webhook's signature, the newest first.
        source: What it was read from, for messages.
    """

    name: str
    url: str | None = None
    webhook: str | None = None
    command: tuple[str, ...] | None = None
    secrets: tuple[str, ...] = ()
    source: str = ""


@frozen(kw_only=True)
class Message:
    """What a channel sends. All texts are redacted, cleaned of control characters, and bounded.

    Attributes:
        key: Stable for all attempts of one delivery: `Idempotency-Key`, part of `Message-ID`.
        conversation: The same for all messages of one incident: `References`, a chat's dedup key.
        kind: Why somebody is told.
        severity: `low`, `medium` or `high`.
        subject: One line, its meaning in the first 60 characters.
        text: Plain text, lines of any length, ended by a newline.
        html: The same for mail; other channels never see it.
        data: The same as JSON values, for webhooks and commands.
        is_first: Whether the incident's conversation begins with it on this channel.
    """

    key: str
    conversation: str
    kind: NoticeKind
    severity: str
    subject: str
    text: str
    html: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    is_first: bool = True


@frozen(kw_only=True)
class Silence:
    """A row of `silence`: notices that match are muted until `ends_at`, rows are not.

    `job` is a pattern as of `fnmatch`; `error_group` and `alert_type` are None for all.
    """

    id: int
    job: str
    error_group: str | None
    alert_type: str | None
    starts_at: datetime
    ends_at: datetime
    reason: str
    created_by: str
    until_recovered: bool = False
    ended_at: datetime | None = None
    ended_by: str | None = None
    matched: int = 0
    last_matched_at: datetime | None = None
    created_at: datetime | None = None


@frozen(kw_only=True)
class IncidentRecord:
    """An incident as its guard row has it. Times are aware, in UTC.

    `id` is its first alert's. `closed_at` is None while it is open.
    """

    id: int
    source_type: str
    source_id: str
    alert_type: str
    opened_at: datetime
    closed_at: datetime | None = None
    reopened: int = 0
    acked_until: datetime | None = None
    acked_by: str | None = None
    ack_reason: str | None = None


@frozen(kw_only=True)
class PendingAlert:
    """An alert that waits for its routing, with where it stands.

    Attributes:
        incident: Id of the incident's first alert; its own where it is the first or alone.
        was_severity: The highest severity of the incident before; None where it is the first.
        opened_at: When the incident opened, or the alert's own time.
        owner: Whose job it is, where that is declared.
        environment: The environment that it is about; None where none is set.
    """

    id: int
    source_type: str
    source_id: str
    alert_type: str
    severity: str
    title: str
    created_at: datetime
    detail: Mapping[str, Any]
    job_name: str | None
    error_group: str | None
    error_reason: str | None
    upstream: str | None
    standing: Standing
    incident: int
    opened_at: datetime
    was_severity: str | None = None
    acked_until: datetime | None = None
    acked_by: str | None = None
    owner: str | None = None
    environment: str | None = None


@frozen(kw_only=True)
class DeliveryRecord:
    """A row of `alert_delivery`. Times are aware, in UTC."""

    id: int
    alert_id: int
    incident: int | None
    kind: NoticeKind
    channel: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None = None
    claimed_by: str | None = None
    claim_expires_at: datetime | None = None
    sent_at: datetime | None = None
    last_error: str | None = None
    receipt: str | None = None
    covered_by: int | None = None


@frozen(kw_only=True)
class Trail:
    """Who was told of an alert, and what is still tried.

    Attributes:
        dispatch: What became of its routing; None for an alert that is older than delivery.
        deliveries: Its own, and those that tell how its incident went on, the oldest first.
        incident: Its incident; None where it has none.
        looked_at: When a process with channels last looked; None where none ever did.
        silences: Those that mute its notices now.
    """

    dispatch: str | None
    deliveries: tuple[DeliveryRecord, ...] = ()
    incident: IncidentRecord | None = None
    looked_at: datetime | None = None
    silences: tuple[Silence, ...] = ()


@frozen(kw_only=True)
class ChannelState:
    """A row of `channel_state`: how a channel has been doing. Times are aware, in UTC."""

    channel: str
    failing_since: datetime | None = None
    failures: int = 0
    not_before: datetime | None = None
    sent_in_window: int = 0
    window_started_at: datetime | None = None
    last_sent_at: datetime | None = None
    last_error: str | None = None
    disabled_at: datetime | None = None
    config_hash: str | None = None
    added_at: datetime | None = None
    looked_at: datetime | None = None


@frozen(kw_only=True)
class RunFacts:
    """A run as a message tells it."""

    id: int
    started_at: datetime | None = None
    finished_at: datetime | None = None
    host: str | None = None
    version: str | None = None
    upstream: str | None = None
    attempt: int | None = None  # at the task of a queue, from 2 on


@frozen(kw_only=True)
class Covered:
    """One of the alerts that a digest tells."""

    alert_id: int
    subject_word: str  # the group of a failure, else the alert's type
    job_name: str | None
    severity: str
    title: str
    kind: NoticeKind
    at: datetime
    environment: str | None = None


@frozen(kw_only=True)
class NoticeFacts:
    """All that a message may say of a delivery; what is not known is None or empty.

    Attributes:
        delivery: The delivery that is sent.
        alert: Id, type, severity, title, message and detail of its alert.
        opened_at: When the incident began: the first failure that was seen.
        failures: Failed runs of the incident so far.
        failed_run: The run that the alert tells of.
        last_success: The last success before the incident.
        recovered_by: The success that closed it.
        was_told: Whether its opening reached this channel: if not, a recovery tells both.
        is_repeat: An attempt before may have arrived.
        has_waited: It waited for others to go with it, and none came.
        reopened: How often the incident came back.
        recent: The last ten runs, the newest last, True for a success.
        next_reminder_at: When the channel is told again at the earliest.
        owner: Whose job it is, where that is declared.
        runbook: Address of what to do, where the job has one.
        log_tail: The job's last log lines, where they are kept.
        traceback: Of the failed run, where it is kept.
        links: Pairs of a name and an address that the failed run has noted.
        changed: What the failed run has that the last success had not.
        covered: The alerts of a digest.
        expired: Alerts that were too old to be told when a process with channels first looked.
        silences_ended: Silences that ended while this incident is open.
        failing_channel: The channel that an `undelivered` notice is about.
    """

    delivery: DeliveryRecord
    alert_id: int
    source_type: str
    source_id: str
    alert_type: str
    severity: str
    title: str
    created_at: datetime
    message: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    job_name: str | None = None
    environment: str | None = None
    error_group: str | None = None
    error_reason: str | None = None
    upstream: str | None = None
    opened_at: datetime | None = None
    failures: int = 1
    failed_run: RunFacts | None = None
    last_success: RunFacts | None = None
    recovered_by: RunFacts | None = None
    was_told: bool = True
    is_first_on_channel: bool = True
    is_repeat: bool = False
    has_waited: bool = False
    reopened: int = 0
    recent: tuple[bool, ...] = ()
    remind_every: timedelta | None = None
    next_reminder_at: datetime | None = None
    acked_by: str | None = None
    owner: str | None = None
    runbook: str | None = None
    log_tail: str | None = None
    traceback: str | None = None
    links: tuple[tuple[str, str], ...] = ()
    changed: Changed | None = None
    covered: tuple[Covered, ...] = ()
    expired: int = 0
    silences_ended: tuple[Silence, ...] = ()
    failing_channel: ChannelState | None = None
