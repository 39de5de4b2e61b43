"""What `runguard demo` plays and tells: every kind of failure, then what an operator sees."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from rich.text import Text

from .._monitor.explanation import explain
from .._monitor.records import AlertFilter, RunFilter, RunWithAlert
from .._monitor.sentences import Topic
from . import demo_told
from .demo_jobs import SYNC, Act, acts, enrolment_sync, running_upstream
from .noted import noted_texts
from .output import plain_table, stdout_console, write_listing, write_table
from .stores import quiet_log
from .tables import (
    alerts_listing,
    explanation_sheet,
    groups_listing,
    joined_listing,
    runs_listing,
)

if TYPE_CHECKING:
    from .._store.operator import OperatorStore

COOLDOWN: Final = timedelta(minutes=30)
ROWS_SHOWN: Final = 12
SHOWN_IN_FULL: Final = 2  # of the acts: upstream answers 503


def play(
    store: OperatorStore,
    *,
    where: str,
    option: str,
    program: str = "runguard",
    mail: bool = True,
) -> None:
    """Play the quick check on a store, and tell what happened.

    `where` names the store; `option` is what makes other commands look at it; `program` is how
    the reader would call those. `mail` says whether somebody is told by mail, too.
    """
    _print(f"runguard demo on {where}", "bold")
    _print("Three small jobs run for real, against a small HTTP server in this process.")
    with running_upstream() as upstream, quiet_log():
        _title("1. A good run")
        enrolment_sync(f"{upstream}/enrolments")
        _tell_good_run(store)

        _title("2. Six failures, one of each group")
        first = [_fail(store, act) for act in acts(upstream)]
        _tell_first(acts(upstream), first)

        _title("3. The same six again")
        again = [_fail(store, act) for act in acts(upstream)]
        _tell_repeats(acts(upstream), again)
    _show_views(store, program, option)
    _show_one(store, first[SHOWN_IN_FULL].run.id, program, option)
    if mail:
        _title("6. Somebody is told")
        demo_told.play(_print)
    _tell_what_next(program, option)


def _fail(store: OperatorStore, act: Act) -> RunWithAlert:
    with suppress(Exception):  # a job's exception always goes on: here is its end
        act.do()
    [failed] = store.failed_runs_with_alerts(limit=1, job_name=act.job_name)
    return failed


def _tell_good_run(store: OperatorStore) -> None:
    [run] = store.run_page(RunFilter(job_name=SYNC), limit=1).runs
    _print(
        f"{run.job_name} read {run.total_records} enrolments and changed {run.changed_records}:"
        f" run {run.id} is {run.status}."
    )


def _tell_first(played: Sequence[Act], failed: Sequence[RunWithAlert]) -> None:
    _table_of(played, failed)
    raised = sum(pair.run.alert_outcome == "raised" for pair in failed)
    if raised:
        _print(f"{raised} alerts raised. Every exception went on to the caller, unchanged.")
    if raised < len(failed):
        _print(
            f"{len(failed) - raised} raised none: alerts of an earlier demo on this store still"
            f" cover them. A cooldown holds for every process on every host{_until(failed)}."
        )


def _tell_repeats(played: Sequence[Act], failed: Sequence[RunWithAlert]) -> None:
    _table_of(played, failed)
    quiet = sum(pair.run.alert_outcome == "suppressed" for pair in failed)
    minutes = COOLDOWN.total_seconds() / 60
    _print(
        f"{quiet} failures recorded, {len(failed) - quiet} new alerts: the cooldown of"
        f" {minutes:g} minutes suppresses repeats{_until(failed)}."
    )


def _table_of(played: Sequence[Act], failed: Sequence[RunWithAlert]) -> None:
    table = plain_table("run", "what happens", "group", "alert")
    table.columns[0].justify = "right"
    for act, pair in zip(played, failed, strict=True):
        told = Text("none")
        if pair.alert is not None and pair.run.alert_outcome == "raised":
            told = Text(f"{pair.alert.id} raised, {pair.alert.severity}", "bold")
        elif pair.alert is not None:
            told = Text(f"suppressed: {pair.alert.id} covers it")
        table.add_row(str(pair.run.id), act.told, pair.run.error_group, told)
    write_table(table)


def _until(failed: Sequence[RunWithAlert]) -> str:
    ends = [pair.alert.created_at + COOLDOWN for pair in failed if pair.alert is not None]
    return f", until {max(ends).astimezone():%H:%M}" if ends else ""


def _show_views(store: OperatorStore, program: str, option: str) -> None:
    _title("4. What an operator sees in the morning")
    _print("Recent failed runs", "bold", f"{program} runs --status failed {option}")
    failed = store.run_page(RunFilter(status="FAILED"), limit=ROWS_SHOWN)
    write_listing(runs_listing(failed.runs))
    _print("\nFailure alerts", "bold", f"{program} alerts --type FAILED {option}")
    raised = store.alert_page(AlertFilter(alert_type="FAILED"), limit=ROWS_SHOWN)
    write_listing(alerts_listing(raised.alerts))
    _print("\nFailures by group, over 24 hours", "bold", f"{program} report {option}")
    write_listing(groups_listing(store.failures_by_group(since=timedelta(hours=24))))
    _print("\nFailed runs and their alerts", "bold", "join on detail->>'run_id' = run_log.id::text")
    write_listing(joined_listing(store.failed_runs_with_alerts(limit=ROWS_SHOWN)))


def _show_one(store: OperatorStore, run_id: int, program: str, option: str) -> None:
    """Show of one failure what changed before it, and what it left."""
    details = store.run_details(run_id)
    if details is None:
        return
    _title("5. One failure in full")
    now = store.now()
    told = explain(details, now=now)
    reasons = (*told.about(Topic.ERROR), *told.about(Topic.CHANGES))
    _print("Why it failed, and what changed", "bold", f"{program} explain {run_id} {option}")
    write_table(explanation_sheet(replace(told, reasons=reasons), now=now))
    _print("\nWhat it left", "bold", f"{program} show {run_id} {option}")
    for part in noted_texts(details.note, folded=True):
        write_table(part)


def _tell_what_next(program: str, option: str) -> None:
    _title("What next")
    _print("See all of it in the browser, and resolve the alerts there:\n")
    _print(f"    {program} web {option}\n", "bold")
    _print(
        "The demo's rows stay where they are; the commands above read them again.\n"
        "Your own job needs two lines, and RUNGUARD_DATABASE_URL for a server:\n\n"
        "    from runguard import tracked_run\n\n"
        '    @tracked_run("enrolment_sync")\n'
        "    def enrolment_sync(): ...\n\n"
        f"`{program} doctor {option}` says what would stop it."
    )


def _title(text: str) -> None:
    _print(f"\n{text}", "bold cyan")


def _print(text: str, style: str = "", command: str = "") -> None:
    line = Text(text, style)
    if command:
        line.append(f"   {command}", "not bold dim")
    stdout_console().print(line, soft_wrap=True)
