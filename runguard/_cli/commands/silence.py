"""`runguard silence`: no notices of some jobs for a time; runs and alerts are still recorded."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ..._models import ErrorGroup
from ..._monitor.notices import Silence
from ..._monitor.silences import end_of, is_in_force
from ..._monitor.wording import iso
from ..actor import By, Why, actor
from ..options import AsJson, DatabaseUrl, Group, command_app, help_end, read_duration
from ..output import Listing, moment, write_json, write_listing
from ..stores import opened_store
from ..talk import one_line, say


class _AddsByDefault(TyperGroup):
    """Takes what is no command for the jobs of a new silence."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["add", *args]
        return super().parse_args(ctx, args)


app = command_app(
    cls=_AddsByDefault,
    help="Mute notices of some jobs for a time. Runs and alerts are still recorded.",
    epilog=help_end(
        "runguard silence 'billing.*' --for 2h --reason 'database upgrade'",
        "runguard silence list",
    ),
    no_args_is_help=True,
)


@app.command(
    epilog=help_end(
        "runguard silence add 'billing.*' --for 2h --reason 'database upgrade'",
        "runguard silence add payments --for 1d --reason 'known' --group timeout",
        "runguard silence payments --for 1d --reason 'fixed soon' --until-recovered",
    )
)
def add(
    job: Annotated[
        str,
        typer.Argument(metavar="PATTERN", help="A job, or a pattern: 'billing.*', '*' for all."),
    ],
    *,
    lasting: Annotated[
        Any,  # a timedelta
        typer.Option(
            "--for",
            parser=read_duration,
            metavar="LENGTH",
            help="How long: 90m, 4h, 2d … Needed: nothing is muted without an end.",
            show_default=False,
        ),
    ] = None,
    reason: Why = None,
    group: Group = None,
    alert_type: Annotated[
        str | None,
        typer.Option(
            "--type", metavar="TYPE", help="Only alerts of this type.", show_default=False
        ),
    ] = None,
    until_recovered: Annotated[
        bool, typer.Option("--until-recovered", help="End it earlier, if the job recovers.")
    ] = False,
    by: By = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Mute notices of the jobs that match, from now on. A recovery of what was told is still told.

    When the silence ends and a job that it muted still fails, one notice says so.
    """
    if lasting is None:
        raise typer.BadParameter("--for: expected how long, found nothing")
    if not (reason or "").strip():
        raise typer.BadParameter("--reason: expected why, found nothing")
    with opened_store(database_url) as store:
        added = store.add_silence(
            job=job,
            error_group=None if group is None else ErrorGroup(group).value,
            alert_type=alert_type,
            ends_at=store.now() + lasting,
            reason=str(reason),
            created_by=actor(by),
            until_recovered=until_recovered,
        )
    if as_json:
        write_json([added])
    else:
        until = added.ends_at.replace(microsecond=0)
        say(f"Silence {added.id}: no notices of {one_line(job)} until {iso(until)}.")
        say(f"To end it now: runguard silence end {added.id}")


@app.command(
    "list",
    epilog=help_end("runguard silence list", "runguard silence list --all --json"),
)
def list_silences(
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="Those that have ended too, the newest 1,000.")
    ] = False,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the silences that mute now or will, the newest first."""
    with opened_store(database_url) as store:
        now = store.now()
        found = [one for one in store.silences() if everything or end_of(one) > now]
    if as_json:
        write_json(found)
    elif found:
        write_listing(_listing(found))
    else:
        say("No silences.")


@app.command(epilog=help_end("runguard silence end 1", "runguard silence end 1 --by night-shift"))
def end(
    number: Annotated[
        int, typer.Argument(metavar="SILENCE", help="Its id, as `runguard silence list` shows it.")
    ],
    *,
    by: By = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """End a silence now. One that has ended already does not change."""
    with opened_store(database_url) as store:
        ended = store.end_silence(number, by=actor(by))
    if ended is None:
        say(f"There is no silence {number}. `runguard silence list --all` lists them.")
        raise typer.Exit(1)
    if as_json:
        write_json([ended])
    else:
        say(f"Silence {number} ended at {iso(end_of(ended).replace(microsecond=0))}.")


def _listing(silences: Sequence[Silence]) -> Listing:
    now = datetime.now(UTC)
    return Listing(
        columns=("id", "jobs", "group", "type", "state", "ends", "muted", "by"),
        rows=[
            (
                str(one.id),
                one_line(one.job),
                one.error_group or "-",
                one.alert_type or "-",
                _state(one, now),
                moment(end_of(one), now=now),
                str(one.matched),
                one_line(one.created_by),
            )
            for one in silences
        ],
        note_title="reason",
        notes=[one_line(one.reason) for one in silences],
        numbers=("id", "muted"),
        optional=("group", "type"),
    )


def _state(silence: Silence, now: datetime) -> str:
    if is_in_force(silence, now):
        return "until recovered" if silence.until_recovered else "active"
    return "planned" if end_of(silence) > now else "ended"
