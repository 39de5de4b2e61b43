"""Who was told of an alert, in sentences."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runguard._monitor import wording
from runguard._monitor.notices import (
    ChannelState,
    DeliveryRecord,
    DeliveryState,
    Dispatch,
    IncidentRecord,
    NoticeKind,
    Silence,
    Trail,
)
from runguard._monitor.trail import (
    ChannelStanding,
    SilenceState,
    channel_standing,
    channel_trouble,
    is_acknowledged,
    job_of,
    last_look,
    silence_state,
    silences_of,
    told,
    told_briefly,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
OPENED = DeliveryRecord(
    id=11,
    alert_id=3,
    incident=3,
    kind=NoticeKind.OPENED,
    channel="oncall",
    state=DeliveryState.SENT,
    attempts=1,
    created_at=NOON - 10 * MINUTE,
    sent_at=NOON - 10 * MINUTE,
)
PENDING = replace(OPENED, state=DeliveryState.PENDING, attempts=0, sent_at=None)
INCIDENT = IncidentRecord(
    id=3,
    source_type="run_log",
    source_id="sync:TIMEOUT",
    alert_type="FAILED",
    opened_at=NOON - 10 * MINUTE,
)
CHANNEL = ChannelState(
    channel="hook", last_sent_at=NOON - 9 * MINUTE, looked_at=NOON, last_error="HTTP 503"
)
SILENCE = Silence(
    id=4,
    job="billing.*",
    error_group=None,
    alert_type=None,
    starts_at=NOON - 60 * MINUTE,
    ends_at=NOON + 60 * MINUTE,
    reason="database upgrade",
    created_by="kim",
)


def said(*deliveries: DeliveryRecord, **known: Any) -> str:
    """All sentences in one line; a minute ago somebody looked."""
    known = {"dispatch": Dispatch.ROUTED, "looked_at": NOON - MINUTE, **known}
    trail = Trail(deliveries=deliveries, **known)
    return " ".join(
        sentence.text(lambda instant: f"{instant:%H:%M}") for sentence in told(trail, now=NOON)
    )


@pytest.mark.parametrize(
    ("state", "facts", "expected"),
    [
        ("sent", {}, "oncall was told at 11:50."),
        ("sent", {"attempts": 2}, "oncall was told at 11:50 on the second try."),
        (
            "unknown",
            {},
            "oncall may have been told at 11:50: the message went out, and no answer came.",
        ),
        (
            "dead",
            {"attempts": 9, "last_error": "HTTP 503"},
            "oncall was not told: given up after 9 attempts: HTTP 503.",
        ),
        (
            "skipped",
            {"last_error": "silenced by silence 4 until 14:00"},
            "oncall was not told: silenced by silence 4 until 14:00.",
        ),
        ("sending", {"attempts": 1}, "oncall is being told now (the first try)."),
        (
            "replaced",
            {"last_error": "the recovery tells both"},
            "oncall was not told by a message of its own: the recovery tells both.",
        ),
        ("replaced", {"covered_by": 12}, "It is covered by message 12 to oncall."),
    ],
)
def test_a_delivery_is_one_sentence(state: str, facts: dict[str, Any], expected: str) -> None:
    assert said(replace(OPENED, state=DeliveryState(state), **facts)) == expected


@pytest.mark.parametrize("kind", NoticeKind)
def test_each_kind_of_notice_has_its_words(kind: NoticeKind) -> None:
    assert said(replace(OPENED, kind=kind)).startswith("oncall was ")


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"sent_at": NOON - 5 * MINUTE}, ", sent at 11:55."),
        ({"state": DeliveryState.UNKNOWN, "sent_at": None}, ", sent."),
        ({"state": DeliveryState.SENDING}, "."),
        (
            {"state": DeliveryState.DEAD, "attempts": 9, "last_error": "HTTP 503"},
            ", given up after 9 attempts: HTTP 503.",
        ),
        (
            {
                "state": DeliveryState.PENDING,
                "attempts": 0,
                "next_attempt_at": NOON + 5 * MINUTE,
            },
            ", not sent yet. The first try is at 12:05.",
        ),
    ],
)
def test_what_covers_an_alert_is_said_once_with_how_far_it_is(
    facts: dict[str, Any], expected: str
) -> None:
    covered = replace(OPENED, state=DeliveryState.REPLACED, covered_by=12, sent_at=None)
    digest = replace(OPENED, id=12, kind=NoticeKind.DIGEST, **facts)

    assert said(digest, covered) == (
        f"It is told together with others in message 12 to oncall{expected}"
    )


def test_what_is_still_tried_says_when_and_why_it_failed() -> None:
    later = replace(PENDING, next_attempt_at=NOON + 5 * MINUTE)
    failed = replace(later, attempts=2, last_error="HTTP 503")

    assert said(later) == "oncall has not been told yet. The first try is at 12:05."
    assert said(failed) == (
        "oncall has not been told yet. The next try is at 12:05, after 2 failed attempts: HTTP 503."
    )


def test_what_is_due_says_whether_anybody_looks() -> None:
    due = replace(PENDING, next_attempt_at=NOON - MINUTE, attempts=1, last_error="HTTP 503")

    assert said(due) == (
        "oncall has not been told yet: the next process with channels that looks will do it."
        " 1 attempt failed: HTTP 503."
    )
    assert said(due, looked_at=NOON - 10 * MINUTE) == (
        "oncall has not been told: no process with channels has looked since 11:50."
        " 1 attempt failed: HTTP 503."
    )


@pytest.mark.parametrize(
    ("dispatch", "looked_at", "expected"),
    [
        ("pending", None, "Nobody has been told: no process with channels has ever looked."),
        (
            "pending",
            NOON - 10 * MINUTE,
            "Nobody has been told: no process with channels has looked since 11:50.",
        ),
        (
            "pending",
            NOON,
            "Nobody has been told yet: the next process with channels that looks will do it.",
        ),
        ("unroutable", NOON, "Nobody was told: no channel takes it."),
        (
            "expired",
            NOON,
            "Nobody was told: it was older than a day when a process with channels looked.",
        ),
        (None, NOON, "Nobody is told: it is older than the delivery of alerts in this store."),
    ],
)
def test_where_nobody_was_told_it_says_why(
    dispatch: str | None, looked_at: datetime | None, expected: str
) -> None:
    assert said(dispatch=dispatch, looked_at=looked_at) == expected


def test_an_acknowledgement_counts_while_it_lasts_and_the_incident_is_open() -> None:
    acked = replace(
        INCIDENT, acked_until=NOON + 60 * MINUTE, acked_by="kim", ack_reason="vendor is told"
    )

    assert said(OPENED, incident=acked).startswith(
        "Acknowledged by kim until 13:00: vendor is told. oncall was told"
    )
    assert not is_acknowledged(acked, now=NOON + 60 * MINUTE)
    assert not is_acknowledged(replace(acked, closed_at=NOON), now=NOON)
    assert not is_acknowledged(INCIDENT, now=NOON)


@pytest.mark.parametrize(
    ("states", "word"),
    [
        (["sent", "dead"], "oncall"),
        (["unknown"], "oncall"),
        (["dead", "pending"], "failed"),
        (["pending", "skipped"], "not yet"),
        (["sending"], "not yet"),
        (["skipped"], "muted"),
        ([], "–"),
    ],
)
def test_a_list_says_it_in_a_word(states: list[str], word: str) -> None:
    found = [replace(OPENED, state=DeliveryState(state)) for state in states]

    assert told_briefly(None, found).word == word


def test_a_list_names_each_channel_once_and_the_message_that_covers() -> None:
    hook = replace(OPENED, channel="hook")
    covered = replace(OPENED, state=DeliveryState.REPLACED, covered_by=12)

    assert told_briefly("routed", [OPENED, hook, OPENED]).word == "oncall, hook"
    assert told_briefly("routed", [covered]).word == "message 12"
    assert told_briefly("routed", [covered], told_at=NOON).word == "oncall"


@pytest.mark.parametrize(
    ("facts", "standing"),
    [
        ({}, ChannelStanding.OK),
        ({"last_sent_at": None}, ChannelStanding.UNUSED),
        ({"failures": 2, "failing_since": NOON}, ChannelStanding.OK),
        ({"failures": 3, "failing_since": NOON}, ChannelStanding.FAILING),
        ({"failures": 3, "disabled_at": NOON}, ChannelStanding.DISABLED),
        ({"failures": 3, "looked_at": NOON - timedelta(days=2)}, ChannelStanding.GONE),
    ],
)
def test_a_channel_stands_as_its_last_attempts_went(
    facts: dict[str, Any], standing: ChannelStanding
) -> None:
    assert channel_standing(replace(CHANNEL, **facts), NOON) is standing


def test_trouble_names_the_channel_since_when_and_why() -> None:
    failing = replace(CHANNEL, failures=5, failing_since=NOON - 60 * MINUTE)
    disabled = replace(CHANNEL, channel="old", disabled_at=NOON, last_error="HTTP 410")
    texts = [
        one.text(lambda instant: f"{instant:%H:%M}")
        for one in channel_trouble([CHANNEL, failing, disabled])
    ]

    assert texts == [
        "Channel hook has been failing since 11:00, 5 times in a row: HTTP 503.",
        "Channel old has been disabled since 12:00: HTTP 410."
        " A change of its configuration enables it again.",
    ]
    assert last_look([CHANNEL, replace(CHANNEL, looked_at=None)]) == NOON
    assert last_look([]) is None


def test_a_silence_is_planned_then_active_then_ended() -> None:
    hour = 60 * MINUTE

    assert silence_state(SILENCE, now=SILENCE.starts_at - MINUTE) is SilenceState.PLANNED
    assert silence_state(SILENCE, now=SILENCE.starts_at) is SilenceState.ACTIVE
    assert silence_state(SILENCE, now=SILENCE.ends_at) is SilenceState.ENDED
    assert silence_state(replace(SILENCE, ended_at=NOON - hour), now=NOON) is SilenceState.ENDED


def test_a_silence_is_found_by_its_pattern() -> None:
    assert silences_of("billing.invoices", [SILENCE]) == [SILENCE]
    assert silences_of("sync", [SILENCE]) == []


def test_the_heading_of_the_trail_is_known() -> None:
    assert wording.topic("told") == "Told"


@pytest.mark.parametrize(
    ("source_type", "source_id"),
    [
        ("run_log", "sync:TIMEOUT"),
        ("run_log", "sync:TIMEOUT@staging"),
        ("job", "sync"),
        ("job", "sync@staging"),
    ],
)
def test_the_job_of_an_incident_stands_in_its_key(source_type: str, source_id: str) -> None:
    incident = IncidentRecord(
        id=1,
        source_type=source_type,
        source_id=source_id,
        alert_type="MISSED" if source_type == "job" else "FAILED",
        opened_at=datetime(2026, 3, 1, tzinfo=UTC),
    )

    assert job_of(incident) == ("sync", source_id.partition("@")[2] or None)
