"""`runguard metrics`: how all jobs stand, as metrics for Prometheus."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from ..._exposition import exposition
from ..._monitor.metrics import gauges_of
from ..._run.spool_listing import count_of
from ..files import replace_file
from ..options import DatabaseUrl, command_app, help_end
from ..stores import opened_with_settings

app = command_app()


@app.command(
    epilog=help_end(
        "runguard metrics",
        "runguard metrics --textfile runguard.prom",
    )
)
def metrics(
    *,
    textfile: Annotated[
        str | None,
        typer.Option(
            "--textfile",
            metavar="FILE",
            help="Write to this file and replace it as a whole, for node_exporter's textfile"
            " collector, which reads files that end with .prom.",
            show_default=False,
        ),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Print how jobs stand as metrics that Prometheus reads.

    They are timestamps and counts from the rows, so a reader computes each age by itself. The same
    metrics are at /metrics of `runguard web`. Where the store is away, the file stays as it was.
    """
    with opened_with_settings(database_url) as opened:
        standing = opened.store.standing(spool_records=count_of(opened.spool))
    text, _ = exposition(gauges_of(standing))
    if textfile is None:
        sys.stdout.write(text.decode())
    else:
        replace_file(textfile, text, option="--textfile")
