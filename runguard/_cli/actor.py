"""Who does something, and why: the options, and who it is without one."""

from __future__ import annotations

import getpass
import os
from typing import Annotated

import typer

Why = Annotated[
    str | None,
    typer.Option(
        "--reason", metavar="TEXT", help="Why; stored with it. Needed.", show_default=False
    ),
]
By = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Who does it; stored with it. Default: your user name on this machine.",
        show_default=False,
    ),
]


def actor(by: str | None) -> str:
    """Return who acts: as given, or the user of this machine."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        return f"uid {os.getuid()}"
