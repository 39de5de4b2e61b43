"""What a round does to watch jobs, step by step, on a store that only keeps what it is told."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runguard import ConfigurationError
from runguard._events import Events
from runguard._monitor.expectations import (
    Closing,
    Expectation,
    Finding,
    FindingType,
    Gap,
    JobDeclaration,
    JobFacts,
    JobRecord,
    MonitorRecord,
    OpenFinding,
    Verdict,
    WatchedRun,
)
from runguard._monitor.incidents import RECOVERED, Settled
from runguard._monitor.notices import IncidentRecord
from runguard._notify.config import NotifyConfig
from runguard._rounds import watching
from runguard._rounds.watching import Watch, missed_in
from tests.support.http_receiver import HttpReceiver

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

NOW = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FILE = Path("/etc/runguard.toml")
JOBS = (JobDeclaration(job_name="nightly", who="runguard.toml"),)


@dataclass
class RecordingStore:
    """Keeps the calls, and answers with the facts that it was given."""

    facts: list[JobFacts] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    started: list[datetime] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    verdicts: Sequence[Verdict] = ()

    def declare_file(
        self,
        declarations: Sequence[JobDeclaration],
        *,
        who: str,
        environment: str | None,
        keeping: Collection[str],
    ) -> int:
        assert (environment, keeping) == ("stage", frozenset())
        self.calls.append(("declare", (tuple(declarations), who)))
        return len(declarations)

    def begin_round(self, gap_after: timedelta) -> tuple[datetime, tuple[Gap, ...]]:
        self.calls.append(("begin", gap_after))
        return NOW, ()

    def close_unwatched(self) -> bool:
        self.calls.append(("unwatched is over", None))
        return False

    def jobs_to_judge(self, *, limit: int, now: datetime | None = None) -> Sequence[JobFacts]:
        self.calls.append(("ask", now))
        return self.facts[:limit]

    def write_verdicts(
        self,
        verdicts: Sequence[Verdict],
        *,
        cooldown: timedelta,
        auto_resolve: bool,
    ) -> Sequence[Settled]:
        self.calls.append(("write", [verdict.job.job_name for verdict in verdicts]))
        self.verdicts = verdicts
        return self.settled

    def starts(
        self, job_name: str, *, since: datetime, environment: str | None, limit: int
    ) -> Sequence[datetime]:
        assert environment is None
        self.calls.append(("learn", job_name))
        return [one for one in self.started if one >= since][:limit]

    def note_round(self, record: MonitorRecord, *, gap_after: timedelta) -> Gap | None:
        self.calls.append(("note", record))
        return None

    @property
    def steps(self) -> list[str]:
        return [step for step, _ in self.calls]


class RecordingEvents(Events):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def internal_error(self, stage: str, error: BaseException | str, **fields: Any) -> None:
        self.told.append(f"{stage}: {error}")


def facts_of(job_name: str, *runs: WatchedRun, ping_url: str | None = None) -> JobFacts:
    job = JobRecord(
        job_name=job_name,
        expectation=Expectation(every=timedelta(hours=1), ping_url=ping_url),
        judged_at=NOW - MINUTE,
    )
    return JobFacts(job=job, runs=runs)


def ended(run_id: int, status: str = "SUCCESS", *, ago: timedelta = MINUTE / 2) -> WatchedRun:
    return WatchedRun(
        id=run_id, status=status, started_at=NOW - timedelta(hours=1), finished_at=NOW - ago
    )


def passes(facts: JobFacts, **_: Any) -> Verdict:
    return Verdict(job=facts.job)


def watch_of(store: RecordingStore, judge: Any = passes, events: Events | None = None) -> Watch:
    return Watch(
        store,
        judge,
        events or Events(),
        cooldown=timedelta(minutes=30),
        auto_resolve=True,
        environment="stage",
        kind="once",
    )


def run(watch: Watch, **environ: str) -> watching.Watched:
    def resolve(reference: str) -> str:
        if reference not in environ:
            raise ConfigurationError(f"{reference}: nothing is there")
        return environ[reference]

    return watch.run(resolve, stops=lambda: False)


def test_a_round_begins_reads_judges_and_writes() -> None:
    store = RecordingStore([facts_of("a"), facts_of("b")])
    watched = run(watch_of(store))

    assert store.steps == ["begin", "unwatched is over", "ask", "write"]
    assert store.calls[-1] == ("write", ["a", "b"])
    assert (watched.judged, watched.found) == (2, ())


def test_jobs_that_are_asked_for_again_end_the_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "AT_ONCE", 2)  # as with more open findings than one batch holds
    store = RecordingStore([facts_of("a"), facts_of("b")])

    assert run(watch_of(store)).judged == 2
    assert store.steps.count("ask") == 2


def test_a_job_that_cannot_be_judged_is_told_once_and_the_others_are_judged() -> None:
    def judge(facts: JobFacts, **_: Any) -> Verdict:
        if facts.job.job_name == "a":
            raise ValueError("no such day")
        return Verdict(job=facts.job)

    store, events = RecordingStore([facts_of("a"), facts_of("b")]), RecordingEvents()
    watch = watch_of(store, judge, events)
    run(watch)
    run(watch)

    assert store.calls[-1] == ("write", ["b"])
    assert events.told == ["judge: no such day"]


def test_python_looks_for_no_garbage_while_jobs_are_judged_and_does_again_afterwards() -> None:
    seen = []

    def judge(facts: JobFacts, **_: Any) -> Verdict:
        seen.append(gc.isenabled())
        return passes(facts)

    run(watch_of(RecordingStore([facts_of("a")]), judge))

    assert (seen, gc.isenabled()) == ([False], True)


def test_what_was_written_is_named_with_its_job_and_its_title() -> None:
    def judge(facts: JobFacts, **_: Any) -> Verdict:
        missed = Finding(type=FindingType.MISSED, title="a: due", message="", since=NOW)
        over = Closing(type=FindingType.STUCK, title="a: ended", message="")
        return Verdict(job=facts.job, findings=(missed,), closings=(over,))

    def incident(kind: FindingType) -> IncidentRecord:
        return IncidentRecord(
            id=1, source_type="job", source_id="a@stage", alert_type=kind, opened_at=NOW
        )

    facts = facts_of("a")
    store = RecordingStore(
        [replace(facts, job=replace(facts.job, environment="stage"))],
        [
            Settled(incident(FindingType.MISSED), 7, "MISSED"),
            Settled(incident(FindingType.STUCK), 8, RECOVERED),
        ],
    )
    found = run(watch_of(store, judge)).found

    assert [(one.type, one.is_over, one.title, one.alert_id) for one in found] == [
        ("MISSED", False, "a: due", 7),
        ("STUCK", True, "a: ended", 8),
    ]
    assert {(one.job_name, one.environment) for one in found} == {("a", "stage")}
    assert missed_in(found) == 1


def test_the_file_is_declared_when_it_changes_and_tried_again_where_that_failed() -> None:
    class Away(RecordingStore):
        is_away = True

        def declare_file(self, *args: Any, **kwargs: Any) -> int:
            if self.is_away:
                raise OSError("away")
            return super().declare_file(*args, **kwargs)

    store = Away()
    watch = watch_of(store)
    with pytest.raises(OSError, match="away"):
        watch.declare(NotifyConfig(jobs=JOBS, file=FILE))
    store.is_away = False
    for jobs in (JOBS, JOBS, (), ()):
        watch.declare(NotifyConfig(jobs=jobs, file=FILE))

    said = (replace(JOBS[0], who=str(FILE)),)
    assert store.calls == [("declare", (said, str(FILE))), ("declare", ((), str(FILE)))]


def test_the_note_counts_the_rounds_of_this_process() -> None:
    store = RecordingStore()
    watch = watch_of(store)
    watch.note(seconds=0.1, report={"judged": 2})
    watch.note(seconds=0.2, report={})
    first, second = (record for _, record in store.calls)

    assert (first.rounds, first.kind, first.report) == (1, "once", {"judged": 2})
    assert (second.rounds, second.seconds) == (2, 0.2)
    assert first.who == second.who


def test_each_new_ending_is_told_to_the_address_of_its_job_before_the_verdicts() -> None:
    with HttpReceiver() as receiver:
        store = RecordingStore(
            [
                facts_of(
                    "good",
                    ended(1, "FAILED", ago=MINUTE / 3),
                    ended(2, ago=MINUTE / 4),
                    ended(8, ago=-MINUTE),
                    ping_url="env:GOOD",
                ),
                facts_of("bad", ended(3, "FAILED"), ping_url="env:BAD"),
                facts_of("old", ended(4, ago=MINUTE * 2), ping_url="env:GOOD"),
                facts_of("open", ended(5)._replace(finished_at=None), ping_url="env:GOOD"),
                facts_of("refused", ended(6, "FAILED")._replace(refused=True), ping_url="env:BAD"),
                facts_of("without", ended(7)),
            ]
        )
        run(watch_of(store), **{"env:GOOD": receiver.url("/g"), "env:BAD": receiver.url("/b")})
        told = [(one.path, one.body) for one in receiver.requests]

    assert sorted(told) == [
        ("/b/fail", b"run 3: FAILED"),
        ("/g", b"run 2: SUCCESS"),
        ("/g/fail", b"run 1: FAILED"),
    ]
    assert told.index(("/g/fail", b"run 1: FAILED")) < told.index(("/g", b"run 2: SUCCESS"))


def test_a_ping_that_fails_is_told_and_hinders_nothing() -> None:
    store = RecordingStore(
        [
            facts_of("a", ended(1), ping_url="env:NONE"),
            facts_of("b", ended(2), ping_url="env:REFUSES"),
        ]
    )
    events = RecordingEvents()
    with HttpReceiver() as receiver:
        receiver.behave(500)
        run(watch_of(store, events=events), **{"env:REFUSES": receiver.url("/s3cret")})
        where = receiver.address

    assert store.calls[-1] == ("write", ["a", "b"])
    assert events.told == [
        "ping: env:NONE: nothing is there",
        f"ping: ping_url of b: {where} answered 500 Internal Server Error",
    ]


@pytest.mark.parametrize(
    ("asked", "noted"),
    [(None, 60), (NOW + 90 * MINUTE, 60), (NOW + 5 * MINUTE, 5)],
)
def test_a_job_is_looked_at_again_within_an_hour(asked: datetime | None, noted: int) -> None:
    store = RecordingStore([facts_of("nightly")])

    run(watch_of(store, lambda facts, **_: Verdict(job=facts.job, look_at=asked)))

    assert [one.look_at for one in store.verdicts] == [NOW + noted * MINUTE]


def test_a_job_of_which_nothing_is_expected_is_not_looked_at_again() -> None:
    known = facts_of("nightly")
    store = RecordingStore([replace(known, job=replace(known.job, expectation=Expectation()))])

    run(watch_of(store))

    assert [one.look_at for one in store.verdicts] == [None]


def test_a_schedule_that_cannot_be_read_here_is_told_once() -> None:
    odd = facts_of("odd")
    odd = replace(odd, job=replace(odd.job, expectation=Expectation(cron="@hourly")))
    events = RecordingEvents()
    store = RecordingStore([odd, facts_of("well")])
    watch = watch_of(store, events=events)
    run(watch)
    run(watch)

    [told] = events.told
    assert told.startswith("judge: cron: expected five fields")
    assert ("write", ["odd", "well"]) in store.calls


def test_what_is_to_be_learned_is_read_from_the_starts_once_an_hour() -> None:
    seen: list[Expectation | None] = []

    def judge(facts: JobFacts, **_: Any) -> Verdict:
        seen.append(facts.learned)
        return Verdict(job=facts.job)

    learns, told = facts_of("learns"), facts_of("told")
    learns = replace(learns, job=replace(learns.job, expectation=Expectation(learn=True)))
    hours = [NOW - timedelta(hours=number) for number in range(24 * 40)]
    store = RecordingStore([learns, told], started=hours)
    watch = watch_of(store, judge)
    run(watch)
    run(watch)

    assert store.steps.count("learn") == 1
    assert [one and one.has_schedule for one in seen] == [True, None, True, None]


def test_what_a_job_is_missed_by_is_expected_however_long_it_is_dead() -> None:
    seen: list[Expectation | None] = []

    def judge(facts: JobFacts, **_: Any) -> Verdict:
        seen.append(facts.learned)
        return Verdict(job=facts.job)

    days = [NOW - timedelta(days=90 + number) for number in range(60)]
    dead = facts_of("dead", WatchedRun(id=1, status="SUCCESS", started_at=days[0]))
    dead = replace(dead, job=replace(dead.job, expectation=Expectation(learn=True)))
    found = OpenFinding(
        type=FindingType.MISSED, incident=1, opened_at=days[0], last_alert_at=days[0]
    )
    missed = replace(dead, open={FindingType.MISSED: found})
    run(watch_of(RecordingStore([missed], started=days), judge))
    run(watch_of(RecordingStore([dead], started=days), judge))

    assert [one and one.has_schedule for one in seen] == [True, None]


def test_a_job_whose_starts_prove_nothing_has_learned_nothing() -> None:
    seen: list[Expectation | None] = []

    def judge(facts: JobFacts, **_: Any) -> Verdict:
        seen.append(facts.learned)
        return Verdict(job=facts.job)

    learns = facts_of("learns")
    learns = replace(learns, job=replace(learns.job, expectation=Expectation(learn=True)))
    run(watch_of(RecordingStore([learns], started=[NOW]), judge))

    assert seen == [None]
