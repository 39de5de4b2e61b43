"""`runguard monitor`: rounds of all that nobody should have to wait for."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..._errors import SchemaOutOfDate
from ..._events import Events
from ..._models import in_environment, named_in
from ..._monitor.wording import counted, iso
from ..._rounds.loop import PAUSE_SECONDS, run_rounds
from ..._rounds.round import RoundReport, Rounds
from ..._rounds.watching import Found
from ..._run.embedded import embedded_url
from ..._store.url import parse_url
from ..options import DatabaseUrl, command_app, help_end
from ..stores import OpenedStore, opened_runtime, opened_with_settings
from ..systemd_unit import monitor_unit
from ..talk import one_line, say

if TYPE_CHECKING:
    from ..._run.runtime import Runtime

app = command_app()

NO_CHANNEL = "No channel is configured"
STORE, SCHEMA = 3, 4  # exit codes of a round that the store kept from its work
SPARE_SECONDS = 5.0  # for the heartbeat itself


@app.command(
    epilog=help_end(
        "runguard monitor",
        "runguard monitor --once --quiet",
        "runguard monitor --once --json",
        "runguard monitor --systemd",
        notes=(
            "--once exits with 1 if something needs a look: a message was given up,",
            "a channel fails, a part of the round failed, or records still wait here;",
            "with 3 or 4 if the store kept it from its work.",
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
    systemd: Annotated[
        bool, typer.Option("--systemd", help="Print a unit for systemd, and do nothing else.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Notice what did not run, and tell people, round after round.

    A round, every 15 seconds, closes lost runs, writes the records that wait on this machine, looks
    whether jobs ran as they are expected to, closes and reopens incidents, gives alerts to the
    channels that are configured here, and sends what is due. RUNGUARD_PING_URL is an address that
    hears once a minute that all this was done.

    Any number may run at once, on any number of machines. SIGTERM and Ctrl-C end it when what is
    under way is done.
    """
    if systemd:
        with opened_runtime(database_url) as runtime:
            sys.stdout.write(monitor_unit(_written(runtime)))
        return
    with opened_with_settings(database_url) as opened, _stopped_by_signals() as stop:
        show = _json_line if as_json else _Lines(quiet=quiet)
        if once:
            with closing(_rounds(opened, stop, waits=True)) as rounds:
                report = rounds.run(stops=stop.is_set)
            show(report)
            if rounds.store_fault is not None:
                raise typer.Exit(
                    SCHEMA if isinstance(rounds.store_fault, SchemaOutOfDate) else STORE
                )
            if report.is_idle and not quiet and not as_json:
                say("Nothing new.")
            if not report.channels and not quiet and not as_json:
                say(f"{NO_CHANNEL} here: nobody is told of alerts.")
            if not report.is_good:
                raise typer.Exit(1)
            return
        if not quiet and not as_json:
            say(f"A round every {PAUSE_SECONDS:.0f} s; Ctrl-C ends it.")
        with closing(_rounds(opened, stop, waits=False)) as rounds:
            run_rounds(rounds, stop, on_report=show)


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
        kind="once" if waits else "monitor",
    )


def _written(runtime: Runtime) -> Iterator[Path]:
    """Name the folders in which rounds write."""
    yield runtime.spool().folder.parent
    url = runtime.settings().database_url or embedded_url()
    if url.startswith("sqlite") and (file := parse_url(url).database):
        yield Path(file).parent


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
            sys.stdout.writelines([] if self._quiet else _table(report))
            sys.stdout.flush()


def _deeds(report: RoundReport) -> Iterator[str]:
    for count, noun, verb in (
        (report.lost, "lost run", "closed"),
        (report.found, "finding", "raised"),
        (report.closed, "finding", "over"),
        (report.settled, "incident", "settled"),
        (report.routed, "alert", "routed"),
        (report.expired, "alert", "too old to be told"),
        (report.unroutable, "alert", "that no channel takes"),
        (report.sent, "message", "sent"),
        (report.retried, "message", "to be tried again"),
        (report.unsent, "message", "left for the next round"),
        (report.imported, "run", "of pg_cron imported"),
        (report.replayed, "record", "replayed"),
    ):
        if count:
            yield f"{counted(count, noun)} {verb}"


def _table(report: RoundReport) -> Iterator[str]:
    """Say what was found of which job, and what is over, a line each."""
    rows = [(f"{'OK ' if one.is_over else ''}{one.type}", one) for one in report.findings]
    words = max((len(word) for word, _ in rows), default=0)
    names = max((len(_name(one)) for _, one in rows), default=0)
    for word, one in rows:
        named = named_in(one.job_name or "", one.environment)
        said = one_line(one.title.removeprefix(named).lstrip(" :"))
        yield f"  {word:<{words}}  {_name(one):<{names}}  {said}\n"
    if (more := report.found + report.closed - len(rows)) > 0:
        yield f"  and {more:,} more\n"


def _name(one: Found) -> str:
    if one.job_name is None:
        return "runguard"
    return one_line(in_environment(one.job_name, one.environment))


def _wrongs(report: RoundReport) -> Iterator[str]:
    if report.dead:
        yield f"{counted(report.dead, 'message')} given up"
    if report.failing:
        yield f"failing now: {', '.join(report.failing)}"
    if report.waiting:
        yield f"{counted(report.waiting, 'record')} waiting"
    if report.set_aside:
        yield f"{counted(report.set_aside, 'record')} set aside"
    for trouble, parts in _by_trouble(report.troubles).items():
        yield f"{', '.join(parts)} failed: {trouble}"


def _by_trouble(troubles: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what went wrong with the parts that failed of it: a store that is away fails all."""
    parts: dict[str, list[str]] = {}
    for part, trouble in troubles.items():
        parts.setdefault(trouble, []).append(part)
    return parts
