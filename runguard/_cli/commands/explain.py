"""`runguard explain`: why a run ended as it did, and what became of it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from ..._monitor.alert_explanation import explain_alert
from ..._monitor.alert_explanation import plain as plain_alert
from ..._monitor.explanation import explain as explained
from ..._monitor.explanation import plain
from ..._monitor.records import AlertDetails, NoteRecord, RunDetails
from ..named_run import found_alert, found_run
from ..options import AsJson, DatabaseUrl, Environment, RunOrAlertName, command_app, help_end
from ..output import write_json, write_table
from ..stores import opened_store
from ..tables import alert_sheet, explanation_sheet
from ..talk import say

app = command_app()


@app.command(
    epilog=help_end(
        "runguard explain 2",
        "runguard explain failed",
        "runguard explain failed:payments --json",
        "runguard explain alert:1",
    )
)
def explain(
    run: RunOrAlertName,
    *,
    environment: Environment = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Explain a run or an alert: why it failed, and who was told."""
    with opened_store(database_url) as store:
        if (alert := found_alert(store, run)) is not None:
            _show_alert(alert, now=store.now(), as_json=as_json)
            return
        details = found_run(store, run, environment)
        now = store.now()
        told = explained(details, now=now)
        if as_json:
            records = {name: getattr(details, name) for name in ("run", "note", "changed", "trail")}
            kept = {name: None if one is None else asdict(one) for name, one in records.items()}
            write_json([{**plain(told), **kept}])
        else:
            write_table(explanation_sheet(told, now=now))
            _tell_what_is_kept(details)


def _tell_what_is_kept(details: RunDetails) -> None:
    note = details.note or NoteRecord()
    texts = {"its traceback": note.traceback, "its last log lines": note.log_tail}
    if kept := [what for what, text in texts.items() if text]:
        say(f"`runguard show {details.run.id}` shows {' and '.join(kept)}.")


def _show_alert(details: AlertDetails, *, now: datetime, as_json: bool) -> None:
    said = explain_alert(details, now=now)
    if as_json:
        trail = None if details.trail is None else asdict(details.trail)
        write_json([{**plain_alert(said), "alert": asdict(details.alert), "trail": trail}])
    else:
        write_table(alert_sheet(said, now=now))
