"""`runguard notify`: try whether alerts arrive, and see what would go where."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from ..._errors import ConfigurationError, did_you_mean
from ..._frozen import frozen
from ..._monitor.notices import DeliveryRecord, DeliveryState
from ..._monitor.visible import visible
from ..._rounds.channels import Channels
from ..._rounds.trial import Preview, preview, send_test, without_any
from ..._settings import DELIVER
from ..actor import actor
from ..options import AsJson, DatabaseUrl, command_app, help_end
from ..output import write_json
from ..stores import opened_runtime
from ..talk import one_line, say

app = command_app()

NO_CHANNEL: Final = (
    "no channel is configured: set RUNGUARD_NOTIFY, such as"
    " smtp://mail.example/?from=runguard@example.org&to=ops@example.org, or write a runguard.toml"
)
SPOKEN: Final = {
    DeliveryState.SENT: "told",
    DeliveryState.UNKNOWN: "sent, but it was not confirmed",
    DeliveryState.PENDING: "not told yet",
    DeliveryState.SENDING: "not told yet",
    DeliveryState.DEAD: "given up",
}


@frozen
class Tried:
    """What came of a test on a channel; `state` is None where nothing was tried."""

    channel: str
    target: str
    state: DeliveryState | None
    attempts: int = 0
    error: str | None = None
    receipt: str | None = None


@app.command(
    epilog=help_end(
        "runguard notify --test",
        "runguard notify --test oncall hook",
        "runguard notify --test --dry-run",
        "runguard notify --preview 1",
        notes=("--test exits with 1 unless every channel was told.",),
    )
)
def notify(
    channels: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[CHANNEL]...",
            help="With --test: only these channels, by their names. Default: all.",
            show_default=False,
        ),
    ] = None,
    *,
    test: Annotated[
        bool,
        typer.Option("--test", help="Send a test message the whole way, and show what came of it."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --test: show who would be told; send nothing.")
    ] = False,
    alert: Annotated[
        int | None,
        typer.Option(
            "--preview",
            metavar="ALERT",
            help="Show what each channel would be told of this alert, by its id.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Try whether alerts arrive, or show what would be sent to whom.

    A test is an alert of type TEST: it is written to the store, routed, claimed, sent and settled
    as any other. No silence and no route keeps it from a channel.
    """
    if test == (alert is not None):
        raise typer.BadParameter("expected --test or --preview ALERT, one of them")
    configured = _configured()
    if alert is not None:
        _preview(configured, alert, database_url, as_json=as_json)
        return
    names = _chosen(configured, channels or ())
    targets = {one.name: one.target() for one in configured.usable if one.name in names}
    if dry_run:
        tried = [Tried(name, target, None) for name, target in targets.items()]
    else:
        tried = _test(configured, targets, database_url)
    if as_json:
        write_json(tried)
    else:
        sys.stdout.writelines(f"{_line(one)}\n" for one in tried)
        say(_who_delivers(configured))
    if not dry_run and any(one.state is not DeliveryState.SENT for one in tried):
        raise typer.Exit(1)


def _configured() -> Channels:
    """Read the channels; one that cannot be used is told, and the others are tried.

    Raises:
        ConfigurationError: none can be used.
    """
    channels = Channels(os.environ, Path.cwd())
    wrong = list(channels.read())
    if not channels.usable:
        raise wrong[0] if wrong else ConfigurationError(NO_CHANNEL)
    for error in wrong:
        say(f"runguard: {error}")
    return channels


def _chosen(channels: Channels, asked: Sequence[str]) -> Sequence[str]:
    known = [channel.name for channel in channels.usable]
    for name in asked:
        if name not in known:
            hint = did_you_mean(name, known)
            raise typer.BadParameter(
                f"expected one of {', '.join(known)}, found {name!r}{hint}", param_hint="CHANNEL"
            )
    return asked or known


def _test(channels: Channels, targets: dict[str, str], database_url: str | None) -> list[Tried]:
    from ... import _api

    with opened_runtime(database_url) as runtime:
        store = _api.operator_store(runtime)
        by = actor(None)
        found = send_test(store, channels, list(targets), runtime.events, by=by)
    told = {one.channel: one for one in found}
    return [_tried(name, target, told.get(name)) for name, target in targets.items()]


def _tried(name: str, target: str, record: DeliveryRecord | None) -> Tried:
    if record is None:
        return Tried(name, target, None, error="it was not routed: another process is at it")
    error = None if record.state is DeliveryState.SENT else record.last_error
    return Tried(name, target, record.state, record.attempts, error, record.receipt)


def _line(one: Tried) -> str:
    came = "would be told" if one.state is None else SPOKEN.get(one.state, one.state.value)
    why = "" if one.error is None else f": {one.error}"
    receipt = "" if one.receipt is None else f" ({one.receipt})"
    return one_line(f"{one.channel}  {one.target}  {came}{receipt}{why}")


def _who_delivers(channels: Channels) -> str:
    """Say who would have delivered, if nobody had typed this."""
    names = ", ".join(channel.name for channel in channels.usable)
    if os.environ.get(DELIVER, "").strip().lower() == "off":
        return (
            f"Without this command, nobody delivers from here: {DELIVER}=off. `runguard monitor`"
            f" delivers to {names} where it runs."
        )
    return (
        "Without this command, a job that runs here with these settings delivers: a short child of"
        f" the process that raises an alert tells {names}."
    )


def _preview(channels: Channels, alert_id: int, database_url: str | None, *, as_json: bool) -> None:
    from ... import _api

    with opened_runtime(database_url) as runtime:
        store = _api.operator_store(runtime)
        details = store.alert_details(alert_id)
        if details is None:
            say(f"runguard: there is no alert {alert_id}")
            raise typer.Exit(1)
        shown = preview(store, channels, details.alert)
    if as_json:
        write_json(map(_row, shown))
        return
    for one in shown:
        sys.stdout.write(f"{_heading(one)}\n")
        if one.message is not None and one.reason is None:
            lines = [f"Subject: {one.message.subject}", "", *one.message.text.splitlines(), ""]
            sys.stdout.writelines(f"  {visible(line)}".rstrip() + "\n" for line in lines)
    for name in without_any(channels, shown):
        sys.stdout.write(f"{name}  nothing: no route leads an alert like this there\n")
    say("As if the alert came now, and nobody was told of its incident before. Nothing was sent.")


def _heading(one: Preview) -> str:
    would = "would be told" if one.reason is None else f"would not be told: {one.reason}"
    return one_line(f"{one.channel}  {one.target}  {would}")


def _row(one: Preview) -> dict[str, object]:
    message = one.message
    return {
        "channel": one.channel,
        "target": one.target,
        "kind": one.kind,
        "state": one.state,
        "reason": one.reason,
        "subject": message and message.subject,
        "text": message and message.text,
    }
