"""The closest peers, where they are installed (`make bench` tries to)."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from typing import TYPE_CHECKING, Any

from sqlalchemy import make_url

from ..measuring import repeated
from .kinds import Kind, fail, job_name, succeed

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from ..measuring import Contender

CRONWATCH = "cronwatch-sdk"
SENTRY = "sentry-sdk, null transport"


def cronwatch(url: str, kind: Kind, stack: ExitStack) -> list[Contender]:
    """cronwatch-sdk on the same server or on a file of its own; nothing where it is missing.

    Its alert goes to a channel that does nothing. A job's first run declares the job to the store;
    that run is not timed.
    """
    try:
        module = importlib.import_module("cronwatch")
    except ImportError:
        return []
    client = module.Cronwatch(
        store=_store(url, stack),
        alerts=[module.Custom("nowhere", lambda _alert: None)],
        on_error=_raise,
    )
    stack.callback(client.close)
    suppressed = _job(client, kind, "cronwatch") if kind != "failure that alerts" else None

    def prepare() -> Callable[[], None]:
        run = suppressed or _job(client, kind, job_name(kind, "cronwatch"))

        def failing() -> None:
            with contextlib.suppress(ValueError):
                run()

        return run if kind == "success" else failing

    return [repeated(CRONWATCH, prepare)]


def sentry(kind: Kind, stack: ExitStack) -> list[Contender]:
    """sentry-sdk's cron monitor, whose envelopes are made and dropped: no disk, no server.

    Its integrations stay out, since they would patch the other contenders too.
    """
    try:
        sdk: Any = importlib.import_module("sentry_sdk")
        transport: Any = importlib.import_module("sentry_sdk.transport")
    except ImportError:
        return []

    class NullTransport(transport.Transport):  # type: ignore[misc]
        def capture_envelope(self, envelope: object) -> None:
            """Drop it."""

    client = sdk.Client(
        dsn="http://key@127.0.0.1/1",
        transport=NullTransport,
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    scope = sdk.get_global_scope()
    before = scope.client
    scope.set_client(client)
    stack.callback(scope.set_client, before)
    stack.callback(client.close)

    def prepare() -> Callable[[], None]:
        job = job_name(kind, "sentry")
        run = sdk.monitor(monitor_slug=job)(succeed if kind == "success" else fail)

        def failing() -> None:
            with contextlib.suppress(ValueError):
                run()

        return run if kind == "success" else failing

    return [repeated(SENTRY, prepare)]


def _store(url: str, stack: ExitStack) -> Any:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        module = importlib.import_module("cronwatch.stores.postgres")
        dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        return module.PostgresStore(dsn)
    # A connection of ours, to sync each commit: its own default may lose the newest on power loss.
    connection = sqlite3.connect(
        f"{parsed.database}.cronwatch", isolation_level=None, check_same_thread=False
    )
    stack.callback(connection.close)
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    return importlib.import_module("cronwatch.stores.sqlite").SqliteStore(connection=connection)


def _job(client: Any, kind: Kind, name: str) -> Callable[[], None]:
    """A monitored function, declared to the store by a run that goes well."""
    job = client.job(name)
    job.monitor(succeed)()
    if kind == "failure that is suppressed":
        with contextlib.suppress(ValueError):
            job.monitor(fail)()  # told once; from here on it stays quiet
    run: Callable[[], None] = job.monitor(succeed if kind == "success" else fail)
    return run


def _raise(error: BaseException, where: str) -> None:
    raise RuntimeError(f"cronwatch-sdk could not do its part: {where}") from error
