"""`runguard monitor`: rounds of all that nobody should have to wait for."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from ..._events import Events
from ..._monitor.wording import counted, iso
from ..._rounds.loop import PAUSE_SECONDS, run_rounds
from ..._rounds.round import RoundReport, Rounds
from ..options import DatabaseUrl, command_app, help_end
from ..stores import OpenedStore, opened_with_settings
from ..talk import say

app = command_app()

NO_CHANNEL = "No channel is configured"
SPARE_SECONDS = 5.0  # for the heartbeat itself


@app.command(
    epilog=help_end(
        "runguard monitor",
        "runguard monitor --once --quiet",
        "runguard monitor --once --json",
        notes=(
            "--once exits with 1 if something needs a look: a message was given up,",
            "a channel fails, a part of the round failed, or records still wait here.",
        ),
    )
)
def monitor(
    *,
    once: Annotated[
        bool, typer.Option("--once", help="Run one round and end; for cron, every minute.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a round, one a line.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only rounds in which something is wrong.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Tell people of alerts, and do all else that no run waits for.

    A round, every 15 seconds, closes lost runs, closes and reopens incidents, gives alerts to the
    channels that are configured here, sends what is due, and writes the records that wait on this
    machine.

    Any number may run at once, on any number of machines. SIGTERM and Ctrl-C end it when what is
    under way is done.
    """
    with opened_with_settings(database_url) as opened, _stopped_by_signals() as stop:
        show = _json_line if as_json else _Lines(quiet=quiet)
        if once:
            report = _rounds(opened, stop, waits=True).run(stops=stop.is_set)
            show(report)
            if report.is_idle and not quiet and not as_json:
                say("Nothing was due.")
            if not report.channels and not quiet and not as_json:
                say(f"{NO_CHANNEL} here: nobody is told of alerts.")
            if not report.is_good:
                raise typer.Exit(1)
            return
        if not quiet and not as_json:
            say(f"A round every {PAUSE_SECONDS:.0f} s; Ctrl-C ends it.")
        run_rounds(_rounds(opened, stop, waits=False), stop, on_report=show)


def _rounds(opened: OpenedStore, stop: threading.Event, *, waits: bool) -> Rounds:
    """Return the rounds; one that `waits` is the only one, and no later one settles its doubts."""
    seconds = opened.settings.heartbeat_interval.total_seconds() + SPARE_SECONDS

    def await_beat(_: int) -> None:
        stop.wait(seconds)

    return Rounds(
        opened.store,
        opened.settings,
        opened.spool,
        Events(lambda: opened.settings.redactor),
        await_beat=await_beat if waits else None,
    )


@contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    """Give an event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    before: dict[signal.Signals, Any] = {}
    for signum in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(signum) is not signal.SIG_IGN:  # as for what a shell put behind
            before[signum] = signal.signal(signum, lambda *_: stop.set())
    try:
        yield stop
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _json_line(report: RoundReport) -> None:
    row = {**dataclasses.asdict(report), "began_at": iso(report.began_at), "good": report.is_good}
    sys.stdout.write(json.dumps(row) + "\n")
    sys.stdout.flush()


class _Lines:
    """One line for each round that did something, or in which something is wrong."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet

    def __call__(self, report: RoundReport) -> None:
        did = [] if self._quiet else list(_deeds(report))
        wrong = list(_wrongs(report))
        if did or wrong:
            began_at = iso(report.began_at.replace(microsecond=0))
            sys.stdout.write(f"{began_at}  {', '.join([*did, *wrong])}\n")
            sys.stdout.flush()


def _deeds(report: RoundReport) -> Iterator[str]:
    for count, noun, verb in (
        (report.lost, "lost run", "closed"),
        (report.settled, "incident", "settled"),
        (report.routed, "alert", "routed"),
        (report.expired, "alert", "too old to be told"),
        (report.unroutable, "alert", "that no channel takes"),
        (report.sent, "message", "sent"),
        (report.retried, "message", "to be tried again"),
        (report.replayed, "record", "replayed"),
    ):
        if count:
            yield f"{counted(count, noun)} {verb}"


def _wrongs(report: RoundReport) -> Iterator[str]:
    if report.dead:
        yield f"{counted(report.dead, 'message')} given up"
    if report.failing:
        yield f"failing now: {', '.join(report.failing)}"
    if report.waiting:
        yield f"{counted(report.waiting, 'record')} waiting"
    if report.set_aside:
        yield f"{counted(report.set_aside, 'record')} set aside"
    for part, trouble in report.troubles.items():
        yield f"{part} failed: {trouble}"
