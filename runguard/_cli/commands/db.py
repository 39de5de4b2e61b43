"""`runguard db …`: the schema of the store."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..._errors import ConfigurationError
from ..options import DatabaseUrl, command_app, help_end
from ..stores import opened_database
from ..talk import say

app = command_app(
    help="Manage the schema of the store.",
    epilog=help_end("runguard db upgrade", "runguard db check"),
    no_args_is_help=True,
)


class Dialect(StrEnum):
    """The databases that a script can be written for unseen."""

    POSTGRESQL = "postgresql"
    SQLITE = "sqlite"


AsSql = Annotated[bool, typer.Option("--sql", help="Print the statements instead of running them.")]


@app.command(
    epilog=help_end(
        "runguard db upgrade",
        "runguard db upgrade --sql > upgrade.sql",
        "runguard db upgrade --sql --dialect postgresql",
    )
)
def upgrade(
    *,
    revision: Annotated[str, typer.Argument(help="The version to reach.")] = "head",
    as_sql: AsSql = False,
    dialect: Annotated[
        Dialect | None,
        typer.Option(
            help="With --sql: write for a new database, without connecting to it.",
            show_default=False,
        ),
    ] = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Create the schema, or bring it up to date. Existing tables are adopted."""
    from ..._store import migrate as migrations

    if dialect is not None:
        if not as_sql or database_url is not None:
            raise ConfigurationError("--dialect: expected with --sql and without --database-url")
        sys.stdout.write(migrations.sql(dialect.value, revision))
        return
    with opened_database(database_url) as url:
        if as_sql:
            sys.stdout.write(migrations.sql(url, revision))
            return
        migrations.upgrade(url, revision, progress=say)
        say(f"The schema is at version {migrations.current(url)}.")


@app.command(
    epilog=help_end("runguard db downgrade base --sql", "runguard db downgrade base --yes")
)
def downgrade(
    *,
    revision: Annotated[
        str, typer.Argument(help="The version to go back to; `base` removes the schema.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_sql: AsSql = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Take the schema back to a version. What newer ones added is deleted, with its rows.

    What will be deleted is counted first: runs, alerts and the values of columns.
    """
    from ..._store import migrate as migrations

    with opened_database(database_url) as url:
        if as_sql:
            sys.stdout.write(migrations.sql(url, revision, direction="downgrade"))
            return
        losses = migrations.losses(url, revision)
        for line in losses:
            say(f"{'deletes' if yes else 'would delete'} {line}")
        if not losses:
            say("No row and no value is deleted.")
        if not yes:
            lost = ", and delete this" if losses else ""
            _ask(f"Take the schema back to {revision}{lost}?")
        migrations.downgrade(url, revision, progress=say)
        say(f"The schema is at version {migrations.current(url) or 'none'}.")


@app.command(epilog=help_end("runguard db current"))
def current(*, database_url: DatabaseUrl = None) -> None:
    """Print the version of the schema, or `none`."""
    from ..._store import migrate as migrations

    with opened_database(database_url) as url:
        version = migrations.current(url)
        sys.stdout.write(f"{version or 'none'}\n")
        if version is None and (remedy := migrations.hidden(url)) is not None:
            say(f"{remedy[0].upper()}{remedy[1:]}.")


@app.command(epilog=help_end("runguard db check && echo ready"))
def check(*, database_url: DatabaseUrl = None) -> None:
    """Compare the database with what this runguard needs.

    Prints what is wrong, and exits with 1; a schema that is missing or of another version is 4.
    """
    from ..._store import migrate as migrations

    with opened_database(database_url) as url:
        wrong = migrations.check(url)
    for line in wrong:
        sys.stdout.write(f"{line}\n")
    if wrong:
        say(f"{len(wrong)} differences: the lines above say what is missing, or fix it.")
        raise typer.Exit(1)
    say("The schema is complete and up to date.")


@app.command(epilog=help_end("runguard db backup runs-2026-11-26.db"))
def backup(
    *,
    file: Annotated[Path, typer.Argument(help="The new file.")],
    database_url: DatabaseUrl = None,
) -> None:
    """Copy a SQLite store into a new file, also while jobs run. `cp` would miss the newest rows."""
    from ..._store.sqlite.backup import back_up
    from ..._store.url import parse_url

    with opened_database(database_url) as url:
        parsed = parse_url(url)
        if parsed.get_backend_name() != "sqlite":
            raise ConfigurationError(
                "backup: expected a SQLite file, found a PostgreSQL database: copy that with"
                " pg_dump"
            )
        back_up(Path(parsed.database or ""), file.absolute())
    say(f"The copy is {file}.")


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError("--yes: expected, because there is no terminal to ask on")
    if not typer.confirm(question, err=True):
        say("Nothing was changed.")
        raise typer.Exit(1)
