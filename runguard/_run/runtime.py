"""What the runs of a process share: settings, store, spool and threads, made when first needed."""

from __future__ import annotations

import gc
import os
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar
from weakref import WeakSet

from .. import _settings
from .._errors import ConfigurationError
from .._events import Events
from .._settings import Settings
from .heartbeat import Heartbeat
from .lost_runs import LostRunWatch
from .threads import Writers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .capture import Capture
    from .delivery import Delivery
    from .repository import RunRepository, StoreFactory
    from .reserve import Reserve
    from .spool import Spool

FORK_PATIENCE_SECONDS: Final = 5.0
FIRST_USE_SECONDS: Final = 60.0  # for what is imported: a slow disk is no reason to do without
OBJECTS_OF_A_START: Final = 150_000  # more than a first use makes

S = TypeVar("S", bound="RunRepository")


class Runtime:
    """Settings, store and threads of this process. Everything is made under one lock, once."""

    def __init__(self, stores: StoreFactory) -> None:
        """Take where stores come from; hold nothing yet."""
        self.stores = stores
        self._lock = threading.RLock()
        self._held_for_fork = threading.local()  # two threads may fork at once
        self._explicit: dict[str, Any] = {}
        self.pinned: dict[str, Any] = {}  # by the fixture of a test: they win over all others
        self._here = ""  # where relative paths begin: the program may change its folder later
        self._settings: Settings | None = None
        self._store: RunRepository | None = None
        self.capture: Capture | None = None
        self._writers: Writers | None = None
        self._spool: Spool | None = None
        self._look_for_folders: Callable[[], bool] | None = None
        self._reserve: Reserve | None = None
        self._delivery: Delivery | Literal[False] | None = None  # False: no channels here
        self.made_late: dict[str, Any] = {}  # what few processes need, by who makes it
        self.events = Events(lambda: self.settings_so_far().redactor)
        self.heartbeat = Heartbeat(self.store, self.events)
        self.lost_runs = LostRunWatch()
        _runtimes.add(self)

    def configure(self, explicit: dict[str, Any]) -> None:
        """Take explicit settings, and prove them readable now.

        Raises:
            ConfigurationError: a value cannot be used, or the settings are fixed already.
        """
        with self._lock:
            if self._settings is not None:
                raise ConfigurationError(
                    "configure() was called after the first run: call it once, at start-up"
                )
            with suppress(OSError):  # the folder of the moment is gone
                self._here = os.getcwd()  # noqa: PTH109 - no script shall wait for pathlib
            settings = self._read_settings(explicit)
            self._prove_usable(settings, explicit)
            self._explicit = explicit

    def first_use(self) -> Settings:
        """Return the settings, and have all imported and ready that a run needs, if it can be.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        if self._store is None or self.capture is None:
            # In a thread where nothing strikes: what is imported by half stays broken for good.
            done = self.writers().run(self._get_ready, seconds=FIRST_USE_SECONDS)
            wrong = done.result if done.interruption is None else done.interruption
            if wrong is not None:
                raise wrong
        return self._settings or Settings()

    def _get_ready(self, _: Exception | None = None, /) -> ConfigurationError | None:
        with self._lock:  # a child that is forked waits until all is as it was
            # Looking for garbage would go over all that is imported, again and again.
            often = gc.get_threshold()
            seldom = (often[0] and OBJECTS_OF_A_START, *often[1:])
            gc.set_threshold(*seldom)
            try:
                settings = self.settings()
                self.store()
                if self.capture is None:
                    from .capture import Capture

                    self.capture = Capture(settings, self.events)
                    if not gc.get_freeze_count():  # else the program has frozen what is its own
                        gc.freeze()
                        gc.unfreeze()  # now all is old, and the next look goes over none of it
            except ConfigurationError as wrong:
                return wrong
            except Exception:  # the first statement will find it again, and tell it
                return None
            finally:
                if gc.get_threshold() == seldom:  # else another thread has set what it wants
                    gc.set_threshold(*often)
        return None

    def settings(self) -> Settings:
        """Return the settings; from here on they are fixed.

        Raises:
            ConfigurationError: a setting cannot be used.
        """
        if self._settings is None:
            with self._lock:
                if self._settings is None:
                    settings = self._read_settings(self._explicit)
                    # A file or a module that cannot be read is the store's to tell, later.
                    with suppress(ImportError, OSError, AttributeError):
                        self._prove_usable(settings, self._explicit)
                        from .unknown_names import tell_unknown_names  # once in a process

                        tell_unknown_names(self.events)
                    self._settings = settings
        return self._settings

    def settings_so_far(self) -> Settings:
        """Return what the settings would be, without fixing them; the defaults where unreadable."""
        if self._settings is not None:
            return self._settings
        try:
            return self._read_settings(self._explicit)
        except ConfigurationError:
            return Settings()

    def store(self) -> RunRepository:
        """Return the store that runs write to; it connects when the first statement needs it."""
        if self._store is None:
            with self._lock:
                if self._store is None:
                    # Later it may be too late to import; and a fork waits for what happens here.
                    from . import (  # noqa: F401
                        channels_here,
                        outage,
                        outcome,
                        own_alert,
                        reaper,
                        reserve,
                        spool_places,
                    )

                    self.may_hold_records()
                    self._store = self._open_store()
        return self._store

    def store_as(self, widen: Callable[[RunRepository], S]) -> S:
        """Let `widen` make more of the store, on the same connections; use that from here on."""
        with self._lock:
            if _settings.is_disabled(os.environ):  # of runs, not of who looks at them
                self._store = self._open_store(even_if_disabled=True)
            widened = widen(self.store())
            self._store = widened
            return widened

    def spool(self) -> Spool:
        """Return the folder where records wait for this store."""
        if self._spool is None:
            with self._lock:
                if self._spool is None:
                    from .spool_places import spool_of

                    self._spool = spool_of(self.settings(), self.stores)
        return self._spool

    def may_hold_records(self) -> bool:
        """Whether any may wait there: where none can, a run need not ask for the store's name."""
        if self._spool is None:
            if self._look_for_folders is None:
                from .spool_places import looking_for_folders

                self._look_for_folders = looking_for_folders(self.settings())
            if not self._look_for_folders():
                return False
        return not _settings.is_disabled(os.environ)  # then no run replays them into nothing

    def reserve(self) -> Reserve:
        """Return what is kept back for the end of a run that uses up all other."""
        if self._reserve is None:
            from .reserve import Reserve

            self._reserve = Reserve()
        return self._reserve

    def release_reserve(self, error: BaseException) -> None:
        """Give back what is kept back, where anything is."""
        if self._reserve is not None:
            self._reserve.release(error)

    def writers(self) -> Writers:
        """Return the threads that write for runs."""
        if self._writers is None:
            with self._lock:
                if self._writers is None:
                    self._writers = Writers(self._most_writers)
        return self._writers

    def _most_writers(self) -> int:
        return 1 if self._settings is None else self._settings.max_connections

    def see_to_delivery(self, job_name: str, timeout: float, *, raised: bool = False) -> None:
        """Have alerts told by a process apart, if channels may be configured. Never raises."""
        if self._delivery is False:
            return
        try:
            with self._lock:
                if self._delivery is None:
                    from .channels_here import find_delivery

                    settings, ask = self.settings(), self.stores.is_delivery_due
                    ask = partial(ask, self.store(), environment=settings.environment)
                    self._delivery = find_delivery(
                        settings, self.events, ask, lock=self._lock, folder=self._here
                    )
            if self._delivery:
                self._delivery.after_ending(job_name, raised=raised, timeout=timeout)
        except Exception as trouble:  # the run is written; a later one may have more luck
            self.events.internal_error("deliver", trouble, job_name=job_name)

    def before_fork(self) -> None:
        """Let other threads finish what would hang the child for ever, within a bound."""
        loggers: Any = None
        wait: Callable[[Any, float], None] | None = None
        with suppress(ImportError, OSError):  # no file is left to load it: it forks all the same
            from .forking import await_imports, let_go_of_logging

            loggers, wait = let_go_of_logging(), await_imports
        # A first use imports, and what is being imported is locked: in the child, for ever.
        imports = self._store is None
        locked = self._lock.acquire(timeout=FIRST_USE_SECONDS if imports else FORK_PATIENCE_SECONDS)
        deadline = time.monotonic() + FORK_PATIENCE_SECONDS
        store = self._store
        if store is not None:
            timeout = max(0.0, deadline - time.monotonic())
            store = store if store.before_fork(timeout=timeout) else None
        if wait is not None:
            wait(loggers, deadline)
        self._held_for_fork.all = (locked, store)

    def after_fork_in_parent(self) -> None:
        """Let the other threads go on."""
        locked, store = vars(self._held_for_fork).pop("all", (False, None))
        if store is not None:
            store.after_fork_in_parent()
        if locked:
            self._lock.release()

    def after_fork(self) -> None:
        """Make anew, in a forked child, whatever another thread of the parent may have held."""
        self._lock = threading.RLock()
        self._writers = self._delivery = None
        self.heartbeat.after_fork()
        self.lost_runs = LostRunWatch()
        if self._store is not None:
            self._store.after_fork()

    def close(self) -> None:
        """Close every connection and forget all settings, as if no run had been."""
        with self._lock:
            if self._writers is not None:
                self._writers.close()
            if self._store is not None:
                self._store.close()
            self._explicit, self._here = {}, ""
            self._settings = self._store = self._writers = self._spool = self._delivery = None
            self._look_for_folders = None
            self.capture = None
            self.made_late = {}
            self.lost_runs = LostRunWatch()
            self.heartbeat.close()
            self.heartbeat = Heartbeat(self.store, self.events)

    def _prove_usable(self, settings: Settings, explicit: dict[str, Any]) -> None:
        if settings.engine is not None or settings.database_url is not None:
            source = _settings.source_of("database_url", explicit, os.environ)
            self.stores.check(url=settings.database_url, engine=settings.engine, source=source)

    def _open_store(self, **how: bool) -> RunRepository:
        from .opening import open_store

        return open_store(self.settings(), self.stores, self.events, self.made_late, **how)

    def _read_settings(self, explicit: dict[str, Any]) -> Settings:
        return _settings.settings_from(explicit | self.pinned, os.environ, here=self._here)


_runtimes: WeakSet[Runtime] = WeakSet()


def _of_all(step: Callable[[Runtime], None]) -> None:
    for runtime in list(_runtimes):
        step(runtime)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=partial(_of_all, Runtime.before_fork),
        after_in_parent=partial(_of_all, Runtime.after_fork_in_parent),
        after_in_child=partial(_of_all, Runtime.after_fork),
    )
