"""`runguard report`: failures by group, as a table or as one page to attach to a mail."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from ..._errors import ConfigurationError
from ..._monitor.filters import When, read_word
from ..._monitor.records import GroupCount
from ..._store.operator import OperatorStore
from ...web import NEEDED
from ..files import replace_file
from ..lists import explain_nothing, tell_late, tell_unknown
from ..options import (
    AsCsv,
    AsJson,
    DatabaseUrl,
    Environment,
    Form,
    Jobs,
    Since,
    Watch,
    WatchableCommand,
    command_app,
    help_end,
    reading,
    refuse_together,
)
from ..output import columns_of, for_a_file, shown_on, text_of, write_records
from ..stores import opened_store
from ..tables import groups_listing
from ..talk import say
from ..watch import watch as watch_frames

app = command_app()

HOURS: Final = 24.0
_MISSING_EXTRA: Final = (
    "the page needs the extra 'web': pip install 'runguard-runlog[web]'; --format table, json and"
    " csv do without"
)


@app.command(
    cls=WatchableCommand,
    epilog=help_end(
        "runguard report",
        "runguard report --since 7d --job payments",
        "runguard report --format html -o report.html",
        "runguard report --csv",
    ),
)
def report(
    *,
    hours: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=876_000,
            metavar="HOURS",
            help=f"How far back to look. Default: {HOURS:g} hours.",
            show_default=False,
        ),
    ] = None,
    since: Since = None,
    job: Jobs = None,
    environment: Environment = None,
    form: Annotated[
        Any,  # a Form, read by its parser
        typer.Option(
            "--format",
            parser=reading(lambda text: Form(read_word(text, Form))),
            metavar="FORMAT",
            help="table, json, csv, or html: one page with charts, to attach to a mail.",
            show_default=False,
            autocompletion=lambda incomplete: [f for f in Form if f.startswith(incomplete)],
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to this file and replace it; - for stdout.",
            show_default=False,
        ),
    ] = None,
    watch: Watch = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Count failures by group: one problem, or forty?"""
    refuse_together(hours=hours, since=since)
    refuse_together(watch=watch, output=output)
    refuse_together(watch=watch, json=as_json, csv=as_csv, format=form)
    form = Form.JSON if as_json else Form.CSV if as_csv else form or Form.TABLE
    back: When = since or timedelta(hours=HOURS if hours is None else hours)
    asked: Any = {"jobs": job or (), "environment": environment}
    with opened_store(database_url) as store:

        def find() -> Sequence[GroupCount]:
            return store.failures_by_group(since=_length(back, store), **asked)

        if watch is not None:
            watch_frames(
                lambda console: shown_on(groups_listing(find()), console),
                seconds=watch,
                title="runguard report",
            )
            return
        columns = columns_of(GroupCount)
        counts = find()
        if form is Form.HTML:
            page = _page(store, counts, since=_length(back, store), **asked)
            _put(page, output)
        elif output is None:
            write_records(counts, form, columns=columns, listing_of=groups_listing)
        else:
            with for_a_file():
                text = text_of(counts, form, columns=columns, listing_of=groups_listing)
            _put(text, output)
        if not counts:
            hours = _length(back, store).total_seconds() / 3600
            filtered = environment is not None
            explain_nothing(f"failures in {hours:g} hours", store, job, filtered=filtered)
        else:
            tell_unknown(store, job)
        tell_late(store, job, environment)


def _length(back: When, store: OperatorStore) -> timedelta:
    if isinstance(back, timedelta):
        return back
    return max(timedelta(0), store.now() - back)


def _page(
    store: OperatorStore, counts: Sequence[GroupCount], *, since: timedelta, **asked: Any
) -> str:
    try:
        from ..._web.report import report_page
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in NEEDED:
            raise
        raise ConfigurationError(_MISSING_EXTRA) from missing
    return report_page(store, counts, since=since, **asked)


def _put(text: str, output: str | None) -> None:
    """Write a whole text to stdout, or to a file that is never seen half-written."""
    if output in (None, "-"):
        sys.stdout.write(text)
        return
    file = replace_file(str(output), text.encode(), option="--output")
    say(f"Written to {file}.")
