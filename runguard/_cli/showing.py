"""`runguard show` and `explain`: one run, everything about it, and why."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Final
from uuid import UUID

import typer

from .._models import RunStatus
from .._monitor.explanation import explain as explained
from .._monitor.explanation import plain
from .._monitor.records import RunDetails, RunFilter
from .._store.operator import OperatorStore
from .options import AsJson, DatabaseUrl, RunName
from .output import exact_moment, say, write_json, write_table
from .reading import tell_unknown_job
from .stores import opened_store
from .tables import explanation_sheet, run_sheet

_WORDS: Final = {"last": None, "failed": str(RunStatus.FAILED)}
_ID: Final = re.compile(r"\d{1,19}")


def show(run: RunName, *, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Show everything that is recorded of one run."""
    with opened_store(database_url) as store:
        details = _found(store, run)
        if as_json:
            write_json([details])
            return
        now = store.now()
        told = explained(details, now=now)
        headline = told.headline.text(lambda then: exact_moment(then, now=now, with_age=False))
        write_table(run_sheet(details, headline=headline, now=now))
        say(f"`runguard explain {details.run.id}` says why.")


def explain(run: RunName, *, as_json: AsJson = False, database_url: DatabaseUrl = None) -> None:
    """Say why a run is in its group, why it raised an alert or none, and if it is over."""
    with opened_store(database_url) as store:
        details = _found(store, run)
        now = store.now()
        told = explained(details, now=now)
        if as_json:
            write_json([{**plain(told), "run": asdict(details.run)}])
        else:
            write_table(explanation_sheet(told, now=now))


def _found(store: OperatorStore, name: str) -> RunDetails:
    """Return the run that was meant.

    Raises:
        typer.BadParameter: the text names no run.
        typer.Exit: there is no such run, which was said.
    """
    run_id = _id_of(store, name.strip())
    details = None if run_id is None else store.run_details(run_id)
    if details is None:
        say(f"No run {name} is recorded here. `runguard runs` lists what ran.")
        raise typer.Exit(1)
    return details


def _id_of(store: OperatorStore, name: str) -> int | None:
    if _ID.fullmatch(name):
        return int(name)
    word, colon, job = name.partition(":")
    if word in _WORDS and (job or not colon):
        page = store.run_page(RunFilter(job_name=job or None, status=_WORDS[word]), limit=1)
        if page.runs:
            return page.runs[0].id
        known = store.job_names()
        if job and job not in known:
            tell_unknown_job("No run: no", job, known)
            raise typer.Exit(1)
        return None
    try:
        return store.run_id_of(UUID(name))
    except ValueError:
        hint = f"; `last:{name}` is the newest run of that job" if name in store.job_names() else ""
        raise typer.BadParameter(
            "expected a run's id, its run key, last, last:JOB, failed or failed:JOB,"
            f" found {name!r}{hint}"
        ) from None
