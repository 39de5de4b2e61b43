"""Why a run ended as it did, and what became of it: sentences for a tired reader.

What was told of its alert stands in `trail`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from .._frozen import frozen
from .._models import NO_RULE_MATCHED, AlertOutcome, ErrorGroup, RunStatus, named_in
from .alert_explanation import state_of
from .change_words import what_changed
from .coverage import other_error
from .expectation_words import schedule
from .health import takes_too_long
from .progress import progress_of, progress_words
from .records import AlertRecord, RunCell, RunDetails, RunRecord, named_owner
from .sentences import Mention, Part, Sentence, Topic
from .trail import told
from .watched import ExpectedJob
from .wording import counted, duration, error, found, noted_value, ordinal, reason

LOST_TYPE: Final = "runguard.LostRun"  # the type of a failure that nobody was there to raise
LOST_AFTER: Final = timedelta(minutes=5)  # the limit of a run that notes none of its own
LONGEST_ERROR: Final = 300
MOST_NOTED: Final = 10
LONGEST_NOTED: Final = 120


class Standing(StrEnum):
    """Whether a run's trouble is over."""

    RUNNING = "running"
    STUCK = "running too long"
    SILENT = "silent"  # for longer than its limit: its process died, or hangs
    SUCCEEDED = "succeeded"
    STILL_FAILING = "still failing"
    RECOVERED = "recovered"
    REFUSED = "refused"  # its body never began
    UNKNOWN = "unknown"  # another program's word for a status


@frozen
class Explanation:
    """What is to be said of a run: the answer in one sentence, then the reasons."""

    run_id: int
    standing: Standing
    headline: Sentence
    reasons: tuple[Sentence, ...]

    def about(self, topic: Topic) -> tuple[Sentence, ...]:
        """Return the reasons of one topic."""
        return tuple(sentence for sentence in self.reasons if sentence.topic is topic)


def explain(details: RunDetails, *, now: datetime) -> Explanation:
    """Explain a run: why this group, why an alert or none, until when, and is it still broken.

    `now` is the database's clock. Rows of other programs are explained as far as they go.
    """
    return Explanation(
        run_id=details.run.id,
        standing=standing_of(details, now=now),
        headline=Sentence(Topic.STATE, tuple(_headline(details, now))),
        reasons=tuple(
            Sentence(topic, parts) for topic, parts in _reasons(details, now) if any(parts)
        ),
    )


def standing_of(details: RunDetails, *, now: datetime) -> Standing:
    """Say in one word whether a run's trouble is over."""
    status = details.run.status
    if status == RunStatus.RUNNING:
        if _lost_after_silence(details, now):
            return Standing.SILENT
        return Standing.STUCK if _is_stuck(details, now) else Standing.RUNNING
    if status == RunStatus.SUCCESS:
        return Standing.SUCCEEDED
    if status != RunStatus.FAILED:
        return Standing.UNKNOWN
    if details.run.refused:
        return Standing.REFUSED
    return Standing.STILL_FAILING if details.recovered is None else Standing.RECOVERED


def _headline(details: RunDetails, now: datetime) -> Iterator[Part]:
    run = details.run
    name = named_in(run.job_name, run.environment)
    match standing_of(details, now=now):
        case Standing.RUNNING | Standing.STUCK | Standing.SILENT:
            yield f"{name} is running"
            if run.started_at is not None:
                yield f", for {duration(now - run.started_at)} now"
            if _is_stuck(details, now):
                yield f" (usually at most {duration(details.usual_seconds)})"
            if (silence := _lost_after_silence(details, now)) is not None:
                yield f", silent for {duration(silence)}; `runguard reap` would close it"
            yield "."
        case Standing.SUCCEEDED:
            yield f"{name} succeeded"
            yield from _ended(run)
            yield "."
        case Standing.UNKNOWN:
            yield f"{name} is {run.status}, a status of another program."
        case Standing.REFUSED:
            yield f"{name} did not start"
            if run.started_at is not None:
                yield " at "
                yield run.started_at
            yield from _refused_by(details)
            yield "."
        case _:
            yield f"{name} failed"
            yield from _ended(run)
            yield f": {_group_and_reason(run)}"
            yield _since_then(details)


def _is_stuck(details: RunDetails, now: datetime) -> bool:
    started_at = details.run.started_at
    if started_at is None:
        return False
    return takes_too_long(now - started_at, usual_seconds=details.usual_seconds)


def _lost_after_silence(details: RunDetails, now: datetime) -> timedelta | None:
    """Return how long an open run has been silent; None while that is within its limit."""
    last_heard_at = details.heartbeat_at or details.run.started_at
    if details.run.run_key is None or last_heard_at is None:
        return None
    silence = now - last_heard_at
    return silence if silence > _silence_limit(details) else None


def _silence_limit(details: RunDetails) -> timedelta:
    limit = details.lost_after_seconds
    return LOST_AFTER if limit is None else timedelta(seconds=limit)


def _since_then(details: RunDetails) -> str:
    if details.recovered is not None:
        return "; it has succeeded since."
    if details.after is None:
        return "; it has not run again since."
    if details.after.status == RunStatus.RUNNING:
        return "; a later run is under way."
    return "; it is still failing."


def _ended(run: RunRecord) -> Iterator[Part]:
    instant = run.finished_at or run.started_at
    if instant is not None:
        yield " at "
        yield instant
    if run.started_at is not None and run.finished_at is not None:
        yield f", after {duration(run.finished_at - run.started_at)}"


_Reason = tuple[Topic, tuple[Part, ...]]


def _reasons(details: RunDetails, now: datetime) -> Iterator[_Reason]:
    """Yield everything there is to say, the most urgent first."""
    if details.run.status == RunStatus.FAILED:
        yield Topic.ERROR, tuple(_what_went_wrong(details))
        yield Topic.ERROR, tuple(_how_often(details))
        yield from _of_what_changed(details)
        yield Topic.GROUP, tuple(_why_this_group(details))
        yield from _of_the_lock(details)
    yield from _of_being_lost(details)
    if details.run.status == RunStatus.FAILED:
        yield Topic.ALERT, tuple(_why_this_alert(details))
    elif details.alert is not None:
        state = "resolved" if details.alert.resolved else "open"
        yield Topic.ALERT, (f"The {state} ", _mention(details.alert), " reports it.")
    if details.trail is not None:
        yield from ((said.topic, said.parts) for said in told(details.trail, now=now))
    if details.run.status == RunStatus.FAILED:
        yield from _of_the_cooldown(details, now)
    yield from _of_its_progress(details, now)
    yield from _of_what_it_noted(details)
    yield from _of_its_neighbours(details)
    if details.expected is not None:
        yield from ((Topic.JOB, parts) for parts in _of_the_job(details.expected))
    yield from _of_the_record(details, now)


def _what_went_wrong(details: RunDetails) -> Iterator[Part]:
    run = details.run
    if not run.error_type and not run.error_message:
        return
    yield error(run.error_type, run.error_message, longest=LONGEST_ERROR).rstrip(".")
    yield f", at {run.error_location}." if run.error_location else "."
    if run.upstream:
        yield f" The call went to {run.upstream}."


def _how_often(details: RunDetails) -> Iterator[Part]:
    first = details.failing_since
    if first is None or details.failures_in_row < 2:
        return
    yield f"It is the {ordinal(details.failures_in_row)} failure in a row, since "
    yield from _cell(first)
    yield "."


def _of_what_changed(details: RunDetails) -> Iterator[_Reason]:
    run, changed = details.run, details.changed
    if changed is None or changed.last_success is None:
        return  # what is known of its neighbours says so
    its = {"version": run.version, "upstream": run.upstream}
    yield from ((one.topic, one.parts) for one in what_changed(changed, run_id=run.id, **its))


def _of_its_progress(details: RunDetails, now: datetime) -> Iterator[_Reason]:
    run = details.run
    is_open = run.status == RunStatus.RUNNING
    times = {"started_at": run.started_at, "finished_at": run.finished_at}
    progress = progress_of(details.note, **times, now=now)
    if progress is None:
        return
    words = progress_words(progress, now=now if is_open else None)
    yield Topic.PROGRESS, (f"{'So far' if is_open else 'When it ended'}: {words}.",)


def _of_what_it_noted(details: RunDetails) -> Iterator[_Reason]:
    its = ((details.note and details.note.context) or {}).items()
    said = [_in_a_few_words(f"{name}: {noted_value(value)}") for name, value in its]
    if said:
        more = len(said) - MOST_NOTED
        rest = [f"and {more} more, in `runguard show {details.run.id}`"] if more > 0 else []
        yield Topic.NOTED, (f"{'; '.join(said[:MOST_NOTED] + rest)}.",)


def _in_a_few_words(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_NOTED else f"{line[: LONGEST_NOTED - 1]}…"


def _group_and_reason(run: RunRecord) -> str:
    group = run.error_group or "of no known group"
    return f"{group} ({reason(run.error_reason)})" if run.error_reason else group


def _why_this_group(details: RunDetails) -> Iterator[Part]:
    run = details.run
    if run.error_group is None:
        yield "It has no group: another program wrote this row, and runguard judged nothing."
    elif run.error_type == LOST_TYPE:
        yield f"{run.error_group}: {_silence(details)}, and no one was left to say why."
    elif run.matched_rule is not None:
        yield f"{run.error_group}, because your own rule {run.matched_rule} in configure(rules=…)"
        yield f" matched{_depth(run)}."
    elif not run.matched_by:
        yield f"{run.error_group}; which rule decided was not recorded."
    elif run.matched_by == NO_RULE_MATCHED:
        yield f"{run.error_group}: no rule matched the error, its causes or its text."
    else:
        yield f"{run.error_group}, from {run.matched_by}{_depth(run)}."
    if run.error_reason and run.error_type != LOST_TYPE:
        yield f" The reason: {reason(run.error_reason)}."


def _depth(run: RunRecord) -> str:
    """Say how far behind the exception stands what decided."""
    if not run.matched_depth:
        return ""
    return f", {counted(run.matched_depth, 'step')} behind the exception (its cause or context)"


def _silence(details: RunDetails) -> str:
    last_heard_at = details.heartbeat_at or details.run.started_at
    limit = details.lost_after_seconds
    if details.lost_at is None or last_heard_at is None:
        return "nothing was heard of it"
    heard = f"nothing was heard of it for {duration(details.lost_at - last_heard_at)}"
    return heard if limit is None else f"{heard}, longer than its limit of {duration(limit)}"


def _why_this_alert(details: RunDetails) -> Iterator[Part]:
    run, alert = details.run, details.alert
    window = _window_of(run)
    match run.alert_outcome:
        case AlertOutcome.RAISED:
            yield "It raised "
            yield _mention(alert) if alert else "an alert that is no longer there"
            if window:
                yield f": there was none for {_key(run)} within {duration(window)} before it"
            elif window is not None:
                yield ": the cooldown is switched off, so every failure alerts"
            yield "."
        case AlertOutcome.SUPPRESSED:
            yield "It raised no alert: "
            yield from _covered(run, alert)
            yield "."
        case AlertOutcome.EXCLUDED:
            yield (
                "It raised no alert, on purpose: its exception is listed in no_alert_on, asks for"
                " a retry, or is a Ctrl-C in a run that was started by hand."
            )
        case AlertOutcome.WAITING:
            yield (
                f"It raised no alert yet: failures_to_alert waits for more failures of {_key(run)}"
                " in a row."
            )
        case _ if alert is not None:
            yield from (_mention(alert), " reports it.")
        case _ if run.run_key is None:
            yield "It raised no alert through runguard: another program wrote this row."
        case _:
            yield "It raised no alert."
    if alert is not None:
        yield from state_of(alert)


def _covered(run: RunRecord, alert: AlertRecord | None) -> Iterator[Part]:
    window = _window_of(run)
    if alert is not None:
        yield _mention(alert)
        yield " of "
        yield alert.created_at
        yield " already covers it"
    elif run.covered_by is not None:
        yield f"alert {run.covered_by} covered it already, and has been deleted since"
    else:
        yield f"{_key(run)} had alerted already"
    if window:
        yield f", within the cooldown of {duration(window)}"
    if (other := other_error(run, alert)) is not None:
        yield f", but it was raised for another error ({other})"


def _of_the_cooldown(details: RunDetails, now: datetime) -> Iterator[_Reason]:
    cooldown, run = details.cooldown, details.run
    if cooldown is None:
        return
    newest = Mention("alert", cooldown.alert_id)
    if cooldown.quiet_until is not None:
        left = duration(cooldown.quiet_until - now)
        until = (
            " is quiet until ",
            cooldown.quiet_until,
            f" (for {left}); the first failure after that alerts",
            ", and a failure for a new reason alerts at once." if cooldown.by_reason else ".",
        )
        yield Topic.COOLDOWN, (_key(run), *until)
    else:
        yield Topic.COOLDOWN, (f"The cooldown is over: the next {_key(run)} alerts.",)
    # The newest alert of the group may be a later one than this run's.
    is_its_own = details.alert is not None and details.alert.id == cooldown.alert_id
    its: list[Part] = [] if is_its_own else [", the newest of this group"]
    if cooldown.raised_by is not None and cooldown.raised_by != run.id:
        its += [", raised by ", Mention("run", cooldown.raised_by)]
    if its:
        its.append(",")
    covers = f" covers {counted(cooldown.covered, 'failure')} besides the one that raised it."
    if not cooldown.covered:
        covers = " covers no other failure."
    yield Topic.COOLDOWN, ("So far ", newest, *its, covers)


def _of_the_lock(details: RunDetails) -> Iterator[_Reason]:
    run = details.run
    if run.refused:
        yield Topic.LOCK, ("The body did not run", *_refused_by(details), ".")
    elif run.error_group == ErrorGroup.LOCK_CONFLICT and details.lost_after_seconds is not None:
        yield Topic.LOCK, ("The body did run: the refusal came from inside it.",)


def _refused_by(details: RunDetails) -> Iterator[Part]:
    """Yield what kept a run from beginning, as the end of a sentence."""
    if details.run.error_group != ErrorGroup.LOCK_CONFLICT:
        yield ": the store could not be reached"
        return
    yield ": the job's lock was held by "
    yield from _holder(details)
    if details.lock_held_until is not None:
        yield " until "
        yield details.lock_held_until
        yield " unless renewed"


def _holder(details: RunDetails) -> Iterator[Part]:
    owner = named_owner(details.lock_holder)
    place = f"host {owner.host}, pid {owner.pid}" if owner else details.lock_holder
    if details.holder_run_id is not None:
        yield Mention("run", details.holder_run_id)
        yield f" ({place})"
    else:
        yield place or "another run"


def _of_being_lost(details: RunDetails) -> Iterator[_Reason]:
    run = details.run
    if details.lost_at is None:
        return
    where = f" on {run.host or 'an unknown host'}{'' if run.pid is None else f', pid {run.pid},'}"
    if run.error_type == LOST_TYPE:
        heard: tuple[Part, ...] = ()
        if details.heartbeat_at is not None:
            heard = (", silent since ", details.heartbeat_at)
        says = f"It is lost: its process{where} died, or hangs{'' if heard else '.'}"
        declared = (". It was declared lost at ", details.lost_at, ".") if heard else ()
        yield Topic.LOST, (says, *heard, *declared)
    else:
        came_back = ", but its process came back and recorded its real end."
        yield Topic.LOST, ("It was declared lost at ", details.lost_at, came_back)


def _what_reaping_does(details: RunDetails) -> Iterator[Part]:
    run = details.run
    where = f" on {run.host}{'' if run.pid is None else f', pid {run.pid},'}" if run.host else ""
    yield f"Its limit of silence is {duration(_silence_limit(details))}: its process{where} died,"
    yield " or hangs. `runguard reap` would record it as FAILED, UNKNOWN (lost), and raise an alert"
    yield " if none covers it."


def _of_its_neighbours(details: RunDetails) -> Iterator[_Reason]:
    run = details.run
    if run.attempt is not None:
        yield Topic.HISTORY, (f"It was attempt {run.attempt} at its task.",)
    if run.started_at is None:
        yield Topic.HISTORY, ("It has no start, so it has no place among the runs of its job.",)
        return
    success = details.previous_success
    if success is not None and not _is_compared_with(success, details):
        gap = (
            f", {duration(run.started_at - success.started_at)} earlier"
            if success.started_at
            else ""
        )
        yield Topic.HISTORY, ("The last success before it was ", *_cell(success), f"{gap}.")
    elif success is None and details.before is None:
        yield Topic.HISTORY, ("It is the first run of its job.",)
    elif success is None:
        yield Topic.HISTORY, ("No success is known before it.",)
    if run.status == RunStatus.FAILED and not run.refused:
        yield Topic.HISTORY, tuple(_what_came_later(details))


def _is_compared_with(success: RunCell, details: RunDetails) -> bool:
    """Whether what changed since a success is said already, which names it."""
    last = None if details.changed is None else details.changed.last_success
    return last is not None and last.id == success.id


def _what_came_later(details: RunDetails) -> Iterator[Part]:
    run, after = details.run, details.after
    if (recovered := details.recovered) is not None:
        yield "It succeeded again with "
        yield from _cell(recovered)
        if recovered.started_at is not None and run.started_at is not None:
            yield f", {duration(recovered.started_at - run.started_at)} later"
        yield "."
        return
    if after is None:
        yield "Still failing, as far as is known: the job has not run again."
    elif after.status == RunStatus.RUNNING:
        yield from ("Not yet known: ", *_cell(after), " is still running.")
    else:
        yield from ("Still failing: no later run has succeeded; the next one was ", *_cell(after))
        yield f", {after.error_group or after.status}."


def _of_the_job(job: ExpectedJob) -> Iterator[tuple[Part, ...]]:
    """Yield what somebody declared of the job, and what was found of it."""
    if job.description:
        yield (f"{job.description.rstrip('.')}.",)
    if job.owner:
        yield (f"It belongs to {job.owner}.",)
    if job.runbook:
        yield (f"Runbook: {job.runbook}",)
    if job.retired_at is not None:
        yield ("It was retired at ", job.retired_at, ": no start is expected.")
    elif job.next_due_at is not None:
        yield (
            f"Its schedule is {schedule(job.expectation)}; the next start is due at ",
            job.next_due_at,
            ".",
        )
    elif job.has_schedule:
        yield (f"Its schedule is {schedule(job.expectation)}.",)
    for one in job.findings:
        yield (f"It {found(one.type)}: ", Mention("alert", one.incident), " reports it.")


def _of_the_record(details: RunDetails, now: datetime) -> Iterator[_Reason]:
    run = details.run
    if run.status == RunStatus.RUNNING:
        if details.heartbeat_at is not None:
            silent = duration(now - details.heartbeat_at)
            sign = ("Its last heartbeat was at ", details.heartbeat_at, f", {silent} ago.")
            yield Topic.RECORD, sign
        elif run.run_key is not None:
            yield Topic.RECORD, ("It has sent no heartbeat yet.",)
        if _lost_after_silence(details, now):
            yield Topic.RECORD, tuple(_what_reaping_does(details))
    if run.run_key is None:
        open_end = " Only that program can end it." if run.status == RunStatus.RUNNING else ""
        yield Topic.RECORD, (f"Another program wrote this row, not runguard.{open_end}",)
    if details.clock == "host":
        yield (
            Topic.RECORD,
            ("The store was away: the run was recorded later, with its host's own times.",),
        )


def _cell(cell: RunCell) -> tuple[Part, ...]:
    mention = Mention("run", cell.id)
    return (mention,) if cell.started_at is None else (mention, " of ", cell.started_at)


def _mention(alert: AlertRecord) -> Mention:
    return Mention("alert", alert.id)


def _key(run: RunRecord) -> str:
    return f"{run.error_group} of {run.job_name}"


def _window_of(run: RunRecord) -> timedelta | None:
    return None if run.cooldown_seconds is None else timedelta(seconds=run.cooldown_seconds)


def plain(explanation: Explanation) -> dict[str, Any]:
    """Return an explanation as JSON holds it: every sentence as text, times in UTC."""
    return {
        "run_id": explanation.run_id,
        "standing": str(explanation.standing),
        "headline": explanation.headline.text(),
        "reasons": [
            {"topic": str(sentence.topic), "text": sentence.text()}
            for sentence in explanation.reasons
        ],
    }
