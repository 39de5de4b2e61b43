"""The options that say what is expected of a job; `exec` and `expect` share them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from .options import read_length

Every = Annotated[
    timedelta | None,
    typer.Option(
        parser=read_length,
        metavar="DURATION",
        help="Expect a start at least every 15m, 24h, 7d …",
        show_default=False,
    ),
]
Cron = Annotated[
    str | None,
    typer.Option(
        metavar="FIELDS",
        help="Expect a start at these times: five fields in quotes, such as '0 2 * * *'.",
        show_default=False,
    ),
]
Calendar = Annotated[
    str | None,
    typer.Option(
        metavar="TIMES",
        help="Expect a start at these times, as systemd writes them: 'Mon..Fri 02:00'.",
        show_default=False,
    ),
]
Zone = Annotated[
    str | None,
    typer.Option(
        "--tz",
        metavar="ZONE",
        help="The zone of --cron and --calendar, such as Asia/Seoul. Needed with them unless this"
        " machine's zone is UTC.",
        show_default=False,
    ),
]
Grace = Annotated[
    timedelta | None,
    typer.Option(
        parser=read_length,
        metavar="DURATION",
        help="How late a start may be. Default: a tenth of the gap, at least 10 minutes, at most"
        " half of the smallest gap.",
        show_default=False,
    ),
]
MaxRuntime = Annotated[
    timedelta | None,
    typer.Option(
        parser=read_length,
        metavar="DURATION",
        help="How long a run may take until an alert is raised. It is not ended.",
        show_default=False,
    ),
]
