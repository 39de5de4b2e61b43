"""Who was told of an alert, by what and when, in the same sentences everywhere.

Also in words: how a channel is doing, and how a silence stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from .expectations import JOB_SOURCE_TYPE, job_in
from .notices import (
    ChannelState,
    DeliveryRecord,
    DeliveryState,
    Dispatch,
    IncidentRecord,
    NoticeKind,
    Silence,
    Trail,
)
from .sentences import Part, Sentence, Topic
from .silences import matches
from .wording import Label, Tone, counted, ordinal

FAILURES_THAT_TELL: Final = 3  # in a row: less than that is a hiccup, which a retry mends
LOOKS_LATE: Final = timedelta(minutes=2)  # a process with channels looks at least once a minute
GONE_AFTER: Final = timedelta(days=1)  # that no process had a channel, while others looked

_TOLD: Final = {
    NoticeKind.OPENED: "told",
    NoticeKind.REMINDER: "reminded",
    NoticeKind.RAISED: "told that it is more severe",
    NoticeKind.RECOVERED: "told that it recovered",
    NoticeKind.DIGEST: "told of several alerts in one message",
    NoticeKind.UNDELIVERED: "told that another channel fails",
    NoticeKind.TEST: "sent a test",
}


class SilenceState(StrEnum):
    """Whether a silence mutes now."""

    ACTIVE = "active"
    PLANNED = "planned"
    ENDED = "ended"


class ChannelStanding(StrEnum):
    """How a channel is doing."""

    OK = "ok"
    FAILING = "failing"  # several times in a row
    DISABLED = "disabled"  # the other side is gone, until the configuration changes
    UNUSED = "unused"  # nothing was sent there yet
    GONE = "gone"  # no process has it any more


_SILENCES: Final = {
    SilenceState.ACTIVE: Label("active", Tone.WARN, "◐"),
    SilenceState.PLANNED: Label("planned", Tone.BUSY, "◌"),
    SilenceState.ENDED: Label("ended"),
}


def told(trail: Trail, *, now: datetime) -> tuple[Sentence, ...]:
    """Say who was told, who was not and why, and what is still tried."""
    said = [tuple(_acknowledged(trail.incident, now))]
    said += [silenced(one) for one in trail.silences]
    said += [tuple(_delivery(one, trail, now)) for one in _each(trail.deliveries)]
    if not trail.deliveries:
        said.append(tuple(_nobody(trail, now)))
    return tuple(Sentence(Topic.TOLD, parts) for parts in said if parts)


def _each(deliveries: Sequence[DeliveryRecord]) -> Iterator[DeliveryRecord]:
    """Yield the deliveries, but for a digest that the sentence on what it covers speaks of."""
    covers = {one.covered_by for one in deliveries}
    for one in deliveries:
        if one.id not in covers or one.kind is not NoticeKind.DIGEST:
            yield one


def told_briefly(
    dispatch: str | None,
    deliveries: Iterable[DeliveryRecord],
    told_at: datetime | None = None,
) -> Label:
    """Say in a few words who was told of an alert: the channels, or why there are none.

    `told_at` is when the first channel was told, perhaps by a message that covers it.

    >>> told_briefly("unroutable", ()).word, told_briefly("pending", ()).word
    ('no channel', 'nobody yet')
    """
    found = [one for one in deliveries if one.kind is not NoticeKind.UNDELIVERED]
    by_state: dict[DeliveryState, list[str]] = {}
    for one in found:
        by_state.setdefault(one.state, []).append(one.channel)
    arrived = [*by_state.get(DeliveryState.SENT, ()), *by_state.get(DeliveryState.UNKNOWN, ())]
    if DeliveryState.DEAD in by_state and not arrived:
        return Label("failed", Tone.BAD, "✕")
    if arrived:
        return Label(", ".join(dict.fromkeys(arrived)), Tone.OK, "✓")
    if DeliveryState.PENDING in by_state or DeliveryState.SENDING in by_state:
        return Label("not yet", Tone.WARN, "◌")
    covered = [one for one in found if one.covered_by is not None]
    if covered and told_at is not None:
        return Label(", ".join(dict.fromkeys(one.channel for one in covered)), Tone.OK, "✓")
    if covered:
        return Label(f"message {covered[0].covered_by}")
    if found:
        return Label("muted")
    return _UNTOLD.get(dispatch or "", Label("–"))


_UNTOLD: Final[Mapping[str, Label]] = {
    Dispatch.PENDING: Label("nobody yet", Tone.WARN, "◌"),
    Dispatch.EXPIRED: Label("too old"),
    Dispatch.UNROUTABLE: Label("no channel", Tone.WARN),
}


def by_alert(deliveries: Iterable[DeliveryRecord]) -> Mapping[int, Sequence[DeliveryRecord]]:
    """Return deliveries by their alerts."""
    found: dict[int, list[DeliveryRecord]] = {}
    for one in deliveries:
        found.setdefault(one.alert_id, []).append(one)
    return found


def _acknowledged(incident: IncidentRecord | None, now: datetime) -> Iterator[Part]:
    if incident is None or not is_acknowledged(incident, now=now):
        return
    yield f"Acknowledged by {incident.acked_by or 'somebody'} until "
    yield incident.acked_until or now
    yield f": {_ended(incident.ack_reason)}" if incident.ack_reason else "."


def silenced(silence: Silence) -> tuple[Part, ...]:
    """Say until when a silence mutes notices, and why."""
    of = f" of {silence.error_group}" if silence.error_group else ""
    return (
        f"Silence {silence.id} ({silence.job}) mutes notices{of} until ",
        silence.ends_at,
        f", by {silence.created_by}: {_ended(silence.reason)}",
    )


def _nobody(trail: Trail, now: datetime) -> Iterator[Part]:
    match trail.dispatch:
        case Dispatch.EXPIRED:
            yield "Nobody was told: it was older than a day when a process with channels looked."
        case Dispatch.UNROUTABLE:
            yield "Nobody was told: no channel takes it."
        case Dispatch.PENDING:
            yield "Nobody has been told"
            yield from _waits(trail, now)
        case Dispatch.ROUTED:
            yield "Nobody was told: its deliveries were deleted."
        case _:
            yield "Nobody is told: it is older than the delivery of alerts in this store."


def _waits(trail: Trail, now: datetime) -> Iterator[Part]:
    """Say what a delivery waits for, as the end of a sentence."""
    if trail.looked_at is None:
        yield ": no process with channels has ever looked."
    elif now - trail.looked_at > LOOKS_LATE:
        yield ": no process with channels has looked since "
        yield trail.looked_at
        yield "."
    else:
        yield " yet: the next process with channels that looks will do it."


def _delivery(one: DeliveryRecord, trail: Trail, now: datetime) -> Iterator[Part]:
    done = _TOLD[one.kind]
    match one.state:
        case DeliveryState.SENT:
            yield f"{one.channel} was {done}"
            yield from _at(one.sent_at)
            yield f" on the {ordinal(one.attempts)} try." if one.attempts > 1 else "."
        case DeliveryState.UNKNOWN:
            yield f"{one.channel} may have been {done}"
            yield from _at(one.sent_at)
            yield ": the message went out, and no answer came."
        case DeliveryState.DEAD:
            tries = counted(one.attempts, "attempt")
            yield f"{one.channel} was not {done}: given up after {tries}{_why(one)}"
        case DeliveryState.SKIPPED:
            yield f"{one.channel} was not {done}{_why(one)}"
        case DeliveryState.REPLACED:
            yield from _covered(one, trail, now)
        case DeliveryState.SENDING:
            yield f"{one.channel} is being {done} now (the {ordinal(one.attempts)} try)."
        case _:
            yield f"{one.channel} has not been {done}"
            yield from _is_tried(one, trail, now)


def _is_tried(one: DeliveryRecord, trail: Trail, now: datetime) -> Iterator[Part]:
    """Say when a delivery is tried next, as the end of a sentence."""
    due, failed = one.next_attempt_at, one.attempts
    if due is not None and due > now:
        yield f" yet. The {'next' if failed else 'first'} try is at "
        yield due
        yield f", after {counted(failed, 'failed attempt')}{_why(one)}" if failed else "."
        return
    yield from _waits(trail, now)
    if failed:
        yield f" {counted(failed, 'attempt')} failed{_why(one)}"


def _covered(one: DeliveryRecord, trail: Trail, now: datetime) -> Iterator[Part]:
    if one.covered_by is None:
        yield f"{one.channel} was not {_TOLD[one.kind]} by a message of its own{_why(one)}"
        return
    cover = next((other for other in trail.deliveries if other.id == one.covered_by), None)
    is_digest = cover is not None and cover.kind == NoticeKind.DIGEST
    how = "told together with others in" if is_digest else "covered by"
    yield f"It is {how} message {one.covered_by} to {one.channel}"
    if cover is None:
        yield "."
    else:
        yield from _how_far(cover, trail, now)


def _how_far(cover: DeliveryRecord, trail: Trail, now: datetime) -> Iterator[Part]:
    """Say how far a message is that covers others, as the end of a sentence."""
    match cover.state:
        case DeliveryState.SENT | DeliveryState.UNKNOWN:
            yield ", sent"
            yield from _at(cover.sent_at)
            yield "."
        case DeliveryState.DEAD:
            yield f", given up after {counted(cover.attempts, 'attempt')}{_why(cover)}"
        case DeliveryState.PENDING:
            yield ", not sent"
            yield from _is_tried(cover, trail, now)
        case _:
            yield "."


def _at(instant: datetime | None) -> Iterator[Part]:
    if instant is not None:
        yield " at "
        yield instant


def _why(one: DeliveryRecord) -> str:
    return f": {_ended(one.last_error)}" if one.last_error else "."


def _ended(text: str) -> str:
    """Return a text that ends as a sentence does."""
    line = " ".join(text.split())
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."


def is_acknowledged(incident: IncidentRecord, *, now: datetime) -> bool:
    """Whether somebody has an open incident in hand now."""
    return (
        incident.closed_at is None
        and incident.acked_until is not None
        and incident.acked_until > now
    )


def job_of(incident: IncidentRecord) -> tuple[str, str | None]:
    """Return the job and the environment that the key of an incident names."""
    if incident.source_type == JOB_SOURCE_TYPE:  # of what is found of a job
        return job_in(incident.source_id)
    name, _, rest = incident.source_id.rpartition(":")
    return name, rest.partition("@")[2] or None


def silence_state(silence: Silence, *, now: datetime) -> SilenceState:
    """Say whether a silence mutes now."""
    if silence.ended_at is not None or silence.ends_at <= now:
        return SilenceState.ENDED
    return SilenceState.PLANNED if silence.starts_at > now else SilenceState.ACTIVE


def silence_label(state: SilenceState) -> Label:
    """Return the label of how a silence stands."""
    return _SILENCES[state]


def silences_of(
    job_name: str, silences: Iterable[Silence], *, environment: str | None = None
) -> list[Silence]:
    """Return the silences that mute notices of a job, or some of them."""
    return [
        one
        for one in silences
        if matches(
            one,
            job_name,
            error_group=one.error_group,
            alert_type=one.alert_type or "",
            environment=environment,
        )
    ]


def last_look(states: Iterable[ChannelState]) -> datetime | None:
    """Return when a process with channels last looked; None where none ever did."""
    return max((one.looked_at for one in states if one.looked_at is not None), default=None)


def channel_standing(state: ChannelState, looked_at: datetime | None) -> ChannelStanding:
    """Say how a channel is doing; `looked_at` is when a process with any channel last looked."""
    if (
        looked_at is not None
        and state.looked_at is not None
        and looked_at - state.looked_at > GONE_AFTER
    ):
        return ChannelStanding.GONE
    if state.disabled_at is not None:
        return ChannelStanding.DISABLED
    if state.failures >= FAILURES_THAT_TELL:
        return ChannelStanding.FAILING
    return ChannelStanding.UNUSED if state.last_sent_at is None else ChannelStanding.OK


def channel_trouble(states: Sequence[ChannelState]) -> tuple[Sentence, ...]:
    """Say which channels do not deliver, and why; nothing where all do."""
    looked_at = last_look(states)
    said = (tuple(_trouble(one, channel_standing(one, looked_at))) for one in states)
    return tuple(Sentence(Topic.TOLD, parts) for parts in said if parts)


def _trouble(state: ChannelState, standing: ChannelStanding) -> Iterator[Part]:
    why = f": {_ended(state.last_error)}" if state.last_error else "."
    if standing is ChannelStanding.DISABLED:
        yield f"Channel {state.channel} has been disabled"
        yield from _since(state.disabled_at)
        yield f"{why} A change of its configuration enables it again."
    elif standing is ChannelStanding.FAILING:
        yield f"Channel {state.channel} has been failing"
        yield from _since(state.failing_since)
        yield f", {state.failures} times in a row{why}"


def _since(instant: datetime | None) -> Iterator[Part]:
    if instant is not None:
        yield " since "
        yield instant
