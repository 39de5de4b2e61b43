"""`runguard unknowns`: the commonest failures that no rule sorts."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..._frozen import frozen
from ..._models import ErrorGroup, RunStatus
from ..._monitor.records import Cursor, RunFilter
from ..._monitor.unknowns import UnknownFailure, UnknownFailures
from ..._monitor.wording import counted
from ..lists import bounded, explain_nothing
from ..options import AsJson, DatabaseUrl, Environment, Jobs, Limit, Since, command_app, help_end
from ..output import Listing, moment, write_json, write_listing
from ..stores import opened_store
from ..talk import one_line, say

if TYPE_CHECKING:
    from ..._store.operator import OperatorStore

PAGE: Final = 500
DEFAULT_SINCE: Final = timedelta(days=30)

app = command_app()


@frozen
class _Found:
    failures: Sequence[UnknownFailure]
    runs: int
    is_all: bool


@app.command(
    epilog=help_end("runguard unknowns", "runguard unknowns --since 7d --job 'billing.*' --json")
)
def unknowns(
    *,
    limit: Limit = 20,
    job: Jobs = None,
    environment: Environment = None,
    since: Since = None,
    look: Annotated[
        int,
        typer.Option(
            "--look", min=1, metavar="N", help="Look at the newest N failures of the group UNKNOWN."
        ),
    ] = 5_000,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the commonest failures that no rule sorts, with a rule.

    Failures of the last 30 days count as one kind if they have one type and one message without
    its numbers, ids, quoted names, paths and addresses. A rule goes into
    configure(rules=[…]); its group is a proposal.
    """
    with opened_store(database_url) as store:
        wanted = RunFilter(
            jobs=tuple(job or ()),
            environment=environment,
            status=RunStatus.FAILED,
            error_group=ErrorGroup.UNKNOWN,
        )
        found = _look(store, bounded(wanted, store, since or DEFAULT_SINCE, None), look)
        shown = found.failures[:limit]
        if as_json:
            write_json(shown)
        elif shown:
            write_listing(_listing(shown))
            sys.stdout.writelines(_rules(shown))
        elif found.runs:
            say("A rule sorted every failure.")
        else:
            explain_nothing("failures of the group UNKNOWN", store, job, filtered=True)
        if len(found.failures) > limit:
            say(f"{limit} shown, {len(found.failures) - limit} more: -n {len(found.failures)}")
        if not found.is_all:
            say(f"Older failures were not looked at: the newest {found.runs:,} are. --look N")


def _look(store: OperatorStore, wanted: RunFilter, most: int) -> _Found:
    """Read page after page, so that no more than one is in memory."""
    counted, cursor, seen = UnknownFailures(), None, 0
    while True:
        page = store.run_page(wanted, limit=min(PAGE, most - seen), older_than=cursor)
        counted.add(page.runs)
        seen += len(page.runs)
        older: Cursor | None = page.older
        if older is None or seen >= most:
            return _Found(counted.commonest(), seen, older is None)
        cursor = older


def _listing(failures: Sequence[UnknownFailure]) -> Listing:
    now = datetime.now(UTC)
    return Listing(
        columns=("failures", "type", "reason", "jobs", "last", "run"),
        rows=[
            (
                str(one.failures),
                one.error_type,
                one.error_reason or "-",
                str(len(one.jobs)),
                moment(one.last_failure_at, now=now),
                str(one.example_run),
            )
            for one in failures
        ],
        note_title="message",
        notes=[one.message for one in failures],
        numbers=("failures", "jobs", "run"),
        optional=("jobs", "reason"),
    )


def _rules(failures: Sequence[UnknownFailure]) -> Iterator[str]:
    """Yield the rules as Python, whole on any screen: they are there to be copied."""
    if not any(one.rule for one in failures):
        return
    yield "\nconfigure(rules=[  # each with a proposed group\n"
    for one in failures:
        if one.rule:
            count = counted(one.failures, "failure")
            yield f"    {one_line(one.rule)},  # {count}, such as run {one.example_run}\n"
    yield "])\n"
