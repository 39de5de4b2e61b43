"""Incidents: opened, closed, reopened. Tests move rows, not clocks."""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from runguard._models import ErrorGroup, SpooledRun
from runguard._monitor.delivering import ClaimedDelivery
from runguard._monitor.notices import DeliveryRecord, DeliveryState, NoticeKind, Standing
from runguard._notify.subject import subject_of
from runguard._notify.texts import Times
from tests.store.drafts import TIMEOUT, failure, new_run, success
from tests.support.incidents import dispatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runguard._models import NewRun
    from runguard._store.operator import OperatorStore
    from tests.store.conftest import BackDoor

HOUR, DAY = 3600, 86400
TIMES = (
    *("run_log.started_at", "run_log.finished_at", "run_log.lost_at", "run_log.heartbeat_at"),
    *("alert.created_at", "alert_cooldown.last_alert_at", "alert_cooldown.opened_at"),
    *("alert_cooldown.closed_at", "silence.starts_at", "silence.ends_at", "silence.ended_at"),
)


@pytest.fixture(params=["postgresql", "sqlite"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class World:
    """A job's runs, one after another, and the time that passes between them."""

    def __init__(self, store: OperatorStore, back_door: BackDoor) -> None:
        self.store, self.back_door = store, back_door

    def wait(self, seconds: float) -> None:
        for column in TIMES:
            self.back_door.age(column, seconds)

    def begin(self, job: str = "sync") -> NewRun:
        run = new_run(job)
        self.store.start_run(run, timeout=TIMEOUT)
        return run

    def end_well(self, run: NewRun) -> None:
        self.store.finish_run(success(run), timeout=TIMEOUT)

    def fail(self, job: str = "sync", **options: Any) -> int | None:
        """Let a run fail; return the alert that it raised, or that covers it."""
        run = self.begin(job)
        return self.store.finish_run(failure(run, **options), timeout=TIMEOUT).verdict.alert_id

    def succeed(self, job: str = "sync") -> None:
        self.end_well(self.begin(job))

    def settle(self, **options: Any) -> list[str]:
        """Dispatch and settle, as a round does; return the types of what was told."""
        dispatch(self.store)
        settled = [one.alert_type for one in self.store.settle_incidents(**options)]
        dispatch(self.store)
        return settled

    def alerts(self, alert_type: str) -> list[dict[str, Any]]:
        return self.back_door.rows(
            "select * from alert where alert_type = :type order by id", type=alert_type
        )

    def open(self) -> list[str]:
        return [one.source_id for one in self.store.open_incidents()]


@pytest.fixture
def world(store: OperatorStore, back_door: BackDoor) -> World:
    return World(store, back_door)


def detail_of(row: dict[str, Any]) -> dict[str, Any]:
    detail = row["detail"]
    return dict(json.loads(detail) if isinstance(detail, str) else detail)


def test_an_alert_opens_its_incident_and_the_next_goes_on_with_it(world: World) -> None:
    first = world.fail()
    [opened] = dispatch(world.store)
    world.wait(31 * 60)
    world.fail()
    [again] = dispatch(world.store)

    assert (opened.standing, opened.incident, opened.was_severity) == (Standing.FIRST, first, None)
    assert (again.standing, again.incident, again.was_severity) == (Standing.OPEN, first, "high")
    [incident] = world.store.open_incidents()
    assert (incident.id, incident.source_id) == (first, "sync:HTTP_5XX")
    assert incident == world.store.incident_of(first or 0)


def test_of_two_alerts_of_a_cause_in_one_batch_the_second_goes_on_with_the_first(
    world: World,
) -> None:
    first = world.fail(cooldown=timedelta(0))
    world.fail(cooldown=timedelta(0))

    opened, again = dispatch(world.store)

    assert (opened.standing, opened.incident) == (Standing.FIRST, first)
    assert (again.standing, again.incident, again.was_severity) == (Standing.OPEN, first, "high")
    assert [one.id for one in world.store.open_incidents()] == [first]


def test_a_success_recovers_writes_one_alert_and_resolves_the_others(world: World) -> None:
    first = world.fail()
    dispatch(world.store)
    world.wait(HOUR)
    world.succeed()

    assert world.settle() == ["RECOVERED"]
    assert (world.settle(), world.open()) == ([], [])
    [told] = world.alerts("RECOVERED")
    detail = detail_of(told)
    assert told["severity"] == "low"
    assert told["resolved"]
    assert told["title"] == "sync recovered after 1 h"
    assert told["source_id"] == "sync:HTTP_5XX"
    assert detail.pop("failing_since").startswith("20")
    assert 3600 <= detail.pop("down_seconds") < 3700
    assert detail == {
        "job_name": "sync",
        "error_group": "HTTP_5XX",
        "incident": first,
        "failures": 1,
        "recovered_by_run": 2,
    }
    [failed] = world.alerts("FAILED")
    assert (bool(failed["resolved"]), failed["resolved_by"]) == (True, "runguard")


def test_resolving_may_be_left_to_people(world: World) -> None:
    world.fail()
    world.wait(HOUR)
    world.succeed()

    assert world.settle(auto_resolve=False) == ["RECOVERED"]
    assert not world.alerts("FAILED")[0]["resolved"]


def test_only_the_jobs_that_are_asked_for_are_settled(world: World) -> None:
    for job in ("one", "two"):
        world.fail(job)
    world.wait(HOUR)
    for job in ("one", "two"):
        world.succeed(job)

    assert world.settle(job_names=["one"]) == ["RECOVERED"]
    assert world.open() == ["two:HTTP_5XX"]


def test_a_success_that_began_before_the_failure_ended_recovers_nothing(world: World) -> None:
    early = world.begin()
    world.wait(60)
    world.fail()
    world.end_well(early)
    world.wait(HOUR)

    assert world.settle() == []


def test_a_job_that_often_starts_is_quiet_for_the_cooldown_before_it_is_well(world: World) -> None:
    for _ in range(5):
        world.succeed()
        world.wait(300)
    world.fail()
    world.wait(300)
    world.succeed()

    assert world.settle() == []
    world.wait(25 * 60)
    assert world.settle() == ["RECOVERED"]


def test_a_daily_job_that_is_fixed_by_hand_recovers_at_once(world: World) -> None:
    for _ in range(5):
        world.succeed()
        world.wait(DAY)
    world.fail()
    world.wait(300)
    world.succeed()

    assert world.settle() == ["RECOVERED"]


def test_with_a_cooldown_of_0_nothing_is_waited_for(world: World) -> None:
    for _ in range(5):
        world.succeed()
        world.wait(60)
    world.fail(cooldown=timedelta(0))
    world.succeed()

    assert world.settle() == ["RECOVERED"]


def test_a_failure_that_the_cooldown_kept_back_reopens_what_was_told_to_be_well(
    world: World,
) -> None:
    day = timedelta(days=1)
    for _ in range(5):
        world.succeed()
        world.wait(300)
    first = world.fail(cooldown=day)
    dispatch(world.store)
    world.wait(HOUR)
    world.succeed()
    assert world.settle() == ["RECOVERED"]
    world.wait(300)

    world.fail(cooldown=day)

    assert world.settle() == ["REOPENED"]
    assert world.settle() == []
    [told] = world.alerts("REOPENED")
    assert (told["incident"], told["severity"], told["resolved"]) == (first, "high", False)
    assert "run_id" not in detail_of(told)
    [incident] = world.store.open_incidents()
    assert (incident.id, incident.reopened) == (first, 1)


def test_an_incident_that_came_back_needs_more_successes_in_a_row(world: World) -> None:
    first = world.fail()
    world.wait(HOUR)
    world.succeed()
    assert world.settle() == ["RECOVERED"]
    world.wait(HOUR)
    world.fail()

    [back] = dispatch(world.store)
    world.wait(HOUR)
    world.succeed()

    assert (back.standing, back.incident) == (Standing.REOPENED, first)
    assert world.settle() == []
    world.wait(HOUR)
    world.succeed()
    assert world.settle() == ["RECOVERED"]


def test_a_day_after_its_recovery_a_failure_is_a_new_incident(world: World) -> None:
    world.fail()
    world.wait(HOUR)
    world.succeed()
    world.settle()
    world.wait(DAY + 60)

    second = world.fail()

    [opened] = dispatch(world.store)
    assert (opened.standing, opened.incident) == (Standing.FIRST, second)
    assert world.store.open_incidents()[0].reopened == 0


def test_a_lost_run_that_comes_back_well_closes_its_incident(world: World) -> None:
    run = world.begin()
    world.wait(600)
    silent = timedelta(minutes=5)
    [lost] = world.store.find_lost_runs(silent_for=silent, job_name=None, limit=9, timeout=TIMEOUT)
    ending = failure(run, group=ErrorGroup.UNKNOWN)
    world.store.close_lost_run(lost, ending, silent_for=silent, timeout=TIMEOUT)
    assert world.settle() == []

    world.end_well(run)

    assert world.settle() == ["RECOVERED"]
    assert "it came back" in world.alerts("RECOVERED")[0]["message"]


def test_an_alert_that_was_deleted_by_hand_breaks_nothing(world: World) -> None:
    first = world.fail()
    dispatch(world.store)
    world.back_door.rows("delete from alert where id = :id", id=first)
    world.wait(HOUR)
    world.fail()
    assert [one.incident for one in dispatch(world.store)] == [first]
    world.wait(HOUR)
    world.succeed()

    assert world.settle() == ["RECOVERED"]


def test_rows_of_failures_that_are_gone_let_a_later_success_recover(world: World) -> None:
    world.succeed()
    world.wait(60)
    world.fail()
    dispatch(world.store)
    world.back_door.rows("delete from run_log where status = 'FAILED'")
    assert world.settle() == []
    world.wait(60)
    world.succeed()

    assert world.settle() == ["RECOVERED"]


def test_one_success_closes_the_incidents_of_all_groups(world: World) -> None:
    world.fail(group=ErrorGroup.TIMEOUT)
    world.fail(group=ErrorGroup.HTTP_5XX)
    world.wait(HOUR)
    world.succeed()

    assert world.settle() == ["RECOVERED", "RECOVERED"]
    runs = {detail_of(row)["recovered_by_run"] for row in world.alerts("RECOVERED")}
    assert runs == {3}


def test_what_has_not_run_again_costs_a_round_nothing_however_many_they_are(world: World) -> None:
    jobs = [f"{name}:{number}" for number in range(20) for name in ("sync", "export%")]
    for job in jobs:
        world.fail(job)
    dispatch(world.store)
    world.wait(HOUR)
    statements: list[str] = []
    event.listen(
        world.store.engine, "before_cursor_execute", lambda *args: statements.append(args[2])
    )

    assert world.settle() == []
    assert len(statements) <= 7
    world.end_well(world.begin("export%:7"))
    statements.clear()
    assert world.settle() == ["RECOVERED"]
    assert len(statements) <= 17


def test_runs_are_read_in_as_many_statements_however_many_jobs_recover(world: World) -> None:
    reads: list[str] = []

    def note(*args: Any) -> None:
        reads.extend([args[2]] if args[2].startswith("SELECT") else [])

    event.listen(world.store.engine, "before_cursor_execute", note)
    counts = []
    for jobs in (["a"], ["b", "c", "d", "e"]):
        for job in jobs:
            world.fail(job)
        world.wait(HOUR)
        dispatch(world.store)
        for job in jobs:
            world.succeed(job)
        reads.clear()
        assert len(world.store.settle_incidents()) == len(jobs)
        counts.append(len(reads))

    assert counts[0] == counts[1]


def test_any_number_of_processes_close_an_incident_once(world: World) -> None:
    world.fail()
    dispatch(world.store)
    world.wait(HOUR)
    world.succeed()

    with ThreadPoolExecutor(4) as pool:
        settled = list(pool.map(lambda _: world.store.settle_incidents(), range(4)))

    assert sorted(map(len, settled)) == [0, 0, 0, 1]
    assert len(world.alerts("RECOVERED")) == 1


def test_a_failure_that_a_closing_has_not_seen_forbids_it(world: World) -> None:
    world.fail()
    dispatch(world.store)
    world.wait(HOUR)
    world.succeed()
    read = world.store._seen_of

    def and_then_fails(causes: Any) -> Any:
        seen = read(causes)
        world.fail()
        return seen

    world.store._seen_of = and_then_fails  # type: ignore[method-assign]

    assert list(world.store.settle_incidents()) == []
    assert world.open() == ["sync:HTTP_5XX"]


def test_a_replayed_failure_that_is_older_than_the_recovery_is_over_as_soon_as_it_is_told(
    world: World,
) -> None:
    world.fail()
    world.wait(HOUR)
    world.succeed()
    world.settle()
    world.wait(HOUR)
    then = datetime.now(UTC) - timedelta(hours=3)
    late = new_run("sync")
    ending = failure(late)
    assert ending.alert is not None
    dated = ending.alert._replace(detail={**ending.alert.detail, "occurred_at": then.isoformat()})
    world.store.replay_run(
        SpooledRun(late, then, then, ending._replace(alert=dated)), timeout=TIMEOUT
    )

    [told] = dispatch(world.store)

    assert told.standing is Standing.FIRST
    assert world.settle() == ["RECOVERED"]


def test_an_incident_that_somebody_resolved_is_told_anew_when_it_fails_again(world: World) -> None:
    first = world.fail()
    dispatch(world.store)
    world.store.resolve_alerts([first or 0], by="kim")
    world.wait(HOUR)
    world.fail()

    [again] = dispatch(world.store)

    assert (again.standing, again.incident) == (Standing.REOPENED, first)
    assert world.open() == ["sync:HTTP_5XX"]


def test_alerts_of_other_sources_stand_alone(world: World) -> None:
    from tests.store.drafts import own_alert

    world.store.raise_alert(own_alert(), timeout=TIMEOUT)

    [alone] = dispatch(world.store)
    assert alone.standing is Standing.ALONE
    assert world.open() == []


def test_an_acknowledgement_lasts_until_its_time_or_the_recovery(world: World) -> None:
    first = world.fail() or 0
    dispatch(world.store)
    until = datetime.now(UTC) + timedelta(hours=4)

    found = world.store.acknowledge(first, until=until, by="kim", reason="on it")
    world.wait(HOUR)
    world.fail()
    [again] = dispatch(world.store)

    assert found is not None
    assert (found.acked_by, found.ack_reason) == ("kim", "on it")
    assert again.acked_by == "kim"
    world.wait(HOUR)
    world.succeed()
    world.settle()
    assert world.store.acknowledge(first, until=until, by="kim", reason="late") is None
    assert world.store.incident_of(first).acked_by is None  # type: ignore[union-attr]


def test_an_alert_may_be_acknowledged_before_it_is_dispatched(world: World) -> None:
    first = world.fail() or 0
    until = datetime.now(UTC) + timedelta(hours=4)

    found = world.store.acknowledge(first, until=until, by="kim", reason="on it")
    [opened] = dispatch(world.store)

    assert found is not None
    assert (found.id, found.acked_by) == (first, "kim")
    assert (opened.standing, opened.acked_by) == (Standing.FIRST, "kim")


def test_it_is_taken_back(world: World) -> None:
    first = world.fail() or 0
    dispatch(world.store)
    until = datetime.now(UTC) + timedelta(hours=4)
    world.store.acknowledge(first, until=until, by="kim", reason="on it")

    found = world.store.unacknowledge(first, by="lee")

    assert found is not None
    assert (found.acked_by, found.acked_until, found.ack_reason) == (None, None, None)


def mute(world: World, job: str = "s*", *, matched: int = 1, **options: Any) -> int:
    now = world.store.now()
    ends_at = now + timedelta(hours=1)
    added = world.store.add_silence(
        job=job, ends_at=ends_at, reason="deploy", created_by="kim", **options
    )
    world.back_door.rows("update silence set matched = :n where id = :id", n=matched, id=added.id)
    return added.id


def test_the_end_of_a_silence_is_told_once_where_what_it_muted_still_fails(world: World) -> None:
    first = world.fail()
    dispatch(world.store)
    silence = mute(world)
    mute(world, "other")
    assert world.settle() == []
    world.wait(HOUR + 1)

    assert world.settle() == ["SILENCE_ENDED"]
    assert world.settle() == []
    [told] = world.alerts("SILENCE_ENDED")
    assert told["title"] == f"silence {silence} ended; sync still fails"
    assert (told["incident"], detail_of(told)["silence"]) == (first, silence)


def test_what_was_told_of_a_silence_takes_no_further_ids(world: World) -> None:
    world.fail()
    dispatch(world.store)
    world.store.end_silence(mute(world), by="kim")
    assert world.settle() == ["SILENCE_ENDED"]
    [told] = world.alerts("SILENCE_ENDED")

    assert world.settle() == []

    assert world.fail("another") == told["id"] + 1


def test_the_message_of_it_knows_which_silence_ended(world: World) -> None:
    world.fail()
    dispatch(world.store)
    silence = mute(world)
    world.store.end_silence(silence, by="kim")
    assert world.settle() == ["SILENCE_ENDED"]
    [told] = world.alerts("SILENCE_ENDED")
    record = DeliveryRecord(
        id=1,
        alert_id=told["id"],
        incident=told["incident"],
        kind=NoticeKind.OPENED,
        channel="oncall",
        state=DeliveryState.SENDING,
        attempts=1,
        created_at=world.store.now(),
    )

    facts = world.store.notice_facts(ClaimedDelivery(record=record), timeout=TIMEOUT)

    assert facts is not None
    assert [one.id for one in facts.silences_ended] == [silence]
    assert (facts.job_name, facts.error_group) == ("sync", "HTTP_5XX")
    assert subject_of(facts, Times(UTC, world.store.now())).startswith(
        "STILL HTTP_5XX sync: silence ended, since"
    )


def test_who_has_acknowledged_needs_not_be_told_that_a_silence_ended(world: World) -> None:
    first = world.fail() or 0
    dispatch(world.store)
    until = datetime.now(UTC) + timedelta(hours=4)
    world.store.acknowledge(first, until=until, by="kim", reason="on it")
    world.store.end_silence(mute(world), by="kim")

    assert world.settle() == []


def test_a_silence_that_muted_nothing_or_was_over_before_ends_without_a_word(world: World) -> None:
    mute(world)
    world.wait(HOUR + 60)
    world.fail()
    assert world.settle() == []
    mute(world, matched=0)
    world.wait(HOUR + 60)

    assert world.settle() == []


def test_a_silence_until_recovery_ends_with_it(world: World) -> None:
    world.fail()
    dispatch(world.store)
    silence = mute(world, until_recovered=True)
    world.back_door.age("run_log.started_at", HOUR)
    world.back_door.age("run_log.finished_at", HOUR)
    world.succeed()

    assert world.settle() == ["RECOVERED"]
    [ended] = world.store.silences()
    assert (ended.id, ended.ended_by) == (silence, "runguard")


@pytest.mark.parametrize("store_kind", ["sqlite"])
@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_each_opening_has_one_closing(world: World, seed: int) -> None:
    dice = random.Random(seed)
    told: list[tuple[str, int]] = []
    for _ in range(120):
        match dice.choice("ffsssswwwwlrrr"):
            case "f":
                world.fail(group=dice.choice([ErrorGroup.TIMEOUT, ErrorGroup.UNKNOWN]))
            case "s":
                world.succeed()
            case "w":
                world.wait(dice.choice([60, 600, 2000, HOUR, 2 * DAY]))
            case "l":
                lose_or_find(world, dice)
            case _:
                told += round_of(world)
    told += round_of(world)

    assert len(told) > 5
    check_order(told)
    last = {incident: what for what, incident in told}
    still_open = {one.id for one in world.store.open_incidents()}
    assert {incident for incident, what in last.items() if what == "opened"} == still_open


def lose_or_find(world: World, dice: random.Random) -> None:
    run = world.begin()
    world.wait(600)
    limit = timedelta(minutes=5)
    for lost in world.store.find_lost_runs(
        silent_for=limit, job_name=None, limit=9, timeout=TIMEOUT
    ):
        ending = failure(run, group=ErrorGroup.UNKNOWN)
        world.store.close_lost_run(lost, ending, silent_for=limit, timeout=TIMEOUT)
    if dice.random() < 0.5:
        world.end_well(run)


def round_of(world: World) -> list[tuple[str, int]]:
    """One round; say what was told of which incident, in order."""
    told = [*said(dispatch(world.store))]
    told += [
        ("closed" if one.alert_type == "RECOVERED" else "opened", one.incident.id)
        for one in world.store.settle_incidents()
    ]
    dispatch(world.store)
    return told


def said(advanced: Sequence[Any]) -> list[tuple[str, int]]:
    news = (Standing.FIRST, Standing.REOPENED)
    return [("opened", one.incident) for one in advanced if one.standing in news]


def check_order(told: list[tuple[str, int]]) -> None:
    """Each incident is opened, closed, opened …, in turn."""
    state: dict[int, str] = {}
    for what, incident in told:
        assert state.get(incident, "closed") != what, (what, incident)
        state[incident] = what
