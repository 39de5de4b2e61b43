"""`runguard explain`: why a run ended as it did, and what became of it."""

from __future__ import annotations

from dataclasses import asdict

from ..._monitor.explanation import explain as explained
from ..._monitor.explanation import plain
from ..named_run import found_run
from ..options import AsJson, DatabaseUrl, RunName, command_app, help_end
from ..output import write_json, write_table
from ..stores import opened_store
from ..tables import explanation_sheet

app = command_app()


@app.command(
    epilog=help_end(
        "runguard explain 2", "runguard explain failed", "runguard explain failed:payments --json"
    )
)
def explain(run: RunName, *, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Explain a run: its group, its alert, and if the job recovered."""
    with opened_store(database_url) as store:
        details = found_run(store, run)
        now = store.now()
        told = explained(details, now=now)
        if as_json:
            write_json([{**plain(told), "run": asdict(details.run)}])
        else:
            write_table(explanation_sheet(told, now=now))
