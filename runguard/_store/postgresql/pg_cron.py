"""What pg_cron keeps of its jobs, read from the database in which it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, NamedTuple, Self

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Executable,
    Integer,
    Interval,
    Select,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal_column,
    select,
    table,
)

from ..._errors import ConfigurationError
from ..._monitor.pg_cron import CronJob, CronRun
from ..base import BaseStore
from ..url import parse_url
from .engine import make_postgresql_engine

TIMEOUT_SECONDS: Final = 5.0  # the rest of a round waits for it
BATCH: Final = 1_000  # runs that are read at once
LONGEST_MESSAGE: Final = 32 * 1024  # characters; more of what a server said is not stored anyway

_INSTANT: Final = DateTime(timezone=True)
_JOB: Final = table(
    "job",
    column("jobid", BigInteger()),
    *(column(name, Text()) for name in ("schedule", "database", "username", "jobname")),
    column("active", Boolean()),
    schema="cron",
)
_RUN: Final = table(
    "job_run_details",
    *(column(name, BigInteger()) for name in ("jobid", "runid")),
    column("job_pid", Integer()),
    *(column(name, Text()) for name in ("database", "username", "status", "return_message")),
    *(column(name, _INSTANT) for name in ("start_time", "end_time")),
    schema="cron",
)
_ENDED: Final = _RUN.c.status.in_(("succeeded", "failed"))
_CONTROL: Final = func.pg_control_system().table_valued(column("system_identifier", BigInteger()))
_SINCE_SERVER_STARTED: Final = func.pg_postmaster_start_time(type_=_INSTANT)
# A run that failed before it began has no start, one that a restart cut off has no end, and one
# that waited for its worker then has neither.
_OWN_TIME: Final = func.coalesce(_RUN.c.start_time, _RUN.c.end_time, type_=_INSTANT)
_STARTED_AT: Final = func.coalesce(_OWN_TIME, _SINCE_SERVER_STARTED, type_=_INSTANT)
_ENDED_AT: Final = func.coalesce(
    _RUN.c.end_time, func.greatest(_STARTED_AT, _SINCE_SERVER_STARTED), type_=_INSTANT
)
_NEWEST: Final = select(_RUN.c.runid).order_by(_RUN.c.runid.desc()).limit(1)
_ASKED: Final = select(
    *(_RUN.c.runid, _RUN.c.jobid, _RUN.c.job_pid, _RUN.c.database, _RUN.c.username),
    *(_OWN_TIME.is_not(None), _STARTED_AT, _ENDED, _ENDED_AT),
    *(_RUN.c.status, func.left(_RUN.c.return_message, LONGEST_MESSAGE)),
)


class Server(NamedTuple):
    """The cluster: what identifies it wherever it is reached, and its zone; who we are there."""

    name: str
    timezone: str
    role: str


class PgCronSource(BaseStore):
    """The tables of pg_cron on one server, to read."""

    @classmethod
    def open(cls, url: str, *, source: str) -> Self:
        """Return the source at a URL, which `source` named. Nothing is connected yet.

        Raises:
            ConfigurationError: the URL is none of PostgreSQL.
        """
        parsed = parse_url(url, source=source)
        if parsed.get_backend_name() != "postgresql":
            raise ConfigurationError(
                f"{source}: expected a postgresql:// URL, where pg_cron is, found"
                f" {parsed.get_backend_name()}"
            )
        engine = make_postgresql_engine(parsed, max_connections=1, patience=TIMEOUT_SECONDS)
        return cls(engine)

    @property
    def host(self) -> str:
        """The host that the address names."""
        return self.engine.url.host or "localhost"

    def server(self) -> Server:
        """Identify the server."""
        zone = func.coalesce(func.current_setting("cron.timezone", literal_column("true")), "GMT")
        role = cast(literal_column("current_user"), Text())
        name = cast(_CONTROL.c.system_identifier, Text())
        [row] = self._rows(select(name, zone, role))
        return Server(*row)

    def jobs(self) -> Sequence[CronJob]:
        """List the jobs that this role may see."""
        its = _JOB.c
        asked = select(its.jobid, its.jobname, its.schedule, its.active, its.database, its.username)
        return [
            CronJob(
                job_id=job_id,
                name=name,
                schedule=schedule or "",
                is_active=bool(is_active),
                database=database,
                user=user,
            )
            for job_id, name, schedule, is_active, database, user in self._rows(
                asked.order_by(its.jobid)
            )
        ]

    def newest_before(self, length: timedelta) -> int:
        """Return the number of the newest run that began so long ago; 0 where there is none.

        The primary key is walked from its end: what is older is not read.
        """
        ago = func.now() - bindparam("ago", length, type_=Interval(native=True))
        return self._newest(_NEWEST.where(_RUN.c.start_time < ago))

    def newest(self) -> int:
        """Return the number of the newest run; 0 where there is none."""
        return self._newest(_NEWEST)

    def runs(self, *, after: int, up_to: int) -> Sequence[CronRun]:
        """List the newest `BATCH` runs with a number after one and up to another, in order."""
        number = _RUN.c.runid
        bounds = [bindparam(None, bound, type_=BigInteger()) for bound in (after, up_to)]
        wanted = _ASKED.where(number > bounds[0], number <= bounds[1])
        newest = self._rows(wanted.order_by(number.desc()).limit(BATCH))
        return [_run_from(row) for row in reversed(newest)]

    def runs_of(self, numbers: Sequence[int]) -> Sequence[CronRun]:
        """List the runs that are there of these, in order."""
        if not numbers:
            return []
        wanted = _ASKED.where(_RUN.c.runid.in_(numbers)).order_by(_RUN.c.runid)
        return [_run_from(row) for row in self._rows(wanted)]

    def _newest(self, query: Select[Any]) -> int:
        return next((row[0] for row in self._rows(query)), 0)

    def _rows(self, query: Executable) -> Sequence[Any]:
        return self._attempts.run(
            lambda attempt: attempt.connection.execute(query).all(), timeout=TIMEOUT_SECONDS
        )


def _run_from(row: Any) -> CronRun:
    run_id, job_id, pid, database, user, is_dated, started_at, has_ended, ended_at, *said = row
    status, message = said
    return CronRun(
        run_id=run_id,
        job_id=job_id,
        pid=pid,
        database=database,
        user=user,
        started_at=started_at,
        is_dated=is_dated,
        ended_at=ended_at if has_ended else None,
        is_good=status == "succeeded",
        message=message or "",
    )
