"""What a message says below its subject, before anybody decides how it looks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from .._frozen import frozen
from .._models import Severity
from .._monitor.expectations import FindingType
from .._monitor.notices import Covered, NoticeFacts, NoticeKind, RunFacts
from .._monitor.wording import counted, duration, error, ordinal
from . import findings
from . import subject as subjects
from .config import NotifyConfig
from .run_notes import changes_of, code_of, last_success_words, links_of_run, log_of
from .texts import (
    LONGEST_LINE,
    Times,
    cut,
    cut_beginning,
    line,
    redacted,
    redacted_line,
    short_name,
)

MOST_COVERED: Final = 30  # alerts of a digest that are listed
CODE: Final = "Where in your code"
LOG: Final = "Last lines of its log"
LEAST_TEXT: Final = 200  # characters that an error keeps where all is short
_ROOM: Final = 16  # for what a cut adds

_OF_ONE_ALERT: Final = frozenset(NoticeKind) - {
    *(NoticeKind.DIGEST, NoticeKind.UNDELIVERED, NoticeKind.TEST)
}
_ABOUT_A_CAUSE: Final = (NoticeKind.OPENED, NoticeKind.REMINDER, NoticeKind.RAISED)


@frozen(kw_only=True)
class Body:
    """The parts of a message, in the order in which they are read. All are harmless as text.

    Attributes:
        subject: The subject of the message.
        headline: What happened, in one line.
        tone: `bad`, `warn` or `ok`, for a colour.
        error: What went wrong, in its own words; empty where nothing is known.
        facts: Words with what they say: where, since when, what changed.
        code: The innermost frames of the user's code, as Python prints them.
        log: The last lines of the job's log.
        items: The alerts of a digest, a line each.
        notes: Sentences: what covers it, when the next message comes, what else is to be known.
        commands: What to type, each with what it is for.
        links: Addresses, each with its words.
    """

    subject: str
    headline: str
    tone: str
    error: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    code: str = ""
    log: str = ""
    items: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    def text(self) -> str:
        """Write it as plain text."""
        width = max((len(label) for label, _ in self.facts), default=0) + 1
        parts = [
            self.headline,
            self.error,
            "\n".join(f"{label + ':':<{width}} {value}" for label, value in self.facts),
            "\n".join(f"- {item}" for item in self.items),
            f"{CODE}:\n{self.code}" if self.code else "",
            f"{LOG}:\n{self.log}" if self.log else "",
            "\n".join(self.notes),
            "\n".join(f"{what}: {command}" for what, command in self.commands),
            "\n".join(f"{what}: {address}" for what, address in self.links),
        ]
        return "\n\n".join(part for part in parts if part) + "\n"

    def fitted(self, longest: int) -> Body:
        """Return it with its long texts cut so that `text` has at most `longest` characters.

        The error keeps its beginning, the log its end; links and commands stay whole. Frames of
        code are left out where there is little room.
        """
        if len(self.text()) <= longest:
            return self
        code, frame = self.code, self._frame_length()
        if code and frame + 2 * LEAST_TEXT > longest:  # the error names its place too
            code, frame = "", replace(self, code="")._frame_length()
        room = max(LEAST_TEXT, longest - frame - _ROOM)
        # Each gets its half, and what the other one leaves.
        for_log = min(len(self.log), max(room // 2, room - len(self.error)))
        return replace(
            self,
            error=cut(self.error, room - for_log),
            code=code,
            log=cut_beginning(self.log, for_log),
        )

    def _frame_length(self) -> int:
        return len(replace(self, error="", log="").text()) + len(f"{LOG}:\n")


def body_of(facts: NoticeFacts, config: NotifyConfig, times: Times) -> Body:
    """Say all that is known of a delivery."""
    kind = facts.delivery.kind
    its_links = links_of_run(facts) if kind in _ABOUT_A_CAUSE else ()
    return Body(
        subject=subjects.subject_of(facts, times),
        headline=_headline(facts, times),
        tone=_tone(facts),
        error=_error(facts),
        facts=tuple((label, value) for label, value in _facts(facts, times) if value),
        code=code_of(facts) if kind in _ABOUT_A_CAUSE else "",
        log=log_of(facts) if kind in _ABOUT_A_CAUSE else "",
        items=tuple(_items(facts, times)),
        notes=tuple(_notes(facts, times)),
        commands=tuple(_commands(facts)),
        links=(*links_of(facts, config), *its_links),
    )


def links_of(facts: NoticeFacts, config: NotifyConfig) -> Iterator[tuple[str, str]]:
    """Return the addresses that a message leads to."""
    base, is_of_one = config.web_url, facts.delivery.kind in _OF_ONE_ALERT
    if base is not None and is_of_one:
        is_over = facts.delivery.kind is NoticeKind.RECOVERED
        run = facts.recovered_by if is_over and facts.recovered_by else facts.failed_run
        if run is not None:
            yield "Run", f"{base}/runs/{run.id}"
        if facts.job_name and findings.is_finding(facts):
            yield "Job", f"{base}/jobs/{_quoted(facts.job_name)}{_query(facts)}"
        yield "Alert", f"{base}/alerts/{facts.alert_id}"
    elif base is not None:
        yield "Alerts", f"{base}/alerts"
    if facts.runbook and is_of_one:
        yield "Runbook", line(facts.runbook, 1000)


def _quoted(text: str) -> str:
    return quote(text, errors="replace")


def _query(facts: NoticeFacts) -> str:
    return f"?environment={_quoted(facts.environment)}" if facts.environment else ""


def _headline(facts: NoticeFacts, times: Times) -> str:
    kind = facts.delivery.kind
    if kind is NoticeKind.TEST:
        return (
            "This is a test: somebody ran `runguard notify --test`. Alerts of your jobs arrive here"
            " the same way."
        )
    if kind is NoticeKind.UNDELIVERED:
        return "Messages are not delivered on this channel, so others tell you."
    if kind is NoticeKind.DIGEST:
        return f"{counted(len(facts.covered), 'alert')} in one message, the most severe first."
    name = subjects.name_of(facts, 200)
    title = redacted_line(facts.title) or subjects.word_of(facts)
    if findings.is_finding(facts):
        if kind is NoticeKind.RECOVERED:
            return f"{name}: {subjects.how_it_ended(facts, times)}."
        title = f"{name}: {subjects.what_happened(facts, times)}"
    if kind is NoticeKind.RECOVERED:
        return f"{name} works again." if facts.was_told else f"{name} had failed, and works again."
    if kind is NoticeKind.REMINDER:
        return f"Not over yet: {title}"
    return title


def _tone(facts: NoticeFacts) -> str:
    kind = facts.delivery.kind
    if kind in (NoticeKind.RECOVERED, NoticeKind.TEST):
        return "ok"
    loudest = facts.severity
    if kind is NoticeKind.DIGEST and facts.covered:
        if all(one.kind is NoticeKind.RECOVERED for one in facts.covered):
            return "ok"
        loudest = subjects.by_loudness(facts.covered)[0].severity
    is_bad = loudest == Severity.HIGH or kind is NoticeKind.UNDELIVERED
    return "bad" if is_bad else "warn"


def _error(facts: NoticeFacts) -> str:
    if facts.delivery.kind is NoticeKind.UNDELIVERED:
        return redacted(facts.failing_channel.last_error) if facts.failing_channel else ""
    # Of a cause that is over, its words help only those who never saw them.
    is_news = facts.delivery.kind in _ABOUT_A_CAUSE or not facts.was_told
    is_news = is_news and facts.delivery.kind in _OF_ONE_ALERT
    is_news = is_news and not findings.facts_say_all(facts)
    return _with_its_type(redacted(facts.message), facts) if is_news else ""


def _with_its_type(message: str, facts: NoticeFacts) -> str:
    """Begin a failure's message with the name of its exception, where it says none."""
    error_type = facts.detail.get("error_type")
    if not message or facts.error_group is None or not isinstance(error_type, str):
        return message
    first, _, rest = message.partition("\n")
    told = error(redacted_line(error_type), first, longest=len(message) + LONGEST_LINE)
    return f"{told}\n{rest}" if rest else told


def _facts(facts: NoticeFacts, times: Times) -> Iterator[tuple[str, str]]:
    kind = facts.delivery.kind
    if kind is NoticeKind.TEST:
        yield "Channel", line(facts.delivery.channel, 40)
    elif kind is NoticeKind.UNDELIVERED:
        yield from _channel_facts(facts, times)
    elif kind is NoticeKind.RECOVERED:
        yield from _recovery_facts(facts, times)
    elif kind in _ABOUT_A_CAUSE:
        yield from _cause_facts(facts, times)


def _channel_facts(facts: NoticeFacts, times: Times) -> Iterator[tuple[str, str]]:
    state = facts.failing_channel
    if state is None:
        return
    yield "Channel", line(state.channel, 40)
    if state.failing_since is not None:
        yield "Since", _since(state.failing_since, times)
    yield "Failed", counted(state.failures, "time") + " in a row"
    if state.last_sent_at is not None:
        yield "Last message sent", times.full(state.last_sent_at)
    if state.disabled_at is not None:
        yield "Disabled", f"{times.full(state.disabled_at)}, until its configuration changes"


def _recovery_facts(facts: NoticeFacts, times: Times) -> Iterator[tuple[str, str]]:
    is_finding = findings.is_finding(facts)
    yield "Owner", line(facts.owner, 100)
    if facts.opened_at is not None:
        length = subjects.down_time(facts)
        lasted = f", for {duration(length)}" if length is not None else ""
        since = f"{subjects.word_of(facts)} since" if is_finding else "Failing since"
        yield since, f"{times.full(facts.opened_at)}{lasted}"
    if is_finding:
        yield from findings.facts_of(facts, times)
    else:
        yield "Failures", f"{facts.failures:,} with {subjects.word_of(facts)}"
    if findings.finding_of(facts) == FindingType.STUCK:
        yield "Ended", _end_of(facts.recovered_by, times)
    else:
        yield "Ended by" if is_finding else "Recovered by", _run(facts.recovered_by, times)
    yield "Recent runs", _recent(facts)
    if facts.acked_by:
        yield "Acknowledged by", line(facts.acked_by, 100)


def _cause_facts(facts: NoticeFacts, times: Times) -> Iterator[tuple[str, str]]:
    run = facts.failed_run
    yield "Job", short_name(facts.job_name, 200)
    yield "Environment", line(facts.environment, 40)
    if findings.is_finding(facts):
        yield "Description", _text_in(facts, "description")
    yield "Owner", line(facts.owner, 100)
    yield "Severity", line(facts.severity, 16)
    places = [_text_in(facts, "error_location"), _host(run)]
    yield "Where", ", ".join(place for place in places if place)
    yield "Upstream", line(facts.upstream, 200)
    yield "Attempt", str(run.attempt) if run is not None and run.attempt else ""
    is_going_on = facts.failures > 1 or findings.is_finding(facts)
    if facts.opened_at is not None:
        yield ("Since" if is_going_on else "At"), _since(facts.opened_at, times)
    if findings.is_finding(facts):
        yield from findings.facts_of(facts, times)
    elif facts.failures > 1:
        yield "Failures", f"this is the {ordinal(facts.failures)}"
    yield "Recent runs", _recent(facts)
    if facts.error_group is not None:
        success = _run(facts.last_success, times)
        yield "Last success", f"{success}{last_success_words(facts)}" if success else "none known"
        yield "Changed since then", changes_of(facts)
    if facts.acked_by:
        yield "Acknowledged by", line(facts.acked_by, 100)


def _text_in(facts: NoticeFacts, key: str) -> str:
    value = facts.detail.get(key)
    return redacted_line(value) if isinstance(value, str) else ""


def _since(instant: datetime, times: Times) -> str:
    ago = times.now - instant
    length = f"{duration(ago)} ago" if ago >= timedelta(minutes=1) else "just now"
    return f"{times.full(instant)}, {length}"


def _run(run: RunFacts | None, times: Times) -> str:
    if run is None:
        return ""
    return _placed(run, run.started_at or run.finished_at, times)


def _end_of(run: RunFacts | None, times: Times) -> str:
    return _placed(run, run.finished_at, times) if run is not None and run.finished_at else ""


def _placed(run: RunFacts, at: datetime | None, times: Times) -> str:
    return " ".join(
        part for part in (times.full(at) if at else f"run {run.id}", _host(run)) if part
    )


def _host(run: RunFacts | None) -> str:
    return f"on {line(run.host, 100)}" if run is not None and run.host else ""


def _recent(facts: NoticeFacts) -> str:
    """Say how the last runs ended, where not all of them failed alike."""
    failed = facts.recent.count(False)
    many = facts.reopened or facts.delivery.kind is not NoticeKind.OPENED
    return f"{failed} of the last {len(facts.recent)} failed" if facts.recent and many else ""


def _items(facts: NoticeFacts, times: Times) -> Iterator[str]:
    covered = subjects.by_loudness(facts.covered)
    for one in covered[:MOST_COVERED]:
        yield _item(one, times)
    if len(covered) > MOST_COVERED:
        yield f"and {len(covered) - MOST_COVERED:,} more"


def _item(one: Covered, times: Times) -> str:
    is_over = one.kind is NoticeKind.RECOVERED
    word = "OK" if is_over else line(one.subject_word, 32)
    said = one.title
    if is_over and one.job_name:
        said = f"{subjects.short_job(one, 60)} {subjects.recovered_in_digest(one)}"
    return f"{times.short(one.at)} {word}: {redacted_line(said, 120)} (alert {one.alert_id})"


def _notes(facts: NoticeFacts, times: Times) -> Iterator[str]:
    kind = facts.delivery.kind
    if facts.is_repeat:
        yield "This message may be a repeat: an earlier attempt got no answer."
    if facts.has_waited:
        yield "This alert waited, so that others could go with it."
    if kind is NoticeKind.RECOVERED and not facts.was_told:
        yield "You were not told when it began: the message could not be delivered before it ended."
    for silence in facts.silences_ended:
        yield f"Silence {silence.id} ended while this goes on: {redacted_line(silence.reason)}"
    if kind in _ABOUT_A_CAUSE and is_of_an_incident(facts):
        yield from _what_comes_next(facts, times)
    if facts.expired:
        were = "alert was" if facts.expired == 1 else "alerts were"
        yield (
            f"{facts.expired:,} older {were} not sent: no process with channels had looked for more"
            " than a day. `runguard alerts` lists them."
        )


def _what_comes_next(facts: NoticeFacts, times: Times) -> Iterator[str]:
    name = subjects.name_of(facts, 100)
    if findings.is_finding(facts):
        yield findings.what_it_covers(facts, name)
        still, over = "If it is not over", "when it is over"
    else:
        word = subjects.word_of(facts)
        yield f"This covers later failures of {name} with {word}, until it recovers."
        still, over = "If it still fails", "if it recovers"
    if facts.acked_by:
        yield f"No reminder comes while it is acknowledged. {over.capitalize()}, you are told."
    elif facts.next_reminder_at is not None:
        yield (
            f"{still} after {times.full(facts.next_reminder_at)}, you are told again; {over}, at"
            " once."
        )
    elif facts.remind_every:
        yield (f"{still} in {duration(facts.remind_every)}, you are told again; {over}, at once.")


def is_of_an_incident(facts: NoticeFacts) -> bool:
    """Whether the alert belongs to a cause that opens, goes on, and recovers."""
    is_of_a_run = facts.source_type == "run_log" and facts.alert_type in subjects.OF_AN_INCIDENT
    return is_of_a_run or findings.is_finding(facts)


def _commands(facts: NoticeFacts) -> Iterator[tuple[str, str]]:
    kind = facts.delivery.kind
    if kind in _ABOUT_A_CAUSE and is_of_an_incident(facts):
        yield "Acknowledge", f'runguard ack {facts.alert_id} --reason "…"'
        if facts.failed_run is not None:
            yield "Explain", f"runguard explain {facts.failed_run.id}"
        elif findings.is_finding(facts):
            yield "Explain", f"runguard explain alert:{facts.alert_id}"
    elif kind in _ABOUT_A_CAUSE:
        yield "Resolve", f"runguard resolve {facts.alert_id}"
    elif kind is NoticeKind.UNDELIVERED:
        yield "Check", "runguard doctor"
    elif kind is NoticeKind.DIGEST:
        yield "List", "runguard alerts"
