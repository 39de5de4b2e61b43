"""pg_cron's runs become runs of ours: each once, whoever imports them and however often.

A run that goes on is imported too, and kept alive while its server says so: its start is known to
whoever judges whether the job started.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

from .._errors import ConfigurationError, RecordRefused, RunguardError
from .._failure.alert import failure_alert
from .._failure.classify import classify_text
from .._frozen import frozen
from .._models import Counters, NewRun, RunEnding, RunNote, RunStatus, SpooledRun, TriggerType
from .._monitor.expectations import Declarer, Expectation, JobDeclaration, expectation_from
from .._monitor.pg_cron import CronJob, CronRun, counted, expectation_of, job_name_of, key_of, plain
from .._reasons import ErrorReason
from .._run.outage import dated_ending
from .._run.reduction import record_less
from .._settings import PG_CRON_URL
from .._store.error_text import reason_of
from .._watch.schedule import schedule_of

if TYPE_CHECKING:
    from .._events import Events
    from .._settings import Settings
    from .._store.operator import OperatorStore
    from .._store.postgresql.pg_cron import PgCronSource, Server

T = TypeVar("T")

LOOK_BACK: Final = timedelta(days=1)
ENOUGH_FOR_A_ROUND: Final = 1_000  # runs; the batch that reaches it is written whole
STORE: Final = "store"  # as the address: pg_cron is in the store's own database
STORE_TIMEOUT_SECONDS: Final = 30.0
# Nobody sends a heartbeat while no monitor runs, and the server knows better than our silence.
LOST_AFTER: Final = timedelta(days=1)
ERROR_TYPE: Final = "pg_cron.JobFailed"
RESTARTED: Final = "server restarted"  # what pg_cron writes for runs that a restart cut off


class ImportFailed(RunguardError):
    """pg_cron's tables could not be read; the store itself may be well."""


@frozen
class Imported:
    """What an import did: runs that were begun or ended here, and jobs whose schedule changed."""

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    declared: int = 0
    withdrawn: int = 0

    @property
    def runs(self) -> int:
        """How many runs have a row now that had none, or an end that they had not."""
        return self.started + self.succeeded + self.failed


class PgCronImport:
    """Imports from one server, one round after the other.

    The newest runs come first, so that no job seems to be missed by a start that waits behind the
    history.

    Args:
        source: The tables of pg_cron.
        store: Where runs are.
        settings: What an alert needs, and the environment.
        events: Where to tell of a schedule that cannot be watched.
        look_back: How old the first runs are that are imported.
        enough: How many runs to write before the rest is left to the next call.
    """

    def __init__(
        self,
        source: PgCronSource,
        store: OperatorStore,
        settings: Settings,
        events: Events,
        *,
        look_back: timedelta = LOOK_BACK,
        enough: float = inf,
    ) -> None:
        self._source = source
        self._store = store
        self._settings = settings
        self._events = events
        self._look_back = look_back
        self._enough = enough
        self._newest: int | None = None  # the number of the newest run that was there
        self._unread: list[tuple[int, int]] = []  # runs after a number, up to one; the newest last
        self._open: dict[int, UUID | None] = {}  # runs that go on, by number; None: not begun yet
        self._jobs: dict[int, CronJob] = {}  # as they were seen last
        self._mark = ""  # of whoever reads what we read, by whatever address
        self._declared: dict[str, Expectation] | None = None  # None: not looked at yet
        self._told: set[str] = set()

    def run(self) -> Imported:
        """Import what is new.

        Raises:
            ImportFailed: pg_cron's tables cannot be read.
            StoreUnavailable: our own store is away; the next call goes on where this one ended.
        """
        server, jobs = self._look()
        # A job that is gone by now has runs under its name yet.
        named, self._jobs = self._jobs | jobs, jobs
        # One address, such as localhost, leads to many servers; and a role sees its own jobs only.
        self._mark = f" (cluster {server.name}, role {server.role})"
        declared, withdrawn = self._declare(jobs.values(), server.timezone)
        counts: Counter[str] = Counter()
        known = self._read(lambda: self._source.runs_of(sorted(self._open)))
        for gone in self._open.keys() - {run.run_id for run in known}:
            del self._open[gone]  # nobody says any more that it goes on
        self._import(known, named, server, counts)
        while self._unread and counts.total() < self._enough:
            after, up_to = self._unread[-1]
            runs = self._read(partial(self._source.runs, after=after, up_to=up_to))
            self._import(runs, named, server, counts)
            self._unread.pop()
            if runs and runs[0].run_id - 1 > after:
                self._unread.append((after, runs[0].run_id - 1))
        if alive := [key for key in self._open.values() if key is not None]:
            self._store.beat(alive, timeout=STORE_TIMEOUT_SECONDS)
        return Imported(**counts, declared=declared, withdrawn=withdrawn)

    def close(self) -> None:
        """Close the connections to the source."""
        self._source.close()

    def _look(self) -> tuple[Server, dict[int, CronJob]]:
        server, jobs = self._read(self._source.server), self._read(self._source.jobs)
        before = self._newest
        if before is None:
            before = self._read(partial(self._source.newest_before, self._look_back))
        self._newest = max(before, self._read(self._source.newest))
        if self._newest > before:
            self._unread.append((before, self._newest))
        return server, {job.job_id: job for job in jobs}

    def _read(self, asked: Callable[[], T]) -> T:
        try:
            return asked()
        except RunguardError as error:
            raise _import_failed(error) from error

    def _import(
        self,
        runs: Sequence[CronRun],
        named: Mapping[int, CronJob],
        server: Server,
        counts: Counter[str],
    ) -> None:
        """Write what is new of these runs, and remember which of them go on."""
        keys = {run.run_id: key_of(server.name, run) for run in runs if not run.is_waiting}
        known = self._store.statuses_of([*keys.values()]) if keys else {}
        for run in runs:
            key = keys.get(run.run_id)
            status = None if key is None else known.get(key)
            has_ended = run.ended_at is not None
            if key is not None and (status is None or (status == RunStatus.RUNNING and has_ended)):
                self._write(run, key, named.get(run.job_id))
                ended = "succeeded" if run.is_good else "failed"
                counts[ended if has_ended else "started"] += 1
            if has_ended:
                self._open.pop(run.run_id, None)
            else:
                self._open[run.run_id] = key

    def _write(self, run: CronRun, key: UUID, job: CronJob | None) -> None:
        new = NewRun(
            key=key,
            job_name=job_name_of(run.job_id, job),
            trigger_type=TriggerType.SCHEDULER,
            host=self._source.host,
            pid=run.pid or 0,
            lost_after=LOST_AFTER,
            environment=self._settings.environment,
        )
        record = SpooledRun(new, run.started_at)
        if run.ended_at is not None:
            ending = dated_ending(self._ending_of(run, new), run.ended_at)
            record = record._replace(finished_at=run.ended_at, ending=ending)
        try:
            self._store.replay_run(record, timeout=STORE_TIMEOUT_SECONDS)
        except RecordRefused as refusal:
            self._write_less(record, refusal)

    def _write_less(self, record: SpooledRun, refusal: RecordRefused) -> None:
        """Store what the store takes of a run: the runs after it must not wait for it."""
        told, left = refusal, partial(float, STORE_TIMEOUT_SECONDS)
        try:
            _, alert, told = record_less(self._store.replay_run, (record,), refusal, left)
            if alert is not None:
                self._store.raise_alert(alert, timeout=STORE_TIMEOUT_SECONDS)
        except RecordRefused as final:
            told = final
        self._events.internal_error("pg_cron", told, job_name=record.run.job_name)

    def _ending_of(self, run: CronRun, new: NewRun) -> RunEnding:
        total, changed = counted(run.message)
        counters = Counters(total_records=total, changed_records=changed)
        if run.is_good:
            return RunEnding(new.key, counters)
        message = plain(run.message)
        failure = classify_text(message, clean=self._settings.redactor.clean)
        reason = ErrorReason.LOST if message == RESTARTED else failure.error_reason
        failure = replace(failure, error_type=ERROR_TYPE, error_reason=reason)
        alert = failure_alert(
            run_key=new.key,
            job_name=new.job_name,
            failure=failure,
            location=None,
            cooldown=self._settings.cooldown,
            cooldown_by=self._settings.cooldown_by,
            failures_to_alert=self._settings.failures_to_alert,
            environment=new.environment,
        )
        facts = {
            "pg_cron_job": run.job_id,
            "pg_cron_run": run.run_id,
            "database": run.database,
            "user": run.user,
        }
        note = RunNote(context={name: fact for name, fact in facts.items() if fact is not None})
        return RunEnding(new.key, counters, failure, None, alert, note=note)

    def _declare(self, jobs: Iterable[CronJob], timezone: str) -> tuple[int, int]:
        """Say what is expected of the active jobs; take back what is over. Counts both."""
        wanted = {
            job_name_of(job.job_id, job): expectation
            for job in jobs
            if job.is_active and (expectation := self._expectation_of(job, timezone)) is not None
        }
        if self._declared is None:
            self._declared = self._declared_before()
        before = self._declared
        changed = {name: one for name, one in wanted.items() if before.get(name) != one}
        for name, expectation in changed.items():
            self._store.declare(self._declaration(name, expectation))
            before[name] = expectation
        gone = [name for name in before if name not in wanted]
        ours = self._declared_before() if gone else {}  # others may have said it since
        for name in gone:
            if name in ours:
                environment = self._settings.environment
                self._store.withdraw(name, environment, by=Declarer.CODE, who=self._who)
            del before[name]
        return len(changed), len(gone)

    def _expectation_of(self, job: CronJob, timezone: str) -> Expectation | None:
        expectation = expectation_of(job.schedule, timezone)
        try:
            if expectation is not None:
                schedule_of(expectation)
        except ConfigurationError as wrong:
            if str(wrong) not in self._told:  # once, not in every round
                self._told.add(str(wrong))
                self._events.internal_error("pg_cron", wrong, job_name=job_name_of(job.job_id, job))
            return None
        return expectation

    def _declared_before(self) -> dict[str, Expectation]:
        """What an earlier import said of jobs."""
        environment = self._settings.environment
        return {
            job.job_name: expectation_from(voice.get("expectation"))
            for job in self._store.expected_jobs(environment=environment, with_retired=True)
            if isinstance(voice := job.declarations.get(Declarer.CODE), Mapping)
            and str(voice.get("who")).endswith(self._mark)
        }

    @property
    def _who(self) -> str:
        return f"pg_cron on {self._source.host}{self._mark}"

    def _declaration(self, name: str, expectation: Expectation) -> JobDeclaration:
        return JobDeclaration(
            job_name=name,
            environment=self._settings.environment,
            expectation=expectation,
            by=Declarer.CODE,
            who=self._who,
        )


def source_from(text: str, *, store_url: str | None) -> PgCronSource:
    """Return the source that `RUNGUARD_PG_CRON_URL` names; `store` is the store's own database.

    Raises:
        ConfigurationError: it is no URL of PostgreSQL.
    """
    from .._store.postgresql.pg_cron import PgCronSource

    if text != STORE:
        return PgCronSource.open(text, source=PG_CRON_URL)
    if store_url is None:
        raise ConfigurationError(
            f"{PG_CRON_URL}: expected a URL, found {STORE!r}, and the store has none: name it"
        )
    return PgCronSource.open(store_url, source=PG_CRON_URL)


def _import_failed(error: RunguardError) -> ImportFailed:
    cause = error.__cause__
    found = str(error) if cause is None else reason_of(cause)
    return ImportFailed(
        f"pg_cron could not be read: {found}; it needs the extension in the database of"
        f" {PG_CRON_URL}, and a role that may use the schema cron and read its two tables"
    )
