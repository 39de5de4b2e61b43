"""`runguard demo`: every kind of failure for real, and what an operator sees of it afterwards.

Three small jobs run against a small HTTP server of this process. They use the public API as any
job would; only the tables at the end are read through the repository.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.request import ProxyHandler, build_opener

from rich.text import Text

from .. import JobLockActive, current_run, run_scope, tracked_run
from .._monitor.records import RunWithAlert
from .._store.operator import OperatorStore
from .output import plain_table, stdout_console, write_listing, write_table
from .stores import quiet_log
from .tables import alerts_listing, groups_listing, joined_listing, runs_listing

COOLDOWN: Final = timedelta(minutes=30)
SYNC: Final = "demo.enrolment_sync"
REPORT: Final = "demo.nightly_report"
IMPORT: Final = "demo.invoice_import"
TIMEOUT_SECONDS: Final = 0.15
ROWS_SHOWN: Final = 12

# A proxy of the environment must not stand between a job and this very process.
_opener: Final = build_opener(ProxyHandler({}))


@tracked_run(SYNC)
def enrolment_sync(url: str, *, timeout: float = 5.0) -> None:
    """Pull enrolments from upstream."""
    with _opener.open(url, timeout=timeout) as answer:
        enrolments = json.load(answer)
    if run := current_run():
        run.total_records = len(enrolments)
        run.changed_records = sum(enrolment["changed"] for enrolment in enrolments)


@tracked_run(IMPORT)
def invoice_import(amount: str) -> float:
    """Read an amount as a job reads what people typed."""
    return float(amount)


def nightly_report() -> None:
    """Start while another run of the same job is inside: refused, since it holds the lock."""
    with run_scope(REPORT, lock=True), suppress(JobLockActive), run_scope(REPORT, lock=True):
        pass


@dataclass(frozen=True, slots=True)
class Act:
    """One thing that is done to a job, in words and in deed."""

    job_name: str
    told: str
    do: Callable[[], object]


def acts(upstream: str) -> Sequence[Act]:
    """Return six failures, one for each group."""
    return (
        Act(REPORT, "it starts while it is running", nightly_report),
        Act(SYNC, "upstream answers 409", lambda: enrolment_sync(f"{upstream}/409")),
        Act(SYNC, "upstream answers 503", lambda: enrolment_sync(f"{upstream}/503")),
        Act(SYNC, "upstream answers 404", lambda: enrolment_sync(f"{upstream}/404")),
        Act(
            SYNC,
            f"upstream takes over {TIMEOUT_SECONDS}s",
            lambda: enrolment_sync(f"{upstream}/slow", timeout=TIMEOUT_SECONDS),
        ),
        Act(IMPORT, "an amount is no number", lambda: invoice_import("12,50 EUR")),
    )


def play(store: OperatorStore, *, where: str, option: str, program: str = "runguard") -> None:
    """Play the quick check on a store, and tell what happened.

    `where` names the store; `option` is what makes other commands look at it; `program` is how
    the reader would call those.
    """
    _print(f"runguard demo on {where}", "bold")
    _print("Three small jobs run for real, against a small HTTP server in this process.")
    with _upstream() as upstream, quiet_log():
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
    _tell_what_next(program, option)


def _fail(store: OperatorStore, act: Act) -> RunWithAlert:
    with suppress(Exception):  # a job's exception always goes on: here is its end
        act.do()
    [failed] = store.failed_runs_with_alerts(limit=1, job_name=act.job_name)
    return failed


def _tell_good_run(store: OperatorStore) -> None:
    [run] = store.recent_runs(limit=1, job_name=SYNC)
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
        f"{quiet} failures recorded, {len(failed) - quiet} new alerts: you were told once, and the"
        f" cooldown of {minutes:g} minutes keeps quiet{_until(failed)}."
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
    write_listing(runs_listing(store.recent_runs(limit=ROWS_SHOWN, status="FAILED")))
    _print("\nFailure alerts", "bold", f"{program} alerts --type FAILED {option}")
    write_listing(alerts_listing(store.recent_alerts(limit=ROWS_SHOWN, alert_type="FAILED")))
    _print("\nFailures by group, over 24 hours", "bold", f"{program} report {option}")
    write_listing(groups_listing(store.failures_by_group(since=timedelta(hours=24))))
    _print("\nFailed runs and their alerts", "bold", "join on detail->>'run_id' = run_log.id::text")
    write_listing(joined_listing(store.failed_runs_with_alerts(limit=ROWS_SHOWN)))


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


class _Answers(BaseHTTPRequestHandler):
    """An upstream: a path that is a status is answered with it, `/slow` not in time."""

    closing = threading.Event()

    def do_GET(self) -> None:
        word = self.path.strip("/")
        if word == "slow":
            self.closing.wait(10 * TIMEOUT_SECONDS)
        elif word.isdigit():
            self.send_error(HTTPStatus(int(word)))
        else:
            enrolments = [{"id": number, "changed": number % 14 == 0} for number in range(512)]
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            self.wfile.write(json.dumps(enrolments).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its signature
        """Keep out of the demo's output."""


@contextmanager
def _upstream() -> Iterator[str]:
    _Answers.closing = threading.Event()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            _Answers.closing.set()
            server.shutdown()
