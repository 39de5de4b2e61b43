"""The part of a round that notices what did not happen: facts are read, judged, and written.

Each step is a transaction of the store's, and is found again by the next round where a process
dies before it. Any number may watch at once: each finding opens once, and closes once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from operator import itemgetter
from typing import TYPE_CHECKING, Final, Protocol

from .._clock import now as clock
from .._errors import ConfigurationError
from .._events import Events
from .._frozen import frozen
from .._models import RunStatus
from .._monitor.expectations import (
    Expectation,
    FindingType,
    Gap,
    JobDeclaration,
    JobFacts,
    MonitorRecord,
    Verdict,
    WatchedRun,
    source_id_of,
)
from .._monitor.garbage import collecting_no_garbage
from .._monitor.incidents import RECOVERED
from .._version import __version__
from .._watch.schedule import schedule_of
from .learning import Learner
from .ping import Ping, send_pings

if TYPE_CHECKING:
    from .._monitor.incidents import Settled
    from .._notify.config import NotifyConfig

GAP_AFTER: Final = timedelta(minutes=5)
UNWATCHED_AFTER: Final = timedelta(minutes=15)
LOOKS_EACH: Final = timedelta(hours=1)  # at a job that neither starts nor ends
AT_ONCE: Final = 2_000  # jobs in one batch
MOST_ENDINGS: Final = 5  # of one job in a round, that its address hears of
LONGEST_PINGS_SECONDS: Final = 15.0  # of one batch: verdicts wait for them

_ENDINGS: Final = (RunStatus.SUCCESS, RunStatus.FAILED)

Judge = Callable[..., Verdict]
Resolve = Callable[[str], str]


class WatchedStore(Protocol):
    """What watching asks of a store."""

    def declare_file(
        self,
        declarations: Sequence[JobDeclaration],
        *,
        who: str,
        environment: str | None,
        keeping: Collection[str],
    ) -> int: ...

    def begin_round(self, gap_after: timedelta) -> tuple[datetime, tuple[Gap, ...]]: ...

    def close_unwatched(self) -> bool: ...

    def jobs_to_judge(self, *, limit: int, now: datetime | None = None) -> Sequence[JobFacts]: ...

    def write_verdicts(
        self, verdicts: Sequence[Verdict], *, cooldown: timedelta, auto_resolve: bool
    ) -> Sequence[Settled]: ...

    def starts(
        self, job_name: str, *, since: datetime, environment: str | None, limit: int
    ) -> Sequence[datetime]: ...

    def note_round(self, record: MonitorRecord, *, gap_after: timedelta) -> Gap | None: ...


@frozen(kw_only=True)
class Found:
    """What a round has found of a job, or found to be over.

    Attributes:
        type: `MISSED`, `STUCK`, …
        is_over: Whether it is over.
        job_name: None where it is about no job.
        title: What an alert says in one line.
        alert_id: The alert.
    """

    type: str
    is_over: bool
    job_name: str | None
    environment: str | None
    title: str
    alert_id: int


@frozen(kw_only=True)
class Watched:
    """What watching did in a round."""

    judged: int = 0
    found: tuple[Found, ...] = ()


class Watch:
    """Watches the jobs of a store, one round after the other.

    Args:
        store: Where jobs, runs and alerts are.
        judge: Decides what the facts of a job mean.
        events: Where to tell what went wrong.
        cooldown: How long a finding that goes on raises no further alert.
        auto_resolve: Whether the alerts of a finding that is over are marked resolved.
        environment: The one that the configuration's file is read in.
        kind: `monitor`, `once` or `web`: what this process is.
    """

    def __init__(
        self,
        store: WatchedStore,
        judge: Judge,
        events: Events,
        *,
        cooldown: timedelta,
        auto_resolve: bool,
        environment: str | None,
        kind: str,
    ) -> None:
        self._store = store
        self._judge = judge
        self._events = events
        self._cooldown = cooldown
        self._auto_resolve = auto_resolve
        self._environment = environment
        self._learner = Learner(store)
        self._declared: tuple[str, tuple[JobDeclaration, ...], object] | None = None
        self._doubted: object = None  # what the file said last, where it has left out a job
        self._told: dict[str, str] = {}
        self._record = MonitorRecord(
            who=f"{os.uname().nodename}:{os.getpid()}",
            kind=kind,
            started_at=clock(),
            last_round_at=clock(),
            rounds=0,
            version=__version__,
        )

    def declare(self, config: NotifyConfig) -> None:
        """Give the store what the configuration's file declares, where it has changed.

        It stands there by its whole path: two files in two folders declare beside each other. What
        the file said of a job before goes on where its table has a mistake now.
        """
        if config.file is None or config.mistaken_jobs is None:
            return
        who, keeping = str(config.file.absolute()), config.mistaken_jobs
        said = tuple(replace(one, who=who) for one in config.jobs)
        now = (who, said, keeping)
        if now == self._declared:
            self._doubted = None
            return
        # A file that is written in place may be read by half: a job that it leaves out is taken
        # from it when two rounds in a row have read so.
        if now != self._doubted and self._leaves_out_a_job(said, keeping):
            self._doubted = now
            return
        self._store.declare_file(said, who=who, environment=self._environment, keeping=keeping)
        self._declared, self._doubted = now, None

    def _leaves_out_a_job(self, said: Iterable[JobDeclaration], keeping: frozenset[str]) -> bool:
        before = () if self._declared is None else self._declared[1]
        return not {one.job_name for one in before} <= {one.job_name for one in said} | keeping

    def run(self, resolve: Resolve, *, stops: Callable[[], bool], zone: tzinfo = UTC) -> Watched:
        """Judge all jobs that are to be judged.

        Args:
            resolve: Reads the addresses of their pings.
            stops: Says before each batch whether to leave the rest.
            zone: In which a schedule is learned, unless the job names one.
        """
        now, gaps = self._store.begin_round(GAP_AFTER)
        self._store.close_unwatched()
        judged: set[tuple[str, str | None]] = set()
        found: list[Found] = []
        while not stops():
            with collecting_no_garbage():  # of 2,000 jobs, 50,000 runs
                facts = self._store.jobs_to_judge(limit=AT_ONCE, now=now)
                new = [one for one in facts if _key_of(one) not in judged]
                judged.update(map(_key_of, new))
                judgements = [*self._judged(new, now, gaps, zone)]
            verdicts = [verdict for _, verdict in judgements]
            self._ping([known for known, _ in judgements], now, resolve)
            settled = self._store.write_verdicts(
                verdicts, cooldown=self._cooldown, auto_resolve=self._auto_resolve
            )
            found += _found(settled, verdicts)
            if len(facts) < AT_ONCE or not new:
                break
        return Watched(judged=len(judged), found=tuple(found))

    def note(self, *, seconds: float, report: Mapping[str, object]) -> None:
        """Write that a round has looked at everything."""
        self._record = replace(
            self._record,
            rounds=self._record.rounds + 1,
            last_round_at=clock(),
            seconds=seconds,
            report=report,
        )
        self._store.note_round(self._record, gap_after=GAP_AFTER)

    def _judged(
        self, facts: Iterable[JobFacts], now: datetime, gaps: tuple[Gap, ...], zone: tzinfo
    ) -> Iterator[tuple[JobFacts, Verdict]]:
        for one in facts:
            try:
                known = self._learner.taught(one, now=now, zone=zone)
                self._tell_what_is_unreadable(known)
                verdict = self._judge(known, now=now, gaps=gaps)
            except Exception as trouble:  # the other jobs are judged all the same
                self._tell("judge", trouble, one.job.job_name)
                continue
            yield known, _looking_again(verdict, now)

    def _ping(self, facts: Iterable[JobFacts], now: datetime, resolve: Resolve) -> None:
        """Tell the addresses of jobs how their runs ended.

        Before the verdicts are written: a process that dies in between tells twice, which does no
        harm. A ping that is missing would look like a job that is.
        """
        pings = []
        for one in facts:
            reference = one.job.expectation.ping_url
            if reference is None or not (runs := _newly_ended(one, now)):
                continue
            try:
                url = resolve(reference)
            except ConfigurationError as wrong:
                self._tell("ping", wrong, one.job.job_name)
                continue
            pings.append([_ping_of(one, run, url) for run in runs[-MOST_ENDINGS:]])
        for trouble in send_pings(pings, seconds=LONGEST_PINGS_SECONDS):
            self._events.internal_error("ping", trouble)

    def _tell_what_is_unreadable(self, facts: JobFacts) -> None:
        """Say which starts nobody notices from here, as where a library is missing."""
        try:
            schedule_of(facts.learned or facts.job.expectation)
        except ConfigurationError as wrong:
            self._tell("judge", wrong, facts.job.job_name)

    def _tell(self, stage: str, trouble: Exception, job_name: str) -> None:
        """Tell a fault of one job; one that goes on from round to round, once."""
        text = f"{type(trouble).__name__}: {trouble}"
        if self._told.get(f"{stage} {job_name}") != text:
            self._told[f"{stage} {job_name}"] = text
            self._events.internal_error(stage, trouble, job_name=job_name)


def _looking_again(verdict: Verdict, now: datetime) -> Verdict:
    """Look again within an hour: a row of before may come late, from a spool, and wakes nobody."""
    if verdict.job.retired_at is not None or verdict.job.expectation == Expectation():
        return verdict
    latest = now + LOOKS_EACH
    return replace(verdict, look_at=min(verdict.look_at or latest, latest))


def _key_of(facts: JobFacts) -> tuple[str, str | None]:
    return facts.job.job_name, facts.job.environment


def _newly_ended(facts: JobFacts, now: datetime) -> list[WatchedRun]:
    """Return the runs that ended since the job was judged, the last one last.

    One that ended after `now` is for the next round, which begins there.
    """
    since = facts.job.judged_at or facts.job.declared_at or now
    ended = [
        (run.finished_at, run.id, run)
        for run in facts.runs
        if run.finished_at is not None and not run.refused and run.status in _ENDINGS
    ]
    return [run for at, _, run in sorted(ended, key=itemgetter(0, 1)) if since < at <= now]


def _ping_of(facts: JobFacts, run: WatchedRun, url: str) -> Ping:
    source = f"ping_url of {facts.job.job_name}"
    return Ping(source, url, run.status == RunStatus.SUCCESS, f"run {run.id}: {run.status}")


def _found(settled: Iterable[Settled], verdicts: Iterable[Verdict]) -> Iterator[Found]:
    """Say of what was written which job it is about, and what it says."""
    titles: dict[tuple[str, str, bool], tuple[str, Verdict]] = {}
    for verdict in verdicts:
        source_id = source_id_of(verdict.job.job_name, verdict.job.environment)
        for finding in verdict.findings:
            titles[source_id, finding.type, False] = (finding.title, verdict)
        for closing in verdict.closings:
            titles[source_id, closing.type, True] = (closing.title, verdict)
    for one in settled:
        is_over = one.alert_type == RECOVERED
        kind = one.incident.alert_type
        known = titles.get((one.incident.source_id, kind, is_over))
        yield Found(
            type=str(kind),
            is_over=is_over,
            job_name=known[1].job.job_name if known else None,
            environment=known[1].job.environment if known else None,
            title=known[0] if known else one.incident.source_id,
            alert_id=one.alert_id,
        )


def missed_in(found: Iterable[Found]) -> int:
    """Count the starts that were missed."""
    return sum(one.type == FindingType.MISSED and not one.is_over for one in found)
