"""Jobs of pg_cron as runs and expectations.

The tables are those of https://github.com/citusdata/pg_cron: `cron.job` and `cron.job_run_details`.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from .._frozen import frozen
from .expectations import Expectation

LONGEST_NAME: Final = 255  # of a job

_KEYS: Final = UUID("b4bb29c2-5f0e-4a3c-8a0a-3d6f5b1f7c44")
_SECONDS: Final = re.compile(r"(\d{1,2}) seconds?", re.IGNORECASE)
_CHANGED: Final = re.compile(r"(?:INSERT 0|UPDATE|DELETE|MERGE) (\d{1,18})")
_SEEN: Final = re.compile(r"(?:SELECT|COPY|FETCH|MOVE) (\d{1,18})|(\d{1,18}) rows?")
_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
# A row appears when its run starts, and is read a round later.
GRACE_OF_SECONDS: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class CronJob:
    """A row of `cron.job`. `name` is None where it has none."""

    job_id: int
    name: str | None
    schedule: str
    is_active: bool
    database: str
    user: str


@frozen(kw_only=True)
class CronRun:
    """A row of `cron.job_run_details`. Times are aware.

    `ended_at` is None while it runs. `message` is what the server answered, `is_good` whether it
    succeeded. `is_dated` is False where the row has no time, and `started_at` is a guess.
    """

    run_id: int
    job_id: int
    pid: int | None
    database: str | None
    user: str | None
    started_at: datetime
    is_dated: bool = True
    ended_at: datetime | None = None
    is_good: bool = False
    message: str = ""

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for its worker: it has no start yet."""
        return not self.is_dated and self.ended_at is None


class Counted(NamedTuple):
    """What a command says it did: rows that it read, and rows that it changed."""

    total: int = 0
    changed: int = 0


def key_of(server: str, run: CronRun) -> UUID:
    """Return the key of a run: the same whoever imports it, and by whatever address.

    `server` identifies the cluster. Its counter may begin anew, so the start counts too.
    """
    started_at = f"{run.started_at.timestamp()!r}" if run.is_dated else "never"
    return uuid5(_KEYS, f"{server}:{run.run_id}:{run.job_id}:{started_at}")


def job_name_of(job_id: int, job: CronJob | None) -> str:
    """Name a job: as it is called there, else by its number."""
    name = (job.name or "").strip() if job is not None else ""
    can_be_stored = 0 < len(name) <= LONGEST_NAME and name.isprintable()
    return name if can_be_stored else f"pg_cron-{job_id}"


def counted(message: str) -> Counted:
    """Read the command tag that the server answered with.

    >>> counted("INSERT 0 5"), counted("SELECT 3"), counted("1 row")
    (Counted(total=5, changed=5), Counted(total=3, changed=0), Counted(total=1, changed=0))
    """
    text = message.strip()
    if changed := _CHANGED.fullmatch(text):
        return Counted(int(changed[1]), int(changed[1]))
    seen = _SEEN.fullmatch(text)
    return Counted(int(seen[1] or seen[2])) if seen else Counted()


def plain(message: str) -> str:
    r"""Return what the server said as people write it, however the worker was connected.

    >>> plain("ERROR:  division by zero\n")
    'ERROR: division by zero'
    """
    return re.sub(r"^([A-Z]+):\s+", r"\1: ", message.strip())


def expectation_of(schedule: str, timezone: str) -> Expectation | None:
    """Say when a job must start; None where its schedule names no times, as `@reboot`.

    `timezone` is the setting `cron.timezone`, in which pg_cron reads schedules.

    >>> expectation_of("30 seconds", "GMT").every
    datetime.timedelta(seconds=30)
    >>> expectation_of("0 2 $ * *", "GMT").as_document()
    {'cron': '0 2 L * *', 'tz': 'UTC'}
    """
    text = " ".join(schedule.split())
    if seconds := _SECONDS.fullmatch(text):
        every = timedelta(seconds=int(seconds[1]))
        return Expectation(every=every, grace=GRACE_OF_SECONDS) if every else None
    fields = _MACROS.get(text.lower(), text).split(" ")
    if len(fields) != 5:
        return None
    fields[2] = fields[2].replace("$", "L")  # the last day of the month
    zone = "UTC" if timezone.upper() in ("GMT", "UTC") else timezone
    return Expectation(cron=" ".join(fields), tz=zone)
