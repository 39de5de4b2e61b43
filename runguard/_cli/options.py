"""The options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Annotated, Final

import typer

from .._errors import did_you_mean
from .._models import ErrorGroup, RunStatus

EXIT_CODES: Final = (
    "\b\nExit codes:\n"
    "  0  done\n"
    "  1  something was found that stops runguard, or you said no\n"
    "  2  wrong usage, or a setting that cannot be used\n"
    "  3  the store cannot be reached, or refuses\n"
    "  4  its schema is missing or out of date"
)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DURATION: Final = re.compile(r"(\d{1,7})([smhdw])", re.IGNORECASE)
_LONGEST: Final = timedelta(days=36_500)


def help_end(*examples: str) -> str:
    r"""Return the end of a command's help: examples, then the exit codes.

    The `\b` keeps the lines as they are.
    """
    lines = "\n".join(f"  $ {example}" for example in examples)
    return f"\b\nExamples:\n{lines}\n\n{EXIT_CODES}"


def read_duration(text: str) -> timedelta:
    """Read `90m`, `24h` or `7d`.

    >>> read_duration("90m")
    datetime.timedelta(seconds=5400)
    """
    found = _DURATION.fullmatch(text.strip())
    length = timedelta(0)
    if found is not None:
        length = min(_LONGEST, timedelta(**{_UNITS[found[2].lower()]: int(found[1])}))
    if not length:
        raise typer.BadParameter(f"expected a duration such as 90m, 24h or 7d, found {text!r}")
    return length


def read_status(text: str) -> str:
    """Read the status of a run, in any case."""
    return _one_of(text, RunStatus, "a status")


def read_group(text: str) -> str:
    """Read the group of a failure, in any case."""
    return _one_of(text, ErrorGroup, "a group")


def _one_of(text: str, known: Iterable[str], what: str) -> str:
    names = [str(name) for name in known]
    name = text.strip().upper()
    if name not in names:
        raise typer.BadParameter(
            f"expected {what} ({', '.join(names)}), found {text!r}{did_you_mean(name, names)}"
        )
    return name


DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database-url",
        metavar="URL",
        help="The store, as a SQLAlchemy URL. Otherwise RUNGUARD_DATABASE_URL (better where it"
        " holds a password), otherwise the embedded file.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON array, with every column.")]
Limit = Annotated[
    int, typer.Option("--limit", "-n", min=1, max=100_000, metavar="N", help="At most N rows.")
]
Job = Annotated[
    str | None,
    typer.Option("--job", metavar="NAME", help="Only this job.", show_default=False),
]
Since = Annotated[
    timedelta | None,
    typer.Option(
        "--since",
        parser=read_duration,
        metavar="DURATION",
        help="Only the last 90m, 24h, 7d …",
        show_default=False,
    ),
]
