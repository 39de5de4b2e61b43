"""The one composition root: settings and store of this process, made when first needed."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from .. import _events, _settings
from .._errors import ConfigurationError, SchemaOutOfDate
from .._failure.classify import classify as classify_by
from .._models import Failure, Rule, TriggerType, TriggerTypeName
from .._settings import OutagePolicy, RedactionPatterns, Settings
from .heartbeat import Keeper
from .reaper import LostRunWatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import ThreadPoolExecutor
    from datetime import timedelta
    from pathlib import Path

    from sqlalchemy import Engine

    from .._store.operator import OperatorStore
    from .._store.postgresql.recorder import PostgreSqlRecorder
    from .._store.sqlite.recorder import SqliteRecorder
    from .repository import RunRepository
    from .spool import Spool

FORK_PATIENCE_SECONDS: Final = 5.0
RESERVE_BYTES: Final = 4 * 1024 * 1024


class Runtime:
    """Settings, store and threads of this process. Everything is made under one lock, once."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self._lock = threading.RLock()
        self._held_for_fork = threading.local()  # two threads may fork at once
        self._explicit: dict[str, Any] = {}
        self._settings: Settings | None = None
        self._store: PostgreSqlRecorder | SqliteRecorder | None = None
        self._whole_store: OperatorStore | None = None  # the same one, where it was asked for
        self._writers: ThreadPoolExecutor | None = None
        self._spool: Spool | None = None
        self._told_embedded = False
        self._reserve: bytes | None = None
        self.keeper = Keeper(self.store)
        self.lost_runs = LostRunWatch()

    def configure(self, explicit: dict[str, Any], *, check: bool) -> None:
        """Take explicit settings; prove them readable now, and the store usable if `check`."""
        with self._lock:
            if self._settings is not None:
                raise ConfigurationError(
                    "configure() was called after the first run: call it once, at start-up"
                )
            settings = _settings.settings_from(explicit, os.environ)
            self._prove_readable(settings)
            self._explicit = explicit
        if check:
            report = self.whole_store().inspect()
            if not report.is_current and report.dialect != "sqlite":
                raise SchemaOutOfDate(found=report.found, needed=report.needed)

    def settings(self) -> Settings:
        """Return the settings; from here on they are fixed."""
        if self._settings is None:
            with self._lock:
                if self._settings is None:
                    settings = _settings.settings_from(self._explicit, os.environ)
                    self._prove_readable(settings)
                    for name, hint in _settings.unknown_names(os.environ):
                        _events.emit(_events.UNKNOWN_SETTING, variable=f"{name}{hint}")
                    self._settings = settings
        return self._settings

    def settings_so_far(self) -> Settings:
        """Return what the settings would be, without fixing them; the defaults where unreadable."""
        if self._settings is not None:
            return self._settings
        try:
            return _settings.settings_from(self._explicit, os.environ)
        except ConfigurationError:
            return Settings()

    def store(self) -> RunRepository:
        """Return the store that runs write to; it connects when the first statement needs it."""
        return self._recording_store()

    def whole_store(self) -> OperatorStore:
        """Return the store with all that operators ask of it, which a run never loads."""
        with self._lock:
            if self._whole_store is None:
                store = self._recording_store()
                from .._store.factory import open_operator_store

                self._store = self._whole_store = open_operator_store(store)
            return self._whole_store

    def spool(self) -> Spool:
        """Return the folder where records wait for this store."""
        if self._spool is None:
            with self._lock:
                if self._spool is None:
                    from .spool import Spool

                    self._spool = Spool(self._spool_folder(self.settings()))
        return self._spool

    def hold_reserve(self) -> None:
        """Keep memory back for the end of a run that uses up all other. It is never touched."""
        if self._reserve is None:
            with suppress(MemoryError):
                self._reserve = bytes(RESERVE_BYTES)

    def release_reserve(self) -> None:
        """Give it back: now it is needed."""
        self._reserve = None

    def writers(self) -> ThreadPoolExecutor:
        """Return the threads that write for coroutines, so that no event loop waits."""
        with self._lock:
            if self._writers is None:
                from concurrent.futures import ThreadPoolExecutor

                self._writers = ThreadPoolExecutor(
                    self.settings().max_connections, thread_name_prefix="runguard"
                )
            return self._writers

    def before_fork(self) -> None:
        """Let other threads finish what would hang the child for ever, within a bound."""
        deadline = time.monotonic() + FORK_PATIENCE_SECONDS
        # A first use imports, and what is being imported is locked: in the child, for ever.
        locked = self._lock.acquire(timeout=FORK_PATIENCE_SECONDS)
        store = self._store
        if store is not None:
            timeout = max(0.0, deadline - time.monotonic())
            store = store if store.before_fork(timeout=timeout) else None
        self._held_for_fork.all = (locked, store)

    def after_fork_in_parent(self) -> None:
        """Let the other threads go on."""
        locked, store = self._held_for_fork.all
        if store is not None:
            store.after_fork_in_parent()
        if locked:
            self._lock.release()

    def after_fork(self) -> None:
        """Make anew, in a forked child, whatever another thread of the parent may have held."""
        self._lock = threading.RLock()
        self._writers = None
        self.keeper.after_fork()
        self.lost_runs = LostRunWatch()
        if self._store is not None:
            self._store.after_fork()

    def close(self) -> None:
        """Close every connection and forget all settings, as if no run had been."""
        with self._lock:
            if self._writers is not None:
                self._writers.shutdown()
            if self._store is not None:
                self._store.close()
            self._explicit = {}
            self._settings = self._store = self._whole_store = None
            self._writers = self._spool = None
            self._told_embedded = False
            self.lost_runs = LostRunWatch()
            self.keeper.close()
            self.keeper = Keeper(self.store)

    def _prove_readable(self, settings: Settings) -> None:
        if settings.engine is not None:
            from .._store.url import check_engine

            check_engine(settings.engine)
        elif settings.database_url is not None:
            from .._store.url import parse_url

            parse_url(settings.database_url, source=_settings.DATABASE_URL)

    def _recording_store(self) -> PostgreSqlRecorder | SqliteRecorder:
        if self._store is None:
            with self._lock:
                if self._store is None:
                    # When a record must go to the spool, it may be too late to import it.
                    from .._store.factory import open_recorder
                    from . import spool as _spool  # noqa: F401

                    self._store = open_recorder(**self._place())
        return self._store

    def _place(self) -> dict[str, Any]:
        settings = self.settings()
        url = settings.database_url
        if url is None and settings.engine is None:
            url = self._embedded_url()
        return {
            "url": url,
            "engine": settings.engine,
            "max_connections": settings.max_connections,
            "patience": settings.store_timeout.total_seconds() / 2,
        }

    def _spool_folder(self, settings: Settings) -> Path:
        from pathlib import Path

        from .._store.url import identity_of

        folder = settings.spool_dir or Path(embedded_file()).with_name("spool")
        return Path(folder) / identity_of(settings.database_url, settings.engine)

    def _embedded_url(self) -> str:
        file = embedded_file()
        if not self._told_embedded:
            self._told_embedded = True
            _events.emit(_events.EMBEDDED_STORE, file=file, set_instead=_settings.DATABASE_URL)
        return f"sqlite:///{file}"


def embedded_file() -> str:
    """Return the path of the embedded store, in the user's state directory."""
    from platformdirs import user_state_path

    return str(user_state_path("runguard") / "runguard.db")


runtime = Runtime()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=runtime.before_fork,
        after_in_parent=runtime.after_fork_in_parent,
        after_in_child=runtime.after_fork,
    )


def configure(
    *,
    database_url: str | None = None,
    engine: Engine | None = None,
    cooldown: timedelta | None = None,
    lock_ttl: timedelta | None = None,
    trigger_type: TriggerType | TriggerTypeName | None = None,
    rules: Sequence[Rule] | None = None,
    redact: RedactionPatterns | None = None,
    outage_policy: OutagePolicy | None = None,
    store_timeout: timedelta | None = None,
    max_connections: int | None = None,
    heartbeat_interval: timedelta | None = None,
    lost_after: timedelta | None = None,
    spool_dir: str | os.PathLike[str] | None = None,
    check: bool = False,
) -> None:
    """Set what every run of this process uses. Call it once, before the first run.

    What is None comes from the environment, then from the default.

    Args:
        database_url: SQLAlchemy URL; `postgresql://` is taken as psycopg 3.
        engine: a ready SQLAlchemy engine instead; used in autocommit.
        cooldown: silence after an alert (default 30 minutes; 0 switches it off).
        lock_ttl: lease of the job lock (default 900 seconds).
        trigger_type: of runs whose code names none (default MANUAL).
        rules: own classification rules, asked in order before all others.
        redact: more secrets: regular expressions, or functions from text to text.
        outage_policy: with the store away, `run` the body unrecorded (default) or `refuse`.
        store_timeout: the most that a dead store may add to a run (default 5 seconds).
        max_connections: to PostgreSQL, in this process (default 5).
        heartbeat_interval: between two signs of life of an open run (default 30 seconds).
        lost_after: silence after which a run counts as lost (default 5 minutes).
        spool_dir: where records wait for a store that is away.
        check: connect at once, and prove the schema.

    Raises:
        ConfigurationError: a value cannot be used, or a run has already begun.
        StoreUnavailable: with `check`, the store cannot be reached.
        SchemaOutOfDate: with `check`, the schema is missing or of another version.
    """
    explicit = {
        "database_url": database_url,
        "engine": engine,
        "cooldown": cooldown,
        "lock_ttl": lock_ttl,
        "trigger_type": trigger_type,
        "rules": rules,
        "redact": redact,
        "outage_policy": outage_policy,
        "store_timeout": store_timeout,
        "max_connections": max_connections,
        "heartbeat_interval": heartbeat_interval,
        "lost_after": lost_after,
        "spool_dir": spool_dir,
    }
    runtime.configure(explicit, check=check)


def classify(exc: BaseException) -> Failure:
    """Sort an exception as a run would: by your own rules, then by what it carries.

    Never raises, whatever the exception does; an unreadable configuration counts as none.

    >>> classify(TimeoutError("no answer")).error_group
    <ErrorGroup.TIMEOUT: 'TIMEOUT'>
    """
    settings = runtime.settings_so_far()
    return classify_by(exc, rules=settings.rules, clean=settings.redactor.clean)
