"""The exceptions that runguard raises.

    RunguardError
    ├── ConfigurationError   a setting or argument that cannot be used (also a ValueError)
    ├── StoreUnavailable     the store cannot be reached, or refuses us
    │   └── RecordRefused    the store is there, and will never take this record as it is
    ├── SchemaOutOfDate      the store's schema is missing, or not the one needed
    ├── SchemaConflict       a table of the user's that runguard cannot adopt
    └── JobLockActive        another run holds the job's lock (also a RuntimeError)

Every message says what was expected, what was found, and what to do; none holds a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ._models import LockHolder


class RunguardError(Exception):
    """The base of every exception that runguard itself raises. Added in 0.1."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild it from its text and its attributes: what `__init__` took is gone by then."""
        return _rebuilt, (type(self), self.args), self.__dict__.copy()


class ConfigurationError(RunguardError, ValueError):
    """A setting or an argument cannot be used. The message names it. Added in 0.1."""


class StoreUnavailable(RunguardError):
    """The store could not be reached in time, or refused the statement.

    Attributes:
        is_away: Whether nobody answered, so that others need not ask just now. Added in 0.2.

    Added in 0.1.
    """

    is_away: bool = False


class RecordRefused(StoreUnavailable):
    """The store is there, and will never take this record: its data is at fault."""

    encoding: str | None = None  # PostgreSQL's name of what the database holds; None: unknown


class SchemaOutOfDate(RunguardError):
    """The store has no runguard schema, or not the version that this runguard needs.

    Attributes:
        found: The version that was found; None where there is no schema.
        needed: The version that this runguard needs.

    Added in 0.1.
    """

    def __init__(self, *, found: str | None, needed: str, remedy: str | None = None) -> None:
        """Keep both versions."""
        self.found = found
        self.needed = needed
        what = "no runguard schema" if found is None else f"runguard schema version {found}"
        if found is not None and found > needed:
            remedy = "this runguard is older than the schema: upgrade runguard here"
        elif remedy is None:
            remedy = "run `runguard db upgrade` (or `runguard db upgrade --sql` for the statements)"
        super().__init__(f"found {what}, needed version {needed}: {remedy}")


class SchemaConflict(RunguardError):
    """The database has a table of one of runguard's names that it cannot adopt as it is."""

    def __init__(self, conflicts: Iterable[str]) -> None:
        """Keep every conflict: one line each, with column, found and needed."""
        self.conflicts = tuple(conflicts)
        listed = "".join(f"\n  {conflict}" for conflict in self.conflicts)
        super().__init__(
            f"the tables that are there cannot be adopted; nothing was changed:{listed}\n"
            "change these, or let runguard's tables live in another schema (search_path), and run"
            " `runguard db upgrade` again"
        )


class JobLockActive(RunguardError, RuntimeError):
    """Another run holds the job's lock, so the body was not run.

    Attributes:
        http_status_code: Always 409.
        job_name: The job.
        run_id: Id of the refused run, or None where it could not be recorded.
        locked_by: The holder, `HOST:PID:RUN_KEY`, or None where unknown.
        lock_expires_at: End of the holder's lease (aware, in UTC), or None where unknown.

    Added in 0.1.
    """

    http_status_code = 409

    def __init__(self, job_name: str, holder: LockHolder) -> None:
        """Keep the job and the holder."""
        self.job_name = job_name
        self.run_id: int | None = None
        self.locked_by = holder.locked_by
        self.lock_expires_at: datetime | None = holder.lock_expires_at
        holder_name, expiry = self.locked_by or "another run", self.lock_expires_at
        until = "unknown" if expiry is None else f"{expiry:%Y-%m-%dT%H:%M:%SZ}"
        super().__init__(f"job_lock active: {job_name} is held by {holder_name} until {until}")


def _rebuilt(cls: type[RunguardError], args: tuple[object, ...]) -> RunguardError:
    return cls.__new__(cls, *args)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean 'X'?)`, or an empty text where nothing is near.

    >>> did_you_mean("SHEDULER", ["MANUAL", "SCHEDULER"])
    " (did you mean 'SCHEDULER'?)"
    """
    near = nearest(name, known)
    return f" (did you mean {near!r}?)" if near is not None else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that was most likely meant, None where nothing is near."""
    import difflib

    return next(iter(difflib.get_close_matches(name, [str(one) for one in known], n=1)), None)
