"""The run that a command names: by its id, its run key, or a word."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from uuid import UUID

import typer

from .._models import RunStatus
from .._monitor.records import AlertDetails, RunDetails, RunFilter
from .lists import newest_run, tell_unknown_jobs
from .talk import say

if TYPE_CHECKING:
    from .._store.operator import OperatorStore

_WORDS: Final = {"last": None, "failed": str(RunStatus.FAILED)}
_ID: Final = re.compile(r"\d{1,19}")


def found_run(store: OperatorStore, name: str, environment: str | None = None) -> RunDetails:
    """Return the run that was meant, where a word names it: of that environment.

    Raises:
        typer.BadParameter: the text names no run.
        typer.Exit: there is no such run, which was said.
    """
    run_id = _id_of(store, name.strip(), environment)
    details = None if run_id is None else store.run_details(run_id)
    if details is None:
        say(f"No run {name} is recorded here. `runguard runs` lists what ran.")
        raise typer.Exit(1)
    return details


def found_alert(store: OperatorStore, name: str) -> AlertDetails | None:
    """Return the alert that was meant; None where the text names no alert.

    Raises:
        typer.BadParameter: it is no id.
        typer.Exit: there is no such alert, which was said.
    """
    word, colon, text = name.strip().partition(":")
    if word != "alert" or not colon:
        return None
    if not _ID.fullmatch(text):
        raise typer.BadParameter(f"expected an alert's id, as in alert:12, found {name!r}")
    details = store.alert_details(int(text))
    if details is None:
        say(f"There is no alert {text}. `runguard alerts` lists them.")
        raise typer.Exit(1)
    return details


def _id_of(store: OperatorStore, name: str, environment: str | None) -> int | None:
    if _ID.fullmatch(name):
        return int(name)
    word, colon, job = name.partition(":")
    if word in _WORDS and (job or not colon):
        wanted = RunFilter(job_name=job or None, status=_WORDS[word], environment=environment)
        run = newest_run(store, wanted)
        if run is not None:
            return run.id
        known = store.job_names()
        if job and job not in known:
            tell_unknown_jobs(store, "No run: no", [job], known)
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
