"""`runguard doctor`: what would stop a run from being recorded, and the remedy."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from ..._monitor.records import Purpose
from ..channel_checks import is_about_delivery
from ..doctor_checks import examine
from ..findings import Finding, State
from ..options import AsJson, DatabaseUrl, command_app, help_end
from ..output import plain_table, stdout_console, write_json, write_table
from ..stores import check_url
from ..talk import one_line, say

app = command_app()

_KEPT: Final = {
    Purpose.JOB: "runs from being recorded",
    Purpose.OPERATOR: "an operator from reading runs and resolving alerts",
    Purpose.NOTIFIER: "alerts from being delivered",
    Purpose.MIGRATOR: "the schema from being upgraded",
}
_STOPPED: Final = {
    Purpose.JOB: "a run from being recorded",
    Purpose.OPERATOR: "an operator from reading runs and resolving alerts",
    Purpose.NOTIFIER: "an alert from being delivered",
    Purpose.MIGRATOR: "an upgrade of the schema",
}
_STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "bold red"}


@app.command(
    epilog=help_end(
        "runguard doctor",
        "runguard doctor --for operator",
        "runguard doctor --json | jq '.[] | select(.remedy != \"\")'",
    )
)
def doctor(
    *,
    purpose: Annotated[
        Purpose, typer.Option("--for", help="What the store's role is for: judge it by that.")
    ] = Purpose.JOB,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Say what would stop a run from being recorded, and the remedy.

    With --for, say what would stop an operator, delivery, or an upgrade. Changes nothing. What
    your code gives to `runguard.configure` takes precedence over the settings shown here.
    """
    check_url(database_url)
    findings = list(examine(database_url, os.environ, purpose))
    if as_json:
        write_json(findings)
    else:
        write_table(_table_of(findings))
    problems = [finding for finding in findings if finding.state is State.PROBLEM]
    untold = sum(is_about_delivery(finding) for finding in problems)
    _sum_up(len(problems) - untold, _KEPT[purpose])
    _sum_up(untold, _KEPT[Purpose.NOTIFIER])
    if problems:
        raise typer.Exit(1)
    say(f"Nothing here stops {_STOPPED[purpose]}.")


def _sum_up(problems: int, what: str) -> None:
    if problems:
        say(f"{problems} {'problem keeps' if problems == 1 else 'problems keep'} {what}.")


def _table_of(findings: Sequence[Finding]) -> Table:
    if not stdout_console().is_terminal:
        table = plain_table("state", "check", "found", "remedy")
        for finding in findings:
            cells = (finding.state, finding.check, finding.found, finding.remedy)
            table.add_row(*(Text(one_line(cell)) for cell in cells))
        return table
    table = plain_table("state", "check", "found")
    for finding in findings:
        found = Text(one_line(finding.found))
        if finding.remedy:
            found.append(f"\n→ {one_line(finding.remedy)}", "bold")
        table.add_row(Text(finding.state, _STYLES[finding.state]), finding.check, found)
    return table
