"""Conformance: what a monitor reads of jobs, and what it writes of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from runguard._models import ErrorGroup, SpooledRun
from runguard._monitor.expectations import (
    WATCHED_RUNS,
    Closing,
    Expectation,
    Finding,
    FindingType,
    JobDeclaration,
    MonitorRecord,
    Verdict,
)
from runguard._monitor.notices import Standing
from runguard._monitor.records import AlertFilter, Prunable
from runguard._store.declaring import declare_jobs, raise_unwatched
from runguard._store.due import is_delivery_due
from runguard._watch.judge import judge
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.incidents import dispatch
from tests.support.stores import newest_alerts, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runguard._models import NewRun
    from runguard._monitor.expectations import JobFacts
    from runguard._monitor.incidents import Settled
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
COOLDOWN = timedelta(minutes=30)
MISSED, STUCK = FindingType.MISSED, FindingType.STUCK


@dataclass(frozen=True, slots=True)
class World:
    store: OperatorStore
    back_door: BackDoor

    def declare(self, *job_names: str, **more: Any) -> None:
        expected = Expectation(every=HOUR)
        said = [JobDeclaration(job_name=name, expectation=expected, **more) for name in job_names]
        declare_jobs(self.store, said, timeout=TIMEOUT)

    def facts(self, limit: int = 100) -> dict[str, JobFacts]:
        return {one.job.job_name: one for one in self.store.jobs_to_judge(limit=limit)}

    def judge(
        self, *findings: Finding, closings: tuple[Closing, ...] = (), job_name: str = "nightly"
    ) -> Sequence[Settled]:
        """Judge a job until now, and look again in an hour."""
        now = self.store.now()
        [job] = self.store.expected_jobs([job_name], with_retired=True)
        verdict = Verdict(
            job=job, findings=findings, closings=closings, judged_at=now, look_at=now + HOUR
        )
        return self.store.write_verdicts([verdict], cooldown=COOLDOWN)

    def start(self, job_name: str = "nightly") -> NewRun:
        run = new_run(job_name)
        self.store.start_run(run, timeout=TIMEOUT)
        return run

    def run(self, job_name: str = "nightly") -> None:
        self.store.finish_run(success(self.start(job_name)), timeout=TIMEOUT)

    def alerts(self) -> list[dict[str, Any]]:
        return self.back_door.rows("select * from alert order by id")

    def let_cooldown_pass(self) -> None:
        self.back_door.age("alert_cooldown.last_alert_at", COOLDOWN.total_seconds() + 1)


@pytest.fixture(params=["postgresql", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """A pooler in between makes a difference to transactions only: see the race below."""
    return str(request.param)


@pytest.fixture
def world(store: OperatorStore, back_door: BackDoor) -> World:
    return World(store, back_door)


@pytest.fixture
def nightly(world: World) -> World:
    """A job that was declared two hours ago, and judged a minute ago."""
    world.declare("nightly", owner="ops", runbook="https://wiki/1")
    world.judge()
    world.back_door.age("job.declared_at", 7200)
    world.back_door.age("job.judged_at", 60)
    return world


def missed(world: World, mark: str = "02:00", kind: FindingType = MISSED) -> Finding:
    return Finding(
        type=kind,
        title="nightly: due 02:00, not started",
        message="no start since",
        since=world.store.now() - HOUR,
        detail={"due": "02:00", "missed": 1},
        mark=mark,
    )


def over(kind: FindingType = MISSED, run_id: int | None = 7) -> Closing:
    return Closing(
        type=kind, title="nightly ran 25 min late", message="", detail={"late": 1}, run_id=run_id
    )


def test_a_job_is_judged_when_it_is_declared_and_then_when_its_time_has_come(world: World) -> None:
    world.declare("nightly", "hourly")
    assert set(world.facts()) == {"hourly", "nightly"}

    world.judge()
    assert set(world.facts()) == {"hourly"}

    world.back_door.age("job.look_at", 3601)
    assert set(world.facts()) == {"hourly", "nightly"}
    assert list(world.facts(limit=1)) == ["hourly"]  # the other was judged since


def test_a_job_of_which_nothing_is_due_is_judged_once_until_it_runs(world: World) -> None:
    declare_jobs(world.store, [JobDeclaration(job_name="nightly", owner="ops")], timeout=TIMEOUT)
    [facts] = world.facts().values()
    verdict = Verdict(job=facts.job, judged_at=world.store.now(), look_at=None)
    world.store.write_verdicts([verdict], cooldown=COOLDOWN)
    assert world.facts() == {}

    world.run()

    assert set(world.facts()) == {"nightly"}


def test_a_run_that_begins_and_one_that_ends_have_their_job_judged(nightly: World) -> None:
    assert nightly.facts() == {}
    run = nightly.start()
    [facts] = nightly.facts().values()
    assert [(one.status, one.finished_at) for one in facts.runs] == [("RUNNING", None)]

    nightly.judge()
    assert nightly.facts() == {}
    nightly.store.finish_run(success(run), timeout=TIMEOUT)

    [facts] = nightly.facts().values()
    assert [one.status for one in facts.runs] == ["SUCCESS"]


def test_a_job_whose_finding_is_open_is_judged_until_it_is_over(nightly: World) -> None:
    nightly.judge(missed(nightly))
    [facts] = nightly.facts().values()
    assert set(facts.open) == {MISSED}

    nightly.judge(closings=(over(),))

    assert nightly.facts() == {}


def test_a_retired_job_is_not_judged_and_its_findings_are_closed(nightly: World) -> None:
    nightly.judge(missed(nightly))
    nightly.store.retire("nightly")
    nightly.start()
    assert set(nightly.facts()) == {"nightly"}

    [closed] = nightly.judge(missed(nightly))

    assert (closed.alert_type, closed.incident.alert_type) == ("RECOVERED", "MISSED")
    assert nightly.alerts()[-1]["title"] == "nightly is not watched any more"
    assert nightly.facts() == {}


def test_runs_of_another_environment_are_not_the_job_s(nightly: World) -> None:
    nightly.declare("nightly", environment="staging")
    staging = next(
        one for one in nightly.store.jobs_to_judge(limit=9) if one.job.environment == "staging"
    )
    assert staging.runs == ()
    later = nightly.store.now() + HOUR
    verdict = Verdict(job=staging.job, judged_at=nightly.store.now(), look_at=later)
    nightly.store.write_verdicts([verdict], cooldown=COOLDOWN)
    nightly.run()
    nightly.back_door.rows("update run_log set environment = 'staging'")

    [facts] = nightly.store.jobs_to_judge(limit=9)

    assert (facts.job.environment, len(facts.runs)) == ("staging", 1)


def test_what_runs_seldom_is_found_behind_what_runs_often_elsewhere(nightly: World) -> None:
    nightly.declare("nightly", environment="staging")
    nightly.run()
    nightly.back_door.rows("update run_log set environment = 'staging'")
    nightly.back_door.age("run_log.started_at", 3600)
    nightly.back_door.rows(
        "insert into run_log (job_name, status, environment, started_at)"
        " with recursive run(number) as"
        " (select 1 union all select number + 1 from run where number < 250)"
        " select 'nightly', 'SUCCESS', 'production', current_timestamp from run"
    )

    facts = {one.job.environment: one for one in nightly.store.jobs_to_judge(limit=9)}

    assert len(facts["staging"].runs) == 1


def test_a_finding_that_is_open_is_followed_once_a_round(nightly: World) -> None:
    nightly.judge(missed(nightly))
    [job] = nightly.store.expected_jobs()
    assert job.judged_at is not None

    assert nightly.store.jobs_to_judge(limit=9, now=job.judged_at) == ()
    assert len(nightly.store.jobs_to_judge(limit=9, now=job.judged_at + MINUTE)) == 1


def test_a_finding_of_a_retired_job_is_followed_though_it_was_judged_in_the_future(
    nightly: World,
) -> None:
    nightly.judge(missed(nightly))
    nightly.back_door.age("job.judged_at", -7200)
    nightly.store.retire("nightly")

    assert set(nightly.facts()) == {"nightly"}


def test_the_newest_runs_come_and_all_since_the_job_was_judged(nightly: World) -> None:
    insert = "insert into run_log (job_name, status, started_at) values ('nightly', '{}', '{}')"
    judged_at = nightly.store.expected_jobs()[0].judged_at
    assert judged_at is not None
    before = [judged_at - HOUR * n for n in range(1, WATCHED_RUNS + 10)]
    since = [judged_at + timedelta(milliseconds=n) for n in range(1, WATCHED_RUNS + 6)]
    for moment in before[::-1]:
        nightly.back_door.rows(insert.format("SUCCESS", f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3]))
    [few] = nightly.facts().values() if nightly.facts() else [None]
    assert few is None
    nightly.back_door.age("job.look_at", 7200)
    [few] = nightly.facts().values()
    for moment in since:
        nightly.back_door.rows(insert.format("FAILED", f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3]))

    [facts] = nightly.facts().values()

    assert few is not None
    assert len(few.runs) == WATCHED_RUNS
    assert [one.started_at for one in few.runs] == sorted(
        (one.started_at for one in few.runs), reverse=True
    )
    assert len(facts.runs) == len(since)
    assert {one.status for one in facts.runs} == {"FAILED"}


def test_a_run_that_goes_on_comes_however_many_starts_were_refused_since(nightly: World) -> None:
    stuck = nightly.start()
    nightly.back_door.age("run_log.started_at", 3600)
    insert = (
        "insert into run_log (job_name, status, started_at, refused)"
        " select 'nightly', 'FAILED', judged_at, true from job"
    )
    nightly.back_door.age("job.judged_at", 600)
    for _ in range(WATCHED_RUNS + 1):
        nightly.back_door.rows(insert)
    nightly.back_door.age("job.judged_at", -300)
    nightly.back_door.age("job.look_at", 7200)
    [facts] = nightly.facts().values()

    assert len(facts.runs) == WATCHED_RUNS + 1
    assert [one.status for one in facts.runs if not one.refused] == ["RUNNING"]
    assert stuck.job_name == "nightly"


def test_runs_are_read_as_they_are(nightly: World) -> None:
    store = nightly.store
    then = store.now() - HOUR
    refused, late = new_run("nightly"), new_run("nightly")
    store.record_refused_run(refused, failure(refused), timeout=TIMEOUT)
    nightly.back_door.rows("update run_log set refused = true")
    store.replay_run(SpooledRun(late, then, then + MINUTE, success(late)), timeout=TIMEOUT)
    nightly.back_door.rows("update run_log set total_records = 7 where clock is not null")

    [facts] = nightly.facts().values()

    [newest, replayed] = facts.runs
    assert (newest.refused, newest.came_late, newest.status) == (True, False, "FAILED")
    assert (replayed.refused, replayed.came_late, replayed.total_records) == (False, True, 7)
    assert (replayed.trigger_type, replayed.host) == ("SCHEDULER", "host-1")
    assert replayed.finished_at is not None
    assert replayed.finished_at - replayed.started_at == MINUTE
    assert abs(replayed.started_at - then) < timedelta(seconds=1)


def test_a_finding_raises_one_alert_that_opens_its_incident(nightly: World) -> None:
    [told] = nightly.judge(missed(nightly))
    assert nightly.judge(missed(nightly)) == []

    [alert] = newest_alerts(nightly.store)
    assert (told.alert_id, told.alert_type, told.incident.id) == (alert.id, "MISSED", alert.id)
    assert (alert.source_type, alert.source_id, alert.alert_type) == ("job", "nightly", "MISSED")
    assert (alert.severity, alert.resolved, alert.dispatch) == ("high", False, "pending")
    assert alert.title == "nightly: due 02:00, not started"
    detail = dict(alert.detail or {})
    assert datetime.fromisoformat(detail.pop("since")) < nightly.store.now() - MINUTE
    assert detail == {
        **{"due": "02:00", "missed": 1, "mark": "02:00", "job_name": "nightly"},
        **{"owner": "ops", "runbook": "https://wiki/1"},
    }
    findings = nightly.store.open_findings(["nigh*"])
    assert findings[("nightly", None)][MISSED].incident == alert.id
    assert findings[("nightly", None)][MISSED].detail["mark"] == "02:00"
    assert nightly.store.open_findings(["other"]) == {}


def test_a_finding_goes_on_when_it_says_something_new_and_the_cooldown_is_over(
    nightly: World,
) -> None:
    [first] = nightly.judge(missed(nightly))
    assert nightly.judge(missed(nightly, "03:00")) == []
    nightly.let_cooldown_pass()
    assert nightly.judge(missed(nightly, "02:00")) == []

    [further] = nightly.judge(missed(nightly, "03:00"))

    assert (further.incident.id, further.alert_type) == (first.alert_id, "MISSED")
    assert [row["incident"] for row in nightly.alerts()] == [None, first.alert_id]
    [facts] = nightly.facts().values()
    assert (facts.open[MISSED].incident, facts.open[MISSED].detail["mark"]) == (
        first.alert_id,
        "03:00",
    )
    assert nightly.judge(missed(nightly, "04:00")) == []


@pytest.mark.parametrize("auto_resolve", [True, False])
def test_what_is_over_is_told_once_and_resolved(nightly: World, auto_resolve: bool) -> None:
    [first] = nightly.judge(missed(nightly))
    nightly.let_cooldown_pass()
    nightly.judge(missed(nightly, "03:00"))
    [job] = nightly.store.expected_jobs()
    verdict = Verdict(job=job, closings=(over(), over(STUCK)))

    settled = [
        told
        for _ in range(2)
        for told in nightly.store.write_verdicts(
            [verdict], cooldown=COOLDOWN, auto_resolve=auto_resolve
        )
    ]

    [told] = settled
    assert (told.alert_type, told.incident.id) == ("RECOVERED", first.alert_id)
    assert told.incident.closed_at is not None
    [recovered, *others] = newest_alerts(nightly.store)
    assert (recovered.id, recovered.source_type, recovered.severity) == (
        told.alert_id,
        "job",
        "low",
    )
    assert (recovered.incident, recovered.resolved_by) == (first.alert_id, "runguard")
    detail = dict(recovered.detail or {})
    assert (detail["finding"], detail["incident"], detail["recovered_by_run"]) == (
        "MISSED",
        first.alert_id,
        7,
    )
    assert (detail["late"], detail["owner"], "run_id" in detail) == (1, "ops", False)
    assert 3590 < detail["down_seconds"] < 3700
    assert [one.resolved for one in others] == [auto_resolve] * 2
    assert nightly.store.open_findings() == {}


def test_what_comes_back_is_another_incident_when_the_cooldown_is_over(nightly: World) -> None:
    [first] = nightly.judge(missed(nightly))
    nightly.judge(closings=(over(),))
    assert nightly.judge(missed(nightly, "03:00")) == []
    nightly.let_cooldown_pass()

    [again] = nightly.judge(missed(nightly, "03:00"))

    assert again.incident.id == again.alert_id != first.alert_id
    guard = nightly.back_door.row("select * from alert_cooldown")
    assert (guard["open_alert_id"], guard["closed_alert_id"]) == (again.alert_id, None)


def test_an_alert_of_the_future_covers_nothing(nightly: World) -> None:
    nightly.judge(missed(nightly))
    nightly.judge(closings=(over(),))
    nightly.back_door.age("alert_cooldown.last_alert_at", -7200)

    assert len(nightly.judge(missed(nightly))) == 1


def test_findings_of_many_jobs_and_kinds_are_written_at_once(world: World) -> None:
    names = [f"job-{n:03}" for n in range(30)]
    world.declare(*names)
    both = (missed(world), missed(world, kind=STUCK))
    verdicts = [Verdict(job=one.job, findings=both) for one in world.facts().values()]

    settled = world.store.write_verdicts(verdicts, cooldown=COOLDOWN)

    assert {(one.incident.source_id, one.alert_type) for one in settled} == {
        (name, kind) for name in names for kind in ("MISSED", "STUCK")
    }
    assert len(world.alerts()) == 60
    closings = (over(), over(STUCK, None))
    verdicts = [Verdict(job=one.job, closings=closings) for one in world.facts().values()]
    closed = world.store.write_verdicts(verdicts, cooldown=COOLDOWN)
    assert len({one.alert_id for one in closed}) == 60
    assert {one.incident.id: one.incident.alert_type for one in closed} == {
        one.alert_id: one.alert_type for one in settled
    }


def test_how_far_a_job_was_judged_is_noted_unless_it_was_declared_anew(nightly: World) -> None:
    [job] = nightly.store.expected_jobs()
    now = nightly.store.now()
    judged = {"judged_at": now, "look_at": now, "next_due_at": now + HOUR, "grace_seconds": 600.0}
    nightly.store.write_verdicts([Verdict(job=job, **judged)], cooldown=COOLDOWN)
    [written] = nightly.store.expected_jobs()
    assert {name: getattr(written, name) for name in judged} == judged

    said = JobDeclaration(job_name="nightly", expectation=Expectation(every=HOUR / 2))
    declare_jobs(nightly.store, [said], timeout=TIMEOUT)
    nightly.store.write_verdicts([Verdict(job=written, **judged)], cooldown=COOLDOWN)

    [anew] = nightly.store.expected_jobs()
    assert (anew.judged_at, anew.next_due_at) == (None, None)


def test_no_verdict_is_nothing_to_write(nightly: World) -> None:
    assert nightly.store.write_verdicts([], cooldown=COOLDOWN) == ()


def test_findings_stand_in_their_incident_when_they_are_dispatched(nightly: World) -> None:
    [first] = nightly.judge(missed(nightly))
    nightly.let_cooldown_pass()
    nightly.judge(missed(nightly, "03:00"))
    nightly.judge(closings=(over(),))

    advanced = dispatch(nightly.store)

    assert [(one.standing, one.incident) for one in advanced] == [
        (Standing.FIRST, first.alert_id),
        (Standing.OPEN, first.alert_id),
        (Standing.OPEN, first.alert_id),
    ]
    nightly.let_cooldown_pass()
    [again] = nightly.judge(missed(nightly, "04:00"))
    [anew] = dispatch(nightly.store)
    assert (anew.standing, anew.incident) == (Standing.FIRST, again.alert_id)
    assert nightly.store.settle_incidents() == []


def test_a_finding_is_acknowledged_until_it_is_over(nightly: World) -> None:
    [told] = nightly.judge(missed(nightly))
    until = nightly.store.now() + HOUR

    acked = nightly.store.acknowledge(told.alert_id, until=until, by="ana", reason="on it")

    assert acked is not None
    assert (acked.id, acked.acked_by, acked.alert_type) == (told.alert_id, "ana", "MISSED")
    nightly.let_cooldown_pass()
    nightly.judge(missed(nightly, "03:00"))
    assert dispatch(nightly.store)[-1].acked_by == "ana"
    nightly.judge(closings=(over(),))
    incident = nightly.store.incident_of(told.alert_id)
    assert incident is not None
    assert (incident.acked_by, incident.closed_at is not None) == (None, True)


def test_a_silence_until_it_has_recovered_ends_with_it(nightly: World) -> None:
    ends_at = nightly.store.now() + HOUR
    about = {"reason": "deploy", "created_by": "ana", "ends_at": ends_at, "until_recovered": True}
    for alert_type in ("MISSED", "STUCK"):
        nightly.store.add_silence(job="night*", alert_type=alert_type, **about)
    nightly.judge(missed(nightly))

    nightly.judge(closings=(over(),))

    assert [one.alert_type for one in nightly.store.silences(active_at=ends_at - MINUTE)] == [
        "STUCK"
    ]


def test_the_end_of_a_silence_over_an_open_finding_is_told_once(nightly: World) -> None:
    about = {"reason": "deploy", "created_by": "ana", "ends_at": nightly.store.now() + HOUR}
    silence = nightly.store.add_silence(job="night*", **about)
    [told] = nightly.judge(missed(nightly))
    nightly.back_door.rows("update silence set matched = 1")
    assert nightly.store.settle_incidents() == []
    nightly.store.end_silence(silence.id, by="ana")
    assert nightly.store.settle_incidents(["nightly"]) == []

    [ended] = nightly.store.settle_incidents()

    assert nightly.store.settle_incidents() == []
    assert (ended.alert_type, ended.incident.id) == ("SILENCE_ENDED", told.alert_id)
    [alert, *_] = newest_alerts(nightly.store)
    assert (alert.severity, alert.incident) == ("high", told.alert_id)
    detail = alert.detail or {}
    assert (detail["finding"], detail["job_name"], detail["silence"]) == (
        "MISSED",
        "nightly",
        silence.id,
    )
    assert dispatch(nightly.store)[-1].incident == told.alert_id


def test_the_environment_stands_in_the_alert(world: World) -> None:
    world.declare("nightly", environment="staging")
    [told] = world.judge(missed(world))

    assert told.incident.source_id == "nightly@staging"
    [alert] = world.alerts()
    assert alert["environment"] == "staging"
    assert list(world.store.open_findings()) == [("nightly", "staging")]


def test_open_findings_count_among_the_open_alerts_of_their_job(world: World) -> None:
    world.declare("nightly", "other")
    for name in ("nightly", "other"):
        world.run(name)
        world.judge(missed(world), missed(world, kind=FindingType.SLOW), job_name=name)
    world.judge(closings=(over(FindingType.SLOW),))

    [nightly, other] = world.store.overview(strip=3)
    [alone] = world.store.overview(strip=3, job_name="nightly")

    assert (nightly.open_alerts, other.open_alerts) == (1, 2)
    assert alone.open_alerts == 1
    assert alone.severity == "high"


def test_what_was_found_of_a_job_is_among_its_alerts(world: World) -> None:
    world.declare("nightly", "other.T")
    world.declare("nightly", environment="staging")
    for facts in world.store.jobs_to_judge(limit=9):
        verdict = Verdict(job=facts.job, findings=(missed(world),))
        world.store.write_verdicts([verdict], cooldown=COOLDOWN)
    run = world.start("nightly")
    world.store.finish_run(failure(run, group=ErrorGroup.TIMEOUT), timeout=TIMEOUT)

    def found(**asked: Any) -> list[str]:
        return sorted(one.source_id for one in newest_alerts(world.store, **asked))

    assert found(job_name="nightly") == ["nightly", "nightly:TIMEOUT", "nightly@staging"]
    assert found(jobs=("night*",)) == ["nightly", "nightly:TIMEOUT", "nightly@staging"]
    assert found(jobs=("*T",)) == ["other.T"]
    assert found(job_name="nightly", environment="staging") == ["nightly@staging"]
    assert found(job_name="nightly", alert_type="MISSED") == ["nightly", "nightly@staging"]
    assert found(job_name="nightly", error_group="TIMEOUT") == ["nightly:TIMEOUT"]
    assert found(jobs=("*",), error_group="TIMEOUT") == ["nightly:TIMEOUT"]


def test_each_finding_of_a_job_is_a_problem_of_its_own(world: World) -> None:
    world.declare("nightly", "other")
    for name in ("nightly", "other"):
        world.judge(missed(world), job_name=name)
    world.run("nightly")

    problems = world.store.problem_page(AlertFilter(), limit=9).found

    assert {(one.source_id, one.alert_type, one.alerts, one.state.value) for one in problems} == {
        ("nightly", "MISSED", 1, "still broken"),
        ("other", "MISSED", 1, "still broken"),
    }
    world.store.resolve_matching(AlertFilter(cause=problems[0].cause), by="ana")
    assert [row["resolved"] for row in world.alerts()].count(True) == 1


def test_a_finding_that_is_open_is_never_pruned_and_one_that_is_over_is(nightly: World) -> None:
    nightly.judge(missed(nightly), missed(nightly, kind=STUCK))
    nightly.judge(closings=(over(STUCK),))
    nightly.back_door.age_alerts(91 * 24 * 3600)

    for what in (Prunable.ALERTS, Prunable.GUARDS):
        nightly.store.prune_batch(
            what, older_than=timedelta(days=90), include_foreign=False, limit=99, after=None
        )

    assert [row["alert_type"] for row in nightly.alerts()] == ["MISSED"]
    [guard] = nightly.back_door.rows("select alert_type from alert_cooldown")
    assert guard == {"alert_type": "MISSED"}


def monitor_of(world: World, who: str = "host:1", **more: Any) -> MonitorRecord:
    now = world.store.now()
    return MonitorRecord(
        **{"who": who, "kind": "monitor", "started_at": now, "last_round_at": now, **more}
    )


def test_rounds_are_noted_by_the_clock_of_the_database(world: World) -> None:
    assert world.store.last_round_at() is None
    first = monitor_of(world, seconds=0.5, version="1", report={"judged": 3})
    world.store.note_round(replace(first, last_round_at=first.started_at - HOUR), gap_after=HOUR)
    world.store.note_round(replace(first, rounds=2), gap_after=HOUR)
    world.store.note_round(monitor_of(world, "host:2", kind="web"), gap_after=HOUR)

    [newest, older] = world.store.monitors()

    assert (newest.who, newest.kind) == ("host:2", "web")
    assert (older.rounds, older.seconds, older.version) == (2, 0.5, "1")
    assert older.report == {"judged": 3}
    assert older.last_round_at - first.started_at < MINUTE
    assert world.store.last_round_at() == newest.last_round_at


def test_a_gap_is_noted_once_by_whoever_looks_again(world: World) -> None:
    world.store.note_round(monitor_of(world), gap_after=5 * MINUTE)
    assert world.store.begin_round(5 * MINUTE)[1] == ()
    world.back_door.age("monitor.last_round_at", 600)
    last = world.store.last_round_at()

    now, [gap] = world.store.begin_round(5 * MINUTE)

    assert (gap.began_at, gap.ended_at) == (last, now)
    assert world.store.begin_round(5 * MINUTE)[1] == (gap,)
    assert world.store.note_round(monitor_of(world, "host:2"), gap_after=5 * MINUTE) is None
    assert world.store.begin_round(5 * MINUTE)[1] == (gap,)


def test_before_the_first_round_nobody_has_looked_since_something_is_expected(
    world: World,
) -> None:
    world.declare("nightly")
    assert world.store.begin_round(5 * MINUTE)[1] == ()
    world.back_door.age("job.declared_at", 600)
    [job] = world.store.expected_jobs()

    _, [gap] = world.store.begin_round(5 * MINUTE)

    assert gap.began_at == job.declared_at


def test_old_rounds_and_gaps_are_forgotten(world: World) -> None:
    for who, kind in (("host:1", "monitor"), ("host:2", "once"), ("host:3", "monitor")):
        world.store.note_round(monitor_of(world, who, kind=kind, rounds=2), gap_after=HOUR)
    world.back_door.age("monitor.last_round_at", 7200)
    world.store.begin_round(HOUR)
    world.back_door.rows("update monitor_gap set began_at = '2001-01-01', ended_at = '2001-01-01'")
    world.back_door.rows("update monitor set last_round_at = '2001-01-01' where who = 'host:1'")

    world.store.note_round(monitor_of(world, "host:4"), gap_after=HOUR * 9999)

    assert {one.who for one in world.store.monitors()} == {"host:3", "host:4"}
    assert world.back_door.rows("select 1 from monitor_gap") == []


@pytest.fixture
def alone(world: World) -> World:
    """A job that is expected for half an hour, and no monitor."""
    world.declare("nightly", "hourly")
    world.back_door.age("job.declared_at", 1800)
    return world


def is_raised(world: World) -> bool:
    return raise_unwatched(world.store, after=15 * MINUTE, cooldown=COOLDOWN, timeout=TIMEOUT)


def test_it_is_told_once_that_nobody_looks_and_that_somebody_does_again(alone: World) -> None:
    assert [is_raised(alone), is_raised(alone)] == [True, False]
    [alert] = alone.alerts()
    assert (alert["source_type"], alert["source_id"]) == ("job", "runguard")
    assert (alert["alert_type"], alert["severity"]) == ("UNWATCHED", "high")
    assert "2 expected jobs" in alert["title"]
    assert alone.store.open_findings() == {}
    assert [one.standing for one in dispatch(alone.store)] == [Standing.FIRST]

    assert [alone.store.close_unwatched(), alone.store.close_unwatched()] == [True, False]

    [_, recovered] = alone.alerts()
    assert (recovered["alert_type"], recovered["incident"]) == ("RECOVERED", alert["id"])
    assert not is_raised(alone)  # the cooldown goes on
    alone.let_cooldown_pass()
    assert is_raised(alone)
    assert [one.standing for one in dispatch(alone.store)] == [Standing.OPEN, Standing.FIRST]


def test_who_looked_last_is_named_where_nobody_looks(alone: World) -> None:
    alone.store.note_round(monitor_of(alone), gap_after=HOUR)
    alone.back_door.age("monitor.last_round_at", 1000)
    last = alone.store.last_round_at()
    assert last is not None

    assert is_raised(alone)

    [alert] = newest_alerts(alone.store)
    assert datetime.fromisoformat((alert.detail or {})["last_round_at"]) == last
    assert f"since {last:%Y-%m-%d %H:%M}" in alert.title


@pytest.mark.parametrize(
    "instead",
    [
        "update job set retired_at = declared_at",
        "update job set expectation = null",
        "update job set declared_at = updated_at",
        "insert into monitor (who, kind) values ('host:1', 'web')",
    ],
)
def test_nothing_is_raised_where_nothing_is_expected_or_somebody_looks(
    alone: World, instead: str
) -> None:
    alone.back_door.rows(instead)

    assert not is_raised(alone)
    assert alone.alerts() == []


def statements_of(world: World, work: Callable[[], object]) -> list[str]:
    sent: list[str] = []

    def note(_c: Any, _u: Any, statement: str, *_: Any) -> None:
        sent.append(statement)

    event.listen(world.store.engine, "before_cursor_execute", note)
    work()
    event.remove(world.store.engine, "before_cursor_execute", note)
    return [one for one in sent if not one.startswith(("BEGIN", "SET LOCAL", "COMMIT"))]


def test_jobs_are_read_and_judged_in_few_statements_however_many_they_are(world: World) -> None:
    world.declare(*(f"job-{n}" for n in range(40)))
    facts: list[JobFacts] = []

    def read() -> None:
        facts[:] = world.store.jobs_to_judge(limit=100)

    def write(*findings: Finding, closings: tuple[Closing, ...] = ()) -> list[str]:
        verdicts = [Verdict(job=one.job, findings=findings, closings=closings) for one in facts]
        return statements_of(world, lambda: world.store.write_verdicts(verdicts, cooldown=COOLDOWN))

    assert len(statements_of(world, read)) <= 3
    assert len(facts) == 40
    assert len(write()) == 2
    assert len(write(missed(world))) <= 7
    assert len(write(missed(world))) == 3
    assert len(write(closings=(over(),))) <= 10


@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
def test_no_statement_of_watching_reads_all_runs_alerts_or_guards(world: World) -> None:
    world.declare(*(f"job-{n}" for n in range(100)))
    world.back_door.rows(
        "insert into run_log (job_name, status, started_at, finished_at) select 'job-' || i % 100,"
        " 'SUCCESS', now() - i * interval '1 minute', now() - i * interval '1 minute'"
        " from generate_series(1, 20000) i"
    )
    world.back_door.rows(
        "insert into alert (source_type, source_id, alert_type, severity, title, dispatch)"
        " select 'job', 'r' || i, 'MISSED', 'low', 'x', 'routed' from generate_series(1, 20000) i"
    )
    world.back_door.rows(
        "insert into alert_cooldown (source_type, source_id, alert_type, last_alert_at)"
        " select 'job', 'r' || i, 'MISSED', now() from generate_series(1, 20000) i"
    )
    with world.back_door.engine.connect().execution_options(
        isolation_level="AUTOCOMMIT"
    ) as connection:
        for table in ("job", "run_log", "alert", "alert_cooldown"):
            connection.exec_driver_sql(f"vacuum analyze {table}")
    plans: dict[str, str] = {}

    def look(_c: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.split(maxsplit=1)[0] in ("SELECT", "UPDATE", "INSERT"):
            cursor.execute(f"explain {statement}", parameters)
            plans[statement] = "\n".join(row[0] for row in cursor.fetchall())

    event.listen(world.store.engine, "before_cursor_execute", look)
    for closings in ((), (over(),)):
        verdicts = [
            Verdict(job=one.job, findings=() if closings else (missed(world),), closings=closings)
            for one in world.facts(limit=20).values()
        ]
        assert world.store.write_verdicts(verdicts, cooldown=COOLDOWN)
    world.store.begin_round(5 * MINUTE)
    world.store.close_unwatched()
    event.remove(world.store.engine, "before_cursor_execute", look)

    whole = ("Seq Scan on run_log", "Seq Scan on alert ", "Seq Scan on alert_cooldown")
    assert {
        statement: plan
        for statement, plan in plans.items()
        if any(one in plan + " " for one in whole)
    } == {}
    assert any("runguard_run_log_job_started_at" in plan for plan in plans.values())


@pytest.mark.parametrize("store_kind", ["pgbouncer", "postgresql", "sqlite"], indirect=True)
def test_two_monitors_at_once_open_and_close_each_finding_once(
    world: World, store_url: str
) -> None:
    names = [f"job-{n:02}" for n in range(20)]
    world.declare(*names)
    stores = [open_store(store_url) for _ in range(2)]
    jobs = world.store.expected_jobs()
    told: list[Settled] = []

    def at_once(verdicts: Sequence[Verdict]) -> list[Settled]:
        told.clear()
        barrier = Barrier(2)

        def write(store: OperatorStore, its: Sequence[Verdict]) -> None:
            barrier.wait()
            told.extend(store.write_verdicts(its, cooldown=COOLDOWN))

        threads = [
            Thread(target=write, args=(store, its))
            for store, its in zip(stores, (verdicts, verdicts[::-1]), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return list(told)

    try:
        opened = at_once([Verdict(job=one, findings=(missed(world),)) for one in jobs])
        closed = at_once([Verdict(job=one, closings=(over(),)) for one in jobs])
    finally:
        for store in stores:
            store.close()

    assert sorted(one.incident.source_id for one in opened) == names
    assert sorted(one.incident.source_id for one in closed) == names
    assert len(world.alerts()) == 40


def test_what_a_wrong_clock_has_noted_in_the_future_hinders_nothing(nightly: World) -> None:
    ten_years = 315_360_000
    for column in ("job.judged_at", "job.look_at"):
        nightly.back_door.age(column, -ten_years)
    record = MonitorRecord(
        who="a:1",
        kind="monitor",
        started_at=nightly.store.now(),
        last_round_at=nightly.store.now(),
    )
    nightly.store.note_round(record, gap_after=MINUTE)
    nightly.back_door.age("monitor.last_round_at", -ten_years)
    nightly.back_door.age("monitor_gap.ended_at", -ten_years)

    assert set(nightly.facts()) == {"nightly"}
    assert nightly.store.last_round_at() is None
    assert is_delivery_due(nightly.store, ["nightly"], timeout=TIMEOUT)
    assert raise_unwatched(nightly.store, after=15 * MINUTE, cooldown=COOLDOWN, timeout=TIMEOUT)
    _, gaps = nightly.store.begin_round(5 * MINUTE)
    assert [one for one in gaps if one.ended_at > nightly.store.now()] == []


def test_a_job_named_like_another_in_an_environment_has_findings_of_its_own(world: World) -> None:
    world.declare("nightly", environment="staging")
    world.declare("nightly@staging")

    world.judge(missed(world), job_name="nightly@staging")

    named, there = (
        {one.job.job_name: one for one in world.store.jobs_to_judge(limit=9)}[name]
        for name in ("nightly@staging", "nightly")
    )
    assert (set(named.open), set(there.open)) == ({MISSED}, set())
    assert set(world.store.open_findings()) == {("nightly@staging", None)}
    world.back_door.rows("delete from alert")
    assert set(world.store.open_findings()) == {("nightly@staging", None)}


def test_what_was_found_of_a_job_whose_row_was_deleted_is_over(world: World) -> None:
    world.declare("nightly", "other")
    world.judge(missed(world))
    world.judge(missed(world), job_name="other")
    world.declare("nightly", environment="staging")
    assert world.store.settle_incidents() == []
    world.back_door.rows("delete from job where job_name = 'nightly' and environment = ''")

    [settled] = world.store.settle_incidents()

    assert (settled.alert_type, settled.incident.source_id) == ("RECOVERED", "nightly")
    assert set(world.store.open_findings()) == {("other", None)}
    assert world.store.settle_incidents() == []


def test_a_verdict_on_what_another_monitor_has_judged_since_is_left_out(nightly: World) -> None:
    nightly.judge(missed(nightly))
    nightly.let_cooldown_pass()
    [known] = nightly.facts().values()
    before = Verdict(job=known.job, findings=(missed(nightly),), judged_at=nightly.store.now())
    nightly.judge(closings=(over(),))

    assert nightly.store.write_verdicts([before], cooldown=COOLDOWN) == []

    assert nightly.store.open_findings() == {}


@pytest.mark.parametrize("store_kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "odd",
    [
        *("run_log set host = x'ff'", "run_log set status = x'ff'"),
        *("run_log set started_at = x'ff'", "run_log set total_records = 'many'"),
        *("job set judged_at = 'soon'", "job set look_at = ''", "job set look_at = x'ff'"),
        *("job set declared_at = 5", "job set grace_seconds = 9e999"),
        "job set grace_seconds = 'x'",
    ],
)
def test_an_odd_row_in_a_file_hides_no_other_job(world: World, odd: str) -> None:
    expected = Expectation(every=HOUR, min_records=0)
    for name in ("odd", "well"):
        declared = JobDeclaration(job_name=name, expectation=expected)
        declare_jobs(world.store, [declared], timeout=TIMEOUT)
    world.run("odd")
    world.back_door.rows(f"update {odd} where job_name = 'odd'")

    facts = world.facts()

    assert set(facts) == {"odd", "well"}
    verdicts = [judge(one, now=world.store.now()) for one in facts.values()]
    assert world.store.write_verdicts(verdicts, cooldown=COOLDOWN) == []
    assert all(one.judged_at is not None for one in world.store.expected_jobs())


@pytest.mark.parametrize("store_kind", ["postgresql"], indirect=True)
@pytest.mark.parametrize("column", ["look_at", "judged_at", "declared_at", "next_due_at"])
def test_a_time_without_end_hides_no_other_job(world: World, column: str) -> None:
    world.declare("odd", "well")
    world.back_door.rows(f"update job set {column} = 'infinity' where job_name = 'odd'")

    facts = world.facts()

    assert set(facts) == {"odd", "well"}
    verdicts = [judge(one, now=world.store.now()) for one in facts.values()]
    world.store.write_verdicts(verdicts, cooldown=COOLDOWN)
    assert all(one.judged_at is not None for one in world.store.expected_jobs())
