"""The options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import typer
from typer.core import TyperCommand

from .._models import ErrorGroup, RunStatus, TriggerType
from .._monitor import filters
from .._reasons import ErrorReason
from . import completion, lengths

EXIT_CODES: Final = (
    "\b\nExit codes:\n"
    "  0  done; Ctrl-C ends --watch\n"
    "  1  what you named does not exist, a check failed, or you answered no\n"
    "  2  wrong usage, or a setting that cannot be used\n"
    "  3  the store cannot be reached, or refuses the request\n"
    "  4  its schema is missing or out of date"
)
MOST_ROWS: Final = 100_000
_WATCH: Final = "--watch"
_WATCH_SECONDS: Final = "2"
_NUMBER: Final = re.compile(r"\d+(\.\d+)?|\.\d+")
Value = TypeVar("Value")


class Form(StrEnum):
    """In which form records are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


class WatchableCommand(TyperCommand):
    """Lets `--watch` stand without its seconds."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the seconds behind a bare `--watch`."""
        full = list(args)
        for place, word in enumerate(args):
            following = args[place + 1 : place + 2]
            if word == "--":
                break
            if word == _WATCH and not (following and _NUMBER.fullmatch(following[0])):
                full[place] = f"{_WATCH}={_WATCH_SECONDS}"
        return super().parse_args(ctx, full)


def command_app(**settings: Any) -> typer.Typer:
    """Return the app of one command, or of a group of commands."""
    return typer.Typer(add_completion=False, rich_markup_mode=None, **settings)


def help_end(*examples: str, notes: Sequence[str] = ()) -> str:
    r"""Return the end of a command's help: examples, notes, then the exit codes.

    The `\b` keeps the lines as they are.
    """
    lines = "\n".join(f"  $ {example}" for example in examples)
    said = "\b\n" + "\n".join(notes) + "\n\n" if notes else ""
    return f"\b\nExamples:\n{lines}\n\n{said}{EXIT_CODES}"


def reading(read: Callable[[str], Value]) -> Callable[[str], Value]:
    """Return a parser of an option's value, whose errors are wrong usage."""

    def parse(text: str) -> Value:
        try:
            return read(text)
        except filters.UnreadableFilter as error:
            raise typer.BadParameter(str(error)) from None

    return parse


def word_of(known: Iterable[str]) -> Callable[[str], str]:
    """Return a parser of one of the known words, in any case."""
    return reading(lambda text: filters.read_word(text, known))


read_duration: Final = reading(filters.read_duration)
read_length: Final = reading(lengths.read_length)


# A time without a zone is one of this machine's.
read_when: Final = reading(partial(filters.read_when, localize=datetime.astimezone))


DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="The store, as a SQLAlchemy URL. Default: RUNGUARD_DATABASE_URL (safer for a"
        " password), then the embedded file.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON array, with every column.")]
Limit = Annotated[
    int, typer.Option("--limit", "-n", min=1, max=MOST_ROWS, metavar="N", help="At most N rows.")
]
AsCsv = Annotated[
    bool,
    typer.Option(
        "--csv",
        help="Print CSV with a header. A text that a spreadsheet would take for a formula gets an"
        " apostrophe in front.",
    ),
]
Watch = Annotated[
    float | None,
    typer.Option(
        _WATCH,
        min=0.1,
        max=86_400,
        metavar="[SECONDS]",
        help=f"Refresh every so many seconds ({_WATCH_SECONDS} by default) until Ctrl-C. A pipe"
        " gets one table after another.",
        show_default=False,
    ),
]
Jobs = Annotated[
    list[str] | None,
    typer.Option(
        "--job",
        metavar="NAME",
        help="Only this job. Repeat it for more; * stands for any text and ? for one letter, as in"
        " 'billing.*' (in quotes).",
        show_default=False,
        autocompletion=completion.job_names,
    ),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="Print only what somebody should know; for cron, which mails it."
    ),
]
Status = Annotated[
    str | None,
    typer.Option(
        "--status",
        parser=word_of(RunStatus),
        metavar="STATUS",
        help="Only RUNNING, SUCCESS or FAILED.",
        show_default=False,
        autocompletion=completion.statuses,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        parser=word_of(ErrorGroup),
        metavar="GROUP",
        help="Only failures of this group: LOCK_CONFLICT, HTTP_409, HTTP_5XX, HTTP_4XX, TIMEOUT or"
        " UNKNOWN.",
        show_default=False,
        autocompletion=completion.groups,
    ),
]
Reason = Annotated[
    str | None,
    typer.Option(
        "--reason",
        parser=word_of(ErrorReason),
        metavar="REASON",
        help="Only failures for this reason, such as refused, rate_limited or deadlock.",
        show_default=False,
        autocompletion=completion.reasons,
    ),
]
Trigger = Annotated[
    str | None,
    typer.Option(
        "--trigger",
        parser=word_of(TriggerType),
        metavar="TRIGGER",
        help="Only runs started by MANUAL, SCHEDULER or RETRY.",
        show_default=False,
        autocompletion=completion.triggers,
    ),
]
Environment = Annotated[
    str | None,
    typer.Option(
        "--environment",
        parser=reading(filters.read_environment),
        metavar="NAME",
        help="Only this environment, such as staging; none for what has none.",
        show_default=False,
        autocompletion=completion.environments,
    ),
]
Version = Annotated[
    str | None,
    typer.Option(
        "--version",
        metavar="VERSION",
        help="Only runs of this version of the code: a text, a commit's first digits, or a pattern"
        " with *.",
        show_default=False,
    ),
]
Upstream = Annotated[
    str | None,
    typer.Option(
        "--upstream",
        metavar="HOST",
        help="Only failures of calls to this host: api.example.org, db-1:5432, or a pattern with"
        " *.",
        show_default=False,
    ),
]
Since = Annotated[
    Any,  # a When; typer knows no unions
    typer.Option(
        "--since",
        parser=read_when,
        metavar="WHEN",
        help="Only the last 90m, 24h, 7d …, or from a time on: 2026-03-01T02:30.",
        show_default=False,
    ),
]
Until = Annotated[
    Any,
    typer.Option(
        "--until",
        parser=read_when,
        metavar="WHEN",
        help="Only what is older than 90m, 24h, 7d …, or than a time.",
        show_default=False,
    ),
]
RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Its id or its run key; last or last:JOB for the newest run, failed or failed:JOB for"
        " the newest failure.",
        autocompletion=completion.runs,
    ),
]
RunOrAlertName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="Its id or its run key; last or last:JOB for the newest run, failed or failed:JOB for"
        " the newest failure; or alert:ID for an alert.",
        autocompletion=completion.runs,
    ),
]
AlertIds = Annotated[
    list[int] | None,
    typer.Argument(
        metavar="ALERT...",
        help="Ids of alerts, as `runguard alerts` shows them.",
        show_default=False,
        autocompletion=completion.open_alerts,
    ),
]


def form_of(*, as_json: bool, as_csv: bool) -> Form:
    """Return the form that `--json` and `--csv` ask for.

    Raises:
        typer.BadParameter: both were given.
    """
    refuse_together(json=as_json, csv=as_csv)
    return Form.JSON if as_json else Form.CSV if as_csv else Form.TABLE


def refuse_together(**chosen: object) -> None:
    """See that of these options one was given at most.

    Raises:
        typer.BadParameter: more were given.
    """
    given = [f"--{name.replace('_', '-')}" for name, value in chosen.items() if value]
    if len(given) > 1:
        raise typer.BadParameter(f"expected one of {' and '.join(given)}, found both")
