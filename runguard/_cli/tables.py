"""The operator's views as tables, one function for each kind of row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .._monitor import wording
from .._monitor.alert_explanation import AlertExplanation
from .._monitor.cadence import Cadence, usual_cadence
from .._monitor.coverage import other_error
from .._monitor.expectation_words import everything
from .._monitor.expectations import JOB_SOURCE_TYPE, MONITOR_SOURCE_ID
from .._monitor.explanation import Explanation, Standing
from .._monitor.health import JobState, last_failure, state_of
from .._monitor.lost_run import LostRun
from .._monitor.progress import job_progress, progress_words
from .._monitor.records import (
    AlertRecord,
    GroupCount,
    JobOverview,
    Problem,
    ProblemState,
    RunCell,
    RunDetails,
    RunRecord,
    RunWithAlert,
    ToldAlert,
    ToldProblem,
)
from .._monitor.remarks import remarks, usually
from .._monitor.sentences import Sentence
from .._monitor.trail import told_briefly
from .._monitor.visible import visible
from .._monitor.watched import ExpectedJob, found_since
from .._monitor.wording import Label, Tone, duration
from . import sparkline
from .noted import code_facts, noted_facts, noted_texts
from .output import (
    Cell,
    Listing,
    exact_moment,
    has_colours,
    moment,
    moments,
    stdout_console,
    takes_letters_beyond_ascii,
)
from .talk import one_line

_STYLES: Final = {
    Tone.BAD: "red",
    Tone.WARN: "yellow",
    Tone.OK: "green",
    Tone.BUSY: "cyan",
    Tone.NEUTRAL: "",
}
_OUTCOMES: Final = {"raised": "bold", "suppressed": "dim"}
_STANDINGS: Final = {
    Standing.STILL_FAILING: "bold red",
    Standing.RECOVERED: "green",
    Standing.SUCCEEDED: "green",
    Standing.RUNNING: "cyan",
    Standing.STUCK: "bold yellow",
    Standing.SILENT: "bold yellow",
    Standing.REFUSED: "yellow",
    Standing.UNKNOWN: "bold",
}


def runs_listing(runs: Sequence[RunRecord]) -> Listing:
    """Show runs: what ran, how it ended and why; which code, and what failed, where one says it."""
    now = datetime.now(UTC)
    has_versions, has_upstreams = (
        any(run.version for run in runs),
        any(run.upstream for run in runs),
    )
    listing = Listing(
        columns=(
            *("id", "job", "status", "started", "took"),
            *(("version",) if has_versions else ()),
            *("group", "reason"),
            *(("upstream",) if has_upstreams else ()),
            "alert",
        ),
        rows=[
            (
                str(run.id),
                run.job_name,
                _status(run.status),
                moment(run.started_at, now=now),
                _took(run, now),
                *((wording.version(run.version or "-"),) if has_versions else ()),
                run.error_group or "-",
                run.error_reason or "-",
                *((run.upstream or "-",) if has_upstreams else ()),
                _outcome(run.alert_outcome),
            )
            for run in runs
        ],
        note_title="message",
        notes=[wording.in_a_list(run.error_message) for run in runs],
        numbers=("id", "took"),
        optional=(
            *(("version",) if has_versions else ()),
            *(("upstream",) if has_upstreams else ()),
            *("alert", "reason", "took"),
        ),
    )
    return _with_environments(listing, runs)


def _with_environments(
    listing: Listing, rows: Sequence[RunRecord | AlertRecord | JobOverview | Problem]
) -> Listing:
    """Add a column behind the job that says where it runs, if any of them has an environment."""
    if not any(one.environment for one in rows):
        return listing
    place = 1 + listing.columns.index("job" if "job" in listing.columns else "source")

    def widened(cells: Sequence[Cell], cell: Cell) -> Sequence[Cell]:
        return (*cells[:place], cell, *cells[place:])

    return replace(
        listing,
        columns=[str(name) for name in widened(listing.columns, "environment")],
        rows=[
            widened(cells, one.environment or "-")
            for cells, one in zip(listing.rows, rows, strict=True)
        ],
    )


def alerts_listing(alerts: Sequence[AlertRecord]) -> Listing:
    """Show alerts: what was raised, how loud, and whether it is still open."""
    now = datetime.now(UTC)
    listing = Listing(
        columns=("id", "created", "source", "type", "severity", "state", "review"),
        rows=[
            (
                str(alert.id),
                moment(alert.created_at, now=now),
                alert.source_id,
                alert.alert_type,
                _severity(alert.severity),
                _alert_state(alert),
                _review(alert),
            )
            for alert in alerts
        ],
        note_title="message",
        notes=[_heading(alert) for alert in alerts],
        optional=("type", "review", "severity"),
    )
    return _with_environments(listing, alerts)


def told_alerts_listing(alerts: Sequence[ToldAlert]) -> Listing:
    """Show alerts, and who was told of each."""
    listing = alerts_listing(alerts)
    told = (_worded(told_briefly(one.dispatch, one.deliveries, one.told_at)) for one in alerts)
    return replace(
        listing,
        columns=(*listing.columns, "told"),
        rows=[(*row, one) for row, one in zip(listing.rows, told, strict=True)],
        optional=(*listing.optional, "told"),
    )


def problems_listing(problems: Sequence[ToldProblem]) -> Listing:
    """Show problems: how often each alerted, and whether its job recovered."""
    now = datetime.now(UTC)
    listing = Listing(
        columns=(
            *("source", "group", "reason", "severity", "alerts", "open", "first", "last"),
            *("now", "since", "told"),
        ),
        rows=[
            (
                one.job_name or one.source_id or one.source_type,
                one.error_group or one.alert_type,
                one.error_reason or "-",
                _severity(one.severity),
                str(one.alerts),
                str(one.open_alerts),
                moment(one.first_at, now=now),
                moment(one.last_at, now=now),
                _problem_state(one),
                moment(one.since, now=now),
                _worded(told_briefly(None, one.deliveries)),
            )
            for one in problems
        ],
        note_title="message",
        notes=[wording.in_a_list(one.message) or one.title for one in problems],
        numbers=("alerts", "open"),
        optional=("first", "severity", "told", "since", "open"),
    )
    return _with_environments(listing, problems)


def groups_listing(counts: Sequence[GroupCount]) -> Listing:
    """Show failures by group: whether it is one problem or forty."""
    now = datetime.now(UTC)
    return Listing(
        columns=("group", "reason", "severity", "failures", "alerts", "jobs", "last failure"),
        rows=[
            (
                count.error_group or "-",
                count.error_reason or "-",
                _severity(count.severity),
                str(count.failures),
                str(count.alerts),
                str(count.jobs),
                moment(count.last_failure_at, now=now),
            )
            for count in counts
        ],
        note_title="",
        notes=[""] * len(counts),
        numbers=("failures", "alerts", "jobs"),
        optional=("jobs", "severity"),
    )


def joined_listing(pairs: Sequence[RunWithAlert]) -> Listing:
    """Show failed runs, each beside the alert that it raised or that covers it."""
    return Listing(
        columns=("run", "job", "group", "outcome", "alert", "severity"),
        rows=[
            (
                str(pair.run.id),
                pair.run.job_name,
                pair.run.error_group or "-",
                _outcome(pair.run.alert_outcome),
                "-" if pair.alert is None else str(pair.alert.id),
                _severity(None if pair.alert is None else pair.alert.severity),
            )
            for pair in pairs
        ],
        note_title="title",
        notes=[_covering(pair) for pair in pairs],
        numbers=("run", "alert"),
    )


def lost_listing(lost: Sequence[LostRun]) -> Listing:
    """Show runs that were closed because nothing was heard of them."""
    now = datetime.now(UTC)
    return Listing(
        columns=("id", "job", "host", "pid", "last heard"),
        rows=[
            (
                str(run.run_id),
                run.job_name,
                run.host or "-",
                "-" if run.pid is None else str(run.pid),
                moment(run.last_heard_at, now=now),
            )
            for run in lost
        ],
        note_title="",
        notes=[""] * len(lost),
        numbers=("id", "pid"),
    )


def jobs_listing(
    jobs: Sequence[JobOverview], *, now: datetime, console: Console, shown: int | None
) -> Listing:
    """Show how every job stands, with a strip of its last runs, the newest on the right."""
    if shown is None:
        shown = _fitting_strip(console)
    at, strip_of = moments(now), _strips(console)
    states = [state_of(job, now=now) for job in jobs]
    listing = Listing(
        columns=(
            *("job", "state", "group", "since", "runs", "ok", "p50", "p95", "open", "last run"),
            *("next due", "usually"),
        ),
        rows=[
            (
                job.job_name,
                _worded(wording.job_state(state)),
                _newest_group(job),
                at(job.failing_since if state is JobState.FAILING else job.running_since),
                strip_of(job.strip[:shown]),
                f"{100 * job.succeeded // job.finished}%" if job.finished else "-",
                _seconds(job.median_seconds),
                _seconds(job.p95_seconds),
                _loud(job),
                at(job.last_start_at),
                at(job.expected.next_due_at if job.expected else None),
                _usually(job),
            )
            for job, state in zip(jobs, states, strict=True)
        ],
        note_title="",
        notes=["; ".join([*_progress(job, now), *remarks(job, now=now)]) for job in jobs],
        numbers=("runs", "ok", "p50", "p95", "open"),
        optional=("usually", "p50", "last run", "p95", "next due", "ok", "open", "runs"),
    )
    return _with_environments(listing, jobs)


def run_sheet(
    details: RunDetails, *, headline: str, cadence: Cadence | None, now: datetime
) -> RenderableType:
    """Show everything that is recorded of one run and expected of its job, label by label."""
    run = details.run
    http = "" if run.http_status_code is None else f" ({run.http_status_code})"
    facts: list[tuple[str, str | Text]] = [
        ("run", f"{run.id}{'' if run.run_key is None else f'  {run.run_key}'}"),
        ("job", run.job_name),
        ("environment", run.environment or "-"),
        *_expected(details.expected, now),
        ("usually", "-" if cadence is None else usually(cadence, now=now).removeprefix("usually ")),
        ("status", _status(run.status)),
        (
            "trigger",
            f"{run.trigger_type or '-'}{f', attempt {run.attempt}' if run.attempt else ''}",
        ),
        *code_facts(details),
        ("started", exact_moment(run.started_at, now=now)),
        ("finished", exact_moment(run.finished_at, now=now)),
        ("took", _took(run, now)),
        *noted_facts(details, now=now),
        ("group", f"{run.error_group or '-'}{http}"),
        ("matched by", run.matched_by or "-"),
        ("error", run.error_type or "-"),
        ("where", run.error_location or "-"),
        ("upstream", run.upstream or "-"),
        ("alert", _alert_line(details)),
        ("told", _told(details)),
        (
            "cooldown",
            "-" if run.cooldown_seconds is None else duration(run.cooldown_seconds),
        ),
        (
            "counted",
            f"{_counted(run.total_records, 'record')}, {_number(run.changed_records)} changed,"
            f" {_counted(run.created_alerts, 'alert')}, {_number(run.retry_count)} retried",
        ),
        ("process", "-" if run.host is None else f"{run.host}, pid {_number(run.pid)}"),
        ("versions", details.versions or "-"),
        ("last heartbeat", exact_moment(details.heartbeat_at, now=now)),
        ("lost", exact_moment(details.lost_at, now=now)),
        ("clock", "the host's" if details.clock == "host" else "-"),
        ("previous success", _cell(details.previous_success, now)),
        ("next success", _cell(details.recovered, now)),
        ("previous run", _cell(details.before, now)),
        ("next run", _cell(details.after, now)),
    ]
    # What says nothing is left out, but for what everybody looks for.
    told = [fact for fact in facts if str(fact[1]) != "-" or fact[0] in ("started", "finished")]
    style = _STYLES[wording.run_status(run.status).tone]
    parts: list[RenderableType] = [Text(one_line(headline), f"bold {style}"), Text(), _sheet(told)]
    if run.error_message:
        lines = "\n".join(visible(line) for line in run.error_message.splitlines())
        parts += [Text(), Text("message", "bold"), Padding.indent(Text(lines), 2)]
    return Group(*parts, *noted_texts(details.note, folded=stdout_console().is_terminal))


def explanation_sheet(explanation: Explanation, *, now: datetime) -> RenderableType:
    """Show the answer, then the reasons by topic."""
    style = _STANDINGS[explanation.standing]
    return _sentences(explanation.headline, explanation.reasons, style, now)


def alert_sheet(explanation: AlertExplanation, *, now: datetime) -> RenderableType:
    """Show what became of an alert, by topic."""
    return _sentences(explanation.headline, explanation.reasons, "bold", now)


def _sentences(
    headline: Sentence, reasons: Sequence[Sentence], style: str, now: datetime
) -> RenderableType:
    def spelled(instant: datetime) -> str:
        return exact_moment(instant, now=now, with_age=False)

    rows: list[tuple[str, str | Text]] = []
    last = ""
    for sentence in reasons:
        label = wording.topic(sentence.topic)
        rows.append(("" if label == last else label, sentence.text(spelled)))
        last = label
    return Group(Text(one_line(headline.text(spelled)), style), Text(), _sheet(rows))


def _sheet(facts: Sequence[tuple[str, str | Text]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in facts:
        style = value.style if isinstance(value, Text) else ""
        table.add_row(label, Text(one_line(value), style))
    return table


def _expected(job: ExpectedJob | None, now: datetime) -> list[tuple[str, str | Text]]:
    """Say what somebody declared of a job, and what was found."""
    if job is None:
        return []
    found = (
        f"{wording.found(one.type)} (alert {one.incident}, {moment(found_since(one), now=now)})"
        for one in job.findings
    )
    return [
        ("description", job.description or "-"),
        ("owner", job.owner or "-"),
        ("runbook", job.runbook or "-"),
        ("expected", everything(job.expectation).replace(wording.NOTHING, "-")),
        ("retired", exact_moment(job.retired_at, now=now)),
        ("next due", exact_moment(job.next_due_at, now=now)),
        ("found", Text("; ".join(found) or "-", _STYLES[Tone.BAD])),
    ]


def _progress(job: JobOverview, now: datetime) -> Iterator[str]:
    progress = job_progress(job, now=now)
    if progress is not None:
        yield progress_words(progress, now=now)


def _usually(job: JobOverview) -> str:
    cadence = usual_cadence(job)
    return "-" if cadence is None else cadence.words


def _newest_group(job: JobOverview) -> str:
    """The group of the failure that ended last, of a job that is not well."""
    if state_of(job) not in (JobState.FAILING, JobState.FLAPPING):
        return "-"
    newest = last_failure(job)
    return (newest.error_group or "-") if newest is not None else "-"


def _strips(console: Console) -> Callable[[Sequence[RunCell]], Cell]:
    """Return what makes a strip of many, which looks once at what the console shows."""
    if not has_colours(console):
        return sparkline.letters
    return partial(sparkline.coloured, bars=takes_letters_beyond_ascii(console))


def _loud(job: JobOverview) -> Text:
    if not job.open_alerts:
        return Text("-")
    return Text(str(job.open_alerts), _STYLES[wording.severity(job.severity).tone])


def _alert_line(details: RunDetails) -> str | Text:
    outcome = _outcome(details.run.alert_outcome)
    alert = details.alert
    if alert is None:
        return outcome
    severity, state = wording.severity(alert.severity).word, _alert_state(alert)
    other = other_error(details.run, alert)
    cause = "" if other is None else f", raised for another error ({other})"
    return f"{outcome}: alert {alert.id}, {severity}, {state}, {_review(alert)}{cause}"


def _told(details: RunDetails) -> str | Text:
    trail, alert = details.trail, details.alert
    if trail is None or alert is None:
        return "-"
    return _worded(told_briefly(trail.dispatch, trail.deliveries, alert.told_at))


def _cell(cell: RunCell | None, now: datetime) -> str:
    if cell is None:
        return "-"
    return f"run {cell.id}, {cell.error_group or cell.status}, {moment(cell.started_at, now=now)}"


def _fitting_strip(console: Console) -> int:
    if not console.is_terminal or 90 <= console.width < 120:
        return 20
    return 30 if console.width >= 120 else 12 if console.width >= 70 else 8


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else duration(seconds)


def _number(number: int | None) -> str:
    return "-" if number is None else str(number)


def _counted(number: int | None, noun: str) -> str:
    return f"- {noun}s" if number is None else wording.counted(number, noun)


def _worded(label: Label) -> Text:
    return Text(label.word, _STYLES[label.tone])


def _status(status: str) -> Text:
    """The stored word, which `--status` and SQL take, in the colour of its label."""
    return Text(status, _STYLES[wording.run_status(status).tone])


def _severity(severity: str | None) -> Text:
    return Text("-") if severity is None else _worded(wording.severity(severity))


def _outcome(outcome: str | None) -> Text:
    word = "-" if outcome in (None, "none") else str(outcome)
    return Text(word, _OUTCOMES.get(word, ""))


def _alert_state(alert: AlertRecord) -> Text:
    label = wording.alert_state(resolved=alert.resolved)
    by = f" by {alert.resolved_by}" if alert.resolved and alert.resolved_by else ""
    return Text(f"{label.word}{by}", _STYLES[label.tone])


def _problem_state(problem: Problem) -> Text:
    if problem.state is ProblemState.UNKNOWN:
        return Text("-")
    label = wording.problem_state(problem.state)
    by = f" at run {problem.recovered_by.id}" if problem.recovered_by is not None else ""
    return Text(f"{label.word}{by}", _STYLES[label.tone])


def _review(alert: AlertRecord) -> Text:
    label = wording.review_status(alert.review_status)
    by = f" by {alert.reviewed_by}" if alert.reviewed_by else ""
    return Text(f"{label.word}{by}", _STYLES[label.tone])


def _took(run: RunRecord, now: datetime) -> str:
    if run.started_at is None:
        return "-"
    if run.finished_at is None:
        return f"{duration(now - run.started_at)}…" if run.status == "RUNNING" else "-"
    return duration(run.finished_at - run.started_at)


def _covering(pair: RunWithAlert) -> str:
    if pair.alert is None:
        return ""
    other = other_error(pair.run, pair.alert)
    return pair.alert.title if other is None else f"raised for another error ({other})"


def _heading(alert: AlertRecord) -> str:
    message = wording.in_a_list(alert.message)
    if message and alert.source_type == JOB_SOURCE_TYPE and alert.source_id != MONITOR_SOURCE_ID:
        return message  # it says all that the title says
    start, colon, reason = alert.title.rpartition(": ")
    if colon and message.startswith(reason):  # `sync failed: exit code` and `exit code 3`
        return f"{start}: {message}"
    return f"{alert.title}: {message}" if message else alert.title
