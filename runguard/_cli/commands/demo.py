"""`runguard demo`: finds a store for it, and makes that ready."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from ... import _api, _settings
from ..._errors import StoreUnavailable
from ..._models import TriggerType
from ..._run.embedded import embedded_file, embedded_url
from ..._store.operator import OperatorStore
from ..._version import __version__
from ..options import DatabaseUrl, command_app, help_end
from ..stores import check_url
from ..talk import say

app = command_app()


@app.command(epilog=help_end("runguard demo", "runguard demo --database-url postgresql://…"))
def demo(
    *,
    database_url: DatabaseUrl = None,
    upgrade: Annotated[
        bool,
        typer.Option("--upgrade", help="Upgrade an outdated schema too."),
    ] = False,
    mail: Annotated[
        bool,
        typer.Option("--mail/--no-mail", help="Show how a failure reaches somebody by mail."),
    ] = True,
    web: Annotated[
        bool,
        typer.Option("--web", help="Then serve the pages, as `runguard web` does."),
    ] = False,
) -> None:
    """Run a good job and six failures, and show who is told.

    Without --database-url it uses a fresh embedded file of its own, never the store that
    RUNGUARD_DATABASE_URL names: its failures would look like yours. Its jobs are named demo.…; an
    empty database gets runguard's schema first. The mail goes to a small mail server inside the
    demo, and nowhere else.
    """
    url = _fresh_file() if database_url is None else database_url
    source = _settings.source_of("database_url", {}, os.environ)
    if database_url is None and os.environ.get(source):
        say(f"{source} is not used. --database-url runs the demo on a server.")
    from .. import demo_story

    check_url(url)
    _api.configure(
        database_url=url,
        cooldown=demo_story.COOLDOWN,
        lock_ttl=_settings.Settings().lock_ttl,
        trigger_type=TriggerType.MANUAL,
        version=__version__,  # its jobs are a part of runguard
        deliver="off",  # its failures are no news for those who are told of yours
    )
    try:
        store = _api.operator_store(_api.runtime)
        _make_ready(store, url, upgrade=upgrade)
        report = store.inspect()
        option = (
            f"--database-url {shlex.quote(url)}"
            if report.dialect == "sqlite"
            else "--database-url …"
        )
        demo_story.play(
            store,
            where=f"{report.dialect} {report.location}",
            option=option,
            program=_program(),
            mail=mail,
        )
    finally:
        _api.runtime.close()
    if web:
        from ..web_server import serve

        serve(url, port=0)


def _program() -> str:
    """Return how to call us again: `make demo` calls us by a path, and so must its reader."""
    called = sys.argv[0]
    if Path(called).name != "runguard" or shutil.which("runguard") == shutil.which(called):
        return "runguard"
    return called


def _fresh_file() -> str:
    """Return the URL of the demo's own file, without what an earlier demo left in it."""
    file = Path(embedded_file()).with_name("demo.db")
    try:
        for ending in ("", "-wal", "-shm"):
            file.with_name(file.name + ending).unlink(missing_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"{file} cannot be removed: {error.strerror}") from error
    return f"{embedded_url().removesuffix('runguard.db')}demo.db"


def _make_ready(store: OperatorStore, url: str, *, upgrade: bool) -> None:
    """See that a server has the schema. Tables that were there before are asked about first."""
    report = store.inspect()
    if report.is_current or report.dialect == "sqlite":
        return
    is_empty = report.found is None and not store.diagnose().tables
    if not (is_empty or upgrade):
        raise store.schema_error()
    from ..._store import migrate as migrations

    say(f"Making runguard's schema ({report.needed}) on {report.location} …")
    migrations.upgrade(url)
