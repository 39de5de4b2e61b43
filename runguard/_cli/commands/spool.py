"""`runguard spool status`, `flush` and `retry`: the records that wait on this machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from ..._failure.introspection import printable
from ..._monitor.wording import iso
from ..._run import spool_quarantine
from ..._run.spool_listing import count_of
from ..._run.spool_others import OtherFolder, other_folders
from ..._run.spool_replay import replay
from ..._run.spool_view import troubles_of, waiting_since
from ..options import AsJson, DatabaseUrl, command_app, help_end
from ..output import progress_bar
from ..stores import found_spool, opened_with_settings, quiet_log
from ..talk import say

if TYPE_CHECKING:
    from ..._run.repository import RunRepository
    from ..._run.spool import Spool
    from ..._run.spool_quarantine import SetAside

app = command_app(
    help="Records that wait on this machine for the store.",
    epilog=help_end("runguard spool status", "runguard spool flush"),
    no_args_is_help=True,
)

FLUSH_SECONDS = 3600.0
MOST_NAMED = 20

Seconds = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="Stop after so many seconds.")
]


@app.command(epilog=help_end("runguard spool status", "runguard spool status --json"))
def status(*, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Show how many records wait on this machine, since when, and where."""
    with quiet_log(), found_spool(database_url) as spool:
        aside = spool_quarantine.set_aside(spool)
        others = list(other_folders(spool))
        troubles = [printable(str(trouble), 500) for trouble in troubles_of(spool)]
        if as_json:
            rows = [_own_row(spool, aside, troubles), *map(_other_row, others)]
            sys.stdout.write(json.dumps(rows, indent=2) + "\n")
            return
        sys.stdout.write(f"{_waiting_in(spool)}\n")
        sys.stdout.writelines(f"{line}\n" for line in _set_aside_lines(aside))
        sys.stdout.writelines(f"{_other_line(other)}\n" for other in others)
        for trouble in troubles:
            say(f"The spool cannot be used: {trouble}")


@app.command(epilog=help_end("runguard spool flush", "runguard spool flush --seconds 60"))
def flush(
    *,
    seconds: Seconds = FLUSH_SECONDS,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Write the records of this folder, whatever store they were meant for.",
        ),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write the waiting records into the store. Exits with 3 if some remain."""
    with _opened(database_url, source) as (store, spool):
        _replay(store, spool, seconds)


@app.command(epilog=help_end("runguard spool retry"))
def retry(*, seconds: Seconds = FLUSH_SECONDS, database_url: DatabaseUrl = None) -> None:
    """Let the records that were set aside wait again, and flush. Exits as `flush` does."""
    with _opened(database_url) as (store, spool):
        say(f"{_records(spool_quarantine.retry(spool))} of those set aside wait again.")
        _replay(store, spool, seconds)


class _Opened(NamedTuple):
    store: RunRepository
    spool: Spool


@contextmanager
def _opened(database_url: str | None, source: Path | None = None) -> Iterator[_Opened]:
    with opened_with_settings(database_url) as opened:
        yield _Opened(opened.store, opened.spool if source is None else _spool_at(source))


def _spool_at(folder: Path) -> Spool:
    from ..._run.spool import Spool
    from ..._run.spool_others import is_of_a_store

    spool = Spool(folder)
    trouble: OSError | None = FileNotFoundError(
        "expected a folder with records, as `runguard spool status` names it,"
        f" found none at {folder}"
    )
    if folder.is_dir() and is_of_a_store(folder):
        trouble = next(troubles_of(spool), None)
    if trouble is not None:
        raise typer.BadParameter(printable(str(trouble), 500), param_hint="--from")
    return spool


def _replay(store: RunRepository, spool: Spool, seconds: float) -> None:
    total = count_of(spool)
    if not total:
        say("No record waits.")
        return
    done = put_aside = 0
    with progress_bar() as progress:
        task = progress.add_task("replaying", total=total)
        for replayed in replay(spool, store, seconds=seconds):
            progress.advance(task)
            name = printable(replayed.path.name, 300)
            if replayed.changed is not None:
                say(f"{name}: {printable(str(replayed.changed), 1_000)}")
            if replayed.trouble is None:
                done += 1
                continue
            put_aside += replayed.is_set_aside
            what = "is set aside" if replayed.is_set_aside else "stays"
            say(f"{name} {what}: {printable(str(replayed.trouble), 1_000)}")
    left = count_of(spool)
    say(f"{done} of {total} replayed, {left} wait in {spool.folder}.")
    if put_aside:
        say(f"{put_aside} set aside: `runguard spool retry` tries them again.")
    if left or put_aside:
        raise typer.Exit(3)


def _waiting_in(spool: Spool) -> str:
    count, oldest = count_of(spool), waiting_since(spool)
    if not count or oldest is None:
        return f"No record waits in {spool.folder}"
    say("`runguard spool flush` replays them; so does any later run.")
    verb = "waits" if count == 1 else "wait"
    return f"{_records(count)} {verb} since {iso(oldest.replace(microsecond=0))} in {spool.folder}"


def _set_aside_lines(aside: list[SetAside]) -> Iterator[str]:
    if not aside:
        return
    yield f"{_records(len(aside))} set aside in {aside[0].path.parent}:"
    for one in aside[:MOST_NAMED]:
        yield f"  {printable(one.path.name, 300)}: {printable(one.reason, 1_000)}"
    if len(aside) > MOST_NAMED:
        yield f"  and {len(aside) - MOST_NAMED} more"
    say("`runguard spool retry` tries them again, once the reason is gone.")


def _other_line(other: OtherFolder) -> str:
    say(f"`runguard spool flush --from {other.path}` replays that folder into this store.")
    count = _records(other.waiting + other.set_aside)
    return f"Not of this store: {count} in {other.path}, for {printable(other.label, 300)}"


def _own_row(spool: Spool, aside: list[SetAside], troubles: list[str]) -> dict[str, object]:
    oldest = waiting_since(spool)
    return {
        "waiting": count_of(spool),
        "since": oldest and oldest.isoformat(),
        "set_aside": [
            {"file": printable(str(one.path), 4_096), "reason": one.reason} for one in aside
        ],
        "troubles": troubles,
        "folder": str(spool.folder),
        "store": spool.label,
        "is_own": True,
    }


def _other_row(other: OtherFolder) -> dict[str, object]:
    return {
        "waiting": other.waiting,
        "set_aside": other.set_aside,
        "folder": str(other.path),
        "store": other.label,
        "is_own": False,
    }


def _records(count: int) -> str:
    return f"{count} record" if count == 1 else f"{count} records"
