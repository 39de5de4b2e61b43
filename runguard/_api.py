"""What users call, and the one runtime of this process: here runs meet their store."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, ParamSpec, TypeVar

from ._models import Failure, Rule, TriggerType, TriggerTypeName
from ._run.options import make_options
from ._run.runtime import Runtime
from ._run.scope import RunScope
from ._settings import is_disabled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Engine

    from ._models import CooldownBy, StoreIdentity
    from ._run.expecting import Expect
    from ._run.repository import Declaring, RunRepository
    from ._settings import Deliver, OutagePolicy, RedactionPatterns, StartDurability
    from ._store.operator import OperatorStore

P = ParamSpec("P")
R = TypeVar("R")


class _Stores:
    """A `StoreFactory` that imports what a store needs when one is asked for."""

    def check(self, *, url: str | None, engine: Any, source: str) -> None:
        """Raise a `ConfigurationError` unless this engine, or the URL of `source`, can be used."""
        if engine is not None:
            from ._store.user_engine import check_engine

            check_engine(engine)
        elif url is not None:
            from ._store.url import parse_url

            parse_url(url, source=source)

    def identity(self, *, url: str | None, engine: Any) -> StoreIdentity:
        """Name a store without its secrets."""
        from ._store.identity import identity_of

        return identity_of(url, engine)

    def is_delivery_due(self, store: Any, job_names: Any, **how: Any) -> bool:
        """Ask a store whether somebody is still to be told of something."""
        from ._store.due import is_delivery_due

        return is_delivery_due(store, job_names, **how)

    def declaring(self) -> Declaring:
        """Return what tells a store of the jobs' expectations."""
        from ._store import declaring

        return declaring

    def open(self, **how: Any) -> RunRepository:
        """Return a store that records."""
        from ._store.factory import open_recorder

        return open_recorder(**how)


def new_runtime() -> Runtime:
    """Return a runtime beside the one that this process's runs use."""
    return Runtime(_Stores())


def operator_store(of: Runtime) -> OperatorStore:
    """Return the store of a runtime with all that operators ask of it, which a run never loads."""
    from ._store.operator import open_operator_store

    return of.store_as(open_operator_store)


runtime: Final = new_runtime()


def tracked_run(
    job_name: str,
    /,
    *,
    trigger_type: TriggerType | TriggerTypeName | None = None,
    lock: bool = False,
    lock_ttl: timedelta | None = None,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    expect: Expect | Literal["learn"] | None = None,
    keep: Sequence[str] = (),
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Track every call of a function, a coroutine function or a method as a run.

    The function keeps its signature, and its result or exception passes unchanged. Inside,
    `current_run()` returns its `Run`.

    Args:
        job_name: The job's name, 1 to 255 printable characters.
        trigger_type: MANUAL, SCHEDULER or RETRY. None: as configured.
        lock: Let only one run of the job be inside. The others raise `JobLockActive`.
        lock_ttl: Lease of that lock, more than 0. None: as configured.
        cooldown: Silence after an alert; 0 alerts every time. None: as configured.
        failures_to_alert: Failures in a row of one group that raise an alert, 1 to 100. Only a
            success ends the row. None: as configured. Added in 0.2.
        no_alert_on: Exception types whose failure is recorded and raises no alert.
        expect: When it should run, and how: the monitor alerts where it does not. `learn`: as it
            usually does. Added in 0.2.
        keep: Names of arguments that are kept with the run, as `Run.note` does. Added in 0.2.

    Raises:
        ConfigurationError: An option cannot be used; the function has no such argument.
        TypeError: The function is a generator function: its body runs while it is iterated.

    Added in 0.1.

    >>> @tracked_run("enrolment_sync", lock=True)
    ... def enrolment_sync(term: str) -> int:
    ...     return 512
    """
    options = make_options(**locals())

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        from ._run.decorator import track

        return track(function, lambda: RunScope(options, runtime), options.keep)

    return decorate


def run_scope(
    job_name: str,
    /,
    *,
    trigger_type: TriggerType | TriggerTypeName | None = None,
    lock: bool = False,
    lock_ttl: timedelta | None = None,
    cooldown: timedelta | None = None,
    failures_to_alert: int | None = None,
    no_alert_on: type[BaseException] | tuple[type[BaseException], ...] = (),
    expect: Expect | Literal["learn"] | None = None,
    context: Mapping[str, Any] | None = None,
) -> RunScope:
    """Track a block as a run, with `with` or `async with`.

    Args:
        job_name: The job's name, 1 to 255 printable characters.
        trigger_type: MANUAL, SCHEDULER or RETRY. None: as configured.
        lock: Let only one run of the job be inside. The others raise `JobLockActive` on entry.
        lock_ttl: Lease of that lock, more than 0. None: as configured.
        cooldown: Silence after an alert; 0 alerts every time. None: as configured.
        failures_to_alert: Failures in a row of one group that raise an alert, 1 to 100. Only a
            success ends the row. None: as configured. Added in 0.2.
        no_alert_on: Exception types whose failure is recorded and raises no alert.
        expect: When it should run, and how: the monitor alerts where it does not. `learn`: as it
            usually does. Added in 0.2.
        context: What the run is about, kept with it as `Run.note` does. Added in 0.2.

    Returns:
        A `RunScope` for one run. Entering it gives the `Run`.

    Raises:
        ConfigurationError: An option cannot be used; on entry, a setting cannot be used.

    Added in 0.1.

    >>> with run_scope("enrolment_sync", trigger_type="SCHEDULER") as run:
    ...     run.total_records = 512
    """
    return RunScope(make_options(**locals()), runtime)


def configure(
    *,
    database_url: str | None = None,
    engine: Engine | None = None,
    cooldown: timedelta | None = None,
    cooldown_by: CooldownBy | None = None,
    lock_ttl: timedelta | None = None,
    trigger_type: TriggerType | TriggerTypeName | None = None,
    environment: str | None = None,
    rules: Sequence[Rule] | None = None,
    redact: RedactionPatterns | None = None,
    outage_policy: OutagePolicy | None = None,
    store_timeout: timedelta | None = None,
    max_connections: int | None = None,
    start_durability: StartDurability | None = None,
    heartbeat_interval: timedelta | None = None,
    lost_after: timedelta | None = None,
    spool_dir: str | os.PathLike[str] | None = None,
    failures_to_alert: int | None = None,
    auto_resolve: bool | None = None,
    deliver: Deliver | None = None,
    version: str | None = None,
    package: str | None = None,
    capture_traceback: bool | None = None,
    capture_logs: bool | None = None,
    check: bool = False,
) -> None:
    """Set what every run of this process uses. Call it once, before the first run.

    A setting that is None comes from the environment, or else from the default.

    Args:
        database_url: SQLAlchemy URL of the store. `postgresql://` means psycopg 3.
        engine: SQLAlchemy engine, instead of a URL. It is used in autocommit.
        cooldown: Silence after an alert of the same key (default 30 minutes). 0: none.
        cooldown_by: `group` (default), or `reason`: then an UNKNOWN failure for a new reason
            alerts although its group is quiet. Added in 0.2.
        lock_ttl: Lease of the job lock, more than 0 (default 900 seconds).
        trigger_type: Trigger of runs whose code names none (default MANUAL).
        environment: Such as `staging`: keeps its runs, alerts and locks apart from those of other
            environments in the same database. 1 to 40 of a-z, 0-9, _ and -. Added in 0.2.
        rules: Your own classification rules. They are asked first, in order.
        redact: More secrets to remove: regular expressions, or functions from text to text.
        outage_policy: With the store away, `run` the body (default) or `refuse` to.
        store_timeout: Longest time that a dead store adds to a run (default 5 seconds).
        max_connections: Most connections to PostgreSQL in this process (default 5).
        start_durability: `full` (default), or `relaxed`: a start waits for no disk. Added in 0.2.
        heartbeat_interval: Time between two heartbeats of an open run (default 30 seconds).
        lost_after: Silence after which a run counts as lost (default 5 minutes).
        spool_dir: Folder of the records that wait for a store that is away. None: in the user's
            state directory.
        failures_to_alert: Failures in a row of a group that raise an alert. Added in 0.2.
        auto_resolve: Whether a recovery resolves its alerts (default True). Added in 0.2.
        deliver: `auto` (default): where channels are configured, this process has its alerts
            told, by a process apart. `off`: others do that. Added in 0.2.
        version: Version of the code that runs, such as a release or a commit. None: it is found
            in variables of the platform, in `.git`, or nowhere. Added in 0.2.
        package: Installed distribution whose version that is. Added in 0.2.
        capture_traceback: Whether a failed run keeps its traceback (default True). Added in 0.2.
        capture_logs: Whether a failed run keeps its last log lines (default True). Added in 0.2.
        check: Connect at once, and check the schema.

    Raises:
        ConfigurationError: A value cannot be used, or a run has already begun.
        StoreUnavailable: With `check`: the store cannot be reached.
        SchemaOutOfDate: With `check`: the schema is missing or of another version.

    Added in 0.1.
    """
    explicit = locals().copy()  # the arguments: nothing else has a name yet
    runtime.configure({name: value for name, value in explicit.items() if name != "check"})
    if check and not is_disabled(os.environ):
        report = operator_store(runtime).inspect()
        if not report.can_record and report.dialect != "sqlite":
            raise operator_store(runtime).schema_error()


def classify(exc: BaseException) -> Failure:
    """Sort an exception into its group, as a run would, and record nothing.

    Never raises, whatever the exception does. An unreadable configuration counts as none.

    Args:
        exc: The exception. Its causes, contexts and group members count too.

    Returns:
        The `Failure`: group, severity, and which rule decided.

    Added in 0.1.

    >>> classify(TimeoutError("no answer")).error_group
    <ErrorGroup.TIMEOUT: 'TIMEOUT'>
    """
    from ._failure.classify import classify as classify_by

    settings = runtime.settings_so_far()
    return classify_by(exc, rules=settings.rules, clean=settings.redactor.clean)
