"""A job's process tells the store what is expected of the job. Loaded only where anything is."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from .._clock import ticks
from .._errors import StoreUnavailable
from .._monitor.expectations import Expectation, JobDeclaration
from .._settings import is_disabled
from .disabled import NoStore
from .expecting import TEXTS, Expect, expectation_of
from .host import host_name
from .options import EXPECTED, check_job_name

if TYPE_CHECKING:
    from .runtime import Runtime

ASK_EVERY_SECONDS: Final = 300.0  # whether anybody watches
UNWATCHED_AFTER: Final = timedelta(minutes=15)
MOST_TRIES: Final = 3


def expect(
    job_name: str,
    /,
    *,
    every: timedelta | str | None = None,
    cron: str | None = None,
    calendar: str | None = None,
    tz: str | None = None,
    grace: timedelta | str | None = None,
    max_runtime: timedelta | str | None = None,
    min_records: int | None = None,
    learn: bool = False,
    owner: str | None = None,
    runbook: str | None = None,
    description: str | None = None,
    ping_url: str | None = None,
) -> None:
    """Say what is expected of a job, apart from where it is tracked.

    This process tells the store after the job's first ending, as for `tracked_run(expect=…)`, which
    wins over it. Of two calls for a job the last one counts.

    Args:
        job_name: The job's name, 1 to 255 printable characters.
        every: As of `Expect`, which explains each of them.
        cron: As of `Expect`.
        calendar: As of `Expect`.
        tz: As of `Expect`.
        grace: As of `Expect`.
        max_runtime: As of `Expect`.
        min_records: As of `Expect`.
        learn: As of `Expect`.
        owner: As of `Expect`.
        runbook: As of `Expect`.
        description: As of `Expect`.
        ping_url: As of `Expect`.

    Raises:
        ConfigurationError: Something cannot be used, or nothing is expected.

    Added in 0.2.

    >>> expect("cache_refresh", every="15m", max_runtime="5m")
    """
    given = locals().copy()  # the arguments: nothing else has a name yet
    check_job_name(given.pop("job_name"))
    EXPECTED[job_name] = Expect(**given)


class Declarations:
    """What a process has told its store of its jobs. Without a lock, so that forks need no care."""

    def __init__(self, runtime: Runtime) -> None:
        """Declare nothing yet."""
        self._runtime = runtime
        self._taken: dict[tuple[str, Expect], object] = {}
        self._waiting: dict[str, tuple[JobDeclaration, int]] = {}  # with how often it was tried
        self._ask_at = 0.0
        self._is_told = False

    def take(self, job_name: str, expect: Expect) -> None:
        """Have it declared, unless it was."""
        mine = object()
        if self._taken.setdefault((job_name, expect), mine) is mine:
            self._waiting[job_name] = (declaration_of(self._runtime, job_name, expect), 0)

    def settle(self, job_name: str, expect: Expect | None) -> None:
        """Note that another one has declared this of the job, and nothing else holds any more."""
        for taken in [taken for taken in list(self._taken) if taken[0] == job_name]:
            self._taken.pop(taken, None)
        if expect is not None:
            self._taken[job_name, expect] = True

    def write(self, job_name: str, seconds_left: Callable[[], float]) -> None:
        """Tell the store what waits; and have it noticed, now and then, that nobody watches."""
        try:
            self._declare(seconds_left)
            if (now := ticks()) >= self._ask_at:
                self._ask_at = now + ASK_EVERY_SECONDS
                if self._raise_unwatched(seconds_left):
                    self._runtime.see_to_delivery(job_name, seconds_left(), raised=True)
        except Exception as trouble:  # the run is written, whatever becomes of this
            if not self._is_told:
                self._is_told = True
                self._runtime.events.internal_error("declare", trouble, job_name=job_name)

    def _declare(self, seconds_left: Callable[[], float]) -> None:
        taken = [one for name in list(self._waiting) if (one := self._waiting.pop(name, None))]
        if not taken:
            return
        declarations = [declaration for declaration, _ in taken]
        declaring, store = self._runtime.stores.declaring(), self._runtime.store()
        try:
            declaring.declare_jobs(store, declarations, timeout=seconds_left())
        except StoreUnavailable:  # it may be busy, or away for a moment
            for declaration, tried in taken:
                if tried + 1 < MOST_TRIES:
                    self._waiting.setdefault(declaration.job_name, (declaration, tried + 1))
            raise

    def _raise_unwatched(self, seconds_left: Callable[[], float]) -> bool:
        return self._runtime.stores.declaring().raise_unwatched(
            self._runtime.store(),
            after=UNWATCHED_AFTER,
            cooldown=self._runtime.settings().cooldown,
            timeout=seconds_left(),
        )


def declaration_of(runtime: Runtime, job_name: str, expect: Expect | None) -> JobDeclaration:
    """Return what the store is told; with None, that the code expects nothing any more."""
    expectation = Expectation() if expect is None else expectation_of(expect)
    texts: dict[str, Any] = {name: getattr(expect, name, None) for name in TEXTS}
    return JobDeclaration(
        job_name=job_name,
        environment=runtime.settings().environment,
        expectation=None if expectation == Expectation() else expectation,
        **texts,
        who=host_name(),
    )


def declare_after(
    runtime: Runtime,
    job_name: str,
    expect: Expect,
    seconds_left: Callable[[], float],
    *,
    written: bool,
) -> None:
    """Declare a job with its first ending that the store takes. Never raises."""
    if is_disabled(os.environ) or isinstance(runtime.store(), NoStore):
        return
    # Two first runs may end at once: this makes one of it, and needs no lock that a fork may hold.
    declarations = runtime.made_late.setdefault("declarations", Declarations(runtime))
    declarations.take(job_name, expect)
    if written:
        declarations.write(job_name, seconds_left)
